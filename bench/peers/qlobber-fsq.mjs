import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { checkIds, checkTaken } from '../lib/check.mjs'

const METHODS = ['enqueue']
const TOPIC = 'item'

/** qlobber-fsq as a work queue: each message goes to one subscriber. It makes nothing durable. */
export async function qlobberPeers() {
  const { QlobberFSQ } = await import('qlobber-fsq').then((module) => module.default)
  return [
    { name: 'qlobber-fsq', durability: 'none', methods: METHODS, open: (folder) => open(QlobberFSQ, folder) },
  ]
}

async function open(QlobberFSQ, folder) {
  const queue = new QlobberFSQ({ fsq_dir: folder })
  queue.on('single_disabled', (error) => queue.emit('error', error))
  await once(queue, 'start')
  // A queue that only adds does not look for work.
  queue.stop_watching()
  await once(queue, 'stop')
  return new QlobberStore(QlobberFSQ, folder, queue)
}

class QlobberStore {
  #QlobberFSQ
  #folder
  #queue

  constructor(QlobberFSQ, folder, queue) {
    this.#QlobberFSQ = QlobberFSQ
    this.#folder = folder
    this.#queue = queue
  }

  enqueue(payload) {
    return new Promise((resolve, reject) => {
      this.#queue.publish(TOPIC, payload, { single: true }, (error, id) => {
        if (error) reject(error)
        else resolve(id)
      })
    })
  }

  async drain(width, count) {
    const taken = []
    const reader = new this.#QlobberFSQ({ fsq_dir: this.#folder, message_concurrency: width })
    await new Promise((resolve, reject) => {
      let finished = 0
      reader.on('error', reject)
      reader.subscribe(TOPIC, (data, { fname }, done) => {
        taken.push({ name: fname, text: data.toString() })
        done(null, (error) => {
          if (error) reject(error)
          else if (++finished === count) resolve()
        })
      })
    })
    reader.stop_watching()
    return taken
  }

  checkEnqueued(ids, payloads) {
    checkIds(ids, payloads)
    assert.equal(this.#waiting(), payloads.length, 'waiting messages of qlobber-fsq')
  }

  checkDrained(taken, payloads) {
    checkTaken(taken, payloads)
    assert.equal(this.#waiting(), 0, 'waiting messages of qlobber-fsq')
  }

  async close() {}

  #waiting() {
    return readdirSync(join(this.#folder, 'messages'), { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile(),
    ).length
  }
}
