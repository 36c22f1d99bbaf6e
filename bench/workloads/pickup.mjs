import { spawn } from 'node:child_process'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { setTimeout as later } from 'node:timers/promises'

import { Queue } from 'fsq'

import { quantile } from '../lib/statistics.mjs'

const WAITER = join(import.meta.dirname, 'waiter.mjs')
const SETTLE_MS = 200
// So far apart that each finds the waiter asleep.
const GAP_MS = 4
// Times of files are coarse: only then is it certain that nothing has changed.
const IDLE_AFTER_MS = 5000

/** Milliseconds from before the enqueue until the contents are in the hands of a process that waits: p50 and p99. */
export async function measurePickUp({ counts, rounds, folder }) {
  const results = { fsq: [], 'node:fs': [] }
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

/** Milliseconds from SIGKILL to a worker until the item that it held is in other hands. */
export async function measureKills({ counts, folder, waiters }) {
  const root = folder.make()
  const side = await Queue.install('side', { root, durability: 'none' })
  const queue = await Queue.install('q', { root, durability: 'none' })
  const running = Array.from({ length: waiters }, () => new Waiter('fsq', root, 'q'))
  for (const waiter of running) await waiter.ready()
  const took = []
  for (let kill = 0; kill < counts.kills; kill++) {
    // Claimed elsewhere and then moved here: else one of those that wait would have it first.
    const id = side.enqueueSync('0')
    const holder = new Waiter('holder', root, 'side')
    await holder.all('held', 1)
    renameSync(join(side.path, 'queue', id), join(queue.path, 'queue', id))
    await later(SETTLE_MS / 10)
    const before = Number(process.hrtime.bigint()) / 1e6
    holder.process.kill('SIGKILL')
    const at = await Promise.any(running.map(async (waiter) => waiter.next('took')))
    took.push(at - before)
  }
  for (const waiter of running) await waiter.end()
  await Promise.all([side.close(), queue.close()])
  rmSync(root, { recursive: true })
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), max: Math.max(...took) }
}

/**
 * How much of a CPU loops take that wait, in some processes, beside nothing and beside an item that is held; `none`: what
 * the processes take without any loop.
 */
export async function measureIdle({ counts, folder, processes = 5, waiters = 100 }) {
  const result = {}
  for (const state of ['none', 'empty', 'held']) {
    const root = folder.make()
    const queue = await Queue.install('q', { root, durability: 'none' })
    const holder = state === 'held' ? new Waiter('holder', root, 'q') : undefined
    if (holder !== undefined) {
      queue.enqueueSync('0')
      await holder.all('held', 1)
    }
    const running = Array.from(
      { length: processes },
      () => new Waiter('idle', root, 'q', state === 'none' ? 0 : waiters / processes),
    )
    for (const waiter of running) await waiter.ready()
    await later(IDLE_AFTER_MS)
    for (const waiter of running) waiter.tell()
    for (const waiter of running) await waiter.all('cpu', 1)
    await later(counts.idleMs)
    for (const waiter of running) waiter.tell()
    const used = await Promise.all(running.map(async (waiter) => waiter.all('cpu', 2)))
    result[state] = used.reduce((sum, [, cpu]) => sum + cpu, 0)
    for (const waiter of running) await waiter.end()
    holder?.process.kill('SIGKILL')
    await queue.close()
    rmSync(root, { recursive: true })
  }
  return result
}

/** A process that waits, and what it has said. */
class Waiter {
  #lines = []
  #wake = () => {}

  constructor(...args) {
    this.process = spawn(process.execPath, [WAITER, ...args.map(String)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.process.stdin.on('error', () => {})
    this.ended = new Promise((resolve) => this.process.once('close', resolve))
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.#lines.push(JSON.parse(line))
      this.#wake()
    })
  }

  async ready() {
    await this.all('ready', 1)
    // It says so before it waits.
    await later(SETTLE_MS)
  }

  /** The values of the first so many lines of this kind. */
  async all(key, count) {
    for (;;) {
      const values = this.#lines.filter((line) => key in line).map((line) => line[key])
      if (values.length >= count) return values
      await new Promise((resolve) => (this.#wake = resolve))
    }
  }

  /** The value of the next line of this kind. */
  async next(key) {
    const known = this.#lines.filter((line) => key in line).length
    return (await this.all(key, known + 1)).at(-1)
  }

  tell() {
    this.process.stdin.write('\n')
  }

  async end() {
    this.process.stdin.end()
    await this.ended
  }
}
