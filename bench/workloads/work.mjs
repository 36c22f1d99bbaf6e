import { basename, dirname } from 'node:path'

import { Queue } from '../lib/fsq.mjs'
import { Slots } from '../lib/lanes.mjs'
import { timed } from '../lib/rounds.mjs'

const WIDTH = 16
const SIZE = 64

/** Rows in which a handler that does nothing runs for each item: by `queue.work()`, and by a loop over `scanForever()` written by hand. */
export function workRows({ counts }) {
  return [
    {
      name: `work, ${WIDTH} in flight`,
      size: SIZE,
      durability: 'none',
      items: counts.shared,
      contenders: [
        contender('fsq', byWorker()),
        contender('loop', byLoop),
        contender('fsq, no guard', byWorker({ maxCrashes: 0 })),
      ],
    },
  ]
}

function contender(name, run) {
  return {
    name,
    async measure(folder, count) {
      const options = { root: dirname(folder), force: true, durability: 'none' }
      const queue = await Queue.install(basename(folder), options)
      const data = 'x'.repeat(SIZE)
      await queue.enqueueMany(Array.from({ length: count }, () => ({ data })))
      const { milliseconds } = await timed(folder, () => run(queue, count))
      const { waiting, done } = await queue.counts()
      if (waiting !== 0 || done !== count) throw new Error(`${name}: ${done} of ${count} are done`)
      await queue.close()
      return milliseconds
    },
  }
}

function byWorker(options) {
  return async (queue, count) => {
    let rest = count
    await new Promise((resolve, reject) => {
      const ready = queue.work(async () => undefined, { concurrency: WIDTH, ...options })
      ready.then((worker) => {
        worker.on('done', () => {
          if (--rest === 0) resolve()
        })
      }, reject)
    })
  }
}

async function byLoop(queue, count) {
  const handler = async () => undefined
  const slots = new Slots(WIDTH)
  let rest = count
  for await (const item of queue.scanForever()) {
    await slots.take()
    void slots.hold(Promise.resolve(handler(item)).then(() => item.done()))
    // Leaving the loop would release an item that is not done yet.
    if (--rest === 0) {
      await slots.drain()
      break
    }
  }
}
