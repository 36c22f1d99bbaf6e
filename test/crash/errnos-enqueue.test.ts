import { test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { failEverywhere } from './errnos.js'
import { namesOf } from './kill.js'

test.each(namesOf('enqueue', 'install', 'uninstall'))(
  'one call fails, a typed error or another way, and nothing is lost or left: %s',
  async (name) => {
    await failEverywhere(name, makeDirectory({ quick: true }))
  },
  120_000,
)
