import assert from 'node:assert/strict'
import { join } from 'node:path'

import { checkIds, checkTaken } from '../lib/check.mjs'
import { printed, start } from '../lib/children.mjs'

const METHODS = ['enqueue', 'enqueueMany']
const SERVERS = [
  { name: 'BullMQ, no persistence', durability: 'none', appendOnly: 'no' },
  { name: 'BullMQ, fsync always', durability: 'enqueue', appendOnly: 'yes' },
]
const NAME = 'item'

/** BullMQ, with its own Redis server on the measured file system, over a Unix socket. */
export async function bullmqPeers(folder) {
  const bullmq = await import('bullmq')
  return SERVERS.map(({ name, durability, appendOnly }) => {
    let server
    return {
      name,
      durability,
      methods: METHODS,
      async open() {
        server ??= startRedis(folder, appendOnly)
        return new BullmqStore(bullmq, { path: await server })
      },
    }
  })
}

/** Resolves with its socket. The server ends with this process. */
async function startRedis(folder, appendOnly) {
  const home = folder.make()
  const socket = join(home, 'redis.sock')
  const options = {
    port: 0,
    unixsocket: socket,
    dir: home,
    save: '',
    appendonly: appendOnly,
    appendfsync: 'always',
  }
  const child = start(
    'redis-server',
    Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]),
  )
  await printed(child, 'ready to accept connections')
  return socket
}

let count = 0

class BullmqStore {
  #bullmq
  #connection
  #name = `bench-${count++}`
  #queue
  #worker

  constructor(bullmq, connection) {
    this.#bullmq = bullmq
    this.#connection = connection
    this.#queue = new bullmq.Queue(this.#name, { connection })
  }

  async enqueue(payload) {
    const { id } = await this.#queue.add(NAME, payload.toString())
    return id
  }

  async enqueueMany(payloads) {
    const jobs = await this.#queue.addBulk(
      payloads.map((payload) => ({ name: NAME, data: payload.toString() })),
    )
    return jobs.map(({ id }) => id)
  }

  async drain(width, total) {
    const taken = []
    await new Promise((resolve, reject) => {
      let finished = 0
      this.#worker = new this.#bullmq.Worker(
        this.#name,
        async ({ id, data }) => {
          taken.push({ name: id, text: data })
        },
        { connection: this.#connection, concurrency: width },
      )
      this.#worker.on('completed', () => {
        if (++finished === total) resolve()
      })
      this.#worker.on('failed', (_, error) => reject(error))
      this.#worker.on('error', reject)
    })
    return taken
  }

  async checkEnqueued(ids, payloads) {
    checkIds(ids, payloads)
    assert.equal(await this.#queue.getWaitingCount(), payloads.length, 'jobs of BullMQ that wait')
  }

  async checkDrained(taken, payloads) {
    checkTaken(taken, payloads)
    assert.equal(await this.#queue.getCompletedCount(), payloads.length, 'completed jobs of BullMQ')
  }

  async close() {
    await this.#worker?.close()
    await this.#queue.obliterate({ force: true })
    await this.#queue.close()
  }
}
