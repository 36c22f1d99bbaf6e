import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { type LockKind, Queue } from '../../src/index.js'
import { Child, makeDirectory } from '../support/child.js'

const COUNT = 2_000

const KINDS = ['flock', 'fcntl'] as const

async function countBusy(job: {
  count: number
  lockKind: LockKind
  faults?: string
}): Promise<Record<'busy' | 'tried', unknown>> {
  const root = path.join(makeDirectory(), 'root')
  fs.mkdirSync(root)
  const queue = await Queue.install('q', { root, lockKind: job.lockKind, queueMode: '0700' })
  await queue.close()
  const child = new Child(
    'spawn-while-unlocking.mjs',
    { root, ...job },
    { faultBuild: job.faults !== undefined },
  )
  expect({ ...(await child.ended), stderr: child.stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  const [line] = child.said('busy')
  expect(line?.['spawned']).toBeGreaterThan(20)
  return { busy: line?.['busy'], tried: line?.['tried'] }
}

test.each(KINDS)(
  'a lock (%s) is free at once after finish and release, while another thread starts programs all the time',
  async (lockKind) => {
    expect(await countBusy({ count: COUNT, lockKind })).toEqual({
      busy: { done: 0, release: 0 },
      tried: { done: COUNT, release: COUNT },
    })
  },
  120_000,
)

test.each(KINDS)(
  'without the explicit unlock it (%s) is not',
  async (lockKind) => {
    const { busy } = await countBusy({ count: COUNT, lockKind, faults: 'claim.unlock=errno:5' })
    const { done, release } = busy as { done: number; release: number }
    expect(done + release).toBeGreaterThan(0)
  },
  120_000,
)
