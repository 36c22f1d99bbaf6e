// Counts the calls that native code makes, at its fault points: { root, way, count }.
import { Queue } from '../../dist/index.js'
import { addon, job, say } from '../support/program.mjs'

const queue = await Queue.install('q', { root: job.root, durability: 'none' })
const data = 'x'.repeat(64)

async function fill() {
  await queue.enqueueMany(Array.from({ length: job.count }, () => ({ data })))
}

async function drain(finish) {
  for await (const item of queue.scan()) await finish(item)
}

const ways = {
  async enqueue() {
    for (let count = 0; count < job.count; count++) await queue.enqueue(data)
  },
  async enqueueEmpty() {
    for (let count = 0; count < job.count; count++) await queue.enqueue(null)
  },
  enqueueMany: fill,
  async done() {
    await drain(async (item) => item.done())
  },
  async 'done, with its descriptor'() {
    await drain(async (item) => item.fd > 0 && item.done())
  },
  async release() {
    await drain(async (item) => item.release())
  },
  async scan() {
    for (let count = 0; count < job.count; count++) await drain(() => undefined)
  },
}

if (['done', 'done, with its descriptor', 'release'].includes(job.way)) await fill()
else await queue.enqueueMany([{ data }, { data }]).then(() => drain(async (item) => item.done()))
addon.setFaults('')
await ways[job.way]()
const hits = addon.faultHits()
say({ hits: Object.fromEntries(addon.faultPoints().map((point, index) => [point, hits[index]])) })
await queue.close()
