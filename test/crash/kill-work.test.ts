import { test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { killEverywhere, namesOf } from './kill.js'

test.each(namesOf('work'))(
  'killed at any call, nothing is lost: %s',
  async (name) => {
    await killEverywhere(name, makeDirectory({ quick: true }))
  },
  120_000,
)
