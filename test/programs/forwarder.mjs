// A forwarder: { root, socket, inFlight }. Its target is a server behind the socket. Works until it is killed or told to close.
import net from 'node:net'
import { text } from 'node:stream/consumers'

import { Queue, forward } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const sink = {
  name: 'server',
  remembers: 3_600_000,
  async put(items) {
    const sent = await Promise.all(
      items.map(async (item) => ({ id: item.id, text: Buffer.from(await item.bytes()).toString() })),
    )
    const connection = net.connect(job.socket)
    connection.write(`${JSON.stringify({ pid: process.pid, items: sent })}\n`)
    return JSON.parse(await text(connection))
  },
}
const queue = new Queue('q', { root: job.root })
const forwarder = await forward(queue, sink, { inFlight: job.inFlight, grace: 0, closeOn: ['SIGTERM'] })
forwarder.on('held', ({ item }) => say({ held: item.id }))
forwarder.on('away', ({ error }) => say({ away: String(error) }))
say({ forwards: true })
