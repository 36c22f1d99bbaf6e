// A worker with child processes: { root, options, module }. It says what it does, one line an event.
import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const queue = new Queue('q', { root: job.root })
const worker = await queue.work(
  new URL(`handlers/${job.module ?? 'by-argument.mjs'}`, import.meta.url),
  job.options,
)
for (const name of ['started', 'done', 'failed', 'released'])
  worker.on(name, ({ item, id }) => say({ [name]: item?.id ?? id }))
worker.on('state', ({ state }) => say({ state }))
worker.on('error', ({ code, message }) => say({ error: code, message }))
say({ ready: process.pid })
