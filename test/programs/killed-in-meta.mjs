// Kills itself at a call on files, before the call is made: { root, scenario, at, torn }. With `torn`, the call is a write of which half is
// made. Without `at` it says which calls there are. The calls are counted while the journal works; the functions of node:fs, and the
// calls of the addon that lock, look at a time, append to a log and move an item, are replaced before the package is loaded.
import fs from 'node:fs'
import process from 'node:process'

import { addon, job, say } from '../support/program.mjs'

const CALLS = [
  'mkdirSync',
  'openSync',
  'closeSync',
  'writeSync',
  'readSync',
  'fstatSync',
  'lstatSync',
  'fchmodSync',
  'fchownSync',
  'readdirSync',
  'renameSync',
  'unlinkSync',
]
let isCounting = false
const made = []

function arrive(name, args) {
  if (!isCounting || made.push(name) !== job.at) return
  if (job.torn && name === 'writeSync') writeHalf(...args)
  process.kill(process.pid, 'SIGKILL')
}

const write = fs.writeSync
/** `start` and `count` are not given where all of the bytes are meant. */
function writeHalf(descriptor, bytes, start = 0, count = bytes.length, position = null) {
  write(descriptor, bytes, start, Math.ceil(count / 2), position)
}

for (const [object, names] of [
  [fs, CALLS],
  [addon, ['lockDescriptor', 'modifiedAt', 'appendLogSync', 'finish']],
]) {
  for (const name of names) {
    const call = object[name]
    object[name] = (...args) => {
      arrive(name, args)
      return call(...args)
    }
  }
}

function counted(run) {
  isCounting = true
  try {
    return run()
  } finally {
    isCounting = false
  }
}

async function countedUntil(run) {
  isCounting = true
  try {
    await run()
  } finally {
    isCounting = false
  }
}

const { PermanentFailure, Queue, RetryLater } = await import('../../dist/index.js')
const queue = new Queue('q', { root: job.root, durability: 'none', maxTries: 3 })
const open = () =>
  queue.openGuard({ maxCrashes: 3, concurrency: () => 4, onCrashed: ({ id }) => say({ crashed: id }) })

const scenarios = {
  /** Two items from their begin to their end. */
  async work() {
    const guard = counted(open)
    const items = []
    for await (const item of queue.scan()) {
      items.push(item)
      if (items.length === 2) {
        await work(guard, items)
        break
      }
    }
  },
  /** Two items that go back to the queue. */
  async giveBack() {
    const guard = open()
    const items = []
    for await (const item of queue.scan()) {
      items.push(item)
      if (items.length === 2) {
        await giveBack(guard, items)
        break
      }
    }
  },
  /** A worker by queue.work(), from its start until it has closed. */
  async worker() {
    isCounting = true
    const hasRun = new Set()
    const worker = await queue.work(
      ({ id, key, args: [how] }) => {
        say({ began: id })
        const isFirst = !hasRun.has(key)
        hasRun.add(key)
        if (how === 'never') throw new PermanentFailure('never')
        if (how === 'retry' && isFirst) throw new Error('no')
        if (how === 'later' && isFirst) throw new RetryLater({ after: 1 })
      },
      { backoff: 0, concurrency: 2 },
    )
    while (worker.counters.done + worker.counters.failed < job.items) await worker.idle()
    await worker.close()
    isCounting = false
  },
  /** Another worker has died, and has left its file. */
  bury() {
    counted(open)
  },
  /** The log of an item is full. */
  async trim() {
    const guard = open()
    for await (const item of queue.scan()) {
      counted(() => guard.failed(item, { error: new Error('last'), ms: 1 }))
      await countedUntil(() => item.done())
      guard.end([item])
      break
    }
  },
}

async function work(guard, [first, second]) {
  counted(() => guard.begin([first, second]))
  say({ began: true })
  counted(() => guard.failed(first, { error: new Error('no'), ms: 1, reason: 'permanent' }))
  await countedUntil(() => first.fail())
  counted(() => guard.end([first]))
  await second.done()
  counted(() => {
    guard.end([second])
    guard.close()
  })
}

async function giveBack(guard, [first, second]) {
  counted(() => guard.begin([first, second]))
  say({ began: true })
  counted(() => guard.failed(first, { error: new Error('no'), ms: 1 }))
  await countedUntil(() => first.retry())
  counted(() => guard.end([first]))
  counted(() => guard.end([second]))
  say({ ended: true })
  second.release()
  counted(() => guard.close())
}

await scenarios[job.scenario]()
say({ calls: made })
process.exit()
