// A worker of the queue 'q', until SIGTERM: { root, log }. The log gets a line at the begin and at the end of each run of an item, with the
// nanoseconds of the clock that all processes share, and a line for each problem. Each is written before anything else happens.
import fs from 'node:fs'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { Queue } from '../../dist/index.js'
import { job } from '../support/program.mjs'

const MOST = 4
const log = fs.openSync(job.log, 'a')
const note = (...words) => fs.writeSync(log, `${words.join(' ')}\n`)

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.on('warning', ({ code, message }) => note('problem', code, JSON.stringify(message)))

const queue = new Queue('q', {
  root: job.root,
  durability: 'none',
  // A worker that dies between the two calls of a move leaves two names of one file.
  onReport: ({ type, message }) => type === 'completed' || note('problem', type, JSON.stringify(message)),
})

async function run(item) {
  const { key } = item
  try {
    note('begin', key, process.hrtime.bigint())
    if ((await item.text()) !== 'contents') note('problem', 'torn', key)
    await later(Math.random() * 10)
    await item.done()
    note('end', key, process.hrtime.bigint())
  } catch (error) {
    note('problem', key, JSON.stringify(String(error)))
  }
}

const running = new Set()
try {
  for await (const item of queue.scanForever({ signal: stop.signal, prefetch: MOST })) {
    const one = run(item).finally(() => running.delete(one))
    running.add(one)
    if (running.size >= MOST) await Promise.race(running)
  }
} catch (error) {
  if (!stop.signal.aborted) note('problem', JSON.stringify(String(error)))
}
await Promise.all(running)
await queue.close()
