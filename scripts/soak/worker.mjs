// One worker of the soak: { root, directory }. It takes the lines 'pause', 'resume' and 'calm' on its standard input.
//
// For the time that a handler runs, it has a lock by the key of its item: a lock that is taken is an overlap. The kernel frees it at a
// kill, as it frees the item. A handler that gives its item back itself ends its lock first, as another worker can start the item before
// the call returns. The worker's own log has a line for each start and end of a handler, each written before anything else happens.
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import readline from 'node:readline'
import { setTimeout as later } from 'node:timers/promises'

import { PermanentFailure, Queue, RetryLater } from 'fsq'
import { tryLockSync } from 'fsq/lock'

const { root, directory } = JSON.parse(process.argv[2])
const log = fs.openSync(path.join(directory, 'logs', String(process.pid)), 'a')
const note = (...words) => fs.writeSync(log, `${words.join(' ')}\n`)

let isCalm = false
const events = { started: 0, done: 0, retried: 0, failed: 0, postponed: 0, released: 0, crashed: 0 }

/** How a run ends, and the weight of that. */
const ENDINGS = [
  [60, async () => later(Math.random() * 5)],
  [10, () => fails('no luck')],
  [6, async () => fails(await later(Math.random() * 10))],
  [3, () => rejects(new PermanentFailure('never'))],
  [6, () => rejects(new RetryLater({ after: Math.random() * 50 }))],
  // Until the timeout.
  [4, async (_item, signal) => later(10_000, undefined, { signal })],
  // Deaf to the timeout.
  [4, async () => later(60)],
  [2, async (item) => finishes(item).done()],
  [1, async (item, _signal, leave) => givesBack(item, leave).fail()],
  [1, async (item, _signal, leave) => givesBack(item, leave).retry({ delay: 10 })],
  [1, (item, _signal, leave) => givesBack(item, leave).release()],
  [1, (item) => void finishes(item).done()],
]
const WEIGHT = ENDINGS.reduce((sum, [weight]) => sum + weight, 0)

/** The item may be done before the handler has ended. */
function finishes(item) {
  note('finishes', item.key)
  return item
}

/** The item may run elsewhere before the handler has ended. A failed item does so after a redrive. */
function givesBack(item, leave) {
  leave()
  return item
}

function fails(message) {
  throw new Error(message)
}

function rejects(error) {
  throw error
}

function chooseEnding() {
  let at = Math.random() * WEIGHT
  return ENDINGS.find(([weight]) => (at -= weight) < 0)[1]
}

/** Runs alone for the key until it ends or calls `leave`, or says that it is not alone. */
async function exclusively(key, run) {
  const file = path.join(directory, 'running', encodeURIComponent(key))
  const descriptor = fs.openSync(file, 'a')
  let isIn = true
  const leave = () => {
    if (!isIn) return
    isIn = false
    fs.unlinkSync(file)
    fs.closeSync(descriptor)
  }
  try {
    if (tryLockSync(descriptor) === undefined) note('overlap', key)
    return await run(leave)
  } finally {
    leave()
  }
}

async function handle(item, { signal }) {
  const { key } = item
  note('start', key)
  await exclusively(key, async (leave) => {
    try {
      if (!isCalm) await chooseEnding()(item, signal, leave)
    } catch (error) {
      note('threw', key)
      throw error
    }
    note('ok', key, item.claimed ? 'claimed' : item.outcome)
  })
}

const queue = new Queue('q', { root, maxTries: 4, durability: 'none' })
const worker = await queue.work(handle, {
  concurrency: 1 + Math.floor(Math.random() * 8),
  backoff: { delay: 10, max: 100 },
  timeout: 30,
  closeOn: ['SIGTERM'],
  grace: 100,
  keepFailed: { count: 1_000_000 },
})
note('listens')
for (const name of Object.keys(events)) worker.on(name, () => events[name]++)
worker.on('error', (error) => {
  // A handler may throw after it has finished its item, and a release takes the item from a handler that is in flight.
  note('error', error?.code ?? error?.name ?? 'unknown', JSON.stringify(String(error)))
})

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (line) => {
  if (line === 'calm') isCalm = true
  else worker[line]()
})
// The supervisor has died.
lines.on('close', () => void worker.close())

await new Promise((resolve) => {
  worker.on('state', ({ state }) => state === 'closed' && resolve())
})
note('counters', JSON.stringify(worker.counters))
note('events', JSON.stringify(events))
await queue.close({ force: true })
process.exit()
