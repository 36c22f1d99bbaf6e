// Counts the calls for a few items that block this thread, and says them: { root, kind, claims? }.
import { performance } from 'node:perf_hooks'

import { Queue } from '../../dist/index.js'
import { addon, job, say } from '../support/program.mjs'

const CALLS = ['enqueueSync', 'finishSync', 'claimSync']
const SLOW = 'enqueue.link=delay:5;finish.rename=delay:5;claim.lock=delay:5'
const SLOW_MS = 5

/** For each function: how often this thread has called it, how often that took long, and the items of its largest call. */
let counts = {}

function restart() {
  counts = Object.fromEntries(CALLS.map((name) => [name, { here: 0, blocked: 0, most: 0 }]))
}

for (const name of CALLS) {
  const call = addon[name]
  addon[name] = (...args) => {
    const begun = performance.now()
    const answer = call(...args)
    counts[name].here++
    if (name === 'finishSync') counts[name].most = Math.max(counts[name].most, args[2])
    if (performance.now() - begun >= SLOW_MS) counts[name].blocked++
    return answer
  }
}

async function enqueue(queue, items, before = () => undefined) {
  for (let index = 0; index < items; index++) {
    before(index)
    await queue.enqueue('x')
  }
}

async function drain(queue, before = () => undefined) {
  let index = 0
  for await (const item of queue.scan()) {
    before(index++)
    await item.done()
  }
}

/** Works until this thread makes the calls. */
async function warm(queue) {
  for (let round = 0; round < 50; round++) {
    restart()
    await enqueue(queue, 50)
    await drain(queue)
    if (CALLS.every((name) => counts[name].here > 0)) return
  }
}

/** Finishes up to 16 items at a time. */
async function drainTogether(queue, finish, items = 300) {
  await queue.enqueueMany(Array.from({ length: items }, () => ({ data: 'x' })))
  const finishing = []
  for await (const item of queue.scan()) {
    finishing.push(finish(item))
    if (finishing.length === 16) await Promise.all(finishing.splice(0))
  }
  await Promise.all(finishing)
}

const KINDS = {
  async together(queue) {
    await drainTogether(queue, (item) => item.done())
  },
  async 'together, slow'(queue) {
    addon.setFaults(SLOW)
    await drainTogether(queue, (item) => item.done(), 60)
  },
  async 'together, back'(queue) {
    await drainTogether(queue, (item) => item.release())
  },
  async quick(queue) {
    await warm(queue)
  },
  async slow(queue) {
    addon.setFaults(SLOW)
    await enqueue(queue, 100)
    await drain(queue)
  },
  async 'slow later'(queue) {
    await warm(queue)
    addon.setFaults(SLOW)
    restart()
    await enqueue(queue, 200)
    await drain(queue)
  },
  async 'slow at times'(queue) {
    const before = (index) => addon.setFaults(index % 20 === 0 ? SLOW : '')
    await warm(queue)
    restart()
    await enqueue(queue, 400, before)
    await drain(queue, before)
  },
}

restart()
const { root, kind, claims = 'lock' } = job
const queue = await Queue.install('q', { root, durability: 'none', allowNetwork: true, claims })
await KINDS[kind](queue)
say({ counts })
addon.setFaults('')
await queue.close()
