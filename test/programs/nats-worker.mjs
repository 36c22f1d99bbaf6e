// A worker of a stream: { servers, stream, consumer, ms }. Its handler waits until it is told to go on, and says what becomes of each item.
import process from 'node:process'
import readline from 'node:readline'

import { FsqError, work } from '../../dist/index.js'
import { jetstreamSource } from '../../dist/nats.js'
import { describe, job, say } from '../support/program.mjs'

const source = jetstreamSource(job)
let goOn = () => undefined
const worker = await work(source, async (item) => {
  say({ began: item.id, tries: item.tries })
  item.signal.addEventListener('abort', () =>
    say({ aborted: item.id, reason: describe(item.signal.reason, FsqError) }),
  )
  await new Promise((resolve) => (goOn = resolve))
  try {
    await item.done()
    say({ done: item.id })
  } catch (error) {
    say({ refused: item.id, reason: describe(error, FsqError) })
  }
})
worker.on('error', (error) => say({ error: describe(error, FsqError) }))
say({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  if (JSON.parse(line) === 'close') break
  goOn()
}
await worker.close({ grace: 0 })
await source.close()
say({ closed: true })
process.stdin.destroy()
