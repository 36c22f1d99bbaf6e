// A worker with a journal: { root, concurrency, maxCrashes }. An item whose argument is 'poison' kills it. Works until it is killed.
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const queue = new Queue('q', { root: job.root, durability: 'none', maxTries: 3 })
const guard = queue.openGuard({
  maxCrashes: job.maxCrashes,
  concurrency: () => job.concurrency,
  onCrashed: ({ key, together }) => say({ crashed: key, together }),
})
const running = new Set()

async function run(item) {
  await later(Math.random() * 4)
  if (item.args[0] === 'poison') process.kill(process.pid, 'SIGKILL')
  await item.done()
  guard.end([item])
}

for await (const item of queue.scanForever()) {
  const [suspicion] = guard.begin([item])
  if (suspicion === 'crashed') {
    guard.failed(item, { error: new Error('its workers died'), ms: 0, reason: 'crashed' })
    await item.fail()
    guard.end([item])
    continue
  }
  if (suspicion === 'alone') {
    await Promise.all(running)
    await run(item)
    continue
  }
  const work = run(item).finally(() => running.delete(work))
  running.add(work)
  if (running.size >= job.concurrency) await Promise.race(running)
}
