// The receiver in this process: each item once, and nothing else touched.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Queue, QueueNameError, SettingError } from '../../src/index.js'
import { credentialLine, push, pushItem, receiver } from '../../src/remote.js'

import { makeDirectory } from '../support/child.js'
import { I, type Served, exchange, filesIn, serve } from './server.js'

const code = async (said: ReturnType<Served['call']>): Promise<number | undefined> => (await said).error?.code

test('an item that was answered is known again, wherever it is, and with other tries', async () => {
  const served = await serve()
  const { queue, call } = served
  expect(await call('enqueue', I, 'q', 'text')).toEqual({ error: null, result: I, id: '1' })
  expect(filesIn(queue, 'queue')).toEqual({ [I]: 'text' })
  const retried = I.replace('_mss_0_', '_mss_4_')
  expect((await call('enqueue', retried, 'q', 'text')).result).toBe(retried)
  expect(await call('enqueue', I, 'q', 'other')).toMatchObject({ error: { code: -32603 } })
  for await (const item of queue.scan()) await item.done()
  expect((await call('enqueue', I, 'q', 'text')).result).toBe(I)
  fs.rmSync(path.join(queue.path, 'done', I))
  expect((await call('enqueue', I, 'q', 'text')).result).toBe(I)
  expect(filesIn(queue, 'queue')).toEqual({})
  expect(fs.readdirSync(path.join(queue.path, 'received', 'push', 'staged'))).toEqual([])
  await served.close()

  // The next receiver knows it, too.
  const next = await serve({}, served.root)
  expect((await next.call('enqueue', I, 'q', 'text')).result).toBe(I)
  expect(filesIn(next.queue, 'queue')).toEqual({})
  await next.close()
})

test.each(['queue', 'done', 'fail'] as const)(
  'an item in %s that the ledger does not have is compared',
  async (place) => {
    const served = await serve()
    const { queue, call } = served
    const other = I.replace('_mss_0_', '_mss_7_')
    fs.writeFileSync(path.join(queue.path, place, other), 'text')
    expect((await call('enqueue', I, 'q', 'text')).result).toBe(I)
    expect(await call('enqueue', I, 'q', 'tex!')).toMatchObject({ error: { code: -32603 } })
    const J = I.replace('args', 'more')
    fs.writeFileSync(path.join(queue.path, place, J), 'text')
    expect(await call('enqueue', J, 'q', 'more')).toMatchObject({
      error: { message: 'Refused: an item of this name is here with other contents' },
    })
    expect(Object.keys(filesIn(queue, place)).toSorted()).toEqual([other, J].toSorted())
    await served.close()
  },
)

test('one item pushed many times at once, by two receivers, comes once and is never torn', async () => {
  const one = await serve()
  const two = await serve({}, one.root)
  const text = 'line\n'.repeat(2000)
  let looks = 0
  for (let round = 0; round < 12; round++) {
    const name = I.replace('_0_13044', `_${round}_13044`)
    let isOver = false
    const watch = (async () => {
      while (!isOver) {
        const file = path.join(one.queue.path, 'queue', name)
        if (fs.existsSync(file)) {
          expect(fs.readFileSync(file, 'utf8')).toBe(text)
          looks++
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const said = await Promise.all(
      [one, two, one, two].map(async ({ call }) => call('enqueue', name, 'q', text)),
    )
    isOver = true
    await watch
    expect(said.map(({ result }) => result)).toEqual([name, name, name, name])
  }
  expect(looks).toBeGreaterThan(0)
  expect(Object.keys(filesIn(one.queue, 'queue'))).toHaveLength(12)
  await Promise.all([one.close(), two.close()])
})

test('contents of any kind and size come as a stream, and half of them never become an item', async () => {
  const served = await serve()
  const bytes = Buffer.alloc(3_000_000, 'binary\0\xff', 'latin1')
  const put = async (name: string, body: Buffer): Promise<Response> =>
    fetch(`${served.url}/q/${encodeURIComponent(name)}`, { method: 'PUT', body })
  expect((await put(I, bytes)).status).toBe(200)
  expect((await put(I, bytes)).status).toBe(200)
  // It will not pass.
  expect((await put(I, bytes.subarray(1))).status).toBe(422)
  expect((await put('../victim', bytes)).status).toBe(422)
  const file = fs.readFileSync(path.join(served.queue.path, 'queue', I))
  expect(createHash('sha256').update(file).digest('hex')).toBe(
    createHash('sha256').update(bytes).digest('hex'),
  )
  const J = I.replace('args', 'half')
  const socket = net.connect(served.port, '127.0.0.1')
  socket.write(`PUT /q/${J} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n`)
  socket.write(Buffer.alloc(500_000))
  await new Promise((resolve) => setTimeout(resolve, 100))
  socket.destroy()
  await served.close()
  expect(Object.keys(filesIn(served.queue, 'queue'))).toEqual([I])
  expect(filesIn(served.queue, 'tmp')).toEqual({})
})

test('only allowed queues, valid names and credentials get in; errors have no paths', async () => {
  const root = makeDirectory({ quick: true })
  const users = path.join(root, '.users')
  fs.writeFileSync(users, `# users\n${await credentialLine('u', 'p@ss')}\n`)
  const served = await serve({ credentials: users }, root)
  await Queue.install('secret', { root })
  expect((await fetch(served.url, { method: 'POST', body: '{}' })).status).toBe(401)
  const wrong = { authorization: `Basic ${Buffer.from('u:wrong').toString('base64')}` }
  expect((await fetch(served.url, { method: 'POST', body: '{}', headers: wrong })).status).toBe(401)
  const right = { authorization: `Basic ${Buffer.from('u:p@ss').toString('base64')}` }
  const call = async (...params: readonly unknown[]): Promise<string> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: '1', method: 'enqueue', params })
    return (await fetch(served.url, { method: 'POST', body, headers: right })).text()
  }
  const before = fs.readdirSync(root).toSorted()
  for (const params of [
    [I, 'secret', 'x'],
    [I, 'nosuch', 'x'],
    [I, '', 'x'],
    [I, '..', 'x'],
    ['../victim', 'q', 'x'],
    [`${root}/victim`, 'q', 'x'],
    ['.hidden', 'q', 'x'],
    ['junk', 'q', 'x'],
    [I, 'q', { __jsonclass__: ['os.mkdir', ['x']] }],
    [`${I}\0`, 'q', 'x'],
    [`${I}${'x'.repeat(300)}`, 'q', 'x'],
  ]) {
    const answer = await call(...params)
    expect(JSON.parse(answer)).toMatchObject({ result: null, error: { code: expect.any(Number) } })
    expect(answer).not.toContain(root)
  }
  expect(fs.readdirSync(root).toSorted()).toEqual(before)
  expect(filesIn(served.queue, 'queue')).toEqual({})
  expect(await call(I, 'q', 'x')).toContain(`"result": "${I}"`)
  await served.close()
})

test('limits: size, batch, slow bodies, and what the bodies have in memory together', async () => {
  const served = await serve({ limits: { body: 1000, memory: 1000, batch: 2, bodyTime: 200 } })
  expect((await fetch(served.url, { method: 'POST', body: 'x'.repeat(1001) })).status).toBe(413)
  const one = { jsonrpc: '2.0', id: 1, method: 'api_version' }
  const batch = async (count: number): Promise<unknown> =>
    (
      await fetch(served.url, { method: 'POST', body: JSON.stringify(Array<typeof one>(count).fill(one)) })
    ).json()
  expect(await batch(2)).toHaveLength(2)
  expect(await batch(3)).toMatchObject({ error: { code: -32600 } })
  // Takes the memory, and never comes.
  const slow = exchange(served.port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{')
  const many = await Promise.all(
    Array.from({ length: 20 }, async (_, at) =>
      served.call('enqueue', I.replace('args', `a${at}`), 'q', 'x'),
    ),
  )
  expect(many.every(({ error }) => error === null)).toBe(true)
  expect(await slow).toMatch(/^HTTP\/1\.1 408 /)
  expect(await code(served.call('nosuch'))).toBe(-32601)
  await served.close()
})

test('requests of any form are answered, and touch nothing else', async () => {
  const served = await serve()
  const names = [
    'enqueue',
    'trigger_pull',
    'is_down',
    'api_version',
    'system.methodHelp',
    'fsq.about',
    '__proto__',
  ]
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.constantFrom(I, 'q', '..', '../victim', 'down', 'hosts-trigger-s', '/', '\ud800', '__proto__'),
  )
  const request = fc.record(
    {
      jsonrpc: fc.oneof(fc.constant('2.0'), value),
      id: value,
      method: fc.oneof(fc.constantFrom(...names), value),
      params: fc.oneof(fc.array(value, { maxLength: 4 }), fc.dictionary(fc.string(), value), value),
      __jsonclass__: value,
    },
    { requiredKeys: [] },
  )
  const before = fs.readdirSync(served.root).toSorted()
  await fc.assert(
    fc.asyncProperty(fc.oneof(request, fc.array(request, { maxLength: 3 })), async (body) => {
      const answer = await fetch(served.url, { method: 'POST', body: JSON.stringify(body) })
      expect(answer.status).toBe(200)
      const text = await answer.text()
      if (text !== '') JSON.parse(text)
      expect(text).not.toContain(served.root)
    }),
    { numRuns: 200 },
  )
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (body) => {
      const answer = await fetch(served.url, { method: 'POST', body: Buffer.from(body) })
      expect([200, 413]).toContain(answer.status)
    }),
    { numRuns: 100 },
  )
  expect(fs.readdirSync(served.root).toSorted()).toEqual(before)
  expect(Object.keys(filesIn(served.queue, 'queue')).every((name) => name === I)).toBe(true)
  await served.close()
})

test('a queue that is missing, installed again, full of nothing or down is told, or filled', async () => {
  const served = await serve({ queues: 'all' })
  const { root, queue, call } = served
  expect((await call('enqueue', I, 'q', 'x')).result).toBe(I)
  await queue.uninstall({ force: true })
  expect(await code(call('enqueue', I, 'q', 'x'))).toBe(-32603)
  await using again = await Queue.install('q', { root })
  await again.down()
  expect((await call('enqueue', I, 'q', 'x')).result).toBe(I)
  expect((await call('is_down', 'q')).result).toBe(true)
  expect(filesIn(again, 'queue')).toEqual({ [I]: 'x' })
  fs.renameSync(path.join(again.path, 'queue'), path.join(again.path, 'elsewhere'))
  expect(await code(call('enqueue', I.replace('args', 'b'), 'q', 'x'))).toBe(-32603)
  await served.close()
})

test('a queue is pushed as items come, and each is done here', async () => {
  const served = await serve()
  const from = await Queue.install('from', { root: makeDirectory({ quick: true }) })
  const ids = await from.enqueueMany(
    Array.from({ length: 300 }, (_, at) => ({
      data: at % 10 === 0 ? Buffer.of(255, at % 256) : `text ${at}`,
    })),
  )
  await from.enqueue(Buffer.alloc(2_000_000, 'é'))
  const forwarder = await from.push(served.url, { queue: 'q' })
  await forwarder.idle()
  expect(forwarder.numbers).toMatchObject({ forwarded: 301, refused: 0 })
  await forwarder.close()
  const there = filesIn(served.queue, 'queue')
  expect(Object.keys(there)).toHaveLength(301)
  expect(ids.every((id) => id in there)).toBe(true)
  expect(Object.keys(filesIn(from, 'done'))).toHaveLength(301)
  await from.close()
  await served.close()
})

test('one item is pushed, and stays', async () => {
  const served = await serve()
  const from = await Queue.install('from', { root: makeDirectory({ quick: true }), maxTries: 5 })
  const id = await from.enqueue('text')
  for await (const item of from.scan()) {
    expect(await pushItem(item, served.url, { queue: 'q', trigger: true })).toMatchObject({
      triggerError: { reason: 'failed' },
    })
    await expect(pushItem(item, 'http://127.0.0.1:1', { queue: 'q' })).rejects.toMatchObject({
      reason: 'away',
    })
    await expect(pushItem(item, served.url, { queue: 'other' })).rejects.toMatchObject({ reason: 'failed' })
    item.release()
  }
  expect(filesIn(served.queue, 'queue')).toEqual({ [id]: 'text' })
  await from.close()
  await served.close()
})

test('options are checked', () => {
  expect(() => receiver({ queues: 'q' as 'all' })).toThrow(SettingError)
  expect(() => receiver({ queues: [], limits: { body: 0 } })).toThrow(SettingError)
  expect(() => receiver({ queues: [], nosuch: 1 } as never)).toThrow(SettingError)
  expect(() => receiver({ queues: [], credentials: 3 } as never)).toThrow(SettingError)
  expect(() => receiver({ queues: [], onError: 3 } as never)).toThrow(SettingError)
  expect(() => receiver({ queues: ['../x'] })).toThrow(QueueNameError)
})

test.each<[string, () => Promise<unknown>, RegExp]>([
  ['no item', async () => pushItem(null as never, 'http://127.0.0.1:1', { queue: 'q' }), /^item is null/],
  ['an id as an item', async () => pushItem(I as never, 'http://127.0.0.1:1', { queue: 'q' }), /^item is/],
  ['a name as a queue', async () => push('q' as never, 'http://127.0.0.1:1'), /^queue is 'q'/],
  ['no user', async () => credentialLine(undefined as never, 'p'), /^user is undefined/],
  ['no password', async () => credentialLine('edge', undefined as never), /^password is 'undefined'/],
])('an argument that is missing, or of another type, is a SettingError: %s', async (_, call, message) => {
  const error: unknown = await call().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(SettingError)
  expect(error).toMatchObject({ message: expect.stringMatching(message) })
})
