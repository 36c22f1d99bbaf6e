// A worker of a shared queue, which carries out the commands on its standard input, line by line: { root, options? }. It says when the
// signal of an item is aborted, and why.
import readline from 'node:readline'

import { FsqError, Queue } from '../../dist/index.js'
import { addon, describe, job, say } from '../support/program.mjs'

const queue = new Queue('q', {
  root: job.root,
  durability: 'none',
  onReport: ({ type, message }) => say({ report: type, message }),
  ...job.options,
})
const held = new Map()
const scans = [] // kept: leaving one releases its item

const commands = {
  async claim() {
    const scan = queue.scan({ prefetch: 1 })
    scans.push(scan)
    const { value: item } = await scan.next()
    if (item === undefined) return {}
    const { id, tries, claim, signal } = item
    held.set(id, item)
    signal.addEventListener('abort', () => say({ aborted: id, reason: describe(signal.reason, FsqError) }))
    return { id, tries, claim, text: await item.text() }
  },
  async finish({ id, action, options }) {
    const item = held.get(id)
    const outcome = await item[action](options)
    return { id: item.id, outcome: outcome ?? item.outcome }
  },
  async descriptor({ id }) {
    return { number: held.get(id).fd }
  },
  async read({ id }) {
    return { text: await held.get(id).text() }
  },
  /** Finishes each item as it comes. */
  async loop() {
    void (async () => {
      for await (const item of queue.scanForever()) {
        say({ came: item.id })
        await item.done()
      }
    })()
  },
  async faults({ faults }) {
    addon.setFaults(faults)
  },
  async close() {
    await queue.close()
    return { held: addon.heldClaims() }
  },
}

say({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line)
  // Not awaited: a command may wait for a later one.
  void (async () => {
    try {
      say({ answer: (await commands[command](rest)) ?? {}, to: command, of: rest.id })
    } catch (error) {
      say({ answer: { error: describe(error, FsqError) }, to: command, of: rest.id })
    }
  })()
}
