// A handler that does what the first argument of its item says. It notes the start and the end of each run in the file FSQ_TEST_LOG.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { PermanentFailure, Queue, RetryLater } from '../../../dist/index.js'

const log = process.env.FSQ_TEST_LOG === undefined ? undefined : fs.openSync(process.env.FSQ_TEST_LOG, 'a')
const note = (line) => log !== undefined && fs.writeSync(log, `${line}\n`)

const behaviours = {
  async quick() {
    await later(1)
  },
  /** Ends when the test makes the file. */
  async waits(item) {
    const file = await item.text()
    while (!fs.existsSync(file)) await later(2)
  },
  async untilAborted(_item, { signal }) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    throw signal.reason
  },
  async deaf() {
    await later(3_600_000)
  },
  loop() {
    for (;;);
  },
  killsItself() {
    process.kill(process.pid, 'SIGKILL')
  },
  /** Dies, and leaves a process that still has its channel and sends an event once the test makes the file. */
  async leavesHeir(item) {
    const { id, key, args } = item
    const sent = { run: 1, id, key, args, tries: 0, enqueuedAt: 0, size: 0 }
    const message = { fsq: { type: 'events', events: [{ name: 'done', fields: { item: sent, ms: 1 } }] } }
    const script = `while [ ! -e "$1" ]; do [ -d "$2" ] || exit; sleep 0.01; done; echo "$3" >&3`
    const heir = spawn('sh', ['-c', script, 'sh', args[1], path.dirname(args[1]), JSON.stringify(message)], {
      stdio: ['ignore', 'ignore', 'ignore', process.channel.fd],
      detached: true,
    })
    await once(heir, 'spawn')
    fs.writeFileSync(`${args[1]}.pid`, String(heir.pid))
    await item.discard()
    process.kill(process.pid, 'SIGKILL')
  },
  /** Sends messages of its own to the parent of its process, as for a process manager. */
  talks() {
    const messages = [null, 'ready', 5, [], { type: 'failed' }, { type: 'events' }, { type: 'closing' }]
    for (const message of messages) process.send(message)
  },
  exits() {
    process.exit(7)
  },
  throws() {
    throw Object.assign(new TypeError('no luck', { cause: new RangeError('behind it') }), { code: 'E_LUCK' })
  },
  throwsText() {
    throw 'a text'
  },
  throwsCircle() {
    const response = {}
    response.request = { response }
    throw Object.assign(new Error(), { message: response, stack: response })
  },
  throwsBigInt() {
    throw Object.assign(new Error(), { message: 5n, name: 5n })
  },
  throwsUnreadable() {
    throw Object.assign(new Error(), { message: Object.create(null) })
  },
  /** Its error cannot be sent to the parent process. */
  throwsUnsendable() {
    const { send } = process
    process.send = function (message, ...rest) {
      if (JSON.stringify(message).includes('too long to be sent'))
        throw new RangeError('Invalid string length')
      return send.call(this, message, ...rest)
    }
    throw new Error('too long to be sent')
  },
  gone() {
    throw new PermanentFailure('for good')
  },
  notNow() {
    throw new RetryLater({ after: 60_000 })
  },
  /** Adds the next item of a chain, as long as the argument says. */
  async chain({ args }) {
    const rest = Number(args[1]) - 1
    await later(3)
    if (rest > 0) await own.enqueue(null, ['chain', String(rest)])
  },
  tells({ args }) {
    fs.writeFileSync(args[1], JSON.stringify({ env: process.env.FSQ_TEST_WORD, execArgv: process.execArgv }))
  },
}

const own = new Queue('q', { root: process.env.FSQ_TEST_ROOT ?? '/var/fsq' })

export default async function handle(item, context) {
  note(`start ${item.key} ${process.pid}`)
  try {
    await behaviours[item.args[0]](item, context)
  } finally {
    note(`end ${item.key} ${process.pid}`)
  }
}

export const backoff = (tries) => (tries < 1 ? 0 : false)
