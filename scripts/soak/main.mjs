// A soak of queue.work(): four workers in processes of their own, whose handlers return, throw, wait for the timeout and ignore it, while
// the workers are killed, stopped, closed and paused, and the queue is taken down, redriven and pruned.
//
//     npm run soak [-- --seconds 60] [--dir /tmp] [--workers 4]
//
// Afterwards each item is in exactly one place, no two handlers have ever run for one item at once, no item that a living worker has
// done has run again, and what the workers have counted is what they have told. Prints one line; the exit code says whether all
// of that holds. A directory in which something does not hold stays.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { Queue } from 'fsq'

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))
const BACKLOG = 300
const BATCH = 50
const PATIENCE_MS = 60_000

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    dir: { type: 'string', default: os.tmpdir() },
    workers: { type: 'string', default: '4' },
  },
})
const seconds = Number(values.seconds)
const directory = fs.realpathSync(fs.mkdtempSync(path.join(values.dir, 'fsq-soak-')))
for (const part of ['logs', 'running']) fs.mkdirSync(path.join(directory, part))
const root = directory
const queue = await Queue.install('q', { root, maxTries: 4, durability: 'none' })

const until = performance.now() + 1000 * seconds
const isOver = () => performance.now() >= until
const random = (most) => Math.random() * most
const counts = { kills: 0, stops: 0, closes: 0, pauses: 0, downs: 0, redriven: 0, pruned: 0 }
const killed = new Set()
/** The workers that run, and the exits of all that ever did. */
const fleet = []
const exits = []
const problems = []

function start() {
  const child = spawn(process.execPath, [WORKER, JSON.stringify({ root, directory })], {
    stdio: ['pipe', 'inherit', 'pipe'],
  })
  child.stdin.on('error', () => undefined)
  child.stderr.setEncoding('utf8').on('data', (text) => problems.push(`stderr of ${child.pid}: ${text}`))
  exits.push(
    new Promise((resolve) => {
      child.once('close', (code, signal) => {
        if (code !== 0 && !killed.has(child.pid) && signal !== 'SIGTERM')
          problems.push(`${child.pid} ended by ${code ?? signal}`)
        resolve()
      })
    }),
  )
  return child
}

function replace(index) {
  const [old] = fleet.splice(index, 1, start())
  return old
}

const CHAOS = {
  kill(index) {
    const child = replace(index)
    killed.add(child.pid)
    child.kill('SIGKILL')
    counts.kills++
  },
  async stop(index) {
    const child = fleet[index]
    child.kill('SIGSTOP')
    counts.stops++
    await later(random(300))
    child.kill('SIGCONT')
  },
  close(index) {
    // SIGTERM ends a worker that has not yet begun to listen to it, as a kill does.
    const child = replace(index)
    killed.add(child.pid)
    child.kill('SIGTERM')
    counts.closes++
  },
  async pause(index) {
    const child = fleet[index]
    child.stdin.write('pause\n')
    counts.pauses++
    await later(random(200))
    child.stdin.write('resume\n')
  },
  async down() {
    await queue.down()
    counts.downs++
    await later(random(300))
    await queue.up()
  },
  async redrive() {
    const { moved } = await queue.redrive('all', { delay: random(30) })
    counts.redriven += moved
  },
  async prune() {
    const { removed } = await queue.prune({ done: { count: 100 } })
    counts.pruned += removed
  },
  async stats() {
    await queue.stats()
    await queue.workers()
  },
}

async function makeChaos() {
  const names = Object.keys(CHAOS)
  while (!isOver()) {
    await later(random(80))
    await CHAOS[names[Math.floor(random(names.length))]](Math.floor(random(fleet.length)))
  }
}

/** The keys of all items. */
const keys = new Set()

async function produce() {
  while (!isOver()) {
    if (fs.readdirSync(queue.paths.queue).length < BACKLOG) {
      const entries = Array.from({ length: BATCH }, (_, index) => ({
        data: null,
        args: [String(keys.size + index)],
      }))
      for (const id of await queue.enqueueMany(entries)) keys.add(keyOf(id))
      keys.add(keyOf(await queue.enqueue(null, ['delayed'], { delay: random(200) })))
    }
    await later(5)
  }
}

/** The name without the tries. */
function keyOf(name) {
  return name.split('_').toSpliced(5, 1).join('_')
}

for (let index = 0; index < Number(values.workers); index++) fleet.push(start())
await Promise.all([makeChaos(), produce()])

// Calm: all that waits is done.
for (const child of fleet) child.stdin.write('calm\n')
const deadline = performance.now() + PATIENCE_MS
while (fs.readdirSync(queue.paths.queue).length > 0 && performance.now() < deadline) await later(20)
for (const child of fleet) child.kill('SIGTERM')
await Promise.all(exits)

check()
for await (const finding of queue.audit()) problems.push(`audit: ${finding.kind} ${finding.path}`)
await buryAll()
await queue.close()
report()

/** Compares the directories with the logs of the workers. */
function check() {
  const places = new Map()
  for (const place of ['queue', 'tmp', 'done', 'fail']) {
    for (const name of fs.readdirSync(queue.paths[place]))
      places.set(keyOf(name), [...(places.get(keyOf(name)) ?? []), place])
  }
  const oks = new Map()
  const ran = new Set()
  for (const name of fs.readdirSync(path.join(directory, 'logs'))) checkWorker(name, oks, ran)
  for (const [key, list] of places) {
    if (!keys.has(key)) problems.push(`${key} has never been enqueued`)
    if (list.length !== 1 || !['done', 'fail'].includes(list[0]))
      problems.push(`${key} is in ${list.join(' and ')}`)
  }
  let gone = 0
  for (const key of keys) {
    if (places.has(key)) continue
    gone++
    if (!ran.has(key)) problems.push(`${key} is gone, and has never been done`)
  }
  if (gone !== counts.pruned) problems.push(`${gone} items are gone, and ${counts.pruned} were pruned`)
  for (const [key, count] of oks) if (count > 1) problems.push(`${key} was done ${count} times`)
  Object.assign(counts, { items: keys.size, done: count('done'), failed: count('fail') })
}

function count(place) {
  return fs.readdirSync(queue.paths[place]).length
}

/** Compares what a worker has told with what it has counted, and collects what it has run. */
function checkWorker(name, oks, ran) {
  const isKilled = killed.has(Number(name))
  const said = { listens: false, started: 0, counters: undefined, events: undefined }
  for (const line of fs.readFileSync(path.join(directory, 'logs', name), 'utf8').split('\n')) {
    const [what, key, ...rest] = line.split(' ')
    if (what === 'listens') said.listens = true
    if (what === 'start') said.started++
    if (what === 'overlap') problems.push(`two handlers of ${key} have run at once`)
    if (what === 'counters' || what === 'events') said[what] = key
    if (what === 'error' && !['Error', 'ERR_FSQ_PERMANENT_FAILURE'].includes(key))
      problems.push(`${name} met ${key} ${rest.join(' ')}`)
    if (what === 'finishes' || what === 'ok') ran.add(key)
    if (what !== 'ok') continue
    // A worker that was killed may have died between the end of the handler and the move.
    if (!isKilled && ['claimed', 'done'].includes(rest[0])) oks.set(key, (oks.get(key) ?? 0) + 1)
  }
  if (said.counters === undefined) {
    // Before a worker listens to SIGTERM, that ends it as a kill does.
    if (!isKilled && said.listens) problems.push(`${name} has not said what it has counted`)
    return
  }
  if (said.counters !== said.events)
    problems.push(`${name} has counted ${said.counters} and told ${said.events}`)
  const { started } = JSON.parse(said.counters)
  if (started !== said.started) problems.push(`${name} has counted ${started} starts of ${said.started}`)
}

/** No file of a worker stays once another one has looked. */
async function buryAll() {
  const worker = await queue.work(() => undefined)
  await worker.idle()
  await worker.close()
  const workers = path.join(queue.path, 'meta', 'workers')
  const left = fs.readdirSync(workers).filter((name) => !name.startsWith('.'))
  if (left.length > 0) problems.push(`meta/workers has ${left.join(', ')}`)
}

function report() {
  const { items, done, failed, pruned, redriven, kills, stops, closes, pauses, downs } = counts
  process.stdout.write(
    `soak: ${seconds} s in ${values.dir}: ${items} items: ${done} done, ${failed} failed, ${pruned} pruned, ${redriven} redriven; ` +
      `workers: ${kills} killed, ${stops} stopped, ${closes} closed, ${pauses} paused; ${downs} times down; ` +
      `${problems.length} problems\n`,
  )
  if (problems.length > 0) {
    process.stdout.write(`${problems.slice(0, 20).join('\n')}\nsee ${directory}\n`)
    process.exitCode = 1
    return
  }
  fs.rmSync(directory, { recursive: true })
}
