// One of many workers on one backlog: { root, hold? }. Works until it is told to stop, then says which items it claimed,
// and when, in nanoseconds of the clock that all processes share. Items with an argument are told at once. With `hold`, it
// claims this many items, and holds them until it is killed.
import { once } from 'node:events'
import process from 'node:process'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const stop = new AbortController()
process.stdin.once('data', () => stop.abort()).unref()

const queue = new Queue('q', { root: job.root, durability: 'none' })
const claims = []
const held = []
try {
  for await (const item of queue.scanForever({ signal: stop.signal, prefetch: job.hold })) {
    if (job.hold === undefined) {
      const claim = { id: item.id, at: String(process.hrtime.bigint()) }
      claims.push(claim)
      if (item.args.length > 0) say({ told: item.id })
      if (claims.length === 500) say({ works: true })
      await item.done()
    } else {
      held.push(item)
      if (held.length < job.hold) continue
      say({ holds: held.map(({ id }) => id) })
      await once(process.stdin.ref(), 'end')
    }
  }
} catch (error) {
  if (!stop.signal.aborted) throw error
}
await queue.close()
say({ claims })
