// Kills itself at a call on files, before the call is made: { root, scenario, at }. Without `at` it says how many calls there are.
// The calls are counted while the journal works; the functions of node:fs are replaced before the package is loaded.
import fs from 'node:fs'
import process from 'node:process'

import { job, say } from '../support/program.mjs'

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
let count = 0
for (const name of CALLS) {
  const call = fs[name]
  fs[name] = (...args) => {
    if (isCounting && ++count === job.at) process.kill(process.pid, 'SIGKILL')
    return call(...args)
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

const { Queue } = await import('../../dist/index.js')
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

await scenarios[job.scenario]()
say({ calls: count })
process.exit()
