import { basename, dirname } from 'node:path'

import { Queue } from 'fsq'

import { Slots } from '../lib/lanes.mjs'

/** This package. */
export async function openFsq(folder, { durability = 'none' } = {}) {
  const queue = await Queue.install(basename(folder), { root: dirname(folder), force: true, durability })
  return new FsqStore(queue)
}

class FsqStore {
  #queue

  constructor(queue) {
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

  /** One after the other. */
  async drain() {
    const taken = []
    for await (const item of this.#queue.scan()) {
      taken.push({ name: item.id, text: await item.text() })
      await item.done()
    }
    return taken
  }

  /** The loop goes on while up to `width` items are being finished. */
  async drainInFlight(width) {
    const taken = []
    const slots = new Slots(width)
    for await (const item of this.#queue.scan()) {
      taken.push({ name: item.id, text: await item.text() })
      await slots.take()
      void slots.hold(item.done())
    }
    await slots.drain()
    return taken
  }

  async close() {
    await this.#queue.close()
  }
}
