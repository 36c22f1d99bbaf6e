import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { FsqError, Queue } from '../../src/index.js'
import { native } from '../../src/addon/native.js'
import { filesOf, isFree, makeDirectory } from '../support/child.js'

test.each(['done', 'fail', 'retry', 'discard'] as const)(
  'a queue closed in the tick of %s(): the item has moved, or a typed error says that it has not, and no lock stays',
  async (action) => {
    const root = path.join(makeDirectory(), 'root')
    fs.mkdirSync(root)
    const queue = await Queue.install('q', { root, maxTries: 3 })
    await queue.enqueueMany([{ args: ['a'] }, { args: ['b'] }, { args: ['c'] }])
    const outcomes: PromiseSettledResult<unknown>[] = []
    const finishing: Promise<unknown>[] = []
    const scan = queue.scan({ prefetch: 3 })
    for (let count = 0; count < 3; count++) {
      const { value } = await scan.next()
      if (value !== undefined) finishing.push(value[action]())
      // The first is under way by then, the others wait behind it.
      if (count === 0) await Promise.resolve()
    }
    const closing = queue.close()
    outcomes.push(...(await Promise.allSettled(finishing)))
    await closing
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(FsqError)
    expect(native.heldClaims()).toBe(0)
    for (const { path: file } of filesOf(queue.path)) expect(isFree(file)).toBe(true)
  },
)
