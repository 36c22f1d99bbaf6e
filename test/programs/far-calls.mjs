// Calls each asynchronous function of the API on a queue whose file system another machine seems to serve, and says which calls on files the
// JavaScript thread makes meanwhile: { root, far }. `far`: the fault by which the file system seems to be one. Needs the fault-point build.
//
// The calls of node:fs are known by their names. Calls of the addon that are not asynchronous either end in Sync, or are in NATIVE.
import fs from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import path from 'node:path'

import { addon, job, say } from '../support/program.mjs'

/** With the position of a path, or of a descriptor. Those that close a descriptor are allowed: nothing was written through it. */
const NATIVE = { lockDescriptor: 0, unlockDescriptor: 0, lockClaim: 0, modifiedAt: 0 }
const { readlinkSync } = fs

let calls
const note = (name, what) => calls?.push(`${name} ${what}`)

function isBelow(target) {
  if (typeof target !== 'number') return String(target).includes(job.root)
  try {
    return readlinkSync(`/proc/self/fd/${target}`).startsWith(job.root)
  } catch {
    return false
  }
}

const ofNode = createRequire(import.meta.url)('node:fs')
for (const name of [...Object.keys(ofNode).filter((key) => key.endsWith('Sync')), 'watch', 'watchFile']) {
  const call = ofNode[name]
  ofNode[name] = (...args) => {
    if (calls !== undefined && args.slice(0, 2).some(isBelow)) note(name, args[0])
    return call(...args)
  }
}
syncBuiltinESMExports()
for (const name of Object.keys(addon)) {
  if (typeof addon[name] !== 'function' || !(name.endsWith('Sync') || name in NATIVE || name === 'armWatch'))
    continue
  const call = addon[name]
  addon[name] = (...args) => {
    // With the handle of a queue, it looks up no path.
    if (name !== 'armWatch' || (args[4] === undefined && isBelow(args[1]))) {
      if (!(name in NATIVE) || isBelow(name.endsWith('Descriptor') ? Math.floor(args[0] / 8) : args[0]))
        note(name, '')
    }
    return call(...args)
  }
}

const fsq = await import('../../dist/index.js')
const { Queue } = fsq
const options = {
  root: job.root,
  allowNetwork: true,
  maxTries: 2,
  durability: 'none',
  onReport: () => undefined,
}
const queue = new Queue('q', options)
const LONG = 'x'.repeat(66_000)

/** Makes the calls of this program. */
function own(make) {
  const kept = calls
  calls = undefined
  make()
  calls = kept
}

async function until(condition) {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** An item in fail/, with a long log. */
async function addFailed() {
  const id = await queue.enqueue('x')
  const { key } = await queue.find(id)
  const worker = await queue.work(
    () => {
      throw new fsq.PermanentFailure('broken')
    },
    { concurrency: 1 },
  )
  await worker.idle()
  await worker.close()
  lengthen(key)
  return key
}

/** The next line makes the log too long. */
function lengthen(key) {
  own(() => fs.appendFileSync(path.join(queue.path, 'meta/log', key), `${LONG}\n`))
}

async function each(items, use) {
  for await (const item of items) await use(item)
}

function put(name, time = Date.now() / 1000) {
  const file = path.join(queue.path, name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, '')
  fs.utimesSync(file, time, time)
}

/** By the names of the functions. Those of the items of a scan and of a worker are below `scan` and `work`. */
const FUNCTIONS = {
  async install() {
    await Queue.install('other', { ...options, lockKind: 'fcntl' })
    await Queue.install('other', { ...options, force: true })
  },
  async uninstall() {
    await new Queue('other', options).uninstall()
  },
  async queues() {
    await fsq.queues({ root: job.root })
  },
  async probe() {
    await fsq.probe(job.root)
  },
  async trigger() {
    await queue.trigger()
  },
  async triggerPull() {
    await queue.triggerPull({ ignoreListener: true })
  },
  async enqueue() {
    for (let count = 0; count < 10; count++) await queue.enqueue('x', ['a'], { trigger: true })
    await queue.enqueue(Buffer.alloc(300_000))
  },
  async enqueueMany() {
    await queue.enqueueMany([{ data: 'x' }, { data: 'y', trigger: true }])
  },
  async down() {
    await queue.down()
  },
  async isDown() {
    await queue.isDown()
  },
  async up() {
    await queue.up()
  },
  async items() {
    await each(queue.items(), () => undefined)
  },
  async find() {
    const { value } = await queue.items().next()
    await queue.find(value.id)
    await queue.find(value.key)
  },
  async counts() {
    await queue.counts()
  },
  async isEmpty() {
    await queue.isEmpty()
  },
  async stats() {
    await queue.stats()
  },
  async scan() {
    const ends = [
      (item) => item.done(),
      (item) => item.fail(),
      (item) => item.discard(),
      (item) => item.retry({ delay: 1000 }),
      (item) => item.release(),
    ]
    await each(queue.scan(), async (item) => {
      for await (const part of item.stream()) void part
      await item.bytes()
      await (ends.shift() ?? ((one) => one.done()))(item)
    })
  },
  async scanForever() {
    const stop = new AbortController()
    const ended = each(queue.scanForever({ signal: stop.signal }), (item) => item.done()).catch(
      () => undefined,
    )
    const id = await queue.enqueue('x')
    await until(async () => (await queue.find(id))?.state === 'done')
    stop.abort()
    await ended
  },
  async work() {
    // The reason of a failure makes the log of an item too long.
    const key = await addFailed()
    await queue.redrive({ ids: [key] })
    lengthen(key)
    const log = path.join(queue.path, 'meta/log', key)
    const names = [key, 'discarded', 'other']
    for (const name of names) await queue.enqueue('x', [name])
    const worker = await queue.work(
      async (item) => {
        await item.text()
        if (item.args[0] === 'discarded') await item.discard()
        else if (item.key === key) throw new Error('broken')
      },
      { backoff: 0, maxTries: 2, keepDone: { count: 0 } },
    )
    await worker.idle()
    await until(() => fs.promises.stat(log).then(({ size }) => size < LONG.length))
    // As many finishes as make the worker remove what is done.
    await queue.enqueueMany(Array.from({ length: 1000 }, () => ({ data: 'x' })))
    await until(async () => (await queue.counts()).done < 900 && (await queue.isEmpty()))
    await worker.close()
  },
  async workers() {
    const other = new Queue('q', options)
    await queue.enqueue('x')
    const scan = other.scan()
    const { value } = await scan.next()
    const worker = await queue.work(() => undefined, { paused: true })
    if ((await queue.workers()).length !== 2) throw new Error('not both workers')
    await worker.close()
    await value.done()
    await scan.return()
    await other.close()
  },
  async addHost() {
    await queue.addHost('h1')
    await queue.addHost('h2')
  },
  async hosts() {
    await queue.hosts()
  },
  async distribute() {
    await queue.enqueue('x')
    await queue.distribute()
    await each(queue.host('h1').scan(), (item) => item.done())
  },
  async removeHost() {
    await queue.removeHost('h1')
    await queue.removeHost('h2', { force: true })
  },
  async finished() {
    const id = await queue.enqueue('x')
    const end = queue.finished(id)
    await each(queue.scan(), (item) => item.fail())
    await end
  },
  async attempts() {
    const key = await addFailed()
    if ((await queue.attempts(key)).length !== 1) throw new Error('no attempt')
  },
  async redrive() {
    await addFailed()
    await queue.redrive({ error: 'broken' }, { delay: 5 })
    await each(queue.scan(), (item) => item.fail())
    // As on NFS, where no rename refuses to replace a file.
    addon.setFaults(`${job.far};retire.rename=errno:22`)
    const { moved } = await queue.redrive('all')
    addon.setFaults(job.far)
    if (moved === 0) throw new Error('none has moved')
  },
  async prune() {
    await addFailed()
    await queue.prune({ done: { age: 0 }, failed: { age: 0 } })
  },
  async audit() {
    own(() => {
      const dead = 'claimed/host-1-0123456789abcdef'
      for (const name of ['meta/log/gone', 'meta/crashed/gone', 'tmp/old']) put(name, 1)
      for (const name of [
        `${dead}/.lock`,
        `${dead}/x`,
        'meta/workers/x',
        'queue/malformed',
        'foreign',
        'lock-fcntl',
      ])
        put(name)
      for (const name of ['meta/log', 'done']) fs.chmodSync(path.join(queue.path, name), 0o777)
      fs.rmSync(path.join(queue.path, 'down'))
    })
    let found = 0
    await each(queue.audit(), () => found++)
    if (found < 10) throw new Error(`${found} findings`)
  },
  async repair() {
    const { mended } = await queue.repair()
    if (mended.length < 8) throw new Error(`${mended.length} mended`)
    const locking = new Queue('locks', options)
    const { mended: converted } = await locking.repair({ claims: 'rename' })
    if (converted.length !== 1) throw new Error('not converted')
    await locking.close()
  },
  async untrigger() {
    await queue.untrigger()
  },
  async close() {
    await queue.close()
  },
}

/** They touch no file, or are made to block. */
const OTHERS = [
  ...['constructor', 'name', 'path', 'paths', 'settings', 'parse', 'openGuard', 'enqueueSync', 'host'],
  // A forwarder begins with some calls on this thread: docs/shared-file-systems.md.
  'push',
  // Of `fsq forward`, `fsq receive` and `fsq host-dist`.
  ...['worked', 'distributeFor'],
]

const known = [...Object.keys(FUNCTIONS), ...OTHERS]
say({ untried: Object.getOwnPropertyNames(Queue.prototype).filter((name) => !known.includes(name)) })
for (const [name, run] of Object.entries(FUNCTIONS)) {
  calls = []
  await run()
  const made = [...new Set(calls)]
  calls = undefined
  say({ name, made })
}
