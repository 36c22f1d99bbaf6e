// A receiver among other processes and files that get in its way, and senders with odd addresses.
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { spawnSync } from 'node:child_process'

import { expect, test } from '@jest/globals'

import { Queue, ReceivingError, SettingError, openIntake } from '../../src/index.js'
import { tryLockSync } from '../../src/lock.js'
import { Client } from '../../src/remote/client.js'
import { Credentials } from '../../src/remote/credentials.js'
import { Sender } from '../../src/remote/sender.js'
import { credentialLine, push, pushItem } from '../../src/remote.js'
import { makeDirectory, until } from '../support/child.js'
import { I, type Said, exchange, filesIn, serve } from './server.js'

const named = (text: string): string => I.replace('args', text)

function descriptors(): number {
  return fs.readdirSync('/dev/fd').length
}

/** Listens, and passes requests on. */
async function listen(handler: http.RequestListener): Promise<{ url: string; server: http.Server }> {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

test('a directory that cannot be opened costs no descriptors', async () => {
  const served = await serve()
  const turn = path.join(served.queue.path, 'received', 'push', 'turn')
  fs.mkdirSync(turn, { recursive: true })
  await served.call('enqueue', I, 'q', 'x')
  const before = descriptors()
  for (let at = 0; at < 20; at++)
    expect(await served.call('enqueue', I, 'q', 'x')).toMatchObject({ error: { code: -32603 } })
  expect(descriptors()).toBeLessThan(before + 10)
  fs.rmdirSync(turn)
  expect(await served.call('enqueue', I, 'q', 'x')).toMatchObject({ error: null })
  await served.close()
})

test('a receiver that keeps the turn for ever keeps neither the senders nor close() waiting for ever', async () => {
  const root = makeDirectory({ quick: true })
  await using queue = await Queue.install('q', { root })
  const intake = await openIntake(queue, 'push', 10_000)
  const held = fs.openSync(path.join(queue.path, 'received', 'push', 'turn'), 'r+')
  expect(tryLockSync(held, { kind: 'flock' })).toBeDefined()
  const said = ['a', 'b'].map(async (name) => intake.take(named(name), Buffer.from(name)))
  // The second push of one item has a turn of its own.
  said.push(intake.take(named('a'), Buffer.from('a')))
  const closed = intake.close()
  const late = new Promise((resolve) => setTimeout(resolve, 15_000, 'late').unref())
  const ended = await Promise.race([Promise.allSettled([...said, closed]), late])
  fs.closeSync(held)
  const isStuck = { status: 'rejected', reason: expect.any(ReceivingError) }
  expect(ended).toMatchObject([isStuck, isStuck, isStuck, { status: 'fulfilled' }])
}, 40_000)

test.each(['fifo', 'link'])(
  'a %s in place of an item is other contents, and does not block',
  async (kind) => {
    const served = await serve()
    const planted = path.join(served.queue.path, 'queue', I)
    if (kind === 'fifo') expect(spawnSync('mkfifo', [planted]).status).toBe(0)
    else fs.symlinkSync('/etc/passwd', planted)
    const late = new Promise((resolve) => setTimeout(resolve, 3000, 'late').unref())
    const said = await Promise.race([served.call('enqueue', I, 'q', 'x'), late])
    if (said === 'late') fs.closeSync(fs.openSync(planted, 'w'))
    expect(said).toMatchObject({
      error: { message: 'Refused: an item of this name is here with other contents' },
    })
    expect(await served.call('enqueue', named('b'), 'q', 'x')).toMatchObject({ error: null })
    await served.close()
  },
)

test('a staged item whose name has been taken since refuses no other item', async () => {
  const served = await serve()
  await served.call('enqueue', I, 'q', 'x')
  await served.close()
  const received = path.join(served.queue.path, 'received', 'push')
  // As if it had been killed before the rename, and a program had then enqueued an item of this name.
  fs.renameSync(path.join(served.queue.path, 'queue', I), path.join(received, 'staged', I))
  fs.writeFileSync(path.join(served.queue.path, 'queue', I), 'other')
  const next = await serve({}, served.root)
  expect(await next.call('enqueue', named('b'), 'q', 'x')).toMatchObject({ error: null })
  expect(await next.call('enqueue', I, 'q', 'x')).toMatchObject({
    error: { message: 'Refused: an item of this name is here with other contents' },
  })
  expect(filesIn(next.queue, 'queue')).toEqual({ [I]: 'other', [named('b')]: 'x' })
  await next.close()
})

test('a request with more values than a batch has is refused before it takes memory', async () => {
  const served = await serve()
  const before = process.memoryUsage().rss
  for (const part of ['{},', '[],', '[']) {
    const body = `["\\"[",${part.repeat(4_000_000 / part.length)}{}]`
    const answer = await exchange(
      served.port,
      `POST / HTTP/1.1\r\nContent-Length: ${body.length}\r\nHost: x\r\n\r\n${body}`,
    )
    expect(answer).toContain('"Refused: the request has too many values"')
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000)
  const odd = '[{,:\\"'.repeat(100_000)
  expect(await served.call('enqueue', I, 'q', odd)).toMatchObject({ error: null })
  expect(filesIn(served.queue, 'queue')).toEqual({ [I]: odd })
  await served.close()
})

test('credentials in a URL are taken byte for byte, and no error shows them', async () => {
  const seen: (string | undefined)[] = []
  const { url, server } = await listen((request, response) => {
    seen.push(request.headers.authorization)
    response.end('{}')
  })
  for (const credentials of ['u:100%', 'u:%E9', 'u:%', 'u:é', 'u:p%40s%3As']) {
    const client = new Client(`http://${credentials}@${url}`, {})
    await client.request({ method: 'POST', type: 'x', body: Buffer.from('') })
    client.close()
  }
  server.close()
  const sent = seen.map((header) => Buffer.from(header?.slice(6) ?? '', 'base64').toString('latin1'))
  expect(sent).toEqual(['u:100%', 'u:\xe9', 'u:%', 'u:\xc3\xa9', 'u:p@s:s'])
  const long = `unix:///${'x'.repeat(110)}`
  expect(() => new Client(long, {})).toThrow(/bytes of a unix socket/)
  for (const bad of ['http://u:se/cret@h:1', 'http://u:p@se@cret@h:bad']) {
    const make = (): Client => new Client(bad, {})
    expect(make).toThrow(SettingError)
    expect(make).not.toThrow(/cret/)
  }
})

test('an abort ends a push that waits for what the receiver can do', async () => {
  const { url, server } = await listen(() => undefined)
  await using queue = await Queue.install('q', { root: makeDirectory({ quick: true }) })
  await queue.enqueue(Buffer.from([0xff]))
  for await (const item of queue.scan()) {
    const signal = AbortSignal.timeout(100)
    const late = new Promise((resolve) => setTimeout(resolve, 3000, 'late').unref())
    const pushing = pushItem(item, `http://${url}`, { queue: 'q', signal }).catch((error: unknown) => error)
    expect(await Promise.race([pushing, late])).toBe(signal.reason)
    item.release()
  }
  server.close()
  server.closeAllConnections()
})

test('a user whose line would be skipped or read as another one is refused', async () => {
  for (const user of ['#edge', ' edge', ''])
    await expect(credentialLine(user, 'p')).rejects.toThrow(/name of a user/)
  const right = new Credentials(await credentialLine('ed ge#é', 'p:é'))
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
  expect(await right.admits(basic('ed ge#é:p:é'))).toBe(true)
  expect(await right.admits(basic('ed ge#é:'))).toBe(false)
})

test('a file that receivers share is gone: no item comes twice, and the next push finds all anew', async () => {
  const one = await serve()
  const { queue } = one
  expect(await one.call('enqueue', I, 'q', 'x')).toMatchObject({ error: null })
  const received = path.join(queue.path, 'received', 'push')
  fs.rmSync(path.join(received, 'turn'))
  const two = await serve({}, one.root)
  for (const [at, served] of [two, one, two, one].entries())
    expect(await served.call('enqueue', named(`a${at}`), 'q', 'x')).toMatchObject({ error: null })
  await one.call('enqueue', named('b'), 'q', 'x')
  fs.rmSync(path.join(queue.path, 'queue', named('b')))
  expect(await two.call('enqueue', named('b'), 'q', 'x')).toMatchObject({ error: null })
  expect(Object.keys(filesIn(queue, 'queue'))).not.toContain(named('b'))
  fs.rmSync(path.join(received, 'staged'), { recursive: true })
  for (const size of [1, 100_000])
    for (const served of [one, two])
      expect(
        await served.call('enqueue', named(`c${size}-${served.port}`), 'q', 'x'.repeat(size)),
      ).toMatchObject({ error: null })
  await one.close()
  await two.close()
})

test('an answer that trickles is given up in time', async () => {
  const { url, server } = await listen((_, response) => {
    response.write('{')
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  })
  const client = new Client(`http://${url}`, { answerTimeout: 200 })
  const late = new Promise((resolve) => setTimeout(resolve, 3000, 'late').unref())
  const asked = client
    .request({ method: 'POST', type: 'x', body: Buffer.from('') })
    .catch((error: unknown) => error)
  expect(await Promise.race([asked, late])).toMatchObject({ reason: 'timeout' })
  client.close()
  server.close()
  server.closeAllConnections()
})

test('a connection that is closed without an answer may be that of a receiver that was killed: nothing is said of TLS', async () => {
  const { url, server } = await listen((request) => void request.destroy())
  const client = new Client(`http://${url}`, {})
  const asked = client.request({ method: 'POST', type: 'x', body: Buffer.from('') })
  await expect(asked).rejects.toMatchObject({
    reason: 'other',
    message: expect.not.stringContaining('TLS'),
  })
  client.close()
  server.close()
})

test('an answer that is no JSON: no receiver, if it was asked what it can do; else it may have the item', async () => {
  const { url, server } = await listen((request, response) =>
    request.resume().once('end', () => response.end('no')),
  )
  const sender = new Sender(`http://${url}`, 'trg', {})
  await expect(sender.ask()).rejects.toMatchObject({ reason: 'missing' })
  const item = { nameBytes: Buffer.from(I), size: 1, bytes: async () => Promise.resolve(Buffer.from('x')) }
  await expect(sender.send(item as never)).rejects.toMatchObject({ reason: 'failed' })
  sender.client.close()
  server.close()
})

test('a push without a queue, or with options that are no object, is a SettingError', async () => {
  const served = await serve()
  await expect(push(served.queue, served.url, null as never)).rejects.toThrow(SettingError)
  await expect(push(undefined as never, served.url)).rejects.toThrow(SettingError)
  await served.close()
})

test.each<[string, (request: http.IncomingMessage, go: () => void) => void]>([
  ['was read', (request, go) => request.resume().once('end', () => setImmediate(go))],
  ['was set to text', (request, go) => (request.setEncoding('utf8'), go())],
])('a handler whose request %s by others before says so', async (_, before) => {
  const served = await serve()
  const { url, server } = await listen((request, response) =>
    before(request, () => served.handler(request, response)),
  )
  for (const [method, place] of [
    ['POST', '/'],
    ['PUT', `/q/${I}`],
  ] as const) {
    const answer = await fetch(`http://${url}${place}`, { method, body: 'xx' })
    expect([answer.status, await answer.text()]).toEqual([500, 'The body was read before it came here'])
  }
  server.close()
  server.closeAllConnections()
  await served.close()
})

test('a body that a handler before has paused comes in', async () => {
  const served = await serve()
  const { url, server } = await listen((request, response) => {
    request.pause()
    setImmediate(() => served.handler(request, response))
  })
  const signal = AbortSignal.timeout(10_000)
  const answer = await fetch(`http://${url}/q/${I}`, { method: 'PUT', body: 'xx', signal })
  expect(answer.status).toBe(200)
  server.close()
  server.closeAllConnections()
  await served.close()
})

test('the rest of a batch that takes longer than close() has is answered with errors', async () => {
  const served = await serve({ limits: { closeTime: 0 } })
  const requests = Array.from({ length: 1000 }, (_, id) => ({
    ...{ jsonrpc: '2.0', id, method: 'enqueue', params: [named(`a${id}`), 'q', 'x'] },
  }))
  const asked = fetch(served.url, { method: 'POST', body: JSON.stringify(requests) })
  await until('an item is there', () => Object.keys(filesIn(served.queue, 'queue')).length > 0)
  await served.handler.close()
  const answers = (await (await asked).json()) as Said[]
  const arrived = answers.filter(({ error }) => error === null)
  expect(answers.length).toBe(requests.length)
  expect(answers.at(-1)).toMatchObject({ error: { message: 'Server error: the receiver is closing' } })
  expect(arrived.length).toBe(Object.keys(filesIn(served.queue, 'queue')).length)
  await served.close()
})

test('the query of a URL is sent', async () => {
  const seen: (string | undefined)[] = []
  const { url, server } = await listen((request, response) => {
    seen.push(request.url)
    response.end('{}')
  })
  for (const place of ['', '/?a=b', '/x/?a=b'])
    for (const own of ['', '/q/n']) {
      const client = new Client(`http://${url}${place}`, {})
      await client.request({ method: 'POST', type: 'x', body: Buffer.from(''), path: own })
      client.close()
    }
  server.close()
  expect(seen).toEqual(['/', '/q/n', '/?a=b', '/q/n?a=b', '/x/?a=b', '/x/q/n?a=b'])
})

test('a receiver does not look at the query of a URL, which a proxy before it may want', async () => {
  const served = await serve()
  await using queue = await Queue.install('q', { root: makeDirectory({ quick: true }) })
  await queue.enqueue('text')
  await queue.enqueue(Buffer.from([0xff]))
  for (const place of ['?a=b', '/RPC2?a=/b?c'])
    for await (const item of queue.scan()) {
      await pushItem(item, `${served.url}${place}`, { queue: 'q' })
      item.release()
    }
  expect(Object.values(filesIn(served.queue, 'queue'))).toEqual(['text', '\xff'])
  expect(await exchange(served.port, 'POST /other?a=/ HTTP/1.1\r\nHost: x\r\n\r\n')).toContain('404')
  await served.close()
})
