// A stream with three replicas, whose leader is killed while items are forwarded: each is stored once. It takes half a minute and three servers, so it
// runs in the long form only: npm run soak:nats
import net from 'node:net'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { expect } from '@jest/globals'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Queue, forward } from 'fsq'
import { natsSink, streamConfig } from 'fsq/nats'

import { makeDirectory } from '../support/child.js'
import { HAS_NATS, NatsServer } from '../support/nats-server.js'
import { given } from '../support/needs.js'

const ITEMS = 4000
const KILLS = 4
const PATIENCE_MS = 60_000
const isLong = process.env['FSQ_SOAK_SECONDS'] !== undefined

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function startCluster(): Promise<readonly NatsServer[]> {
  const ports = await Promise.all([1, 2, 3].map(freePort))
  const routes = ports.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')
  return Promise.all(
    ports.map(async (port, index) =>
      NatsServer.start({
        config: `server_name: n${index}\ncluster { name: c, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      }),
    ),
  )
}

/** Asks again until the cluster answers: it has no leader for a moment after each death. */
async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await later(100)
    }
  }
}

async function idsIn(jsm: JetStreamManager, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let seq = 1; seq <= count; seq++)
    ids.push((await jsm.streams.getMessage('S', { seq }))?.header.get('Nats-Msg-Id') ?? '')
  return ids
}

given(HAS_NATS && isLong).test(
  'a cluster whose leader is killed again and again stores each item once',
  async () => {
    const servers = await startCluster()
    const urls = servers.map(({ url }) => url)
    const nc = await connect({ servers: urls, maxReconnectAttempts: -1, reconnectTimeWait: 100 })
    await using queue = await Queue.install('q', { root: makeDirectory(), durability: 'none' })
    try {
      const jsm = await patiently(() => jetstreamManager(nc, { timeout: 2000 }))
      await patiently(() => jsm.streams.add(streamConfig({ stream: 'S', subject: 'fsq.q', replicas: 3 })))
      const warnings: string[] = []
      const sink = natsSink({
        ...{ servers: urls, stream: 'S', subject: 'fsq.q', timeout: 2000 },
        onWarning: ({ code }) => warnings.push(code),
      })
      await using forwarder = await forward(queue, sink, { keep: Infinity })
      for (let kill = 0; kill < KILLS; kill++) {
        const feed = queue.enqueueMany(
          Array.from({ length: ITEMS / KILLS }, (_, index) => ({ data: `${index}` })),
        )
        const { cluster } = await patiently(() => jsm.streams.info('S'))
        const leader = servers[Number(cluster?.leader?.slice(1))]
        await later(200 * Math.random())
        await leader?.kill()
        await feed
        await later(500)
        await leader?.start()
      }
      await forwarder.idle({ signal: AbortSignal.timeout(PATIENCE_MS) })
      expect(forwarder.numbers).toMatchObject({ forwarded: ITEMS, held: 0, refused: 0, failed: 0 })
      const { state } = await patiently(() => jsm.streams.info('S'))
      expect(state.messages).toBe(ITEMS)
      expect(new Set(await idsIn(jsm, ITEMS)).size).toBe(ITEMS)
      expect(warnings).not.toContain('one-replica')
    } finally {
      await nc.close()
      await Promise.all(servers.map((server) => server.remove()))
    }
  },
  4 * PATIENCE_MS,
)
