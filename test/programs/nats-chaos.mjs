// A part of the chaos test: { role: 'forward' | 'receive' | 'work', root, servers, crash, variant }. It runs until it is killed, and now and then kills
// itself where it hurts most, with the probability `crash`: between a put and its consequences, and before and after an acknowledgement.
//
// The variant `strict` has that option. Others lack what the promise stands on, to show that the test would notice: `no-ids` and `no-ledger`. The
// package has no option for them.
import { randomBytes } from 'node:crypto'
import process from 'node:process'

import { Queue, forward, receive, work } from '../../dist/index.js'
import { jetstreamSource, natsSink } from '../../dist/nats.js'
import { job, say } from '../support/program.mjs'

const { role, root, servers, crash, variant } = job
const common = { servers, stream: 'S', timeout: 2000, onWarning: () => undefined }

function perhapsDie() {
  if (Math.random() < crash) process.kill(process.pid, 'SIGKILL')
}

function chaoticSink() {
  const sink = natsSink({ ...common, subject: 'fsq.q', objectBucket: 'B', strict: variant === 'strict' })
  const put = sink.put.bind(sink)
  sink.put = async (items, options) => {
    const outcomes = await put(variant === 'no-ids' ? items.map(withRandomId) : items, options)
    perhapsDie()
    return outcomes
  }
  return sink
}

function withRandomId(item) {
  const { key, nameBytes, args, argBytes, enqueuedAt, tries, size } = item
  return {
    id: randomBytes(8).toString('hex'),
    ...{ key, nameBytes, args, argBytes, enqueuedAt, tries, size },
    bytes: () => item.bytes(),
    stream: () => item.stream(),
  }
}

function chaoticSource() {
  const source = jetstreamSource({ ...common, consumer: 'C' })
  const scan = source.scan.bind(source)
  source.scan = (options) => {
    const items = scan(options)
    return {
      tryNext: () => changed(items.tryNext()),
      [Symbol.asyncIterator]: () => {
        const iterator = items[Symbol.asyncIterator]()
        return {
          next: async () => {
            const result = await iterator.next()
            changed(result.value)
            return result
          },
          return: () => iterator.return(),
        }
      },
    }
  }
  return source
}

function changed(item) {
  if (item === undefined) return item
  const done = item.done.bind(item)
  item.done = async () => {
    perhapsDie()
    await done()
    perhapsDie()
  }
  return item
}

const queue = new Queue(role === 'forward' ? 'from' : 'to', { root, durability: 'none' })
const roles = {
  forward: () => forward(queue, chaoticSink(), { keep: Infinity }),
  receive: () =>
    variant === 'no-ledger'
      ? work(chaoticSource(), async (item) => queue.enqueue(await item.bytes(), item.args), {
          concurrency: 64,
        })
      : receive(chaoticSource(), queue),
  work: () => queue.work(async (item) => void (await item.bytes()), { concurrency: 16 }),
}
const worker = await roles[role]()
worker.on('error', (error) => say({ error: error.code, message: error.message }))
worker.on('away', ({ error }) => say({ away: error.message }))
worker.on('held', ({ error }) => say({ held: error.message }))
say({ ready: true })
