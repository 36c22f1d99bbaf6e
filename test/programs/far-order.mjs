// Works an item of a queue whose file system another machine seems to serve, where each write takes a while: { root }. Says whether the file of
// the worker names the item when its handler begins. Needs the fault-point build.
import fs from 'node:fs'
import path from 'node:path'

import { job, say } from '../support/program.mjs'

const WRITE_MS = 30

const { write } = fs
fs.write = (...args) => void setTimeout(() => write(...args), WRITE_MS)

const { Queue } = await import('../../dist/index.js')
const queue = new Queue('q', { root: job.root, allowNetwork: true, maxTries: 2 })

function namedByWorkers() {
  const claimed = path.join(queue.path, 'claimed')
  return fs.readdirSync(claimed).map((worker) => fs.readFileSync(path.join(claimed, worker, '.lock'), 'utf8'))
}

for (const arg of ['one', 'two', 'three']) await queue.enqueue('x', [arg])
const worker = await queue.work(
  (item) => say({ arg: item.args[0], isNamed: namedByWorkers().some((lines) => lines.includes(item.id)) }),
  { concurrency: 1 },
)
await worker.idle()
await queue.close()
