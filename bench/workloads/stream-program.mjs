/** The process of the stream workload: node stream-program.mjs fsq|node:fs ROOT BYTES. Prints JSON. */
import { Buffer } from 'node:buffer'
import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'

import { byteSource } from '../lib/byte-source.mjs'
import { Queue } from '../lib/fsq.mjs'
import { peakMB } from '../lib/peak.mjs'

const PROGRAMS = {
  async fsq(root) {
    const queue = await Queue.install('stream', { root })
    return {
      write: (source) => queue.enqueue(source),
      async read(drain) {
        for await (const item of queue.scan()) {
          await drain(item.stream())
          await item.done()
        }
      },
    }
  },

  async 'node:fs'(root) {
    const file = join(root, 'file')
    return {
      // As durable as the item.
      write: (source) => pipeline(source, createWriteStream(file, { flush: true })),
      read: (drain) => drain(createReadStream(file)),
    }
  },
}

const [, , name, root, size] = process.argv
const bytes = Number(size)
const { write, read } = await PROGRAMS[name](root)
// Each chunk has a buffer of its own, like the chunks of a file or a socket.
const inMBs = await rate(() => write(byteSource(bytes, (part) => Buffer.from(part))))
let drained = 0
const outMBs = await rate(() =>
  read(async (stream) => {
    for await (const chunk of stream) drained += chunk.length
  }),
)
console.log(JSON.stringify({ inMBs, outMBs, peakMB: peakMB(), read: drained }))

async function rate(transfer) {
  const begin = performance.now()
  await transfer()
  return bytes / 1000 / (performance.now() - begin)
}
