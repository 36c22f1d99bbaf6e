/** Workers in worker threads. A thread is no process: the kernel does not close what it has open. */
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { run } from '../support/queue.js'

test.each([
  ['lock', 'closed'],
  ['lock', 'terminated'],
  ['rename', 'closed'],
  ['rename', 'terminated'],
] as const)(
  'a worker of a queue with claims by %s whose thread has %s leaves no file open, and no warning',
  async (claims, ends) => {
    const root = makeDirectory({ quick: true })
    const { stdout, stderr } = await run(process.execPath, [
      fileURLToPath(new URL('../programs/work-in-thread.mjs', import.meta.url)),
      JSON.stringify({ root, claims, ends }),
    ])
    expect([stderr, stdout]).toEqual(['', '{"open":[],"workers":0}\n'])
  },
)
