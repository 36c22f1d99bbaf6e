// The other half of kill-enqueue-even.test.ts.
import { test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { killEverywhere, namesOf } from './kill.js'

test.each(namesOf('enqueue').filter((_, index) => index % 2 === 1))(
  'killed at any call, nothing is lost: %s',
  async (name) => {
    await killEverywhere(name, makeDirectory({ quick: true }))
  },
  120_000,
)
