/**
 * Senders that are slow, many, large or hostile: each gets a clear answer or is closed, nothing half stays, and others are served meanwhile.
 * In their full size, with measured memory:
 *
 *     npm run soak:push
 */
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { Queue } from '../../src/index.js'
import { BodyBudget } from '../../src/remote/budget.js'
import { makeDirectory, until } from '../support/child.js'
import { Daemon, Fsq } from './daemon.js'
import { I, type Served, exchange, filesIn, serve } from './server.js'

const FOREVER = 2 ** 40
const IS_LONG = process.env['FSQ_SOAK_PUSH'] !== undefined

/** A connection that speaks as it likes. */
class Peer {
  readonly #socket: net.Socket
  readonly closed: Promise<unknown>
  isClosed = false
  /** What has come. */
  text = ''

  constructor(port: number, { reads = true } = {}) {
    this.#socket = net.connect(port, '127.0.0.1')
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', () => resolve((this.isClosed = true)))
    })
    this.#socket.on('error', () => undefined)
    if (reads) this.#socket.setEncoding('latin1').on('data', (more: string) => (this.text += more))
  }

  write(text: string | Buffer): this {
    this.#socket.write(text)
    return this
  }

  /** Sends a part again and again until the connection ends. */
  drip(part = 'x', milliseconds = 20): this {
    const timer = setInterval(() => this.#socket.write(part), milliseconds)
    void this.closed.then(() => clearInterval(timer))
    return this
  }

  /** Sends nothing more, and reads on. */
  end(): this {
    this.#socket.end()
    return this
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

const post = (length: number): string => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`
const put = (name: string, length: number): string =>
  `PUT /q/${name} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`
const named = (text: string): string => I.replace('args', text)
const enqueue = (name: string, data = 'x'): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'enqueue', params: [name, 'q', data] })

/** What a receiver has on its way. */
function staged({ queue }: Pick<Served, 'queue'>): readonly string[] {
  const directory = path.join(queue.path, 'received', 'push', 'staged')
  return [
    ...Object.keys(filesIn(queue, 'tmp')),
    ...(fs.existsSync(directory) ? fs.readdirSync(directory) : []),
  ]
}

test('senders that trickle are told so and closed, leave nothing, and keep no other sender waiting', async () => {
  const served = await serve({ limits: { headersTime: 400, bodyTime: 400 } })
  const peers = {
    silent: new Peer(served.port),
    headers: new Peer(served.port).write('POST / HTTP/1.1\r\nHost: x\r\nX: ').drip(),
    whole: new Peer(served.port).write(post(64 * 1024 * 1024)).drip(),
    stream: new Peer(served.port).write(put(named('stream'), FOREVER)).drip(),
    // Answered at once, whatever they send.
    elsewhere: new Peer(served.port).write(put('/', FOREVER)).drip(),
    large: new Peer(served.port).write(post(FOREVER)).drip(),
  }
  const all = Promise.all(Object.values(peers).map(async ({ closed }) => closed))
  let before = 0
  const isOver = (): boolean => peers.whole.isClosed
  for (let at = 0; !isOver(); at++) {
    expect(await served.call('enqueue', named(`a${at}`), 'q', 'x')).toMatchObject({ error: null })
    if (!isOver()) before++
  }
  expect(before).toBeGreaterThan(3)
  await all
  const statuses = Object.entries(peers).map(([name, { text }]) => [name, text.slice(9, 12)])
  expect(Object.fromEntries(statuses)).toEqual({
    ...{ silent: '408', headers: '408', whole: '408', stream: '408' },
    ...{ elsewhere: '404', large: '413' },
  })
  await served.close()
  expect(staged(served)).toEqual([])
  expect(Object.keys(filesIn(served.queue, 'queue')).some((name) => name.includes('stream'))).toBe(false)
})

test('a sender that declares much and sends little, but not too little, keeps no other sender waiting', async () => {
  const served = await serve({ limits: { body: 1_000_000, memory: 1_000_000 } })
  const slow = Array.from({ length: 4 }, () =>
    new Peer(served.port).write(post(1_000_000)).drip('x'.repeat(100)),
  )
  await later(50)
  for (let at = 0; at < 20; at++)
    expect(await served.call('enqueue', named(`a${at}`), 'q', 'x'.repeat(10_000))).toMatchObject({
      error: null,
    })
  expect(slow.some(({ isClosed }) => isClosed)).toBe(false)
  for (const peer of slow) peer.destroy()
  const large = await Promise.all(
    Array.from({ length: 6 }, async (_, at) =>
      served.call('enqueue', named(`b${at}`), 'q', 'x'.repeat(900_000)),
    ),
  )
  expect(large.map(({ error }) => error)).toEqual(large.map(() => null))
  await served.close()
})

test('bodies share the memory: never more than there is, and one that waits always goes on', async () => {
  const sizes = fc.array(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 6 }), { maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.scheduler(), async (bodies, scheduler) => {
      const budget = new BodyBudget(360)
      let held = 0
      const running = bodies.map(async (parts) => {
        const body = budget.begin(parts.reduce((sum, part) => sum + part, 0))
        let own = 0
        for (const part of parts) {
          await scheduler.schedule(Promise.resolve())
          await body.grow(part)
          own += part
          held += part
          expect(held).toBeLessThanOrEqual(360)
        }
        held -= own
        body.end()
      })
      await scheduler.waitFor(Promise.all(running))
    }),
    { numRuns: 200 },
  )
})

test('bodies that end too soon are no items', async () => {
  const served = await serve()
  const text = enqueue(I)
  for (const start of [post(text.length + 1), put(I, text.length + 1)]) {
    const peer = new Peer(served.port).write(start + text).end()
    await peer.closed
    expect(peer.text).toMatch(/^HTTP\/1\.1 400 /)
    const gone = new Peer(served.port).write(start + text)
    await later(20)
    gone.destroy()
  }
  await until('the receiver has told of all four', () => served.errors.length === 4)
  expect(new Set(served.errors)).toEqual(new Set(['a sender broke off before the end of its request']))
  expect(
    await exchange(
      served.port,
      `${put(I, 1).replace(/Content-Length: 1/, 'Transfer-Encoding: chunked')}1\r\nx\r\n0\r\n\r\n`,
    ),
  ).toMatch(/^HTTP\/1\.1 411 /)
  await served.close()
  expect(filesIn(served.queue, 'queue')).toEqual({})
  expect(staged(served)).toEqual([])
})

test('a sender that ends its side behind a request gets its answer', async () => {
  const served = await serve()
  const text = enqueue(I)
  for (const request of [
    post(text.length) + text,
    put(named('b'), 1) + 'x',
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  ]) {
    const peer = new Peer(served.port).write(request).end()
    await peer.closed
    expect(peer.text).toMatch(/^HTTP\/1\.1 (200|501) /)
  }
  await served.close()
})

test('a sender that asks first is asked for its body only if the receiver reads it', async () => {
  const served = await serve({ limits: { contents: 1000 } })
  const asking = (request: string): string => request.replace('Host: x', 'Host: x\r\nExpect: 100-continue')
  const statuses = async (request: string): Promise<string[]> => {
    const peer = new Peer(served.port).write(asking(request))
    await until('an answer', () => peer.text !== '')
    if (peer.text.startsWith('HTTP/1.1 100 ')) {
      peer.write('x')
      await until('the answer', () => peer.text.includes('HTTP/1.1 200 '))
    }
    peer.destroy()
    return [...peer.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status)
  }
  expect(await statuses(put(I, 1))).toEqual(['100', '200'])
  expect(await statuses(put('/', 1))).toEqual(['404'])
  expect(await statuses(put(I, 2000))).toEqual(['413'])
  expect(await statuses(put('junk', 1))).toEqual(['422'])
  await served.close()
})

test('a request with an absolute URL, as proxies may send it, is answered as one with a path', async () => {
  const served = await serve()
  const text = enqueue(I)
  for (const request of [post(text.length) + text, put(named('b'), 1) + 'x'])
    expect(await exchange(served.port, request.replace(' /', ' http://x/'))).toMatch(/^HTTP\/1\.1 200 /)
  await served.close()
  expect(Object.keys(filesIn(served.queue, 'queue')).toSorted()).toEqual([I, named('b')])
})

test('a refusal reaches a sender that is still sending', async () => {
  const served = await serve({ limits: { contents: 1000, body: 1000 } })
  for (const start of [post(8_000_000), put(I, 8_000_000)]) {
    const peer = new Peer(served.port).write(start).write(Buffer.alloc(8_000_000))
    await peer.closed
    expect(peer.text).toMatch(/^HTTP\/1\.1 413 /)
  }
  await served.close()
})

test('a sender that never reads its answer is closed', async () => {
  const served = await serve({ limits: { bodyTime: 300, batch: 5000 } })
  // An answer of 30 MB, more than a connection holds.
  const request = { jsonrpc: '2.0', id: 'é'.repeat(1000), method: 'api_version' }
  const batch = Buffer.from(JSON.stringify(Array<typeof request>(5000).fill(request)))
  const peer = new Peer(served.port, { reads: false }).write(post(batch.length)).write(batch).drip('\r\n')
  await peer.closed
  expect(await served.call('api_version')).toMatchObject({ result: '1.0' })
  await served.close()
})

test('many connections: those above the limit are closed, memory stays flat, and afterwards all works', async () => {
  const [limit, count] = IS_LONG ? [1024, 10_000] : [100, 500]
  const root = makeDirectory({ quick: true })
  await using queue = await Queue.install('q', { root })
  const daemon = await Daemon.start(root, [`--max-connections=${limit}`])
  const call = async (name: string): Promise<unknown> =>
    (await fetch(daemon.url, { method: 'POST', body: enqueue(named(name)) })).json()
  expect(await call('first')).toMatchObject({ error: null })
  const before = daemon.peakMB ?? 0
  const peers = Array.from({ length: count }, () => new Peer(daemon.port).write('POST / HTTP/1.1\r\n'))
  await until(
    'those above the limit are closed',
    () => peers.filter(({ isClosed }) => !isClosed).length <= limit,
  )
  expect(peers.filter(({ isClosed }) => !isClosed).length).toBeGreaterThan(limit - 5)
  const more = (daemon.peakMB ?? 0) - before
  for (const peer of peers) peer.destroy()
  await until('all are closed', () => peers.every(({ isClosed }) => isClosed))
  let answer: unknown
  for (let times = 0; times < 100 && answer === undefined; times++)
    answer = await call('last').catch(async () => later(20))
  expect(answer).toMatchObject({ error: null })
  if (IS_LONG) console.info(`${count} connections, limit ${limit}: ${more.toFixed(1)} MB more`)
  expect(more).toBeLessThan(60)
  expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 })
  expect(Object.keys(filesIn(queue, 'queue'))).toHaveLength(2)
})

test('much JSON at once: the bodies share the memory, and all arrive', async () => {
  const [megabytes, count] = IS_LONG ? [63, 17] : [6, 16]
  const root = makeDirectory()
  await using queue = await Queue.install('q', { root })
  const daemon = await Daemon.start(root)
  const data = 'x'.repeat(megabytes * 1_000_000)
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, at) =>
      (await fetch(daemon.url, { method: 'POST', body: enqueue(named(`a${at}`), data) })).json(),
    ),
  )
  expect(answers).toMatchObject(answers.map(() => ({ error: null })))
  if (IS_LONG)
    console.info(`${count * megabytes} MB of JSON: peak of the receiver ${daemon.peakMB?.toFixed(1)} MB`)
  expect(daemon.peakMB ?? 0).toBeLessThan(IS_LONG ? 350 : 250)
  expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 })
  const sizes = fs
    .readdirSync(path.join(queue.path, 'queue'))
    .map((name) => fs.statSync(path.join(queue.path, 'queue', name)).size)
  expect(sizes).toEqual(answers.map(() => data.length))
})

/** Passes connections on, and breaks the first one after so many bytes. */
async function startBreaker(port: number, bytes: number): Promise<net.Server> {
  let left = bytes
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    near.on('data', (chunk) => {
      if (left > 0 && (left -= chunk.length) <= 0) near.destroy()
      else if (!far.write(chunk)) near.pause()
    })
    far.on('drain', () => near.resume())
    far.pipe(near)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.on('error', () => undefined).on('close', () => other.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

test('a large item comes as a stream in flat memory, and begins anew when its connection breaks in the middle', async () => {
  const size = (IS_LONG ? 5 * 1024 : 160) * 1024 * 1024
  const root = makeDirectory()
  await using queue = await Queue.install('q', { root })
  await using from = await Queue.install('from', { root })
  const file = fs.openSync(path.join(from.path, 'queue', I), 'wx')
  fs.ftruncateSync(file, size)
  const marks = Array.from({ length: 16 }, (_, at) => Math.floor((at * size) / 16))
  for (const mark of marks) fs.writeSync(file, `mark ${mark}`, mark)
  fs.closeSync(file)
  const daemon = await Daemon.start(root)
  const breaker = await startBreaker(daemon.port, size / 2)
  const { port } = breaker.address() as net.AddressInfo
  const sender = new Fsq(root, ['push', '--follow', `http://127.0.0.1:${port}`, 'from', 'q'])
  const begun = performance.now()
  const there = path.join(queue.path, 'queue', I)
  let peakMB = 0
  while (!fs.existsSync(path.join(from.path, 'done', I))) {
    peakMB = Math.max(peakMB, sender.peakMB ?? 0)
    if (fs.existsSync(there)) expect(fs.statSync(there).size).toBe(size)
    await later(20)
  }
  const seconds = (performance.now() - begun) / 1000
  const copy = fs.openSync(there, 'r')
  const text = Buffer.alloc(30)
  for (const mark of marks) {
    fs.readSync(copy, text, 0, text.length, mark)
    expect(text.toString('latin1').replace(/\0+$/, '')).toBe(`mark ${mark}`)
  }
  fs.closeSync(copy)
  expect(fs.statSync(there).size).toBe(size)
  const receiverMB = daemon.peakMB ?? 0
  if (IS_LONG)
    console.info(
      `${size / 1024 / 1024} MiB, broken in the middle: ${seconds.toFixed(0)} s, peak of the sender ${peakMB.toFixed(1)} MB, of the receiver ${receiverMB.toFixed(1)} MB`,
    )
  expect(peakMB).toBeLessThan(130)
  expect(receiverMB).toBeLessThan(130)
  expect(await sender.kill('SIGTERM')).toMatchObject({ code: 0 })
  expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 })
  breaker.close()
  expect(staged({ queue })).toEqual([])
})

test('SIGTERM: fsq jsonrpcd answers what has begun, refuses new connections, and gives up a sender that hangs', async () => {
  const root = makeDirectory({ quick: true })
  await using queue = await Queue.install('q', { root })
  const daemon = await Daemon.start(root)
  const text = enqueue(I)
  const begun = new Peer(daemon.port).write(post(text.length) + text.slice(0, 5))
  const hanging = new Peer(daemon.port).write(put(named('stream'), FOREVER)).drip('x'.repeat(5000))
  await until('the stream has come', () => fs.existsSync(path.join(queue.path, 'received')))
  daemon.process.kill('SIGTERM')
  let isRefused = false
  while (!isRefused)
    isRefused = await fetch(daemon.url).then(
      () => false,
      () => true,
    )
  begun.write(text.slice(5))
  await begun.closed
  expect(begun.text).toContain(`"result": "${I}"`)
  expect(hanging.isClosed).toBe(false)
  expect(await daemon.ended).toMatchObject({ code: 0 })
  await hanging.closed
  expect(hanging.text).toMatch(/^HTTP\/1\.1 503 /)
  expect(Object.keys(filesIn(queue, 'queue'))).toEqual([I])
})

/** Raw text of a request, mostly almost right. */
const anyRequest = (() => {
  const part = fc.oneof(
    fc.constantFrom(
      'q',
      I,
      '..',
      '.',
      '%2e%2e',
      '%2fvictim',
      '../victim',
      'RPC2',
      '',
      '%00',
      '%ff',
      '*',
      '?x',
      '#',
    ),
    fc.string({ maxLength: 8 }).map((text) => encodeURI(text.toWellFormed()).replace(/\s/g, '')),
  )
  const headers = fc.constantFrom(
    ...[
      '',
      'Content-Type: text/xml',
      'Content-Type: \xff',
      'Authorization: Basic !!',
      'Authorization: Digest x',
    ],
    ...[
      'Expect: 100-continue',
      'Expect: x',
      'Connection: Upgrade\r\nUpgrade: websocket',
      'Content-Encoding: gzip',
    ],
    ...['Content-Length: -1', 'Content-Length: 1e9', 'Transfer-Encoding: x', 'Range: bytes=0-', 'X'],
  )
  return fc
    .tuple(
      fc.constantFrom(
        'POST',
        'PUT',
        'GET',
        'HEAD',
        'OPTIONS',
        'DELETE',
        'PATCH',
        'CONNECT',
        'PROPFIND',
        'FSQ',
        '',
      ),
      fc.array(part, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
      headers,
      fc.uint8Array({ maxLength: 40 }),
    )
    .map(([method, url, header, body]) =>
      Buffer.concat([
        Buffer.from(
          `${method} ${url} HTTP/1.1\r\nHost: x\r\n${header === '' ? '' : `${header}\r\n`}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
          'latin1',
        ),
        Buffer.from(body),
      ]),
    )
})()

/** JSON that few programs write. */
const anyJson = (() => {
  const secret = '"PAYLOAD-OF-A-SENDER"'
  const odd = fc.constantFrom(
    ...[
      `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
      '['.repeat(100_000),
      `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
    ],
    ...[
      '1e999',
      '-1e999',
      '9007199254740993',
      '0.1e-999',
      '1'.repeat(5000),
      '"\\ud800"',
      '"\\u0000"',
      '"\xff"',
      '\ufeff1',
      'NaN',
    ],
    ...[
      '{"__jsonclass__":["os.mkdir",["x"]]}',
      '{"__jsonclass__":["fsq.Queue",[]],"x":1}',
      '{"__proto__":{"x":1}}',
      'null',
    ],
    ...[
      '"../victim"',
      '"/etc/passwd"',
      '"q/../../victim"',
      '".hidden"',
      '"down"',
      `"${I}"`,
      '"q"',
      secret,
      '[]',
      '{}',
      'true',
    ],
  )
  const method = fc.constantFrom(
    '"enqueue"',
    '"is_down"',
    '"trigger_pull"',
    '"system.listMethods"',
    '"__proto__"',
    '1',
  )
  const list = fc.array(odd, { maxLength: 4 }).map((items) => `[${items.join(',')}]`)
  const names = fc.constantFrom(
    'fsq_id',
    'trg_queue',
    'data',
    'queue',
    'host',
    'trigger',
    'ignore_listener',
    '__jsonclass__',
  )
  const object = fc
    .array(fc.tuple(names, odd), { maxLength: 5 })
    .map((pairs) => `{${pairs.map(([name, value]) => `"${name}":${value}`).join(',')}}`)
  return fc
    .array(
      fc.oneof(
        fc.tuple(fc.constant('method'), fc.oneof({ weight: 9, arbitrary: method }, odd)),
        fc.tuple(fc.constant('params'), fc.oneof(list, object, odd)),
        fc.tuple(fc.constantFrom('jsonrpc', '__jsonclass__'), odd),
        // It is sent back.
        fc.tuple(
          fc.constant('id'),
          odd.filter((text) => text !== secret),
        ),
      ),
      // Some twice.
      { minLength: 1, maxLength: 6 },
    )
    .map((pairs) =>
      Buffer.from(`{${pairs.map(([name, value]) => `"${name}":${value}`).join(',')}}`, 'latin1'),
    )
})()

test('whatever comes: a clear answer without paths, contents or stacks, and no other file is touched', async () => {
  const place = makeDirectory({ quick: true })
  const root = path.join(place, 'root')
  fs.mkdirSync(root)
  for (const name of ['victim', 'root/victim']) fs.writeFileSync(path.join(place, name), 'untouched')
  const served = await serve({ queues: 'all' }, root)
  await served.call('enqueue', named('first'), 'q', 'x')
  const listing = (): readonly string[] =>
    fs
      .readdirSync(place, { recursive: true, encoding: 'utf8' })
      .filter((name) => !/^root\/q\/(queue|received)\//.test(name))
      .toSorted()
  const before = listing()
  const check = (answer: string): void => {
    expect(answer).not.toContain(place)
    expect(answer).not.toMatch(/PAYLOAD|node:|\.js:|\n *at /)
    expect(answer).not.toMatch(/^HTTP\/1\.1 5(?!01|00)/)
    // The only 500 is an answer of this package.
    if (answer.startsWith('HTTP/1.1 500')) expect(answer).toContain('"Server error: ')
  }
  await fc.assert(
    fc.asyncProperty(anyRequest, async (request) => {
      const answer = await exchange(served.port, request)
      check(answer)
      // Without a listener for it, a server closes a CONNECT.
      if (!request.toString('latin1').startsWith('CONNECT')) expect(answer).toMatch(/^HTTP\/1\.1 \d{3} /)
    }),
    { numRuns: 300 },
  )
  await fc.assert(
    fc.asyncProperty(anyJson, async (body) => {
      const answer = await fetch(served.url, { method: 'POST', body })
      expect(answer.status).toBe(200)
      const text = await answer.text()
      check(text)
      if (text !== '') {
        const { error } = JSON.parse(text) as { error: { code: number } | null }
        if (error !== null) expect([-32700, -32600, -32601, -32602, -32603]).toContain(error.code)
      }
    }),
    { numRuns: 300 },
  )
  for (const error of served.errors) check(error)
  expect(listing()).toEqual(before)
  for (const name of ['victim', 'root/victim'])
    expect(fs.readFileSync(path.join(place, name), 'utf8')).toBe('untouched')
  expect((await served.call('enqueue', named('last'), 'q', 'x')).error).toBeNull()
  await served.close()
})

test('what has begun is answered at the end, a sender that hangs is closed, and new ones are refused', async () => {
  const served = await serve({ limits: { closeTime: 300 } })
  const text = enqueue(I)
  const begun = new Peer(served.port).write(post(text.length) + text.slice(0, 5))
  const hanging = [
    new Peer(served.port).write(post(1000)),
    new Peer(served.port).write(put(named('stream'), FOREVER)).drip('x'.repeat(5000)),
  ]
  await until('they have come', () => staged(served).length >= 0)
  await later(100)
  const closing = served.close()
  begun.write(text.slice(5))
  await begun.closed
  expect(begun.text).toContain(`"result": "${I}"`)
  await closing
  await Promise.all(hanging.map(async ({ closed }) => closed))
  await expect(fetch(served.url)).rejects.toThrow()
  expect(Object.keys(filesIn(served.queue, 'queue'))).toEqual([I])
  expect(staged(served)).toEqual([])
})
