import { basename, dirname } from 'node:path'
import { inspect } from 'node:util'

import { Queue } from '../lib/fsq.mjs'
import { Slots } from '../lib/lanes.mjs'
import { timed } from '../lib/rounds.mjs'

const WIDTH = 16
const SIZE = 64

/**
 * Rows in which a handler runs for each item: by `queue.work()`, and by a loop over `scanForever()` written by hand. It does nothing, or it
 * throws, and the item is to be tried again in an hour.
 */
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
    {
      name: `retry, ${WIDTH} in flight`,
      size: SIZE,
      durability: 'none',
      items: counts.shared,
      contenders: [
        contender('fsq', retryByWorker(), areRetried),
        contender('loop', retryByLoop, areRetried),
        contender('fsq, no log', retryByWorker({ maxCrashes: 0 }), areRetried),
      ],
    },
  ]
}

const areDone = ({ waiting, done }, count) => waiting === 0 && done === count
const areRetried = ({ waiting }, count) => waiting === count

function contender(name, run, isRight = areDone) {
  return {
    name,
    async measure(folder, count) {
      const options = { root: dirname(folder), force: true, durability: 'none', maxTries: 3 }
      const queue = await Queue.install(basename(folder), options)
      const data = 'x'.repeat(SIZE)
      await queue.enqueueMany(Array.from({ length: count }, () => ({ data })))
      const { milliseconds } = await timed(folder, () => run(queue, count))
      const counts = await queue.counts()
      if (!isRight(counts, count)) throw new Error(`${name}: of ${count} items, ${inspect(counts)}`)
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

const LATER = 3600 * 1000

const failing = async () => {
  throw new Error('the other side says no')
}

function retryByWorker(options) {
  return async (queue, count) => {
    let rest = count
    await new Promise((resolve, reject) => {
      const ready = queue.work(failing, { concurrency: WIDTH, backoff: LATER, ...options })
      ready.then((worker) => {
        worker.on('retried', () => {
          if (--rest === 0) resolve()
        })
      }, reject)
    })
  }
}

async function retryByLoop(queue, count) {
  await loop(queue, count, async (item) => failing().catch(() => item.retry({ delay: LATER })))
}

async function byLoop(queue, count) {
  const handler = async () => undefined
  await loop(queue, count, async (item) => handler(item).then(() => item.done()))
}

async function loop(queue, count, run) {
  const slots = new Slots(WIDTH)
  let rest = count
  for await (const item of queue.scanForever()) {
    await slots.take()
    void slots.hold(run(item))
    // Leaving the loop would release an item that is not done yet.
    if (--rest === 0) {
      await slots.drain()
      break
    }
  }
}
