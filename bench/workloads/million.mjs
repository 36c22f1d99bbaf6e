import { rmSync } from 'node:fs'

import { checkTallies } from '../lib/check.mjs'
import { floorDrain, floorEnqueue } from '../lib/floor.mjs'
import { settle } from '../lib/rounds.mjs'
import { ratioOf, spreadOf } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'
import { WorkerProcess } from '../lib/worker-process.mjs'
import { openFsq } from '../peers/fsq.mjs'

const WIDTH = 16
// How many items a process drains first, so that its code is compiled. Compiling takes as long as a small drain, and
// would show there.
const WARM_UP = 5000
const KEYS = ['firstMs', 'rate', 'peakMB']

/**
 * One process drains a backlog of a million items, and one of a few: does the rate hold, when does the first item
 * come, how much memory does it take?
 */
export const million = { name: 'million', measure, lines }

async function measure({ counts, longRounds, folder }) {
  const results = []
  for (const waiting of [counts.few, counts.million]) {
    const samples = { fsq: [], floor: [] }
    for (let round = 0; round < longRounds; round++) {
      samples.fsq.push(await ours(folder, waiting))
      samples.floor.push(await floors(folder, waiting))
    }
    results.push({
      waiting,
      rounds: longRounds,
      fsq: spreadOf(samples.fsq, KEYS),
      floor: spreadOf(samples.floor, ['firstMs', 'rate']),
      ratio: ratioOf(rates(samples.fsq), rates(samples.floor)),
    })
  }
  return results
}

function rates(samples) {
  return samples.map(({ rate }) => rate)
}

async function ours(folder, waiting) {
  const worker = new WorkerProcess()
  await withBacklog(folder, WARM_UP, (queue) => worker.drain(queue, { width: WIDTH }))
  const tally = await withBacklog(folder, waiting, async (queue) => worker.drain(queue, { width: WIDTH }))
  await worker.end()
  const { begin, first, end, peakMB } = tally
  return { firstMs: first - begin, rate: (waiting * 1000) / (end - begin), peakMB }
}

async function floors(folder, waiting) {
  const { firstMs, milliseconds } = await withBacklog(folder, waiting, (queue) => floorDrain(queue))
  return { firstMs, rate: (waiting * 1000) / milliseconds }
}

async function withBacklog(folder, count, drain) {
  const queue = folder.make()
  await (await openFsq(queue)).close()
  // Empty items: a million files of one block each do not fit everywhere.
  await floorEnqueue(queue, { count, size: 0 })
  settle(queue)
  const tally = await drain(queue)
  checkTallies(queue, [tally], { count, size: 0 })
  rmSync(queue, { recursive: true })
  return tally
}

function lines(results) {
  return results.flatMap(({ waiting, rounds, fsq, floor, ratio }) => [
    `One process that drains ${number(waiting)} waiting items, 16 in flight (rounds: ${rounds})`,
    `  fsq      first item after ${range(fsq.firstMs, 1)} ms, ${range(fsq.rate)} a second, peak ${range(fsq.peakMB, 1)} MB`,
    `  floor    first item after ${range(floor.firstMs, 1)} ms, ${range(floor.rate)} a second; fsq : it ${range(ratio, 2)}`,
  ])
}
