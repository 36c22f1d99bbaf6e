import assert from 'node:assert/strict'
import { chmodSync, chownSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { checkIds, checkTaken } from '../lib/check.mjs'
import { printed, start } from '../lib/children.mjs'

const METHODS = ['enqueue', 'enqueueMany']
const USER = 'fsq'

/** pg-boss, with its own PostgreSQL on the measured file system, over a Unix socket. */
export async function pgBossPeers(folder) {
  const { default: PgBoss } = await import('pg-boss')
  let server
  return [
    {
      name: 'pg-boss',
      durability: 'enqueue',
      methods: METHODS,
      async open() {
        server ??= startPostgres(folder)
        return open(PgBoss, await server)
      },
    },
  ]
}

/** Resolves with the folder of its socket. The server ends with this process. */
async function startPostgres(folder) {
  const home = folder.make()
  const account = accountFor(folder.path, home)
  const data = join(home, 'data')
  const init = start('initdb', ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-sync'], account)
  await printed(init, 'Success.')
  // Sends everything to the one log that is read, instead of stderr.
  const child = start(
    'postgres',
    ['-D', data, '-k', home, '-c', 'listen_addresses=', '-c', 'dynamic_shared_memory_type=mmap'],
    {
      ...account,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Stops at once, but removes its shared memory.
      endSignal: 'SIGQUIT',
    },
  )
  child.stdout = child.stderr
  await printed(child, 'database system is ready to accept connections')
  return home
}

// PostgreSQL refuses to run as root.
function accountFor(parent, home) {
  if (process.getuid() !== 0) return {}
  const [, , uid, gid] = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'postgres' || name === 'nobody')
  chmodSync(parent, 0o711)
  chownSync(home, Number(uid), Number(gid))
  return { uid: Number(uid), gid: Number(gid), cwd: home }
}

let count = 0

async function open(PgBoss, host) {
  const boss = new PgBoss({ host, user: USER, database: 'postgres', supervise: false, schedule: false })
  await boss.start()
  const name = `bench-${count++}`
  await boss.createQueue(name)
  return new PgBossStore(boss, name)
}

class PgBossStore {
  #boss
  #name

  constructor(boss, name) {
    this.#boss = boss
    this.#name = name
  }

  enqueue(payload) {
    return this.#boss.send(this.#name, { text: payload.toString() })
  }

  /** pg-boss does not reveal its ids: insert() returns none. */
  async enqueueMany(payloads) {
    await this.#boss.insert(
      payloads.map((payload) => ({ name: this.#name, data: { text: payload.toString() } })),
    )
    return payloads.map((_, index) => index)
  }

  /** In batches, which is its form of concurrency. */
  async drain(width, count) {
    const taken = []
    while (taken.length < count) {
      const jobs = await this.#boss.fetch(this.#name, { batchSize: width })
      for (const { id, data } of jobs) taken.push({ name: id, text: data.text })
      await this.#boss.complete(
        this.#name,
        jobs.map(({ id }) => id),
      )
    }
    return taken
  }

  async checkEnqueued(ids, payloads) {
    checkIds(ids, payloads)
    assert.equal(await this.#boss.getQueueSize(this.#name), payloads.length, 'jobs of pg-boss that wait')
  }

  async checkDrained(taken, payloads) {
    checkTaken(taken, payloads)
    assert.equal(await this.#boss.getQueueSize(this.#name), 0, 'jobs of pg-boss that wait')
  }

  async close() {
    await this.#boss.stop({ graceful: false })
  }
}
