import { join } from 'node:path'

import { checkIds, checkTaken } from '../lib/check.mjs'

const METHODS = ['enqueueSync', 'enqueue', 'enqueueMany']
const TYPE = 'item'
const SILENT = { error() {}, warn() {}, info() {}, debug() {} }

/**
 * plainjob on better-sqlite3: with its defaults (WAL, synchronous=NORMAL), and with each commit synced to the disk.
 */
export async function plainjobPeers() {
  const modules = { Database: (await import('better-sqlite3')).default, plainjob: await import('plainjob') }
  return [
    {
      name: 'plainjob',
      durability: 'none',
      methods: METHODS,
      open: (folder) => open(modules, folder, 'NORMAL'),
    },
    {
      name: 'plainjob FULL',
      durability: 'enqueue',
      methods: METHODS,
      open: (folder) => open(modules, folder, 'FULL'),
    },
  ]
}

function open({ Database, plainjob }, folder, synchronous) {
  const connection = plainjob.better(new Database(join(folder, 'plainjob.db')))
  const queue = plainjob.defineQueue({ connection, logger: SILENT })
  // defineQueue() sets NORMAL.
  connection.pragma(`synchronous = ${synchronous}`)
  return new PlainjobStore(plainjob, queue)
}

class PlainjobStore {
  #plainjob
  #queue

  constructor(plainjob, queue) {
    this.#plainjob = plainjob
    this.#queue = queue
  }

  enqueueSync(payload) {
    return this.#queue.add(TYPE, payload.toString()).id
  }

  async enqueue(payload) {
    return this.enqueueSync(payload)
  }

  async enqueueMany(payloads) {
    return this.#queue.addMany(
      TYPE,
      payloads.map((payload) => payload.toString()),
    ).ids
  }

  /** One after the other: its worker offers nothing else. */
  async drain(width, count) {
    const taken = []
    const { defineWorker } = this.#plainjob
    await new Promise((resolve, reject) => {
      const worker = defineWorker(
        TYPE,
        async ({ id, data }) => {
          taken.push({ name: id, text: JSON.parse(data) })
        },
        {
          queue: this.#queue,
          logger: SILENT,
          onCompleted: () => {
            if (taken.length === count) worker.stop().then(resolve, reject)
          },
          onFailed: (_, error) => reject(new Error(error)),
        },
      )
      worker.start().catch(reject)
    })
    return taken
  }

  checkEnqueued(ids, payloads) {
    checkIds(ids, payloads)
    this.#check('Pending', payloads.length)
  }

  checkDrained(taken, payloads) {
    checkTaken(taken, payloads)
    this.#check('Done', payloads.length)
  }

  async close() {
    this.#queue.close()
  }

  #check(state, count) {
    const found = this.#queue.countJobs({ status: this.#plainjob.JobStatus[state] })
    if (found !== count) throw new Error(`plainjob has ${found} ${state} jobs, not ${count}`)
  }
}
