// Adds one item in each of two threads, the second of which begins when the first one has ended: { root }. Says their ids. The main
// thread does not load the package, so nothing of it is in use in between.
import process from 'node:process'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

async function addInThread(root) {
  const thread = new Worker(new URL(import.meta.url), { workerData: root })
  const ended = new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject))
  const ids = []
  thread.on('message', (id) => ids.push(id))
  await ended
  return ids
}

if (isMainThread) {
  const { root } = JSON.parse(process.argv[2])
  const ids = [...(await addInThread(root)), ...(await addInThread(root))]
  process.stdout.write(`${JSON.stringify({ ids })}\n`)
} else {
  const { Queue } = await import('../../dist/index.js')
  const queue = new Queue('q', { root: workerData, durability: 'none' })
  for (let count = 0; count < 10; count++) parentPort.postMessage(await queue.enqueue('x'))
  await queue.close()
}
