// Two handles of one queue whose claims are renames, and workers that die, against a model: nothing is lost, nothing is replaced, and
// nothing is handed out twice.
import { expect, test } from '@jest/globals'

import { Child, makeDirectory } from '../support/child.js'
import { BY_LINK } from './claimed.js'

const RUNS = 60

test.each([
  ['where renames can be exclusive', ''],
  ['where no rename can be exclusive', BY_LINK],
])('random sequences with few names, %s', async (_, faults) => {
  const child = new Child('rename-model.mjs', { dir: makeDirectory({ quick: true }), runs: RUNS }, { faults })
  const { code } = await child.ended
  expect({ code, stderr: child.stderr, lines: child.lines }).toEqual({
    code: 0,
    stderr: '',
    lines: [{ runs: RUNS }],
  })
})
