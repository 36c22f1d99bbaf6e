// Adds items under a pid and a host name that are not its own: { root, pid, host, count, threads, label }. Says their ids.
import os from 'node:os'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { job, say } from '../support/program.mjs'

const { root, pid, host, count, label } = isMainThread ? job : workerData
// Before the package is loaded, and in this thread only.
Object.defineProperty(process, 'pid', { value: pid })
os.hostname = () => host
const { syncBuiltinESMExports } = await import('node:module')
syncBuiltinESMExports()
const { Queue } = await import('../../dist/index.js')

// One timestamp for all, so that nothing but the entropy can tell them apart.
const queue = new Queue('q', { root, durability: 'none', timefmt: '%Y' })

async function produce(name) {
  const ids = []
  for (let at = 0; at < count;) {
    const step = at % 3 === 0 ? 50 : 7
    const entries = Array.from({ length: Math.min(step, count - at) }, () => ({ data: name, args: ['x'] }))
    if (at % 2 === 0) ids.push(...(await queue.enqueueMany(entries)))
    else for (const { data, args } of entries) ids.push(queue.enqueueSync(data, args))
    at += entries.length
  }
  await queue.close()
  return ids
}

if (!isMainThread) {
  parentPort.postMessage({ ids: await produce(label) })
} else if (job.threads) {
  const threads = Array.from(
    { length: job.threads },
    (_, index) => new Worker(new URL(import.meta.url), { workerData: { ...job, label: `${label}${index}` } }),
  )
  await queue.close()
  for (const thread of threads) {
    thread.on('message', say)
    thread.on('error', (error) => say({ error: error.message }))
  }
} else {
  say({ ready: true })
  await new Promise((resolve) => process.stdin.once('data', resolve))
  process.stdin.destroy()
  say({ ids: await produce(label) })
}
