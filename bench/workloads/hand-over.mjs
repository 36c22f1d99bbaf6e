import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'

import { end, output, start } from '../lib/children.mjs'
import { floorEnqueue } from '../lib/floor.mjs'
import { Queue } from '../lib/fsq.mjs'
import { spreadOf } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'
import { openFsq } from '../peers/fsq.mjs'

const PROGRAM = join(import.meta.dirname, 'hand-over-program.mjs')
const SIZE = 64
const FEW = 2000

/**
 * Items leave the machine: from a queue into a stream of a nats-server on loopback, and from there durably into another queue; and to the
 * hosts of a queue. Then how much memory a forwarder takes when few and when many items wait.
 */
export const handOver = { name: 'hand-over', measure, lines }

async function measure({ counts, longRounds, folder }) {
  const { looped: items, few, million } = counts
  const samples = { forward: [], receive: [], distribute: [] }
  for (let round = 0; round < longRounds; round++) {
    samples.distribute.push(await distribute(folder.make(), items))
    const bridge = await withServer(folder.make(), (url, root) => throughStream(url, root, items))
    if (bridge === undefined) continue
    samples.forward.push(bridge.forward)
    samples.receive.push(bridge.receive)
  }
  const memory = []
  for (const waiting of [few, million]) {
    const peak = await withServer(folder.make(), (url, root) => peakOf(url, root, waiting))
    if (peak !== undefined) memory.push({ waiting, peakMB: peak })
  }
  const measured = Object.entries(samples).filter(([, results]) => results.length > 0)
  return {
    items,
    memory,
    ...Object.fromEntries(measured.map(([name, results]) => [name, spreadOf(results, ['rate'])])),
  }
}

async function throughStream(url, root, items) {
  const out = join(root, 'out')
  await (await openFsq(out)).close()
  await floorEnqueue(out, { count: items, size: SIZE })
  await (await openFsq(join(root, 'back'))).close()
  const forward = await run('forward', root, url, items)
  assert.equal(readdirSync(join(out, 'done')).length, items, 'items that were forwarded')
  const receive = await run('receive', root, url, items)
  assert.equal(readdirSync(join(root, 'back', 'queue')).length, items, 'items that were received')
  return { forward, receive }
}

async function peakOf(url, root, waiting) {
  const many = join(root, 'many')
  await (await openFsq(many)).close()
  await floorEnqueue(many, { count: waiting, size: 0 })
  return (await run('few', root, url, Math.min(FEW, waiting))).peakMB
}

async function distribute(root, items) {
  const path = join(root, 'out')
  await (await openFsq(path)).close()
  await floorEnqueue(path, { count: items, size: SIZE })
  const queue = new Queue('out', { root, durability: 'none' })
  await queue.addHost('h1')
  const begin = performance.now()
  await queue.distribute()
  const rate = (items / (performance.now() - begin)) * 1000
  await queue.close()
  assert.equal(readdirSync(join(path, 'hosts', 'h1', 'queue')).length, items, 'items at the host')
  rmSync(root, { recursive: true })
  return { rate }
}

async function run(what, root, url, count) {
  const result = JSON.parse(await output(process.execPath, [PROGRAM, what, root, url, String(count)]))
  return { ...result, rate: (result.items / result.milliseconds) * 1000 }
}

/** `undefined`: there is no nats-server. */
async function withServer(root, use) {
  if (spawnSync('nats-server', ['--version']).status !== 0) return undefined
  const { jetstreamManager } = await import('@nats-io/jetstream')
  const { connect } = await import('@nats-io/transport-node')
  const port = await freePort()
  const server = start(
    'nats-server',
    ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', join(root, 'js')],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  )
  const ended = new Promise((resolve, reject) =>
    server.once('exit', () => reject(new Error('nats-server has ended'))),
  )
  // Its end after the workload is no error.
  ended.catch(() => undefined)
  const url = `nats://127.0.0.1:${port}`
  const connection = await Promise.race([
    connect({ servers: url, maxReconnectAttempts: -1, waitOnFirstConnect: true }),
    ended,
  ])
  try {
    const manager = await jetstreamManager(connection)
    await manager.streams.add({ name: 'BENCH', subjects: ['bench'], duplicate_window: 3600e9 })
    await manager.consumers.add('BENCH', {
      durable_name: 'bench',
      ack_policy: 'explicit',
      max_ack_pending: 1024,
    })
    return await use(url, root)
  } finally {
    await connection.close()
    await end(server)
    rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

function lines({ items, memory, distribute: toHost, ...bridge }) {
  const rows = Object.entries(bridge).map(
    ([name, { rate }]) => `  ${name.padEnd(10)} ${range(rate)} items/s, ${SIZE} bytes, 256 in flight`,
  )
  if (rows.length === 0) rows.push('  SKIPPED forward and receive: nats-server is not installed')
  return [
    `${number(items)} items: into a stream on loopback, from there durably into a queue, and to one host`,
    ...rows,
    `  distribute ${range(toHost.rate)} items/s, ${SIZE} bytes, durability none`,
    ...memory.map(
      ({ waiting, peakMB }) => `  peak of a forwarder, ${number(waiting)} waiting: ${number(peakMB, 1)} MB`,
    ),
  ]
}
