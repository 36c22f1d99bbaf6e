import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { floorEnqueue } from '../lib/floor.mjs'
import { Queue } from '../lib/fsq.mjs'
import { timed } from '../lib/rounds.mjs'
import { ratioOf, spreadOf } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'

// After so many finishes, a worker looks at done/.
const FINISHES = 1000
const LOOK_MS = 5

/** A worker with `keepDone` removes old done items beside its work. */
export const retention = { name: 'retention', measure, lines }

async function measure({ counts, longRounds, folder }) {
  const samples = { fsq: [], 'node:fs': [] }
  for (let round = -1; round < longRounds; round++) {
    for (const [name, remove] of [
      ['fsq', byWorker],
      ['node:fs', bySyncCalls],
    ]) {
      const path = folder.make()
      const queue = await Queue.install(basename(path), {
        root: dirname(path),
        force: true,
        durability: 'none',
      })
      const { milliseconds } = await withDone(queue, counts.done, remove)
      await queue.close()
      rmSync(path, { recursive: true })
      if (round >= 0) samples[name].push({ rate: (counts.done * 1000) / milliseconds })
    }
  }
  const rates = Object.values(samples).map((results) => results.map(({ rate }) => rate))
  const { rate } = spreadOf(samples.fsq, ['rate'])
  return { done: counts.done, rounds: longRounds, rate, ratio: ratioOf(...rates) }
}

async function withDone(queue, count, remove) {
  await floorEnqueue(queue.path, { count, size: 0 })
  const done = join(queue.path, 'done')
  rmSync(done, { recursive: true })
  renameSync(join(queue.path, 'queue'), done)
  mkdirSync(join(queue.path, 'queue'))
  const names = readdirSync(done)
  await queue.enqueueMany(Array.from({ length: FINISHES }, () => ({ data: null })))
  return timed(queue.path, () => remove(queue, done, names))
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
