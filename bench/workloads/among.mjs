import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { floorDrain, floorEnqueue, floorHold } from '../lib/floor.mjs'
import { settle } from '../lib/rounds.mjs'
import { ratioOf, spread } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'
import { WorkerProcess } from '../lib/worker-process.mjs'
import { openFsq } from '../peers/fsq.mjs'

const DAY = 24 * 3600

/** One claimable item behind many that cannot be claimed: delayed, or locked by others. */
export const among = { name: 'claim among', measure, lines }

async function measure({ counts, rounds, folder }) {
  const worker = new WorkerProcess()
  const results = []
  for (const kind of ['delayed', 'locked']) {
    const queue = folder.make()
    await (await openFsq(queue)).close()
    await floorEnqueue(queue, { count: counts.among, size: 0, delay: kind === 'delayed' ? DAY : 0 })
    const release = kind === 'locked' ? await floorHold(queue) : undefined
    const samples = { fsq: [], floor: [] }
    let next = counts.among
    const claimOne = async (drain) => {
      await floorEnqueue(queue, { count: 1, size: 0, first: next })
      settle(queue)
      const tally = await drain()
      assert.equal(tally.taken, 1, 'items that could be claimed')
      assert.equal(tally.numbers, next, 'number of the item that could be claimed')
      next++
      return tally
    }
    for (let round = -1; round < rounds; round++) {
      const { begin, first } = await claimOne(() => worker.drain(queue, { width: 1 }))
      const { firstMs } = await claimOne(() => floorDrain(queue))
      if (round === -1) continue
      samples.fsq.push(first - begin)
      samples.floor.push(firstMs)
    }
    assert.equal(readdirSync(join(queue, 'queue')).length, counts.among, 'items that cannot be claimed')
    await release?.()
    rmSync(queue, { recursive: true })
    results.push({
      kind,
      items: counts.among,
      fsq: spread(samples.fsq),
      floor: spread(samples.floor),
      ratio: ratioOf(samples.floor, samples.fsq),
    })
  }
  await worker.end()
  return results
}

function lines(results) {
  return [
    'Until one item is claimed behind many that cannot be',
    ...results.map(
      ({ kind, items, fsq, floor, ratio }) =>
        `  behind ${number(items)} ${kind}: fsq ${range(fsq, 1)} ms, floor ${range(floor, 1)} ms; fsq : it ${range(ratio, 2)}`,
    ),
  ]
}
