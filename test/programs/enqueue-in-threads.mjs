// Adds items in one thread after the other, each of which begins when the last one has ended: { root, threads, count }. Says their ids.
// The main thread does not load the package, so nothing of it is in use in between.
import process from 'node:process'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

async function addInThread(workerData) {
  const thread = new Worker(new URL(import.meta.url), { workerData })
  const ended = new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject))
  const ids = []
  thread.on('message', (id) => ids.push(id))
  await ended
  return ids
}

if (isMainThread) {
  const job = JSON.parse(process.argv[2])
  const ids = []
  for (let thread = 0; thread < job.threads; thread++) ids.push(...(await addInThread(job)))
  process.stdout.write(`${JSON.stringify({ ids })}\n`)
} else {
  const { Queue } = await import('../../dist/index.js')
  const { root, count } = workerData
  const queue = new Queue('q', { root, durability: 'none' })
  for (let added = 0; added < count; added++) parentPort.postMessage(await queue.enqueue('x'))
  await queue.close()
}
