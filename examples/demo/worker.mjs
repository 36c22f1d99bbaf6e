// A worker: takes items from the queue until there are none. Run by the demo, once a process.
import { createHash } from 'node:crypto'
import { createWriteStream, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import path from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { createGzip } from 'node:zlib'

import { Queue } from 'fsq'

import { endingOf } from './endings.mjs'
import { Log, now } from './records.mjs'
import { QUEUE, settingsIn } from './settings.mjs'

const WALK_MS = 100
const POLL_MS = 20
const BACKOFF_MS = 200

const [folder, number] = process.argv.slice(2)
const log = new Log(path.join(folder, 'logs'), number)

// If the demo is gone, there is nobody to work for. Listening for that must not keep this process alive.
process.once('disconnect', () => process.exit(1))
process.channel?.unref()

try {
  await work()
} catch (error) {
  const { code, text } = endingOf(error)
  console.error(`worker ${number}: ${text}`)
  process.exit(code) // which releases whatever was claimed
}

async function work() {
  const queue = new Queue(QUEUE, settingsIn(folder))
  // What waits includes what others hold. They may die and leave it to us, so it is not over before that is done, too.
  while ((await queue.counts()).waiting > 0) {
    if (!(await walk(queue))) await setTimeout(POLL_MS)
  }
  await queue.close()
}

/**
 * Works on what it finds on one walk over the queue, oldest first. A walk knows what waited when it began, and passes by
 * what others hold, so it is a short one: the next begins at the oldest item again, and finds what was let go of meanwhile.
 *
 * @returns Whether there was anything to do.
 */
async function walk(queue) {
  const begun = now()
  let any = false
  for await (const item of queue.scan()) {
    // Leaving the loop releases the item: the next walk, or another worker, has it.
    if (now() > begun + WALK_MS) break
    any = true
    await run(item)
  }
  return any
}

/**
 * Works on one item. It is ours until it is finished, or until this process ends, in whatever way. The record of the end
 * comes before the finish: between the two nobody else can have the item.
 */
async function run(item) {
  const { key } = item
  const job = await item.json()
  log.write({ event: 'start', key })

  if (job.stalls) standStillOnce()
  if (job.hopeless) {
    log.write({ event: 'end', key, outcome: 'failed', reason: 'on purpose' })
    await item.fail() // for good: it goes to fail/
    return
  }
  if (item.tries < job.retries) {
    log.write({ event: 'end', key, outcome: 'retry' })
    await item.retry({ delay: BACKOFF_MS }) // for now: it waits again, with one try more in its name
    return
  }

  // A file under its final name is a whole one. The number: nobody else writes this one, dead or alive.
  const part = path.join(folder, 'parts', `${number}.gz`)
  let sha256
  try {
    sha256 = await compress(job.path, part)
  } catch (error) {
    // Trying again does not bring back a file that is gone. All else (a full disk) is ours: the demo ends and says it.
    if (error.path !== job.path && error.syscall !== 'read') throw error
    log.write({ event: 'end', key, outcome: 'failed', reason: error.message })
    await item.fail()
    return
  }
  await rename(part, path.join(folder, 'outputs', `${key}.gz`))

  log.write({ event: 'end', key, outcome: 'done', sha256 })
  await item.done() // it goes to done/
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
 * The first worker that comes here hangs, as a process does in an endless loop: no timer fires, no message is heard. It
 * holds what it has claimed until the demo kills it.
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
