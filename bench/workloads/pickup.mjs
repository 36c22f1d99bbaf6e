import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { Queue } from '../lib/fsq.mjs'
import { JsonProcess } from '../lib/json-process.mjs'
import { quantile, ratioOf, spread } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'

const WAITER = join(import.meta.dirname, 'pickup-waiter.mjs')
const SETTLE_MS = 200
// Far enough apart that each finds the waiter asleep.
const GAP_MS = 4
const KILL_WAITERS = [1, 4]
const REFERENCES = ['fs/promises with a watch', 'node:fs in the callback of a watch']
const IDLE_WAITERS = 100
const IDLE_PROCESSES = 5

/** Waiting loops: how soon they receive new items, or the item of a killed worker, and what they cost. */
export const pickUp = { name: 'pick-up', measure, lines }

async function measure({ counts, rounds, longRounds, folder }) {
  const samples = await measurePickUp({ counts, rounds, folder })
  const parts = ['p50', 'p99'].map((key) => {
    const ours = samples.fsq.map((sample) => sample[key])
    const references = REFERENCES.map((kind) => {
      const theirs = samples[kind].map((sample) => sample[key])
      return [kind, { ...spread(theirs), ratio: ratioOf(ours, theirs) }]
    })
    return [key, { fsq: spread(ours), references: Object.fromEntries(references) }]
  })
  const byWork = samples.work.map(({ p50 }) => p50)
  const byLoop = samples.fsq.map(({ p50 }) => p50)
  const work = { ...spread(byWork), ratio: ratioOf(byWork, byLoop) }
  const killed = []
  for (const waiters of KILL_WAITERS) {
    killed.push({ waiters, ...(await measureKills({ counts, folder, waiters })) })
  }
  return {
    ...Object.fromEntries(parts),
    work,
    killed,
    idle: await measureIdle({ counts, rounds: longRounds, folder }),
  }
}

function lines({ p50, p99, work, killed, idle }) {
  const percent = ({ median, min, max }) =>
    `${range({ median: median * 100, min: min * 100, max: max * 100 }, 2)} %`
  return [
    'From an enqueue until the contents are in the hands of another process that waits',
    ...Object.entries({ p50, p99 }).flatMap(([key, { fsq, references }]) => [
      `  ${key}: ${range(fsq, 2)} ms`,
      ...Object.entries(references).map(
        ([kind, reference]) =>
          `    ${kind}, no locks: ${range(reference, 2)} ms; fsq : it ${range(reference.ratio, 2)}`,
      ),
    ]),
    `  p50 by work(): ${range(work, 2)} ms; work() : scanForever() ${range(work.ratio, 2)}`,
    ...killed.map(
      ({ waiters, ...took }) =>
        `  after SIGKILL, ${waiters} waiting: p50 ${number(took.p50, 1)}, p99 ${number(took.p99, 1)}, at most ${number(took.max, 1)} ms`,
    ),
    `  CPU of ${IDLE_WAITERS} loops in ${IDLE_PROCESSES} processes: ${percent(idle.empty)} of an empty queue, ` +
      `${percent(idle.held)} beside an item that is held; of as many workers ${percent(idle.workers)}; of such processes without a loop: ` +
      percent(idle.none),
  ]
}

/** Milliseconds from before the enqueue until a waiting process has the contents: p50 and p99. */
async function measurePickUp({ counts, rounds, folder }) {
  const results = Object.fromEntries(['fsq', 'work', ...REFERENCES].map((kind) => [kind, []]))
  for (let round = 0; round < rounds; round++) {
    for (const kind of Object.keys(results)) {
      const root = folder.make()
      const queue = await Queue.install('q', { root, durability: 'none' })
      const waiter = new Waiter(kind, root, 'q')
      await waiter.ready()
      for (let item = 0; item < counts.pickUps; item++) {
        queue.enqueueSync(String(process.hrtime.bigint()))
        await later(GAP_MS * (0.5 + Math.random()))
      }
      const took = await waiter.all('took', counts.pickUps)
      await waiter.end()
      await queue.close()
      rmSync(root, { recursive: true })
      results[kind].push({ p50: quantile(took, 0.5), p99: quantile(took, 0.99) })
    }
  }
  return results
}

/** Milliseconds from the SIGKILL of a worker until another one has its item. */
async function measureKills({ counts, folder, waiters }) {
  const root = folder.make()
  const side = await Queue.install('side', { root, durability: 'none' })
  const queue = await Queue.install('q', { root, durability: 'none' })
  const running = Array.from({ length: waiters }, () => new Waiter('fsq', root, 'q'))
  for (const waiter of running) await waiter.ready()
  const took = []
  for (let kill = 0; kill < counts.kills; kill++) {
    // Claimed elsewhere and then moved here; otherwise one of the waiting processes would take it first.
    const id = side.enqueueSync('0')
    const holder = new Waiter('holder', root, 'side')
    await holder.all('held', 1)
    renameSync(join(side.path, 'queue', id), join(queue.path, 'queue', id))
    await later(SETTLE_MS / 10)
    const before = Number(process.hrtime.bigint()) / 1e6
    holder.kill()
    const at = await Promise.any(running.map(async (waiter) => waiter.next('took')))
    took.push(at - before)
  }
  for (const waiter of running) await waiter.end()
  await Promise.all([side.close(), queue.close()])
  rmSync(root, { recursive: true })
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), max: Math.max(...took) }
}

/**
 * How much of a CPU waiting loops take, in several processes, alone and beside a held item; `none`: what the
 * processes take without any loop. `more`: the differences to that, round by round.
 */
async function measureIdle({ counts, rounds, folder }) {
  const samples = { none: [], empty: [], held: [], workers: [] }
  for (let round = 0; round < rounds; round++) {
    for (const [state, shares] of Object.entries(samples)) {
      shares.push(await shareOfCpu(state, { counts, folder }))
    }
  }
  const { none, ...states } = samples
  const measured = Object.entries(states).map(([state, shares]) => [
    state,
    { ...spread(shares), more: spread(shares.map((share, round) => share - none[round])) },
  ])
  return { none: spread(none), ...Object.fromEntries(measured) }
}

async function shareOfCpu(state, { counts, folder }) {
  const root = folder.make()
  const queue = await Queue.install('q', { root, durability: 'none' })
  const holder = state === 'held' ? new Waiter('holder', root, 'q') : undefined
  if (holder !== undefined) {
    queue.enqueueSync('0')
    await holder.all('held', 1)
  }
  const running = Array.from(
    { length: IDLE_PROCESSES },
    () =>
      new Waiter(
        state === 'workers' ? 'workers' : 'idle',
        root,
        'q',
        state === 'none' ? 0 : IDLE_WAITERS / IDLE_PROCESSES,
      ),
  )
  for (const waiter of running) await waiter.ready()
  // File times are coarse: only after this time is it certain that nothing has changed.
  await later(counts.idleAfterMs)
  for (const waiter of running) waiter.tell()
  for (const waiter of running) await waiter.all('cpu', 1)
  await later(counts.idleMs)
  for (const waiter of running) waiter.tell()
  const used = await Promise.all(running.map(async (waiter) => waiter.all('cpu', 2)))
  for (const waiter of running) await waiter.end()
  holder?.kill()
  await queue.close()
  rmSync(root, { recursive: true })
  return used.reduce((sum, [, cpu]) => sum + cpu, 0)
}

/** A waiting process (pickup-waiter.mjs). */
class Waiter extends JsonProcess {
  constructor(...args) {
    super(WAITER, args)
  }

  async ready() {
    await this.all('ready', 1)
    // It prints this just before it waits, or just after it began to.
    await later(SETTLE_MS)
  }
}
