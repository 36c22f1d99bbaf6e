// A worker that carries out the commands on its standard input, line by line: { root, maxTries }.
import readline from 'node:readline'

import { FsqError, Queue } from '../../dist/index.js'
import { describe, job, say } from '../support/program.mjs'

const queue = new Queue('q', { root: job.root, maxTries: job.maxTries, durability: 'none' })
const held = new Map()
const scans = [] // kept: leaving one releases its item

const commands = {
  async claim() {
    const scan = queue.scan({ prefetch: 1 })
    scans.push(scan)
    const { value: item } = await scan.next()
    if (item === undefined) return {}
    held.set(item.id, item)
    return { id: item.id, tries: item.tries, text: await item.text() }
  },
  async finish({ id, action }) {
    const item = held.get(id)
    held.delete(id)
    const outcome = await item[action]()
    return { id: item.id, outcome }
  },
}

say({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line)
  try {
    say({ answer: await commands[command](rest) })
  } catch (error) {
    say({ answer: { error: describe(error, FsqError) } })
  }
}
