/** A worker process: drains the queue that a message names, and answers with its counts. See WorkerProcess. */
import process from 'node:process'

import { compute } from './compute.mjs'
import { Queue } from './fsq.mjs'
import { Slots } from './lanes.mjs'
import { peakMB } from './peak.mjs'

process.on('message', (order) => {
  void drain(order).then((tally) => process.send(tally))
})
process.on('disconnect', () => process.exit())

/** Finishes up to `width` items while the loop continues. */
async function drain({ root, name, width, steps }) {
  const queue = new Queue(name, { root, durability: 'none' })
  const slots = new Slots(width)
  const tally = { begin: now(), first: undefined, taken: 0, bytes: 0, numbers: 0 }
  for await (const item of queue.scan()) {
    const text = await item.text()
    tally.first ??= now()
    tally.computed = compute(steps)
    tally.taken++
    tally.bytes += text.length
    tally.numbers += Number(item.entropy)
    await slots.take()
    void slots.hold(item.done())
  }
  await slots.drain()
  const end = now()
  await queue.close()
  return { ...tally, end, peakMB: peakMB() }
}

// Milliseconds on a clock that all processes share.
function now() {
  return Number(process.hrtime.bigint()) / 1e6
}
