// Finishes and releases items while another thread starts programs all the time, and looks at each lock at once: { root, count }.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { Worker, isMainThread, parentPort } from 'node:worker_threads'

import { addon, isFree, job, say } from '../support/program.mjs'

if (isMainThread) {
  const { Queue } = await import('../../dist/index.js')
  const queue = new Queue('q', { root: job.root, durability: 'none' })
  const spawner = new Worker(new URL(import.meta.url))
  let spawned = 0
  spawner.on('message', (count) => (spawned = count))
  await new Promise((resolve) => spawner.once('message', resolve))
  if (job.faults) addon.setFaults(job.faults)
  const busy = { done: 0, release: 0 }
  const tried = { done: 0, release: 0 }
  for (let at = 0; at < job.count; at++) {
    if (at % 100 === 0) await queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'x' })))
    for (const action of ['release', 'done']) {
      for await (const item of queue.scan({ prefetch: 1 })) {
        await item[action]()
        const place = action === 'done' ? 'done' : 'queue'
        tried[action]++
        const file = path.join(queue.path, place, item.id)
        if (!isFree(file)) busy[action]++
        if (action === 'done') fs.unlinkSync(file)
        break
      }
    }
  }
  addon.setFaults?.('')
  await spawner.terminate()
  say({ busy, tried, spawned })
  await queue.close()
} else {
  let count = 0
  const next = () => {
    spawn('true', { stdio: 'ignore' }).once('exit', () => {
      count++
      if (count % 10 === 1) parentPort.postMessage(count)
      next()
    })
  }
  for (let lane = 0; lane < 4; lane++) next()
}
