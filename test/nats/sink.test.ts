// A sink against a real server: what it answers in each situation, and that it is never silent.
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { setTimeout as later } from 'node:timers/promises'

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import type { JetStreamManager, StreamConfig } from '@nats-io/jetstream'
import { NatsError, type PutOutcome, SettingError, TooLargeError } from 'fsq'
import {
  type NatsSink,
  type NatsSinkOptions,
  type NatsWarning,
  consumerConfig,
  natsSink,
  streamConfig,
} from 'fsq/nats'

import { until } from '../support/child.js'
import { HAS_NATS, NatsServer } from '../support/nats-server.js'
import { given } from '../support/needs.js'
import { NEVER, outgoing } from './outgoing.js'

const NANOS = 1_000_000
const suite = given(HAS_NATS).describe

let server: NatsServer
let jsm: JetStreamManager
const sinks: NatsSink[] = []
const warnings: NatsWarning[] = []

afterEach(async () => {
  await Promise.all(sinks.splice(0).map((sink) => sink.close()))
  warnings.splice(0)
})

async function openSink(options: Partial<NatsSinkOptions> = {}): Promise<NatsSink> {
  const sink = natsSink({
    servers: server.url,
    stream: 'S',
    subject: 'fsq.q',
    onWarning: (warning) => warnings.push(warning),
    ...options,
  })
  sinks.push(sink)
  await sink.open()
  return sink
}

async function addStream(config: Partial<StreamConfig> = {}, strict = false): Promise<void> {
  await jsm.streams.add({
    ...streamConfig({ stream: 'S', subject: 'fsq.q', replicas: 1, strict }),
    ...config,
  })
}

async function put(sink: NatsSink, ...ids: string[]): Promise<readonly PutOutcome[]> {
  return sink.put(
    ids.map((id) => outgoing(id)),
    { signal: NEVER },
  )
}

async function putOne(sink: NatsSink, id: string): Promise<PutOutcome> {
  const [outcome] = await put(sink, id)
  if (outcome === undefined) throw new Error('no outcome')
  return outcome
}

/** Puts an item as a forwarder does, until it is stored. */
async function putUntilStored(sink: NatsSink, id: string): Promise<PutOutcome> {
  for (const deadline = performance.now() + 20_000; ; await later(20)) {
    const outcome = await putOne(sink, id)
    if (outcome.outcome !== 'again') return outcome
    if (performance.now() > deadline) throw outcome.error
  }
}

function reasonOf(outcome: PutOutcome | undefined): string | undefined {
  return outcome?.outcome === 'again' && outcome.error instanceof NatsError ? outcome.error.reason : undefined
}

/** A defect of the server is no news to the tests: Debian 12 has one that loses messages. */
const codes = (): string[] =>
  warnings
    .map(({ code }) => code)
    .filter((code) => code !== 'leaky-limit')
    .sort()

suite('with a server', () => {
  beforeEach(async () => {
    server = await NatsServer.start()
    jsm = await server.manager()
  })
  afterEach(async () => {
    await server.remove()
  })

  test('puts items in their order, recognises a repeat, and gives each its headers', async () => {
    await addStream()
    const sink = await openSink()
    expect(sink).toMatchObject({ name: 'nats-S', connected: true, remembers: 3_600_000 })
    const ids = Array.from({ length: 100 }, (_, index) => `id-${index}`)
    expect(await put(sink, ...ids)).toEqual(ids.map(() => ({ outcome: 'stored' })))
    expect(await put(sink, 'id-0', 'new', 'new')).toEqual([
      { outcome: 'duplicate' },
      { outcome: 'stored' },
      { outcome: 'duplicate' },
    ])
    for (const [index, id] of ids.entries())
      expect((await jsm.streams.getMessage('S', { seq: index + 1 }))?.header.get('Nats-Msg-Id')).toBe(id)
    await sink.put([outgoing('odd', 'x', ['a\n', 'ü', Buffer.of(0xff, 44, 37)])], { signal: NEVER })
    const odd = await jsm.streams.getMessage('S', { last_by_subj: 'fsq.q' })
    expect(Object.fromEntries(odd?.header ?? [])).toMatchObject({
      'Fsq-Args': ['["a\\n","\\u00fc","\\ufffd,%"]'],
      'Fsq-Args-Raw': ['a%0A,%C3%BC,%FF%2C%25'],
      'Fsq-Enqueued': ['2023-11-14T22:13:20.000Z'],
      'Fsq-Tries': ['2'],
    })
    expect(odd?.string()).toBe('x')
  })

  test('makes the subject from the item, and refuses an item for which there is none', async () => {
    await addStream({ subjects: ['fsq.>'] })
    const sink = await openSink({ subject: ({ args }) => `fsq.${args[0] ?? ''}` })
    const outcomes = await sink.put(
      [outgoing('1', 'x', ['a.b']), outgoing('2', 'x', ['a b']), outgoing('3')],
      {
        signal: NEVER,
      },
    )
    expect(outcomes).toEqual([
      { outcome: 'stored' },
      { outcome: 'refused', error: expect.any(SettingError) },
      { outcome: 'refused', error: expect.any(SettingError) },
    ])
    expect((await jsm.streams.getMessage('S', { seq: 1 }))?.subject).toBe('fsq.a.b')
  })

  test('recognises ids after a restart of the server, and after its death', async () => {
    await addStream()
    const sink = await openSink()
    await put(sink, 'one')
    await server.stop()
    await server.start()
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'duplicate' })
    await put(sink, 'two')
    await server.kill()
    await server.start()
    expect(await putUntilStored(sink, 'two')).toEqual({ outcome: 'duplicate' })
  })

  test('strict: recognises ids for as long as the stream has the message', async () => {
    await addStream({ duplicate_window: 100 * NANOS }, true)
    const sink = await openSink({ strict: true })
    expect(sink.remembers).toBe(72 * 3_600_000)
    expect(await put(sink, 'a.b-1')).toEqual([{ outcome: 'stored' }])
    expect((await jsm.streams.getMessage('S', { seq: 1 }))?.subject).toBe('fsq.q.a~b-1')
    await later(300)
    expect(await put(sink, 'a.b-1')).toEqual([{ outcome: 'duplicate' }])
    await server.kill()
    await server.start()
    expect(await putUntilStored(sink, 'a.b-1')).toEqual({ outcome: 'duplicate' })
    expect((await jsm.streams.info('S')).state.messages).toBe(1)
  })

  test('not strict: takes an id for a new one after the window, as it says', async () => {
    await addStream({ duplicate_window: 100 * NANOS })
    const sink = await openSink()
    expect(sink.remembers).toBe(100)
    await put(sink, 'one')
    // The server forgets an id some time after the window.
    let outcome = ''
    for (let time = 0; outcome !== 'stored' && time < 100; time++) {
      await later(100)
      outcome = (await putOne(sink, 'one')).outcome
    }
    expect(outcome).toBe('stored')
    expect(codes()).toContain('short-window')
  })

  test.each<[string, Partial<StreamConfig>, string[], number]>([
    ['limits', {}, ['one-replica'], 3_600_000],
    ['workqueue', { retention: 'workqueue' }, ['one-replica', 'workqueue'], 0],
    ['interest', { retention: 'interest' }, ['interest', 'one-replica'], 0],
    ['memory', { storage: 'memory' }, ['memory', 'one-replica'], 3_600_000],
    ['discard old', { discard: 'old' }, ['discard-old', 'one-replica'], 3_600_000],
    ['deletable', { deny_delete: false }, ['deletable', 'one-replica'], 3_600_000],
    ['short age', { max_age: 7_200_000 * NANOS }, ['one-replica', 'short-age'], 3_600_000],
    ['last of a subject', { max_msgs_per_subject: 1 }, ['one-replica', 'per-subject'], 3_600_000],
    ['default window', { duplicate_window: 0 }, ['one-replica'], 120_000],
  ])('warns about what a stream cannot keep: %s', async (_, config, expected, remembers) => {
    await addStream(config)
    const sink = await openSink()
    expect(codes()).toEqual(expected)
    expect(sink.remembers).toBe(remembers)
    for (const { message } of warnings) expect(message).toMatch(/^The stream S .+\. .+/)
  })

  test('a work-queue stream forgets ids at a restart, so the sink says that it remembers none', async () => {
    await addStream({ retention: 'workqueue' })
    await jsm.consumers.add('S', consumerConfig({ consumer: 'C' }))
    const sink = await openSink()
    expect(sink.remembers).toBe(0)
    await put(sink, 'one')
    const consumer = await jsm.jetstream().consumers.get('S', 'C')
    await (await consumer.next({ expires: 5000 }))?.ackAck()
    expect(await put(sink, 'one')).toEqual([{ outcome: 'duplicate' }])
    await server.stop()
    await server.start()
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'stored' })
  })

  test('warns the process once, without a listener', async () => {
    await addStream({ deny_delete: false })
    const emitted = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    try {
      await openSink({ onWarning: undefined })
      await server.stop()
      await server.start()
      await putUntilStored(sinks[0] as NatsSink, 'one')
      const emittedCodes = emitted.mock.calls.map(([, options]) => (options as { code: string }).code)
      expect(emittedCodes.filter((code) => code === 'FSQ_NATS_deletable')).toHaveLength(1)
    } finally {
      emitted.mockRestore()
    }
  })

  test('no stream: again, and stored when there is one', async () => {
    const sink = await openSink()
    expect(sink.remembers).toBe(Infinity)
    const outcome = await putOne(sink, 'one')
    expect(reasonOf(outcome)).toBe('missing')
    expect(outcome).toMatchObject({
      isUnsent: true,
      error: { message: expect.stringMatching(/stream not found/) },
    })
    await addStream()
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'stored' })
    await jsm.streams.delete('S')
    expect(reasonOf(await putOne(sink, 'two'))).toBe('missing')
    await addStream()
    expect(await putUntilStored(sink, 'two')).toEqual({ outcome: 'stored' })
  })

  test('puts nothing before its caller can know what the stream remembers', async () => {
    const sink = await openSink()
    expect(sink.remembers).toBe(Infinity)
    await addStream({ duplicate_window: 600_000 * NANOS })
    const outcomes = await put(sink, 'one', 'two')
    expect(outcomes).toEqual(
      outcomes.map(() => expect.objectContaining({ outcome: 'again', isUnsent: true })),
    )
    expect((await jsm.streams.info('S')).state.messages).toBe(0)
    expect(sink.remembers).toBe(600_000)
    expect(await put(sink, 'one')).toEqual([{ outcome: 'stored' }])
  })

  test('another stream takes the subject: again, not stored there', async () => {
    await jsm.streams.add({ name: 'OTHER', subjects: ['fsq.q'] })
    await addStream({ subjects: ['elsewhere'] })
    const sink = await openSink()
    expect(reasonOf(await putOne(sink, 'one'))).toBe('missing')
    expect((await jsm.streams.info('OTHER')).state.messages).toBe(0)
  })

  test('a stream that is full: again, and stored when it has room', async () => {
    await addStream({ max_msgs: 13 })
    const sink = await openSink()
    const outcomes = await put(sink, ...Array.from({ length: 20 }, (_, index) => `id-${index}`))
    const full = outcomes.filter(({ outcome }) => outcome === 'again')
    expect(full).toHaveLength(7)
    expect(full.map(reasonOf)).toEqual(full.map(() => 'full'))
    expect((await jsm.streams.info('S')).state.messages).toBe(20 - full.length)
    await jsm.streams.update('S', { max_msgs: -1 })
    const again = await put(sink, ...Array.from({ length: 20 }, (_, index) => `id-${index}`))
    expect(again.filter(({ outcome }) => outcome === 'stored')).toHaveLength(full.length)
    expect(again.filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(20 - full.length)
  })

  test('warns about a server that loses messages of a full stream', async () => {
    const { info } = await server.connect()
    const [major = 0, minor = 0, patch = 0] = info?.version.split('.').map(Number) ?? []
    await addStream({ max_bytes: 2000 })
    const sink = await openSink()
    const isOld = major < 2 || (major === 2 && (minor < 10 || (minor === 10 && patch < 5)))
    expect(warnings.some(({ code }) => code === 'leaky-limit')).toBe(isOld)
    const outcomes = []
    for (let index = 0; index < 30; index++) outcomes.push(await putOne(sink, `id-${index}`))
    const { messages } = (await jsm.streams.info('S')).state
    const stored = outcomes.filter(({ outcome }) => outcome === 'stored').length
    if (isOld) expect(messages).toBeLessThanOrEqual(stored)
    else expect(messages).toBe(stored)
  })

  test('a server that does not answer: again, and a duplicate if it had stored it', async () => {
    await addStream()
    const sink = await openSink({ timeout: 500 })
    await server.freeze()
    const outcome = await putOne(sink, 'one')
    expect(reasonOf(outcome)).toBe('timeout')
    expect(outcome).toMatchObject({ isUnsent: false })
    server.signal('SIGCONT')
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'duplicate' })
  })

  test('answers at once when its signal is aborted', async () => {
    await addStream()
    const sink = await openSink()
    await server.freeze()
    const closing = new AbortController()
    const answer = sink.put([outgoing('one')], { signal: closing.signal })
    closing.abort(new Error('closing'))
    expect(await answer).toMatchObject([{ outcome: 'again', isUnsent: expect.any(Boolean) }])
  })

  test('a server that is away: again at once, nothing is sent later, and it comes back by itself', async () => {
    await addStream({ duplicate_window: 200 * NANOS })
    const sink = await openSink()
    await server.kill()
    await until('the sink notices', () => !sink.connected)
    for (let times = 0; times < 3; times++) {
      const outcome = await putOne(sink, 'one')
      expect(reasonOf(outcome)).toBe('away')
      expect(outcome).toMatchObject({ isUnsent: true })
      await later(150)
    }
    await server.start()
    await until('the sink is connected', () => sink.connected)
    expect((await jsm.streams.info('S')).state.messages).toBe(0)
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'stored' })
  })

  test('opens while the server is away', async () => {
    const { url } = server
    await addStream()
    await server.stop()
    const sink = await openSink({ servers: url })
    expect(sink.connected).toBe(false)
    expect(reasonOf(await putOne(sink, 'one'))).toBe('away')
    await server.start()
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'stored' })
  })

  test('an item that does not fit into a message is refused', async () => {
    await addStream({ max_msg_size: 1000 })
    const sink = await openSink()
    const [large, small] = await sink.put([outgoing('large', 'x'.repeat(1000)), outgoing('small')], {
      signal: NEVER,
    })
    expect(small).toEqual({ outcome: 'stored' })
    expect(large).toMatchObject({ outcome: 'refused', error: { bytes: 1000, code: 'ERR_FSQ_TOO_LARGE' } })
    if (large?.outcome !== 'refused' || !(large.error instanceof TooLargeError))
      throw new Error('not refused')
    expect(large.error.limit).toBeLessThan(1000)
    const { limit } = large.error
    // To the byte.
    expect(await sink.put([outgoing('fits-', 'x'.repeat(limit))], { signal: NEVER })).toEqual([
      { outcome: 'stored' },
    ])
    expect(await sink.put([outgoing('over-', 'x'.repeat(limit + 1))], { signal: NEVER })).toMatchObject([
      { outcome: 'refused' },
    ])
  })

  test('max_payload of the server counts, too', async () => {
    await addStream()
    const sink = await openSink()
    const [outcome] = await sink.put([outgoing('large', Buffer.alloc(1024 * 1024))], { signal: NEVER })
    expect(outcome).toMatchObject({ outcome: 'refused', error: { code: 'ERR_FSQ_TOO_LARGE' } })
  })

  test('an object store takes what does not fit, once for several puts', async () => {
    await addStream()
    const contents = randomBytes(3 * 1024 * 1024)
    const sink = await openSink({ objectBucket: 'B' })
    expect(reasonOf((await sink.put([outgoing('one', contents)], { signal: NEVER }))[0])).toBe('missing')
    const { Objm } = await import('@nats-io/obj')
    const store = await new Objm(await server.connect()).create('B')
    expect(await sink.put([outgoing('one', contents)], { signal: NEVER })).toEqual([{ outcome: 'stored' }])
    const message = await jsm.streams.getMessage('S', { seq: 1 })
    expect(message?.data.length).toBe(0)
    expect(message?.header.get('Fsq-Object')).toBe('B')
    expect(message?.header.get('Fsq-Object-Size')).toBe(String(contents.length))
    expect(Buffer.compare((await store.getBlob('one')) ?? Buffer.of(), contents)).toBe(0)
    const before = (await store.info('one'))?.nuid
    expect(await sink.put([outgoing('one', contents)], { signal: NEVER })).toEqual([{ outcome: 'duplicate' }])
    expect((await store.info('one'))?.nuid).toBe(before)
    // A receiver was done with it: a repeat leaves nothing behind.
    await store.delete('one')
    expect(await sink.put([outgoing('one', contents)], { signal: NEVER })).toEqual([{ outcome: 'duplicate' }])
    expect((await store.info('one'))?.deleted).toBe(true)
  })

  test('an item that cannot be read is put again', async () => {
    await addStream()
    const sink = await openSink()
    const unreadable = { ...outgoing('one'), bytes: async () => Promise.reject(new Error('EIO')) }
    expect(await sink.put([unreadable, outgoing('two')], { signal: NEVER })).toMatchObject([
      { outcome: 'again', isUnsent: true },
      { outcome: 'stored' },
    ])
  })

  test('an answer of a program that is no stream is none', async () => {
    await addStream()
    const sink = await openSink({ subject: 'elsewhere' })
    const nc = await server.connect()
    nc.subscribe('elsewhere', { callback: (_, message) => void message.respond('{}') })
    await nc.flush()
    expect(await putOne(sink, 'one')).toMatchObject({ outcome: 'again', isUnsent: false })
  })

  test('reads the configuration of the stream anew at each connect', async () => {
    await addStream()
    const sink = await openSink()
    await jsm.streams.update('S', { duplicate_window: 600_000 * NANOS })
    await server.stop()
    await server.start()
    await putUntilStored(sink, 'one')
    expect(sink.remembers).toBe(600_000)
  })
})

suite('rights and credentials', () => {
  const users = (permissions: string, password = 'secret'): string => `
    accounts { A { jetstream: enabled, users [
      { user: admin, password: admin }
      { user: fsq, password: "${password}", permissions { ${permissions} } }
    ] } }`
  const RIGHTS = 'publish ["fsq.q", "$JS.API.STREAM.INFO.S"], subscribe "_INBOX.>"'

  afterEach(async () => {
    await server.remove()
  })

  async function start(permissions: string): Promise<void> {
    server = await NatsServer.start({ config: users(permissions), admin: { user: 'admin', pass: 'admin' } })
    jsm = await server.manager()
    await addStream()
  }

  const withUser = (password = 'secret'): string => server.url.replace('//', `//fsq:${password}@`)

  test('needs no other rights than the documented ones', async () => {
    await start(RIGHTS)
    const sink = await openSink({ servers: withUser() })
    expect(await put(sink, 'one')).toEqual([{ outcome: 'stored' }])
    expect(codes()).toEqual(['one-replica'])
  })

  test('without the right to read the stream, it has to be told what the stream remembers', async () => {
    await start('publish ["fsq.q"], subscribe "_INBOX.>"')
    const blind = await openSink({ servers: withUser() })
    expect(reasonOf(await putOne(blind, 'one'))).toBe('denied')
    const sink = await openSink({ servers: withUser(), remembers: 600_000 })
    expect(await putOne(sink, 'one')).toEqual({ outcome: 'stored' })
    expect(sink.remembers).toBe(600_000)
    expect(codes()).toEqual(['unchecked'])
  })

  test('a right that is taken away: again, and stored when it is back', async () => {
    await start(RIGHTS)
    const sink = await openSink({ servers: withUser() })
    await put(sink, 'one')
    await server.reload(users('publish ["$JS.API.STREAM.INFO.S"], subscribe "_INBOX.>"'))
    // The server may close the connection.
    const reasons: unknown[] = []
    await until('the sink is connected', () => sink.connected)
    for (let times = 0; times < 3; times++) reasons.push(reasonOf(await putOne(sink, 'two')))
    expect(reasons).toContain('denied')
    await server.reload(users(RIGHTS))
    expect(await putUntilStored(sink, 'two')).toEqual({ outcome: 'stored' })
  })

  test('credentials that are revoked: again, for ever, and stored when they hold again', async () => {
    await start(RIGHTS)
    const sink = await openSink({ servers: withUser() })
    await put(sink, 'one')
    await server.reload(users(RIGHTS, 'other'))
    await until('the sink notices', () => !sink.connected)
    // More refusals than the client takes by itself.
    for (let times = 0; times < 5; times++) {
      expect(['denied', 'away']).toContain(reasonOf(await putOne(sink, 'two')))
      await later(700)
    }
    expect(reasonOf(await putOne(sink, 'two'))).toBe('denied')
    await server.reload(users(RIGHTS))
    expect(await putUntilStored(sink, 'two')).toEqual({ outcome: 'stored' })
  })

  test('wrong credentials from the start: again, and stored when they are right', async () => {
    await start(RIGHTS)
    const sink = await openSink({ servers: withUser('wrong') })
    expect(reasonOf(await putOne(sink, 'one'))).toBe('denied')
    await server.reload(users(RIGHTS, 'wrong'))
    expect(await putUntilStored(sink, 'one')).toEqual({ outcome: 'stored' })
  })
})

test.each<[string, object, RegExp]>([
  ['stream', { stream: 'a b' }, /stream is 'a b'/],
  ['subject', { subject: 'a.*' }, /subject is/],
  ['strict', { strict: 'yes' }, /strict is 'yes'/],
  ['remembers', { remembers: -1 }, /remembers is -1/],
  ['name', { name: '.x' }, /name is '.x'/],
  ['timeout', { timeout: 0 }, /timeout is 0/],
  ['servers', { servers: [] }, /servers is/],
  ['an unknown one', { subjects: 'x' }, /natsSink has no option 'subjects'/],
])('refuses a wrong option: %s', (_, option, message) => {
  const make = () => natsSink({ stream: 'S', subject: 'fsq.q', ...option })
  expect(make).toThrow(SettingError)
  expect(make).toThrow(message)
})

test('closes while it connects', async () => {
  const sink = natsSink({ servers: '127.0.0.1:1', stream: 'S', subject: 'x' })
  await sink.open()
  await sink.close()
  expect(sink.connected).toBe(false)
})

test('is opened once: a closed one would be away for ever', async () => {
  const sink = natsSink({ servers: 'nats://127.0.0.1:1', stream: 'S', subject: 'q' })
  await sink.close()
  await expect(sink.open()).rejects.toThrow(/has been closed\. Make another sink/)
})
