/** A process that waits: node pickup-waiter.mjs KIND ROOT QUEUE [COUNT]. Prints lines of JSON. */
import { setMaxListeners } from 'node:events'
import fs from 'node:fs'
import { readFile, readdir, rename, watch } from 'node:fs/promises'
import process from 'node:process'

import { Queue } from '../lib/fsq.mjs'

const LARGEST = 4096

const KINDS = {
  /** Takes items as they arrive, and prints how long each was under way. */
  async fsq() {
    const queue = new Queue(name, { root, durability: 'none' })
    say({ ready: true })
    for await (const item of queue.scanForever({ signal: stop.signal })) {
      took(await item.text())
      await item.done()
    }
  },

  /** The same by a worker. */
  async work() {
    const queue = new Queue(name, { root, durability: 'none' })
    await queue.work(async (item) => took(await item.text()), { signal: stop.signal })
    say({ ready: true })
  },

  /** The same with plain node:fs, without a lock: also an asynchronous loop over the events of a watch. */
  async 'fs/promises with a watch'() {
    const folder = `${root}/${name}/queue`
    const takeAll = async () => {
      for (const entry of (await readdir(folder)).sort()) {
        took(await readFile(`${folder}/${entry}`, 'utf8'))
        await rename(`${folder}/${entry}`, `${root}/${name}/done/${entry}`)
      }
    }
    const changes = watch(folder, { signal: stop.signal })
    const nextChange = () => {
      const change = changes.next()
      // The end may come during takeAll(), while nothing awaits the change.
      change.catch(() => undefined)
      return change
    }
    // The watch begins with the first call. No event tells of the items that were there before.
    let next = nextChange()
    await takeAll()
    say({ ready: true })
    for (;;) {
      const { value: change, done } = await next
      if (done) return
      next = nextChange()
      if (change.eventType === 'rename') await takeAll()
    }
  },

  /** The fastest way of node:fs: synchronous, within the event itself, which blocks everything else. */
  async 'node:fs in the callback of a watch'() {
    const buffer = Buffer.allocUnsafe(LARGEST)
    const folder = `${root}/${name}/queue`
    const takeAll = () => {
      for (const entry of fs.readdirSync(folder).sort()) {
        const descriptor = fs.openSync(`${folder}/${entry}`)
        const size = fs.readSync(descriptor, buffer)
        fs.closeSync(descriptor)
        took(buffer.toString('utf8', 0, size))
        fs.renameSync(`${folder}/${entry}`, `${root}/${name}/done/${entry}`)
      }
    }
    fs.watch(folder, { signal: stop.signal }, takeAll)
    takeAll()
    say({ ready: true })
  },

  /** Claims an item, and holds it until it is killed. */
  async holder() {
    for await (const item of new Queue(name, { root }).scan()) {
      say({ held: item.id })
      await new Promise((resolve) => process.stdin.once('end', resolve))
    }
  },

  /** Many waiting loops. */
  async idle() {
    const queue = new Queue(name, { root })
    for (let waiter = 0; waiter < Number(count); waiter++) {
      void queue
        .scanForever({ signal: stop.signal })
        .next()
        .catch(() => undefined)
    }
    say({ ready: true })
  },

  /** Many waiting workers, in the same way. */
  async workers() {
    const queue = new Queue(name, { root })
    for (let worker = 0; worker < Number(count); worker++)
      await queue.work(() => undefined, { signal: stop.signal })
    say({ ready: true })
  },
}

const [, , kind, root, name, count] = process.argv
const stop = new AbortController()
// Each worker listens to the one signal.
setMaxListeners(0, stop.signal)
let since = { cpu: process.cpuUsage(), at: performance.now() }
// Before anything is awaited: what arrives while nothing listens is lost.
process.stdin.on('data', tellCpu).on('end', () => stop.abort())
await KINDS[kind]().catch((error) => {
  if (!stop.signal.aborted) throw error
})

/** Prints the share of a CPU that this process has used since the last time. */
function tellCpu() {
  const { user, system } = process.cpuUsage(since.cpu)
  say({ cpu: (user + system) / 1000 / (performance.now() - since.at) })
  since = { cpu: process.cpuUsage(), at: performance.now() }
}

/** The contents of an item are the time at which it was made. */
function took(text) {
  say({ took: Number(process.hrtime.bigint() - BigInt(text)) / 1e6 })
}

function say(line) {
  fs.writeSync(1, `${JSON.stringify(line)}\n`)
}
