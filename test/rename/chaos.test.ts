// The short form of the chaos in scripts/soak/, which says how to run the long one.
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { run } from '../support/queue.js'

const PROGRAM = fileURLToPath(new URL('../../scripts/soak/shared.mjs', import.meta.url))

test.each([
  ['renames can be exclusive', []],
  ['no rename can be exclusive', ['--links']],
])(
  'workers that are killed, stopped and closed, and whose locks are taken away, where %s: each item is finished once',
  async (_, options) => {
    const directory = makeDirectory({ quick: true })
    const args = [PROGRAM, '--seconds', '6', '--dir', directory, ...options]
    const { code, stdout, stderr } = await run(process.execPath, args)
    expect([stderr, stdout]).toEqual(['', expect.stringMatching(/^shared: 6 s .* 0 problems\n$/)])
    expect(code).toBe(0)
  },
)
