// Loads the package in many threads at once, which work one queue and end in all ways: { root, threads }.
import { Worker, isMainThread, workerData } from 'node:worker_threads'

import { addon, job, say } from '../support/program.mjs'

const { Queue } = await import('../../dist/index.js')

if (isMainThread) {
  const codes = await Promise.all(
    Array.from(
      { length: job.threads },
      (_, index) =>
        new Promise((resolve) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: { ...job, index } })
          worker.once('error', () => undefined)
          worker.once('exit', resolve)
          if (index % 4 === 3) worker.once('message', () => void worker.terminate())
          else worker.on('message', () => undefined)
        }),
    ),
  )
  const queue = new Queue('q', { root: job.root })
  const { value: item } = await queue.scan().next()
  say({ codes, claimed: item !== undefined, claims: addon.heldClaims() })
  await queue.close()
} else {
  const { parentPort } = await import('node:worker_threads')
  const queue = new Queue('q', { root: workerData.root, durability: 'none' })
  await queue.enqueue('x'.repeat(10), ['x', 10])
  globalThis.kept = queue.scan({ prefetch: 2 })
  await globalThis.kept.next()
  parentPort.postMessage('holding')
  const { index } = workerData
  if (index % 4 === 1) process.exit(9)
  if (index % 4 === 2) throw new Error('nobody catches this')
  if (index % 4 === 3) setInterval(() => undefined, 1000)
}
