// Counts the promises that this package makes for an item, beside those of the caller's own awaits: { root }.
import { createHook } from 'node:async_hooks'
import path from 'node:path'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const ITEMS = 500

let made = 0
const hook = createHook({
  init(id, type) {
    if (type === 'PROMISE') made++
  },
})

const counts = {}

/** @param own - How many promises the caller makes for an item: one for each await. */
async function count(name, own, run, items = ITEMS) {
  // The least of some rounds, and of more on a busy machine: there more calls go to the pool, and one there takes three more.
  counts[name] = Infinity
  for (let round = 0; round < 5 || (counts[name] >= 5 && round < 30); round++) {
    made = 0
    hook.enable()
    await run(items)
    hook.disable()
    counts[name] = Math.min(counts[name], made / items - own)
  }
}

async function enqueueAwaited(queue, items) {
  for (let index = 0; index < items; index++) await queue.enqueue('x', ['a'])
}

async function enqueueInFlight(queue, items) {
  for (let from = 0; from < items; from += 64) {
    // Promise.all() makes one for each of its promises.
    await Promise.all(Array.from({ length: Math.min(64, items - from) }, () => queue.enqueue('x')))
  }
}

async function fill(queue, items = ITEMS) {
  hook.disable()
  await queue.enqueueMany(Array.from({ length: items }, () => ({ data: 'x' })))
  hook.enable()
}

async function take(queue, items, end) {
  await fill(queue, items)
  let left = items
  for await (const item of queue.scan()) {
    await end(item)
    if (--left === 0) break
  }
}

async function drain(queue, items) {
  await fill(queue, items)
  for await (const item of queue.scan()) {
    await item.text()
    await item.done()
  }
}

async function scanEmpty(queue, items) {
  for (let index = 0; index < items; index++) for await (const item of queue.scan()) item.release()
}

async function work(queue, items, concurrency) {
  await fill(queue, items)
  const worker = await queue.work(() => undefined, { concurrency })
  await worker.idle()
  await worker.close()
}

const install = async (name, durability) =>
  Queue.install(path.basename(name), { root: job.root, durability, maxTries: 0 })

const queue = await install('q', 'none')
await count('enqueue, awaited', 1, (items) => enqueueAwaited(queue, items))
await count('enqueue, 64 in flight', 1, (items) => enqueueInFlight(queue, items))
await count('scan, text, done', 3, (items) => drain(queue, items))
for (const [name, end] of Object.entries({
  done: (item) => item.done(),
  fail: (item) => item.fail(),
  discard: (item) => item.discard(),
  retry: (item) => item.retry(),
})) {
  await count(`scan, ${name}`, 2, (items) => take(queue, items, end))
}
await count('scan, release', 1, (items) => take(queue, items, (item) => item.release()))
for await (const item of queue.scan()) await item.discard()
await count('scan of an empty queue', 1, (items) => scanEmpty(queue, items))
await count('work, one at a time', 0, (items) => work(queue, items, 1))
await count('work, 16 at a time', 0, (items) => work(queue, items, 16))

const durable = await install('d', 'enqueue')
await count('durable enqueue, awaited', 1, (items) => enqueueAwaited(durable, items), 20)
await count('durable enqueue, 64 in flight', 1, (items) => enqueueInFlight(durable, items))

say({ counts })
await queue.close()
await durable.close()
