// Leaves the process, or ends a thread, in the middle of an operation: { root, dir, operation, leave, points? }.
//
// leave: 'exit': process.exit(7) | 'throw': an uncaught exception | 'terminate': the operation runs in a worker
// thread, which is terminated | 'thread-exit': the thread calls process.exit(7). With a point, it happens while the operation pauses there.
import fs from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { addon, appears, lockedFiles, openBelow, say, until, job as given } from '../support/program.mjs'
import { EACH_LOOK } from '../support/scenarios.mjs'

const job = isMainThread ? given : workerData

async function start({ root, dir, operation }) {
  const { Queue } = await import('../../dist/index.js')
  const queue = new Queue('q', { root, maxTries: 5, durability: 'full' })
  const take = async () => {
    const { value } = await queue.scan({ prefetch: 3 }).next()
    return value
  }
  const operations = {
    enqueue: async () => queue.enqueue(Buffer.alloc(5000, 'n'), ['new']),
    'enqueue a path': async () => queue.enqueue({ path: path.join(dir, 'big') }, ['new']),
    'enqueue a stream': async () => queue.enqueue(Readable.from(['n', 'n', 'n'].map(large)), ['new']),
    'enqueue many': async () =>
      queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'n', args: ['new'] }))),
    claim: take,
    walk: async () => {
      for await (const item of queue.scan({ prefetch: 3 })) item.release()
    },
    finish: async () => {
      const item = await take()
      await item.done()
    },
    retry: async () => {
      const item = await take()
      await item.retry({ delay: 5 })
    },
    hold: async () => {
      const item = await take()
      globalThis.kept = item
      return item.fd
    },
    install: async () => Queue.install('another', { root }),
  }
  return operations[operation]()
}

function large(text) {
  return Buffer.alloc(300_000, text)
}

function leaveByExit() {
  process.once('exit', () => say({ leaving: true }))
  process.exit(7)
}

if (!isMainThread) {
  parentPort.postMessage({ started: true })
  const running = start(job)
  running.catch(() => undefined)
  if (job.leave === 'thread-exit') {
    if (job.pause) await appears(job.pause)
    else await running
    parentPort.postMessage({ leaving: true })
    process.exit(7)
  }
  running.then(() => parentPort.postMessage({ finished: true })).catch(() => undefined)
  setInterval(() => undefined, 1000)
} else if (job.leave === 'exit' || job.leave === 'throw') {
  if (job.pause) addon.setFaults(`${EACH_LOOK};${job.point}#${job.nth ?? 1}=pause:${job.pause}`)
  const running = start(job)
  running.catch(() => undefined)
  if (job.pause) await appears(job.pause)
  else if (job.operation === 'hold') await running
  if (job.leave === 'exit') leaveByExit()
  setImmediate(() => {
    throw new Error('nobody catches this')
  })
} else {
  await terminateAtEach(job.points)
}

async function terminateAtEach(points) {
  for (const { point, nth } of points) {
    const pause = path.join(job.dir, `pause-${point}-${nth}`)
    const before = openBelow(job.root).length
    addon.setFaults(`${EACH_LOOK};${point}#${nth}=pause:${pause}`)
    const worker = new Worker(new URL(import.meta.url), { workerData: { ...job, pause } })
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    worker.once('error', (error) => say({ threadError: error.message, point }))
    const messages = []
    worker.on('message', (message) => messages.push(message))
    await appears(pause)
    if (job.leave === 'terminate') void worker.terminate()
    else await until('the thread leaves', () => messages.some((message) => message.leaving))
    // The thread is on its way out by now, and waits for the call that we hold up.
    await new Promise((resolve) => setTimeout(resolve, 5))
    fs.unlinkSync(pause)
    const code = await ended
    addon.setFaults('')
    await until('nothing open', () => openBelow(job.root).length === before, 2_000).catch(() => undefined)
    say({
      point,
      nth,
      code,
      locked: lockedFiles(path.join(job.root, 'q')),
      leaked: openBelow(job.root).length - before,
    })
  }
  say({ end: true })
}
