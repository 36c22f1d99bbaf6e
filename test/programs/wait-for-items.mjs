// Waits for items until a line on its standard input stops it: { root, runtime }.
import '../support/other-runtime.mjs'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const queue = new Queue('q', { root: job.root, durability: 'none' })
const stop = new AbortController()
process.stdin.once('data', () => {
  stop.abort()
  process.stdin.destroy()
})
say({ ready: true })
try {
  for await (const item of queue.scanForever({ signal: stop.signal })) {
    await item.done()
    say({ took: item.id })
  }
} catch (error) {
  if (error !== stop.signal.reason) throw error
}
await queue.close()
