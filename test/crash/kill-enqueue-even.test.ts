// One half of the scenarios, so that the two processes of jest share them: they take the longest of all.
import { test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { killEverywhere, namesOf } from './kill.js'

test.each(namesOf('enqueue').filter((_, index) => index % 2 === 0))(
  'killed at any call, nothing is lost: %s',
  async (name) => {
    await killEverywhere(name, makeDirectory({ quick: true }))
  },
  120_000,
)
