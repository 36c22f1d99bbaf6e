/**
 * The processes of the hand-over workload: node hand-over-program.mjs forward|receive|few ROOT URL COUNT. Prints JSON.
 *
 * `few` forwards COUNT items out of all that wait, and closes: for the memory.
 */
import { performance } from 'node:perf_hooks'
import process from 'node:process'

import { forward, receive } from '../../dist/index.js'
import { jetstreamSource, natsSink } from '../../dist/nats.js'
import { Queue } from '../lib/fsq.mjs'
import { peakMB } from '../lib/peak.mjs'

const [, , what, root, url, text] = process.argv
const count = Number(text)
const nats = { servers: url, stream: 'BENCH', onWarning: () => undefined }

const RUNS = {
  async forward() {
    const queue = new Queue('out', { root })
    const begin = performance.now()
    const forwarder = await forward(queue, natsSink({ ...nats, subject: 'bench' }))
    await forwarder.idle()
    const milliseconds = performance.now() - begin
    await forwarder.close()
    await queue.close()
    return { milliseconds, items: forwarder.numbers.forwarded }
  },

  async receive() {
    const queue = new Queue('back', { root })
    const begin = performance.now()
    const receiver = await receive(jetstreamSource({ ...nats, consumer: 'bench' }), queue)
    await new Promise((resolve) => {
      receiver.on('done', () => {
        if (receiver.numbers.taken >= count) resolve()
      })
    })
    const milliseconds = performance.now() - begin
    await receiver.close()
    await queue.close()
    return { milliseconds, items: receiver.numbers.taken }
  },

  async few() {
    const queue = new Queue('many', { root })
    const forwarder = await forward(queue, natsSink({ ...nats, subject: 'bench' }))
    await new Promise((resolve) => {
      forwarder.on('forwarded', () => {
        if (forwarder.numbers.forwarded >= count) resolve()
      })
    })
    await forwarder.close()
    await queue.close()
    return { items: forwarder.numbers.forwarded }
  },
}

const result = await RUNS[what]()
console.log(JSON.stringify({ ...result, peakMB: peakMB() }))
