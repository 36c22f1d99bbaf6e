// Many items through one queue.work(): the heap and the descriptors must not grow with them, and nothing of the worker may stay.
//
//     npm run soak:steady [-- --items 100000] [--dir /tmp]
//
// Compares the process after a fifth of the items with the process after all of them. Prints one line; the exit code says whether it
// has stayed as it was.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later, setImmediate as turn } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Queue, RetryLater } from 'fsq'

const BATCH = 500
const MOST_GROWTH = 2 * 2 ** 20

const { values } = parseArgs({
  options: {
    items: { type: 'string', default: '100000' },
    dir: { type: 'string', default: os.tmpdir() },
  },
})
const items = Number(values.items)
const root = fs.realpathSync(fs.mkdtempSync(path.join(values.dir, 'fsq-steady-')))
const queue = await Queue.install('q', { root, maxTries: 3, durability: 'none' })
const before = openFiles()
const worker = await queue.work(handle, {
  concurrency: 16,
  backoff: 0,
  timeout: 1000,
  keepDone: { count: 100 },
})

/** Each way in which a handler usually ends, and what it may ask for. */
async function handle(item, context) {
  const number = Number(item.args[0])
  if (number % 3 === 0) await item.text()
  if (number % 5 === 0) context.signal.throwIfAborted()
  if (number % 50 === 0) context.progress(number)
  if (number % 20 === 1 && item.tries === 0) throw new Error('once')
  if (number % 101 === 1 && Math.random() < 0.5) throw new RetryLater({ after: 0 })
  if (number % 7 === 0) await item.done()
}

const first = await workUpTo(0, Math.round(items / 5))
const last = await workUpTo(Math.round(items / 5), items, first.files)
const { counters } = worker
await worker.close()
const left = fs.readdirSync(path.join(queue.path, 'meta', 'workers'))
await queue.close()
const after = await settledFiles(before)
fs.rmSync(root, { recursive: true })

const problems = []
if (last.heap - first.heap > MOST_GROWTH) problems.push('the heap has grown')
if (last.files > first.files) problems.push('there are more descriptors')
if (after > before) problems.push('close() has left descriptors')
if (left.length > 0) problems.push(`meta/workers has ${left.join(', ')}`)
if (counters.done !== items) problems.push(`${counters.done} are done`)
process.stdout.write(
  `steady: ${items} items, ${counters.started} runs; heap ${mib(first.heap)} then ${mib(last.heap)} MiB, resident ` +
    `${mib(first.resident)} then ${mib(last.resident)} MiB, descriptors ${first.files} then ${last.files}; ${problems.length} problems\n`,
)
for (const problem of problems) process.stdout.write(`${problem}\n`)
process.exitCode = problems.length === 0 ? 0 : 1

/** Works the items, and says how the process is then. */
async function workUpTo(from, to, files = 0) {
  for (let number = from; number < to; number += BATCH) {
    const count = Math.min(BATCH, to - number)
    await queue.enqueueMany(
      Array.from({ length: count }, (_, index) => ({ data: 'data', args: [String(number + index)] })),
    )
    await worker.idle()
  }
  for (let time = 0; time < 3; time++) {
    await turn()
    globalThis.gc()
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss, files: await settledFiles(files) }
}

/** The descriptors that are open. The removal of done items has one for a moment, also after the last item. */
async function settledFiles(expected) {
  const deadline = performance.now() + 2000
  while (openFiles() > expected && performance.now() < deadline) await later(10)
  return openFiles()
}

function openFiles() {
  return fs.readdirSync('/proc/self/fd').length
}

function mib(bytes) {
  return (bytes / 2 ** 20).toFixed(1)
}
