// Feeders and workers on two mounts of one directory, and workers that are killed: { mounts, done, logs, kills }. Gives back what
// has happened to the items.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { Queue } from '../../dist/index.js'

const PROGRAM = fileURLToPath(new URL('mounted-worker.mjs', import.meta.url))
const PATIENCE_MS = 20_000
const LINES = 10
const LINES_MS = 1_000

class Worker {
  #process
  #log
  /** When it was killed, by the clock of its log. */
  #killedAt
  #stderr = ''

  constructor(root, logs) {
    this.#log = path.join(logs, `${Worker.count++}`)
    this.root = root
    this.#process = spawn(process.execPath, [PROGRAM, JSON.stringify({ root, log: this.#log })], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process.stderr.on('data', (text) => (this.#stderr += text))
    this.ended = once(this.#process, 'close')
  }

  static count = 0

  /** Kills it when it has worked on some items. */
  async kill() {
    const enough = this.#lines().length + LINES
    const deadline = Date.now() + LINES_MS
    while (this.#lines().length < enough && Date.now() < deadline) await later(1)
    this.#killedAt = process.hrtime.bigint()
    this.#process.kill('SIGKILL')
  }

  stop() {
    this.#process.kill('SIGTERM')
  }

  #lines() {
    return fs.existsSync(this.#log) ? fs.readFileSync(this.#log, 'utf8').split('\n').slice(0, -1) : []
  }

  /** Its runs of items, and its problems. */
  history() {
    const open = new Map()
    const runs = []
    const problems = this.#stderr === '' ? [] : [this.#stderr]
    for (const line of this.#lines()) {
      const [what, key, at] = line.split(' ')
      if (what === 'begin') open.set(key, BigInt(at))
      else if (what === 'problem') problems.push(line)
      else {
        runs.push({ key, from: open.get(key), to: BigInt(at), finished: true })
        open.delete(key)
      }
    }
    for (const [key, from] of open) {
      if (this.#killedAt === undefined) problems.push(`no end of ${key}`)
      runs.push({ key, from, to: this.#killedAt, finished: false })
    }
    return { runs, problems }
  }
}

/** Enqueues until the signal. */
async function feed(root, signal) {
  const queue = new Queue('q', { root, durability: 'none' })
  const keys = []
  while (!signal.aborted) {
    keys.push(keyOf(await queue.enqueue('contents')))
    await later(Math.random() * 4)
  }
  await queue.close()
  return keys
}

/** The name without the tries. */
function keyOf(name) {
  return name.split('_').toSpliced(5, 1).join('_')
}

/** How often two runs of one item were at the same time. */
function overlaps(runs) {
  const sorted = runs.toSorted((one, other) => (one.from < other.from ? -1 : 1))
  return sorted.filter((run, index) => index > 0 && run.from < sorted[index - 1].to).length
}

export async function race({ mounts, done, logs, kills }) {
  const all = []
  const start = (root) => {
    const worker = new Worker(root, logs)
    all.push(worker)
    return worker
  }
  const fleet = [...mounts, ...mounts].map(start)
  const enough = new AbortController()
  const feeders = mounts.map(async (root) => feed(root, enough.signal))
  for (let kill = 0; kill < kills; kill++) {
    const index = Math.floor(Math.random() * fleet.length)
    await fleet[index].kill()
    fleet[index] = start(fleet[index].root)
  }
  enough.abort()
  const keys = (await Promise.all(feeders)).flat()
  const deadline = Date.now() + PATIENCE_MS
  while (fs.readdirSync(done).length < keys.length && Date.now() < deadline) await later(10)
  for (const worker of fleet) worker.stop()
  await Promise.all(all.map(async ({ ended }) => ended))
  const histories = all.map((worker) => worker.history())
  const runs = new Map()
  for (const run of histories.flatMap((history) => history.runs))
    runs.set(run.key, [...(runs.get(run.key) ?? []), run])
  const byItem = [...runs.values()]
  return {
    keys: keys.sort(),
    done: fs.readdirSync(done).map(keyOf).sort(),
    finishedTwice: byItem.filter((some) => some.filter(({ finished }) => finished).length > 1).length,
    atATime: byItem.reduce((sum, some) => sum + overlaps(some), 0),
    again: byItem.filter(({ length }) => length > 1).length,
    problems: histories.flatMap(({ problems }) => problems),
  }
}
