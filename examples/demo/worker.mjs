// A worker: takes items from the queue until none are left. The demo runs it once in each worker process.
import { createHash } from 'node:crypto'
import { createWriteStream, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import path from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { createGzip } from 'node:zlib'

import { PermanentFailure, Queue } from 'fsq'

import { endingOf } from './endings.mjs'
import { Log } from './records.mjs'
import { QUEUE, settingsIn } from './settings.mjs'

const POLL_MS = 20
const BACKOFF_MS = 200

const [folder, number] = process.argv.slice(2)
const log = new Log(path.join(folder, 'logs'), number)

// Without the demo there is no reason to go on. Listening for its end must not keep this process alive.
process.once('disconnect', () => process.exit(1))
process.channel?.unref()

await work().catch(end)

async function work() {
  const queue = new Queue(QUEUE, settingsIn(folder))
  const worker = await queue.work(run, { backoff: BACKOFF_MS })
  worker.on('error', end)
  // `waiting` includes items that are not due yet, and items that other workers hold. These may die and leave their items to us.
  while ((await queue.counts()).waiting > 0) {
    await worker.idle()
    await setTimeout(POLL_MS)
  }
  await queue.close()
}

/** Ends this process, which releases all that it has claimed. */
function end(error) {
  const { code, text } = endingOf(error)
  console.error(`worker ${number}: ${text}`)
  process.exit(code)
}

/**
 * Works on one item. It is ours until this function has ended and the item has moved, or until this process ends, in whatever way. The end
 * is recorded before the move, because no other worker can have the item between the two.
 */
async function run(item) {
  const { key } = item
  const job = await item.json()
  log.write({ event: 'start', key })

  if (job.stalls) standStillOnce()
  if (job.hopeless) {
    log.write({ event: 'end', key, outcome: 'failed', reason: 'on purpose' })
    throw new PermanentFailure('on purpose') // the item goes to fail/
  }
  if (item.tries < job.retries) {
    log.write({ event: 'end', key, outcome: 'retry' })
    throw new Error('on purpose') // the item waits again, with one more try in its name
  }

  // A file under its final name is always complete. The number makes the part file unique to this worker, dead or
  // alive.
  const part = path.join(folder, 'parts', `${number}.gz`)
  let sha256
  try {
    sha256 = await compress(job.path, part)
  } catch (error) {
    // Another try does not bring back a missing file. Any other error (a full disk) is ours: the demo ends and
    // reports it.
    if (error.path !== job.path && error.syscall !== 'read') end(error)
    log.write({ event: 'end', key, outcome: 'failed', reason: error.message })
    throw new PermanentFailure(error.message, { cause: error })
  }
  await rename(part, path.join(folder, 'outputs', `${key}.gz`))

  log.write({ event: 'end', key, outcome: 'done', sha256 })
  // It goes to done/.
}

/** @returns The SHA-256 of the file. */
async function compress(file, part) {
  const hash = createHash('sha256')
  const source = await open(file)
  await pipeline(
    source.createReadStream(),
    async function* hashed(chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk)
        yield chunk
      }
    },
    createGzip(),
    createWriteStream(part),
  )
  return hash.digest('hex')
}

/**
 * The first worker that gets here hangs, as in an endless loop: no timer fires and no message arrives. It holds its
 * claims until the demo kills it.
 */
function standStillOnce() {
  try {
    writeFileSync(path.join(folder, 'stalled'), `${process.pid}\n`, { flag: 'wx' })
  } catch (error) {
    if (error.code === 'EEXIST') return
    throw error
  }
  const demo = process.ppid
  const never = new Int32Array(new SharedArrayBuffer(4))
  while (process.ppid === demo) Atomics.wait(never, 0, 0, 100)
  process.exit(1)
}
