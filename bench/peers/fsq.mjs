import { basename, dirname } from 'node:path'

import { checkDrained, checkEnqueued, checkRead } from '../lib/check.mjs'
import { Queue } from '../lib/fsq.mjs'
import { Slots } from '../lib/lanes.mjs'

/** This package. */
export async function openFsq(folder, { durability = 'none', claims = 'lock' } = {}) {
  const queue = await Queue.install(basename(folder), {
    root: dirname(folder),
    force: true,
    durability,
    claims,
  })
  return new FsqStore(folder, queue)
}

class FsqStore {
  #folder
  #queue

  constructor(folder, queue) {
    this.#folder = folder
    this.#queue = queue
  }

  enqueueSync(payload) {
    return this.#queue.enqueueSync(payload)
  }

  enqueue(payload) {
    return this.#queue.enqueue(payload)
  }

  enqueueMany(payloads) {
    return this.#queue.enqueueMany(payloads.map((data) => ({ data })))
  }

  /** One item after the other; with `width`, the loop continues while up to that many items are being finished. */
  async drain(width) {
    const taken = []
    const slots = new Slots(width)
    for await (const item of this.#queue.scan()) {
      taken.push({ name: item.id, text: await item.text() })
      if (width === 1) {
        await item.done()
      } else {
        await slots.take()
        void slots.hold(item.done())
      }
    }
    await slots.drain()
    return taken
  }

  /** Reads and finishes one item after the other; `read(item)` resolves with what {@link checkRead} looks at. */
  async readAll({ item: read }) {
    const taken = []
    for await (const item of this.#queue.scan()) {
      taken.push({ name: item.id, ...(await read(item)) })
      await item.done()
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
    await this.#queue.close()
  }
}
