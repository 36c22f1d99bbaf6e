/**
 * The servers of the push workload: node push-program.mjs fsq|node:http ROOT. Prints its port, and its peak memory at the end of its standard
 * input.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'

import { receiver } from '../../dist/remote.js'
import { peakMB } from '../lib/peak.mjs'

const SERVERS = {
  fsq: (root) => receiver({ queues: ['in'], root }),

  'node:http': (root) => async (request, response) => {
    // As durable as the item.
    await pipeline(request, createWriteStream(join(root, 'file'), { flush: true }))
    response.end()
  },
}

const [, , name, root] = process.argv
const handler = SERVERS[name](root)
const server = createServer(handler)
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })))
process.stdin.resume()
await once(process.stdin, 'end')
server.close()
server.closeIdleConnections()
await handler.close?.()
console.log(JSON.stringify({ peakMB: peakMB() }))
process.exit()
