// The sink of docs/forwarding.md, at a Redis of the test's own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { afterEach, expect, test } from '@jest/globals'

import { forward } from '../../src/forward/forward.js'
import { useTestBed } from '../support/queue.js'
import { given } from '../support/needs.js'
import { redisSink } from './redis-sink.mjs'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const isThere = spawnSync('redis-server', ['--version']).status === 0
const PATIENCE_MS = 20_000

type Reply = string | number | Error | null | Reply[]

/** What the sink uses of a client of the package redis. */
class Client {
  readonly #socket: net.Socket
  #text = Buffer.alloc(0)
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []

  constructor(socket: string) {
    this.#socket = net.connect(socket)
    this.#socket.on('data', (part) => {
      this.#text = Buffer.concat([this.#text, part])
      for (;;) {
        const reply = parse(this.#text, 0)
        if (reply === undefined) return
        this.#text = this.#text.subarray(reply.end)
        const waiting = this.#waiting.shift()
        if (reply.value instanceof Error) waiting?.reject(reply.value)
        else waiting?.resolve(reply.value)
      }
    })
    const fail = (): void => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection has closed'))
    }
    this.#socket.on('error', fail).on('close', fail)
  }

  async sendCommand(parts: readonly (string | Buffer)[]): Promise<Reply> {
    const chunks = parts.flatMap((part) => [
      Buffer.from(`$${Buffer.byteLength(part)}\r\n`),
      Buffer.from(part),
      CRLF,
    ])
    this.#socket.write(Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...chunks]))
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  async quit(): Promise<void> {
    this.#socket.destroy()
  }
}

const CRLF = Buffer.from('\r\n')

function parse(bytes: Buffer, start: number): { value: Reply; end: number } | undefined {
  const at = bytes.indexOf('\r\n', start)
  if (at < 0) return undefined
  const text = bytes.toString('utf8', start + 1, at)
  const end = at + 2
  switch (String.fromCharCode(bytes[start] ?? 0)) {
    case '+':
      return { value: text, end }
    case '-':
      return { value: new Error(text), end }
    case ':':
      return { value: Number(text), end }
    case '$': {
      const size = Number(text)
      if (size < 0) return { value: null, end }
      return bytes.length < end + size + 2
        ? undefined
        : { value: bytes.toString('latin1', end, end + size), end: end + size + 2 }
    }
    default: {
      const value: Reply[] = []
      let next = end
      for (let count = Number(text); count > 0; count--) {
        const part = parse(bytes, next)
        if (part === undefined) return undefined
        value.push(part.value)
        next = part.end
      }
      return { value, end: next }
    }
  }
}

test('docs/forwarding.md shows the sink that is tested here', () => {
  const page = fs.readFileSync(path.join(PROJECT, 'docs/forwarding.md'), 'utf8')
  const sink = fs.readFileSync(path.join(import.meta.dirname, 'redis-sink.mjs'), 'utf8')
  expect(page).toContain(`\`\`\`js\n${sink}\`\`\`\n`)
})

const ifThere = given(isThere).describe

ifThere('A forwarder to a stream of Redis (redis-server)', () => {
  const bed = useTestBed()
  let server: ChildProcess | undefined

  afterEach(async () => {
    if (server === undefined) return
    server.kill('SIGKILL')
    await once(server, 'close')
    server = undefined
  })

  async function serve(socket: string, ...more: string[]): Promise<Client> {
    server = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', ...more], {
      stdio: 'ignore',
    })
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const client = new Client(socket)
      if ((await client.sendCommand(['PING']).catch(() => undefined)) === 'PONG') return client
      if (Date.now() > deadline) throw new Error('redis-server does not answer')
      await later(20)
    }
  }

  test('stores each item once, also an item that is put again', async () => {
    const queue = await bed.install()
    const bytes = Buffer.from([0, 255, 13, 10])
    const socket = bed.path('socket')
    const client = await serve(socket)
    const look = new Client(socket)
    await queue.enqueueMany(Array.from({ length: 200 }, (_, index) => ({ data: bytes, args: ['a', index] })))
    const sink = redisSink(client, 'items')
    const forwarder = await forward(queue, sink)
    await forwarder.idle()
    for (const name of fs.readdirSync(queue.paths.done).slice(0, 10))
      fs.renameSync(path.join(queue.paths.done, name), path.join(queue.paths.queue, name))
    while (forwarder.numbers.duplicates < 10) await once(forwarder, 'forwarded')
    const entries = (await look.sendCommand(['XRANGE', 'items', '-', '+'])) as [string, string[]][]
    expect(entries).toHaveLength(200)
    expect(new Set(entries.map(([, fields]) => fields[3])).size).toBe(200)
    expect(entries[0]?.[1][5]).toBe(bytes.toString('latin1'))
    expect(forwarder.numbers).toMatchObject({ forwarded: 210, duplicates: 10, held: 0 })
    await forwarder.close()
    await look.quit()
  })

  test('leaves nothing in doubt while Redis is full', async () => {
    const queue = await bed.install()
    const socket = bed.path('socket')
    const client = await serve(socket, '--maxmemory', '1', '--maxmemory-policy', 'noeviction')
    const look = new Client(socket)
    await queue.enqueue('a')
    const sink = redisSink(client, 'items', 1)
    const forwarder = await forward(queue, sink)
    const [{ error }] = (await once(forwarder, 'away')) as [{ error: Error }]
    expect(error.message).toMatch(/^OOM /)
    await look.sendCommand(['CONFIG', 'SET', 'maxmemory', '0'])
    await forwarder.idle()
    expect(forwarder.numbers).toMatchObject({ forwarded: 1, held: 0 })
    await forwarder.close()
    await look.quit()
  })
})
