// Short forms of the programs in scripts/soak/, which say how to run the long ones.
import { fileURLToPath } from 'node:url'
import process from 'node:process'

import { expect, test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { run } from '../support/queue.js'

const program = (name: string): string =>
  fileURLToPath(new URL(`../../scripts/soak/${name}.mjs`, import.meta.url))

test('four workers that are killed, stopped, paused and closed: no item is lost, and none is run twice at once', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [
    program('main'),
    ...['--seconds', '8', '--dir', makeDirectory({ quick: true })],
  ])
  expect([stderr, stdout]).toEqual(['', expect.stringMatching(/^soak: 8 s .* 0 problems\n$/)])
  expect(code).toBe(0)
})

test('thousands of items through one worker: the heap and the descriptors do not grow, and no file stays', async () => {
  const { code, stdout, stderr } = await run(process.execPath, [
    '--expose-gc',
    program('steady'),
    ...['--items', '6000', '--dir', makeDirectory({ quick: true })],
  ])
  expect([stderr, stdout]).toEqual(['', expect.stringMatching(/^steady: 6000 items, .* 0 problems\n$/)])
  expect(code).toBe(0)
})
