// A worker by queue.work(): { root, options?, handler, log? }. It says what it does, one line an event. Each key is `start`ed and
// `end`ed in the log, so that a test sees whether two runs overlap.
import fs from 'node:fs'
import { setTimeout as later } from 'node:timers/promises'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const queue = new Queue('q', { root: job.root, ...job.queue })
const log = job.log === undefined ? undefined : fs.openSync(job.log, 'a')
const note = (line) => log !== undefined && fs.writeSync(log, `${line}\n`)

const deaths = {
  kill() {
    process.kill(process.pid, 'SIGKILL')
  },
  abort() {
    process.abort()
  },
  exit() {
    process.exit(1)
  },
  async exception() {
    setImmediate(() => {
      throw new Error('outside of the handler')
    })
    await later(1000)
  },
  /** Out of memory, if the heap is bounded. */
  heap() {
    const kept = []
    for (;;) kept.push(new Array(100_000).fill(kept.length + 0.5))
  },
}

const handlers = {
  async quick() {
    await later(1)
  },
  async untilAborted(_item, { signal }) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    throw signal.reason
  },
  /** Hears no signal; keeps the process alive. */
  async deaf() {
    await later(job.ms ?? 3_600_000)
  },
  /** Keeps the event loop from running. */
  busy() {
    const end = performance.now() + job.ms
    while (performance.now() < end);
  },
  /** The process has nothing to wait for. */
  async lost() {
    await new Promise(() => undefined)
  },
  /** An item whose first argument is 'poison' kills the worker, in the manner that its second one names. */
  async poison({ args }) {
    await later(2)
    if (args[0] === 'poison') await deaths[args[1] ?? 'kill']()
    await later(2)
  },
  fails() {
    throw new Error('no luck')
  },
}

process.on('warning', ({ code }) => say({ warning: code }))
process.on('unhandledRejection', (error) => say({ unhandled: String(error) }))
const worker = await queue.work(async (item, context) => {
  note(`start ${item.key} ${process.pid}`)
  say({ started: item.id })
  try {
    await handlers[job.handler](item, context)
  } finally {
    note(`end ${item.key} ${process.pid}`)
  }
}, job.options)
for (const name of ['done', 'retried', 'failed', 'released', 'postponed'])
  worker.on(name, ({ item, id, reason }) => say({ [name]: item?.id ?? id, reason }))
worker.on('state', ({ state }) => say({ state }))
worker.on('error', (error) => say({ error: error.code ?? String(error) }))
say({ ready: process.pid })
if (job.closesQueue) {
  await worker.gone
  await queue.close()
  say({ closed: true })
}
if (job.closesAfter !== undefined) {
  await later(job.closesAfter)
  const { left } = await worker.close()
  say({ left: left.map(({ id }) => id) })
}
