// Chaos in a queue whose claims are renames: two feeders and four workers in processes of their own, which are killed, stopped and
// closed, and whose locks are taken away, as a server does with a machine that it no longer hears from.
//
//     npm run soak:shared [-- --seconds 60] [--dir /tmp] [--workers 4] [--links]
//
// `--links`: no rename can be exclusive, as on NFS. Needs the fault-point build (npm run build:faults).
//
// Afterwards each item that a feeder knows of is in exactly one place, with its contents, and exactly one worker has been told that it has
// finished the item, however often it ran. No worker may know of it if one was killed while it finished the item; or, by links, if one lost
// its lock between the link and the unlink. Prints one line; the exit code says whether all of that holds. A
// directory in which something does not hold stays.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { Queue } from 'fsq'

const WORKER = fileURLToPath(new URL('shared-worker.mjs', import.meta.url))
const FAULT_BUILD = fileURLToPath(new URL('../../test/support/fault-build.cjs', import.meta.url))
const FEEDERS = 2
const LEASE_MS = 1000
const PATIENCE_MS = 60_000
const { EINVAL, EIO, ENOTEMPTY } = os.constants.errno

const LINKS = `claim.exclusive=errno:${EINVAL};finish.rename=errno:${EINVAL}`
/** The server says that the lock is lost. */
const REVOKED = `fence.read=errno:${EIO}`
const REVOKED_ONCE = `fence.read#1=errno:${EIO}`
/** The server gives the locks of all others away. */
const GRANTED = 'takeover.lock=answer:0'
/** It gives items back, and cannot remove the directories that they were in yet: so their first owners do not find these gone. */
const KEPT = `worker.disown=errno:${ENOTEMPTY}`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    dir: { type: 'string', default: os.tmpdir() },
    workers: { type: 'string', default: '4' },
    links: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds)
const base = values.links ? LINKS : ''
const root = fs.realpathSync(fs.mkdtempSync(path.join(values.dir, 'fsq-shared-')))
const logs = path.join(root, 'logs')
fs.mkdirSync(logs)
let queue = await Queue.install('q', { root, claims: 'rename', durability: 'none' })

const random = (most) => Math.random() * most
const counts = { kills: 0, stops: 0, closes: 0, revocations: 0, grants: 0, thefts: 0 }
const killed = new Set()
const problems = []
const exits = []

function start(role) {
  const job = { root, logs, role, lease: LEASE_MS / 1000 }
  const child = spawn(process.execPath, ['--require', FAULT_BUILD, WORKER, JSON.stringify(job)], {
    stdio: ['pipe', 'inherit', 'pipe'],
    // The worker looks at its warnings itself.
    env: { ...process.env, FSQ_FAULTS: base, NODE_NO_WARNINGS: '1' },
  })
  child.stdin.on('error', () => undefined)
  child.stderr.setEncoding('utf8').on('data', (text) => problems.push(`stderr of ${child.pid}: ${text}`))
  exits.push(
    new Promise((resolve) => {
      child.once('close', (code, signal) => {
        // SIGTERM ends a worker that has not yet begun to listen to it.
        if (code !== 0 && signal !== 'SIGTERM' && !killed.has(child.pid))
          problems.push(`${child.pid} ended by ${code ?? signal}`)
        resolve()
      })
    }),
  )
  return child
}

const feeders = Array.from({ length: FEEDERS }, () => start('feeder'))
const fleet = Array.from({ length: Number(values.workers) }, () => start('worker'))

function end(children, index, signal) {
  const [child] = children.splice(index, 1, start(children === feeders ? 'feeder' : 'worker'))
  // SIGTERM ends a worker that has not yet begun to listen to it, as a kill does.
  killed.add(child.pid)
  child.kill(signal)
  // A stopped process ends by SIGTERM only once it goes on.
  child.kill('SIGCONT')
}

const set = (child, faults) => child.stdin.write(`${[base, faults].join(';')}\n`)

const CHAOS = {
  kill(index) {
    end(fleet, index, 'SIGKILL')
    counts.kills++
  },
  killFeeder() {
    end(feeders, Math.floor(random(FEEDERS)), 'SIGKILL')
    counts.kills++
  },
  close(index) {
    end(fleet, index, 'SIGTERM')
    counts.closes++
  },
  async stop(index) {
    fleet[index].kill('SIGSTOP')
    counts.stops++
    await later(random(200))
    fleet[index].kill('SIGCONT')
  },
  /** One stands still for longer than the lease, and another takes over. */
  async stopAndGrant(index) {
    fleet[index].kill('SIGSTOP')
    counts.stops++
    await later(LEASE_MS)
    await CHAOS.grant((index + 1) % fleet.length)
    fleet[index].kill('SIGCONT')
  },
  /** The server takes the locks of all others away, whose fences fall, and then gives them to this one. */
  async grant(index) {
    const others = fleet.toSpliced(index, 1)
    for (const other of others) set(other, REVOKED)
    await later((2 * LEASE_MS) / 5)
    set(fleet[index], GRANTED)
    counts.grants++
    await later(random(300))
    for (const child of fleet) set(child, '')
  },
  /**
   * The server gives the locks of all others to this one. They stand still for less than the lease: their fences stand, and this one
   * finishes their items.
   */
  async steal(index) {
    const others = fleet.toSpliced(index, 1)
    set(fleet[index], `${GRANTED};${KEPT}`)
    counts.thefts++
    // It looks for dead workers about every second.
    await later(random(1000))
    for (const other of others) other.kill('SIGSTOP')
    await later(LEASE_MS / 2)
    for (const other of others) other.kill('SIGCONT')
    set(fleet[index], '')
  },
  /** One loses its lock, which no other gets. */
  revoke(index) {
    set(fleet[index], REVOKED_ONCE)
    counts.revocations++
  },
}

async function makeChaos() {
  // A grant takes as long as several of the others.
  const quick = ['kill', 'killFeeder', 'close', 'stop', 'revoke']
  const names = [...Object.keys(CHAOS), ...quick, ...quick]
  while (!isOver()) {
    await later(random(80))
    await CHAOS[names[Math.floor(random(names.length))]](Math.floor(random(fleet.length)))
  }
}

// On a machine with much to do, processes take seconds to start.
const patience = performance.now() + PATIENCE_MS
while (itemsLeft() === 0 && performance.now() < patience) await later(20)
const until = performance.now() + 1000 * seconds
const isOver = () => performance.now() >= until
await makeChaos()

// Calm: all that waits is finished.
for (const feeder of feeders) {
  killed.add(feeder.pid)
  feeder.kill('SIGKILL')
}
for (const child of fleet) set(child, '')
const deadline = performance.now() + PATIENCE_MS
while (itemsLeft() > 0 && performance.now() < deadline) await later(50)
for (const child of fleet) child.kill('SIGTERM')
await Promise.all(exits)

check()
// A look for dead workers, which may have left nothing but their directories.
for await (const item of queue.scan()) problems.push(`${item.id} was not finished`)
await queue.close()
for (const name of fs.readdirSync(path.join(queue.path, 'claimed'))) problems.push(`claimed/${name} stays`)
queue = new Queue('q', { root })
for await (const finding of queue.audit()) problems.push(`audit: ${finding.kind} ${finding.path}`)
await queue.close()
report()

function itemsLeft() {
  const claimed = path.join(queue.path, 'claimed')
  const workers = fs.readdirSync(claimed).map((name) => path.join(claimed, name))
  return [queue.paths.queue, ...workers].flatMap((where) => namesIn(where)).length
}

function namesIn(directory) {
  try {
    return fs.readdirSync(directory).filter((name) => !['.lock', '.owned'].includes(name))
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}

/** The name without the tries. */
function keyOf(name) {
  return name.split('_').toSpliced(5, 1).join('_')
}

/** Compares the directories with the logs. */
function check() {
  const places = new Map()
  for (const place of ['queue', 'tmp', 'done', 'fail']) {
    for (const name of fs.readdirSync(queue.paths[place])) {
      // A feeder that was killed leaves what it was about to link.
      if (place === 'tmp') continue
      places.set(keyOf(name), [...(places.get(keyOf(name)) ?? []), place])
      const file = path.join(queue.paths[place], name)
      const text = fs.readFileSync(file, 'utf8')
      if (text !== `text of ${name.split('_').at(-1)}`) problems.push(`${name} has the text '${text}'`)
      if (fs.statSync(file).nlink !== 1) problems.push(`${name} has two names`)
    }
  }
  const fed = new Set()
  const finishes = new Map()
  /** The items whose finish was cut short: the worker died. */
  const cutShort = new Set()
  const lost = new Set()
  const ran = new Set()
  const runs = { started: 0, lost: 0 }
  for (const name of fs.readdirSync(logs)) {
    const finishing = new Set()
    for (const line of fs.readFileSync(path.join(logs, name), 'utf8').split('\n')) {
      const [what, key, ...rest] = line.split(' ')
      if (what === 'fed') fed.add(key)
      if (what === 'started') ran.add(key)
      if (what === 'finished') finishes.set(key, (finishes.get(key) ?? 0) + 1)
      if (what === 'finishing') finishing.add(key)
      else finishing.delete(key)
      if (what === 'lost') lost.add(key)
      if (what === 'started' || what === 'lost') runs[what]++
      if (what === 'problem') problems.push(`${name}: ${[key, ...rest].join(' ')}`)
    }
    for (const key of finishing) cutShort.add(key)
    if (finishing.size > 0 && !killed.has(Number(name))) problems.push(`${name} has not ended its finishes`)
  }
  for (const [key, list] of places) {
    if (list.length !== 1 || !['done', 'fail'].includes(list[0]))
      problems.push(`${key} is in ${list.join(' and ')}`)
  }
  for (const key of places.keys()) if (!ran.has(key)) problems.push(`${key} has never run`)
  for (const key of fed) if (!places.has(key)) problems.push(`${key} is lost`)
  for (const [key, count] of finishes) if (count > 1) problems.push(`${key} was finished ${count} times`)
  for (const key of places.keys()) {
    if (finishes.has(key) || cutShort.has(key) || (values.links && lost.has(key))) continue
    problems.push(`${key} is finished, and no worker knows that it has done so`)
  }
  if (fed.size === 0) problems.push('nothing was fed')
  Object.assign(counts, { items: places.size, finished: finishes.size, ...runs })
}

function report() {
  const { items, finished, started, lost, kills, stops, closes, revocations, grants, thefts } = counts
  process.stdout.write(
    `shared: ${seconds} s in ${values.dir}${values.links ? ' by links' : ''}: ${items} items, each finished once, ${finished} as a worker knows; ` +
      `${started} runs, ${lost} claims lost; ${kills} kills, ${stops} stops, ${closes} closes, ${revocations} revocations, ` +
      `${grants} grants, ${thefts} thefts; ` +
      `${problems.length} problems\n`,
  )
  if (problems.length > 0) {
    process.stdout.write(`${problems.slice(0, 20).join('\n')}\nsee ${root}\n`)
    process.exitCode = 1
    return
  }
  fs.rmSync(root, { recursive: true })
}
