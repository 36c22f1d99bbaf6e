import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'

import { byteSource } from '../lib/byte-source.mjs'
import { JsonProcess } from '../lib/json-process.mjs'
import { settle } from '../lib/rounds.mjs'
import { ratioOf, spread, spreadOf } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'
import { openFsq } from '../peers/fsq.mjs'

const PROGRAM = join(import.meta.dirname, 'push-program.mjs')
const SIZE = 64
const CONNECTIONS = 16
const MIB = 2 ** 20
const MOST_MB = 1024

/**
 * Pushes to a receiver in a process of its own, over connections on loopback that are kept, each durable: small items as JSON; and one large
 * item as a stream, beside an upload to a bare server of node:http that flushes its file.
 */
export const push = { name: 'push', measure, lines, bytes: (counts) => 2 * megabytesOf(counts) * MIB }

async function measure({ counts, longRounds, folder }) {
  const { few: items } = counts
  const megabytes = megabytesOf(counts)
  const small = []
  const large = { fsq: [], 'node:http': [] }
  for (let round = 0; round < longRounds; round++) {
    small.push(await pushSmall(folder.make(), items))
    for (const [program, results] of Object.entries(large))
      results.push(await upload(program, folder.make(), megabytes * MIB))
  }
  const rates = Object.values(large).map((results) => results.map(({ MBs }) => MBs))
  return {
    items,
    megabytes,
    small: spreadOf(small, ['rate', 'peakMB']),
    large: Object.fromEntries(
      Object.entries(large).map(([program, results]) => [program, spreadOf(results, ['MBs', 'peakMB'])]),
    ),
    ratio: ratioOf(...rates),
    peakMB: spread([...small, ...large.fsq].map(({ peakMB }) => peakMB)),
  }
}

async function pushSmall(root, items) {
  const names = Array.from({ length: items }, (_, at) => `_20260101000000_${at}_1_bench_0_push`)
  const data = 'x'.repeat(SIZE)
  const queue = join(root, 'in')
  await (await openFsq(queue)).close()
  const { milliseconds, peakMB } = await served('fsq', root, async (send) => {
    let next = 0
    const lane = async () => {
      for (let name = names[next++]; name !== undefined; name = names[next++]) {
        const body = JSON.stringify({
          jsonrpc: '2.0',
          id: '1',
          method: 'enqueue',
          params: [name, 'in', data],
        })
        const answer = await send({ method: 'POST', path: '/' }, body)
        assert.equal(JSON.parse(answer).result, name)
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  })
  assert.deepEqual(readdirSync(join(queue, 'queue')).toSorted(), names.toSorted(), 'items that arrived')
  assert.equal(readFileSync(join(queue, 'queue', names[0]), 'utf8'), data)
  rmSync(root, { recursive: true })
  return { rate: (items / milliseconds) * 1000, peakMB }
}

async function upload(program, root, bytes) {
  const name = '_20260101000000_0_1_bench_0_push'
  await (await openFsq(join(root, 'in'))).close()
  const { milliseconds, peakMB } = await served(program, root, async (send) => {
    await send(
      { method: 'PUT', path: `/in/${name}`, headers: { 'Content-Length': bytes } },
      byteSource(bytes),
    )
  })
  const file = program === 'fsq' ? join(root, 'in', 'queue', name) : join(root, 'file')
  assert.equal(statSync(file).size, bytes, 'bytes that arrived')
  rmSync(root, { recursive: true })
  return { MBs: bytes / 1000 / milliseconds, peakMB }
}

/** Runs a server while it is used. Resolves with the time of the use, and the peak memory of the server. */
async function served(program, root, use) {
  const server = new JsonProcess(PROGRAM, [program, root])
  const [port] = await server.all('port', 1)
  const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const send = (options, body) => request({ ...options, host: '127.0.0.1', port, agent }, body)
  settle(root)
  const begin = performance.now()
  await use(send)
  const milliseconds = performance.now() - begin
  agent.destroy()
  await server.end()
  const [peakMB] = await server.all('peakMB', 1)
  return { milliseconds, peakMB }
}

async function request(options, body) {
  const sent = http.request(options)
  if (typeof body === 'string') sent.end(body)
  else body.pipe(sent)
  const [response] = await once(sent, 'response')
  const answer = Buffer.concat(await response.toArray()).toString()
  assert.equal(response.statusCode, 200, answer)
  return answer
}

function megabytesOf({ streamMB }) {
  return Math.min(streamMB, MOST_MB)
}

function lines({ items, megabytes, small, large, ratio }) {
  return [
    `Pushes to a receiver in a process of its own, over ${CONNECTIONS} connections on loopback, durable`,
    `  ${number(items)} items of ${SIZE} bytes: ${range(small.rate)} items/s, peak of the receiver ${range(small.peakMB, 1)} MB`,
    ...Object.entries(large).map(
      ([program, { MBs, peakMB }]) =>
        `  ${number(megabytes)} MiB as a stream: ${program.padEnd(9)} ${range(MBs)} MB/s, peak ${range(peakMB, 1)} MB`,
    ),
    `  fsq : node:http ${range(ratio, 2)}`,
  ]
}
