// One process of the chaos in a shared queue: { root, logs, role, lease }. A feeder enqueues for as long as it lives, a worker works until
// SIGTERM. Each line on its standard input is the faults from now on.
//
// Each log line is written before anything else happens.
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import readline from 'node:readline'
import { setTimeout as later } from 'node:timers/promises'

import { ClaimLostError, ItemFinishedError, Queue } from 'fsq'

const addon = createRequire(import.meta.url)('../../binding.cjs')
const { root, logs, role, lease } = JSON.parse(process.argv[2])
const log = fs.openSync(path.join(logs, String(process.pid)), 'a')
const note = (...words) => fs.writeSync(log, Buffer.from(`${words.join(' ')}\n`))

const BACKLOG = 60
const MOST = 6

const queue = new Queue('q', { root, lease, durability: 'none', maxTries: 0 })
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (faults) => addon.setFaults(faults))
// The supervisor has died.
lines.on('close', () => process.exit())
process.on('warning', ({ code, message }) => {
  // A worker that has lost its directory may meet moves of others cut in half.
  if (code !== 'FSQ_COMPLETED') note('problem', code, JSON.stringify(message))
})

/** How a run ends, and the weight of that. */
const ENDINGS = [
  [70, async (item) => finish(item, 'done')],
  [5, async (item) => finish(item, 'fail')],
  [8, async (item) => item.retry()],
  [5, async (item) => item.retry({ delay: Math.random() * 50 })],
  [5, (item) => item.release()],
  [4, (item) => item.release({ delay: Math.random() * 50 })],
  [3, async (item) => item[Symbol.asyncDispose]()],
]
const WEIGHT = ENDINGS.reduce((sum, [weight]) => sum + weight, 0)

function chooseEnding() {
  let at = Math.random() * WEIGHT
  return ENDINGS.find(([weight]) => (at -= weight) < 0)[1]
}

async function finish(item, action) {
  note('finishing', item.key)
  await item[action]()
  note('finished', item.key)
}

async function run(item) {
  const { key, args } = item
  note('started', key)
  try {
    const text = await item.text()
    if (text !== `text of ${args[0]}`) note('problem', 'torn', key)
    await later(Math.random() * 8)
    await chooseEnding()(item)
  } catch (error) {
    if (error instanceof ClaimLostError) note('lost', key)
    // The end of the loop releases the item that it has handed out last.
    else if (stop.signal.aborted && error instanceof ItemFinishedError) note('released', key)
    else note('problem', error.code, JSON.stringify(String(error)))
  }
}

async function feed() {
  for (let number = 0; ; number++) {
    if (fs.readdirSync(queue.paths.queue).length > BACKLOG) await later(5)
    const label = `${process.pid}-${number}`
    const delay = number % 10 === 0 ? Math.random() * 100 : 0
    note('fed', keyOf(await queue.enqueue(`text of ${label}`, [label], { delay })))
  }
}

/** The name without the tries. */
function keyOf(name) {
  return name.split('_').toSpliced(5, 1).join('_')
}

async function work() {
  const running = new Set()
  while (!stop.signal.aborted) {
    try {
      for await (const item of queue.scanForever({
        signal: stop.signal,
        prefetch: 1 + Math.floor(Math.random() * 8),
      })) {
        const one = run(item).finally(() => running.delete(one))
        running.add(one)
        if (running.size >= MOST) await Promise.race(running)
      }
    } catch (error) {
      if (!stop.signal.aborted) note('problem', error.code ?? 'unknown', JSON.stringify(String(error)))
      await later(10)
    }
  }
  await Promise.all(running)
}

await (role === 'feeder' ? feed() : work())
await queue.close()
process.exit()
