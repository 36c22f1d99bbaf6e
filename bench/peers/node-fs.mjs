import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import { link, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

import { checkDrained, checkEnqueued, checkRead } from '../lib/check.mjs'
import { lanes } from '../lib/lanes.mjs'

// A drained payload fits into one read of this size.
const LARGEST = 4096

/**
 * The calls that a file queue consists of, with plain node:fs: write in tmp/, link into queue/, remove from tmp/;
 * read, rename to done/. Without the parts that make it a queue: no locks, no checks, no settings.
 */
export async function openNodeFs(folder, { durability = 'none' } = {}) {
  for (const name of ['queue', 'tmp', 'done']) await mkdir(join(folder, name))
  return new NodeFsStore(folder, durability !== 'none')
}

class NodeFsStore {
  #folder
  #queue
  #tmp
  #done
  #directory
  #durable
  #count = 0
  #second = 0
  #timestamp = ''
  #buffer = Buffer.allocUnsafe(LARGEST)
  #suffix = `_${process.pid}_${hostname()}_0`

  constructor(folder, durable) {
    this.#folder = folder
    this.#queue = join(folder, 'queue')
    this.#tmp = join(folder, 'tmp')
    this.#done = join(folder, 'done')
    this.#durable = durable
    this.#directory = fs.openSync(this.#queue, 'r')
  }

  enqueueSync(payload) {
    const name = this.#nextName()
    const temporary = `${this.#tmp}/${name}`
    const descriptor = fs.openSync(temporary, 'wx')
    if (payload.length > 0) fs.writeSync(descriptor, payload)
    if (this.#durable) fs.fsyncSync(descriptor)
    fs.closeSync(descriptor)
    fs.linkSync(temporary, `${this.#queue}/${name}`)
    fs.unlinkSync(temporary)
    if (this.#durable) fs.fsyncSync(this.#directory)
    return name
  }

  async enqueue(payload) {
    const name = this.#nextName()
    const temporary = `${this.#tmp}/${name}`
    const file = await open(temporary, 'wx')
    if (payload.length > 0) await file.write(payload)
    if (this.#durable) await file.sync()
    await file.close()
    await link(temporary, `${this.#queue}/${name}`)
    await unlink(temporary)
    if (this.#durable) await this.#syncDirectory()
    return name
  }

  /** Adds a file that `write(path, durable)` makes in tmp/. */
  async enqueueBy(write) {
    const name = this.#nextName()
    const temporary = `${this.#tmp}/${name}`
    await write(temporary, this.#durable)
    await rename(temporary, `${this.#queue}/${name}`)
    if (this.#durable) await this.#syncDirectory()
    return name
  }

  async enqueueMany(payloads) {
    return payloads.map((payload) => this.enqueueSync(payload))
  }

  drainSync() {
    return fs
      .readdirSync(this.#queue)
      .sort()
      .map((name) => this.#takeSync(name))
  }

  async drain(width) {
    const names = (await readdir(this.#queue)).sort()
    const taken = []
    await lanes(names.length, width, async (index) => {
      taken[index] = await this.#take(names[index])
    })
    return taken
  }

  /** Reads and finishes one file after the other; `read(path)` resolves with what {@link checkRead} looks at. */
  async readAll({ file: read }) {
    const taken = []
    for (const name of (await readdir(this.#queue)).sort()) {
      taken.push({ name, ...(await read(`${this.#queue}/${name}`)) })
      await rename(`${this.#queue}/${name}`, `${this.#done}/${name}`)
    }
    return taken
  }

  checkEnqueued(names, payloads) {
    checkEnqueued(this.#folder, names, payloads)
  }

  checkDrained(taken, payloads) {
    checkDrained(this.#folder, taken, payloads)
  }

  checkRead(taken, payloads) {
    checkRead(this.#folder, taken, payloads)
  }

  async close() {
    fs.closeSync(this.#directory)
  }

  #nextName() {
    const second = Math.floor(Date.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#timestamp = new Date(second * 1000)
        .toISOString()
        .replace(/[^0-9]/g, '')
        .slice(0, 14)
    }
    // The same format as ours, but with the number at full width, so that plain sorting is FIFO.
    return `_${this.#timestamp}_${String(this.#count++).padStart(8, '0')}${this.#suffix}`
  }

  #syncDirectory() {
    return new Promise((resolve, reject) => {
      fs.fsync(this.#directory, (error) => (error ? reject(error) : resolve()))
    })
  }

  #takeSync(name) {
    const path = `${this.#queue}/${name}`
    const descriptor = fs.openSync(path, 'r')
    const size = fs.readSync(descriptor, this.#buffer)
    fs.closeSync(descriptor)
    fs.renameSync(path, `${this.#done}/${name}`)
    return { name, text: this.#buffer.toString('utf8', 0, size) }
  }

  async #take(name) {
    const path = `${this.#queue}/${name}`
    const file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(LARGEST))
    await file.close()
    await rename(path, `${this.#done}/${name}`)
    return { name, text: buffer.toString('utf8', 0, bytesRead) }
  }
}
