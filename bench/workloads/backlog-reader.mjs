/** The process of the backlog workload: node backlog-reader.mjs fsq|node:fs|nothing ROOT. Prints JSON. */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'

import { Queue } from '../lib/fsq.mjs'
import { peakMB } from '../lib/peak.mjs'

const READERS = {
  async fsq(root) {
    const queue = new Queue('backlog', { root })
    for await (const item of queue.scan()) {
      await item.text()
      return item.id
    }
  },

  async 'node:fs'(root) {
    const folder = join(root, 'backlog', 'queue')
    const names = await readdir(folder)
    // FIFO: by timestamp, then by number, which does not have full width.
    const keys = new Map(names.map((name) => [name, name.split('_', 3)]))
    names.sort((a, b) => {
      const [, timeOfA, numberOfA] = keys.get(a)
      const [, timeOfB, numberOfB] = keys.get(b)
      return timeOfA < timeOfB ? -1 : timeOfA > timeOfB ? 1 : numberOfA - numberOfB
    })
    const file = await open(join(folder, names[0]))
    await file.readFile('utf8')
    await file.close()
    return names[0]
  },

  async nothing() {
    return undefined
  },
}

const [, , reader, root] = process.argv
const begin = performance.now()
const id = await READERS[reader](root)
const milliseconds = performance.now() - begin
console.log(
  JSON.stringify({ id, milliseconds, peakMB: peakMB(), maxRssMB: process.resourceUsage().maxRSS / 1024 }),
)
