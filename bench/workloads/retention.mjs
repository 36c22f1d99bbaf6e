import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { floorEnqueue } from '../lib/floor.mjs'
import { Queue } from '../lib/fsq.mjs'
import { interleave, timed } from '../lib/rounds.mjs'
import { ratioOf, spread } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'

// After so many finishes, a worker looks at done/.
const FINISHES = 1000
const LOOK_MS = 5

/** A worker with `keepDone` removes old done items beside its work. */
export const retention = { name: 'retention', measure, lines }

async function measure({ counts: { done, warmUp }, longRounds, folder }) {
  const contenders = [byWorker, bySyncCalls].map((remove) => ({
    measure: (path, count) => withDone(path, count, remove),
  }))
  const rounds = { items: done, warmUp, rounds: longRounds, folder }
  const [fsq, nodeFs] = await interleave(contenders, rounds)
  return { done, rounds: longRounds, rate: spread(fsq), ratio: ratioOf(fsq, nodeFs) }
}

/** How many milliseconds the removal of so many done items takes in a new queue. */
async function withDone(path, count, remove) {
  const root = dirname(path)
  const queue = await Queue.install(basename(path), { root, force: true, durability: 'none' })
  await floorEnqueue(path, { count, size: 0 })
  const done = join(path, 'done')
  rmSync(done, { recursive: true })
  renameSync(join(path, 'queue'), done)
  mkdirSync(join(path, 'queue'))
  const names = readdirSync(done)
  await queue.enqueueMany(Array.from({ length: FINISHES }, () => ({ data: null })))
  const { milliseconds } = await timed(path, () => remove(queue, done, names))
  await queue.close()
  return milliseconds
}

async function byWorker(queue, done, names) {
  await queue.work(() => undefined, { concurrency: 32, keepDone: { age: 0 } })
  // Each name is looked at about once: the directory is not listed while it is cleaned.
  for (const name of names) while (existsSync(join(done, name))) await later(LOOK_MS)
}

async function bySyncCalls(_queue, done, names) {
  for (const name of names) unlinkSync(join(done, name))
}

function lines({ done, rounds, rate, ratio }) {
  return [
    `A worker that works off ${number(FINISHES)} items and removes ${number(done)} done ones (rounds: ${rounds})`,
    `  fsq      ${range(rate)} removed a second; fsq : a loop over unlinkSync ${range(ratio, 2)}`,
  ]
}
