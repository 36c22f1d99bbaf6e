// A worker of a queue in a worker thread, which closes it or is terminated with an item in hand: { root, claims, ends }. Says which
// files of the queue are open afterwards (on Linux), and how many workers the queue has.
import fs from 'node:fs'
import path from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

// Larger than contents that are read together with the claim.
const CONTENTS = 'x'.repeat(1_000_000)

/** The files of the queue that this process has open, without the directories. */
function openFiles() {
  if (process.platform !== 'linux') return []
  const links = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return ''
    }
  })
  const open = links.filter((link) => link.startsWith(`${path.join(job.root, 'q')}/`))
  return open.filter((link) => !fs.existsSync(link) || fs.statSync(link).isFile())
}

if (isMainThread) {
  const { root, claims } = job
  const queue = await Queue.install('q', { root, claims, durability: 'none' })
  await queue.enqueue(CONTENTS, ['first'])
  await queue.enqueue(CONTENTS, ['last'])
  await queue.close()
  const thread = new Worker(new URL(import.meta.url), { workerData: job })
  const ended = new Promise((resolve, reject) => thread.once('exit', resolve).once('error', reject))
  if (job.ends === 'terminated') {
    await new Promise((resolve) => thread.once('message', resolve))
    await thread.terminate()
  }
  await ended
  const open = openFiles()
  const next = new Queue('q', { root })
  say({ open, workers: (await next.workers()).length })
  await next.close()
} else {
  const queue = new Queue('q', { root: workerData.root, durability: 'none' })
  const worker = await queue.work(async (item) => {
    await item.text()
    for await (const part of item.stream({ highWaterMark: 1000 })) {
      if (workerData.ends === 'closed' || item.args[0] === 'first') continue
      parentPort.postMessage(part.length)
      await new Promise(() => setInterval(() => undefined, 1000))
    }
  })
  await worker.idle()
  await worker.close()
  await queue.close()
}
