// Many quick workers on one backlog: they leap over the items of one another, and leave none behind.
import process from 'node:process'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, makeDirectory, until } from '../support/child.js'

const WORKERS = 8
const HELD = 40
// So many that no worker comes to the end of its listing while the test runs.
const FULL = 40_000
const BATCH = 1000
const SECOND = 1_000_000_000n

interface Claimed {
  readonly id: string
  readonly at: string
}

test(`with ${WORKERS} processes on a full queue, the oldest free item is claimed within a second`, async () => {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root, durability: 'none' })
  /** In FIFO order, with the moment at which each one was free for all workers. */
  const free = new Map<string, bigint>()
  const add = async (count: number, args: readonly string[] = []): Promise<readonly string[]> => {
    const ids = await queue.enqueueMany(Array.from({ length: count }, () => ({ args })))
    const now = process.hrtime.bigint()
    for (const id of ids) free.set(id, now)
    return ids
  }

  const old = await add(HELD, ['old'])
  const holder = new Child('crowd-worker.mjs', { root, hold: HELD })
  expect((await holder.says('holds'))['holds']).toEqual(old)
  for (let added = 0; added < FULL; added += BATCH) await add(BATCH)

  const workers = Array.from({ length: WORKERS }, () => new Child('crowd-worker.mjs', { root }))
  let isFilling = true
  const filling = (async () => {
    while (isFilling) if ((await queue.counts()).waiting < FULL) await add(BATCH)
  })()
  await Promise.all(workers.map((worker) => worker.says('works')))
  const begin = process.hrtime.bigint()
  for (const id of old) free.set(id, begin)
  holder.kill()
  await until('the items of the killed worker are claimed', () => {
    return workers.flatMap((worker) => worker.said('told')).length >= HELD
  })
  isFilling = false
  await filling
  const end = process.hrtime.bigint()
  for (const worker of workers) worker.tell('stop')
  const claims = (
    await Promise.all(workers.map(async (worker) => (await worker.says('claims'))['claims'] as Claimed[]))
  ).flat()
  for (const { stderr } of workers) expect(stderr).toBe('')

  const claimedAt = new Map(claims.map(({ id, at }) => [id, BigInt(at)]))
  expect(claimedAt.size).toBe(claims.length)
  // From when on each item was the oldest of all that nothing held, and how long it stayed so.
  let longest = 0n
  let older = begin
  for (const [id, since] of free) {
    const at = claimedAt.get(id) ?? end
    const oldest = since > older ? since : older
    if (at - oldest > longest) longest = at - oldest
    if (at > older) older = at
  }
  expect(longest).toBeLessThan(SECOND)
  await queue.close()
}, 60_000)
