// The source against a real server: a handler of a queue works it unchanged, and no delivery is acknowledged that may be another worker's.
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'

import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import type { ConsumerConfig, JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import {
  ClaimLostError,
  type Handler,
  ItemFinishedError,
  NatsError,
  PermanentFailure,
  RetryLater,
  SettingError,
  type SourceItem,
  type Worker,
  type WorkerOptions,
  work,
} from 'fsq'
import {
  type JetstreamItem,
  type JetstreamSource,
  type JetstreamSourceOptions,
  type NatsWarning,
  consumerConfig,
  jetstreamSource,
  natsSink,
  streamConfig,
} from 'fsq/nats'
import { testQueue } from 'fsq/testing'

import { Child, until } from '../support/child.js'
import { HAS_NATS, NatsServer } from '../support/nats-server.js'
import { given } from '../support/needs.js'
import { NEVER, outgoing } from './outgoing.js'

const NANOS = 1_000_000
const suite = given(HAS_NATS).describe

let server: NatsServer
let jsm: JetStreamManager
let nc: NatsConnection
const closers: (() => Promise<unknown>)[] = []
const warnings: NatsWarning[] = []

async function addConsumer(config: Partial<ConsumerConfig> = {}, name = 'C'): Promise<void> {
  await jsm.consumers.add('S', { ...consumerConfig({ consumer: name }), ...config })
}

function source(options: Partial<JetstreamSourceOptions> = {}): JetstreamSource {
  const made = jetstreamSource({
    servers: server.url,
    stream: 'S',
    consumer: 'C',
    onWarning: (warning) => warnings.push(warning),
    ...options,
  })
  closers.push(async () => made.close())
  return made
}

async function start(
  from: JetstreamSource,
  handler: Handler<JetstreamItem>,
  options: WorkerOptions<JetstreamItem> = {},
): Promise<{ worker: Worker<JetstreamItem>; errors: unknown[] }> {
  const worker = await work(from, handler, { backoff: 0, ...options })
  const errors: unknown[] = []
  worker.on('error', (error) => errors.push(error))
  closers.unshift(async () => worker.close({ grace: 0 }))
  return { worker, errors }
}

async function publish(...bodies: string[]): Promise<void> {
  for (const body of bodies) await nc.request('fsq.q', body)
}

/** How many messages the consumer has yet to deliver, and how many are with workers. */
async function left(consumer = 'C'): Promise<[number, number]> {
  const { num_pending, num_ack_pending } = await jsm.consumers.info('S', consumer)
  return [num_pending, num_ack_pending]
}

suite('with a server', () => {
  beforeEach(async () => {
    server = await NatsServer.start()
    jsm = await server.manager()
    nc = await server.connect({ maxReconnectAttempts: -1 })
    await jsm.streams.add({
      ...streamConfig({ stream: 'S', subject: 'fsq.q', replicas: 1 }),
      duplicate_window: 0,
    })
  })
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
    warnings.splice(0)
    await server.remove()
  })

  test('the handler of a queue works a stream unchanged', async () => {
    const seen: unknown[] = []
    const handler = async (item: SourceItem, { signal }: { signal: AbortSignal }): Promise<void> => {
      signal.throwIfAborted()
      const { kind } = await item.json<{ kind: string }>()
      seen.push([kind, item.args, item.tries, item.size, item.enqueuedAt instanceof Date])
      if (kind === 'later' && item.tries === 0) throw new RetryLater({ after: 30 })
      if (kind === 'fails' && item.tries === 0) throw new Error('not yet')
      if (kind === 'never') throw new PermanentFailure('never')
      if (kind === 'own') await item.done()
    }
    const kinds = ['done', 'fails', 'never', 'own']
    await using queue = await testQueue({ maxTries: 0 })
    for (const kind of kinds) await queue.enqueue(JSON.stringify({ kind }), ['a', 'b'])
    const local = await queue.work(handler, { backoff: 0 })
    await local.idle()
    await local.close()
    const ofQueue = seen.splice(0)

    await addConsumer()
    await jsm.streams.add({ name: 'DEAD', subjects: ['fail.>'] })
    const sink = natsSink({ servers: server.url, stream: 'S', subject: 'fsq.q', onWarning: () => undefined })
    await sink.open()
    const items = kinds.map((kind) => ({ ...outgoing(kind, JSON.stringify({ kind }), ['a', 'b']), tries: 0 }))
    await sink.put(items, { signal: NEVER })
    await sink.close()
    const { worker, errors } = await start(source(), handler)
    await until('all are worked', () => worker.counters.done + worker.counters.failed === 4)
    await worker.idle()
    expect(errors).toEqual([])
    expect(seen).toHaveLength(ofQueue.length)
    expect(new Set(seen.map((one) => JSON.stringify(one)))).toEqual(
      new Set(ofQueue.map((one) => JSON.stringify(one))),
    )
    expect(worker.counters).toMatchObject({ done: 3, failed: 1, retried: 1 })
    expect(await left()).toEqual([0, 0])
    expect((await jsm.streams.getMessage('DEAD', { seq: 1 }))?.subject).toBe('fail.fsq.q')
  })

  test('a message of another program: its id, its arguments, its time', async () => {
    await addConsumer()
    await publish('hello')
    const items: JetstreamItem[] = []
    const from = source()
    const { worker } = await start(from, async (item) => {
      items.push(item)
      expect(await item.text()).toBe('hello')
    })
    await worker.idle()
    const [item] = items
    expect(item).toMatchObject({
      args: ['fsq.q'],
      argBytes: undefined,
      subject: 'fsq.q',
      sequence: 1,
      tries: 0,
      size: 5,
    })
    expect(item?.id).toMatch(/^1:\d{19}$/)
    expect(Math.abs(Number(item?.enqueuedAt) - Date.now())).toBeLessThan(60_000)
    expect(from).toMatchObject({ name: 'nats-S', pending: 0, connected: true, repeatsFor: 72 * 3_600_000 })
    expect(item?.outcome).toBe('done')
    await expect(item?.done()).rejects.toThrow(ItemFinishedError)
  })

  test('an item of a forwarder keeps its id, whichever message it is in', async () => {
    await addConsumer()
    const sink = natsSink({ servers: server.url, stream: 'S', subject: 'fsq.q', onWarning: () => undefined })
    await sink.open()
    const odd = outgoing('one', 'x', ['ü', Buffer.of(0xff, 44, 37)])
    await sink.put([odd], { signal: NEVER })
    await sink.close()
    const items: JetstreamItem[] = []
    const { worker } = await start(source(), (item) => items.push(item))
    await worker.idle()
    expect(items).toMatchObject([{ id: 'one', key: 'one', args: odd.args, enqueuedAt: odd.enqueuedAt }])
    expect(items[0]?.argBytes?.map((bytes) => Buffer.from(bytes))).toEqual(odd.argBytes)
  })

  test('a job that takes several times ack_wait runs once', async () => {
    await addConsumer({ ack_wait: 600 * NANOS })
    await publish('long')
    let runs = 0
    const { worker, errors } = await start(source(), async ({ signal }) => {
      runs++
      const end = performance.now() + 3000
      await until('the time is up', () => performance.now() > end)
      signal.throwIfAborted()
    })
    await until('it is done', () => worker.counters.done === 1)
    expect(runs).toBe(1)
    expect(errors).toEqual([])
    expect(await left()).toEqual([0, 0])
  })

  test('a worker that stood still is told, its late done() is refused, and the other one is not disturbed', async () => {
    await addConsumer({ ack_wait: 1000 * NANOS })
    await publish('one')
    const child = new Child('nats-worker.mjs', { servers: server.url, stream: 'S', consumer: 'C' })
    await child.says('began')
    child.kill('SIGSTOP')
    const other: JetstreamItem[] = []
    let isDone = (): void => undefined
    const { worker } = await start(source(), async (item) => {
      other.push(item)
      await new Promise<void>((resolve) => (isDone = resolve))
    })
    await until('the other worker has it', () => other.length === 1)
    child.kill('SIGCONT')
    const { reason } = await child.says('aborted')
    expect(reason).toMatchObject({ code: 'ERR_FSQ_CLAIM_LOST', typed: true })
    child.tell('go')
    const refusal = await child.says('refused')
    expect(refusal).toMatchObject({ reason: { code: 'ERR_FSQ_CLAIM_LOST' } })
    // An acknowledgement of the first worker would have ended the message here.
    expect(await left()).toEqual([0, 1])
    expect(other[0]?.tries).toBe(1)
    isDone()
    await until('it is done', () => worker.counters.done === 1)
    expect(await left()).toEqual([0, 0])
    child.tell('close')
    await child.ended
  })

  test('a worker that was killed: the next one has the message after ack_wait', async () => {
    await addConsumer({ ack_wait: 1000 * NANOS })
    await publish('one')
    const child = new Child('nats-worker.mjs', { servers: server.url, stream: 'S', consumer: 'C' })
    await child.says('began')
    child.kill()
    await child.ended
    const { worker } = await start(source(), () => undefined)
    await until('it is done', () => worker.counters.done === 1)
  })

  test('no contact with the server: the handler is told before another worker has the message', async () => {
    await addConsumer({ ack_wait: 1000 * NANOS })
    await publish('one')
    const from = source()
    const began = performance.now()
    const reasons: unknown[] = []
    let lost: JetstreamItem | undefined
    const { worker, errors } = await start(from, async (item) => {
      if (item.tries > 0) return
      lost = item
      await server.freeze()
      await once(item.signal, 'abort')
      reasons.push(item.signal.reason, performance.now() - began)
      expect(item.claimed).toBe(false)
      await expect(item.done()).rejects.toThrow(ClaimLostError)
      server.signal('SIGCONT')
    })
    await until('the handler is told', () => reasons.length === 2)
    expect(reasons[0]).toBeInstanceOf(ClaimLostError)
    await until('it is done', () => worker.counters.done === 1)
    expect(lost?.outcome).toBe('gone')
    expect(errors).toContainEqual(expect.any(ClaimLostError))
    expect(await left()).toEqual([0, 0])
  })

  test('a consumer that is deleted: the handlers are told, the worker says so, and goes on with a new one', async () => {
    await addConsumer()
    await publish('one')
    const signals: AbortSignal[] = []
    const { worker, errors } = await start(source({ timeout: 1000 }), async ({ signal }) => {
      signals.push(signal)
      if (signals.length === 1) await once(signal, 'abort')
    })
    await until('it is worked', () => signals.length === 1)
    await jsm.consumers.delete('S', 'C')
    await until('the handler is told', () => signals[0]?.aborted === true)
    expect(signals[0]?.reason).toMatchObject({ message: expect.stringMatching(/deleted/) })
    await until('the worker says so', () =>
      errors.some((error) => error instanceof NatsError && error.reason === 'missing'),
    )
    expect(worker.state).toBe('missing')
    await addConsumer()
    await until('it goes on', () => worker.counters.done === 1)
  }, 60_000)

  test('retries with a delay, up to maxTries', async () => {
    await addConsumer()
    await jsm.streams.add({ name: 'DEAD', subjects: ['fail.>'] })
    await publish('one')
    const at: number[] = []
    const { worker } = await start(
      source({ maxTries: 3 }),
      () => {
        at.push(performance.now())
        throw new Error('no')
      },
      { backoff: 200 },
    )
    const failed = new Promise<{ reason: string }>((resolve) => worker.once('failed', resolve))
    expect(await failed).toMatchObject({ reason: 'exhausted' })
    expect(at).toHaveLength(3)
    expect((at[2] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(390)
    const dead = await jsm.streams.getMessage('DEAD', { seq: 1 })
    expect(dead?.string()).toBe('one')
    expect(dead?.header.get('Fsq-Failed-Subject')).toBe('fsq.q')
    expect(await left()).toEqual([0, 0])
  })

  test('no stream takes dead letters: the message is kept, and the worker says so, until there is one', async () => {
    await addConsumer({ ack_wait: 1000 * NANOS })
    await publish('one')
    const { worker, errors } = await start(source(), () => {
      throw new PermanentFailure('never')
    })
    await until('the worker says so', () => errors.length > 0)
    expect(errors[0]).toMatchObject({ code: 'ERR_FSQ_NATS', reason: 'missing' })
    expect(await left()).toEqual([0, 1])
    await jsm.streams.add({ name: 'DEAD', subjects: ['fail.>'] })
    await until('it has failed', () => worker.counters.failed === 1)
    expect(await left()).toEqual([0, 0])
    expect((await jsm.streams.info('DEAD')).state.messages).toBe(1)
  })

  test('without dead letters, a message that fails is only ended', async () => {
    await addConsumer()
    await publish('one')
    const { worker } = await start(source({ deadLetter: false }), () => {
      throw new PermanentFailure('never')
    })
    await until('it has failed', () => worker.counters.failed === 1)
    expect(await left()).toEqual([0, 0])
  })

  test('asks for no more messages than there are places, and gives back at once what it does not work', async () => {
    await addConsumer()
    await publish(...Array.from({ length: 20 }, (_, index) => String(index)))
    const untilAborted = async ({ signal }: JetstreamItem): Promise<void> => {
      await once(signal, 'abort')
      signal.throwIfAborted()
    }
    const { worker } = await start(source(), untilAborted, { concurrency: 3 })
    await until('three are worked', () => worker.running.size === 3)
    expect(await left()).toEqual([17, 3])
    await worker.close({ grace: 0 })
    // Not after ack_wait, which is half a minute.
    const { worker: next } = await start(source(), () => undefined, { concurrency: 7 })
    await until('all are done', () => next.counters.done === 20)
    expect(await left()).toEqual([0, 0])
  })

  test('goes on after restarts of the server', async () => {
    await addConsumer({ ack_wait: 1000 * NANOS })
    const done = new Set<string>()
    const { worker } = await start(source(), async (item) => done.add(await item.text()), { concurrency: 8 })
    for (const round of ['a', 'b', 'c']) {
      await publish(...Array.from({ length: 10 }, (_, index) => `${round}${index}`))
      await (round === 'b' ? server.kill() : server.stop())
      await server.start()
      // A request on the old connection has no answer until the client has connected again.
      nc = await server.connect({ maxReconnectAttempts: -1 })
    }
    await until('all are done', () => done.size === 30)
    expect(worker.state).toBe('running')
  }, 60_000)

  test('tells that the server is away, once, and that it is back', async () => {
    await server.stop()
    warnings.length = 0
    const made = source()
    await work(made, () => undefined)
    await until('it is told', () => warnings.length > 0)
    expect(warnings).toEqual([
      {
        code: 'away',
        message: expect.stringContaining('There is no connection to the NATS server: connection refused'),
      },
    ])
    await server.start()
    await until('the end of it is told', () => warnings.length > 1)
    expect(warnings[1]).toMatchObject({ code: 'back' })
  })

  test('works while the server is away at first', async () => {
    await addConsumer()
    await publish('one')
    await server.stop()
    const { worker } = await start(source(), () => undefined)
    await server.start()
    await until('it is done', () => worker.counters.done === 1)
  })

  test('clocks that are set: no delivery counts as lost', async () => {
    await addConsumer({ ack_wait: 1500 * NANOS })
    await publish('one')
    const now = Date.now
    const clock = jest.spyOn(Date, 'now')
    try {
      const { worker, errors } = await start(source(), async ({ signal }) => {
        for (const hours of [5, -5, 0]) {
          clock.mockImplementation(() => now() + hours * 3_600_000)
          const end = performance.now() + 700
          await new Promise((resolve) => setTimeout(resolve, end - performance.now()))
        }
        signal.throwIfAborted()
      })
      await new Promise((resolve) => {
        worker.once('done', resolve)
        worker.once('retried', resolve)
      })
      expect(errors).toEqual([])
      expect(worker.counters).toMatchObject({ done: 1, retried: 0 })
    } finally {
      clock.mockRestore()
    }
  })

  test('8 MiB through an object store, which is empty after that', async () => {
    await addConsumer()
    const { Objm } = await import('@nats-io/obj')
    const store = await new Objm(nc).create('B')
    const contents = randomBytes(8 * 1024 * 1024)
    const sink = natsSink({
      servers: server.url,
      stream: 'S',
      subject: 'fsq.q',
      objectBucket: 'B',
      onWarning: () => undefined,
    })
    await sink.open()
    await sink.put([outgoing('large', contents)], { signal: NEVER })
    await sink.close()
    const read: Buffer[] = []
    const { worker } = await start(source(), async (item) => {
      expect(item.size).toBe(contents.length)
      const chunks: Uint8Array[] = []
      for await (const chunk of item.stream()) chunks.push(chunk)
      expect(chunks.length).toBeGreaterThan(10)
      read.push(Buffer.concat(chunks), await item.bytes())
    })
    await until('it is done', () => worker.counters.done === 1)
    expect(read.map((one) => Buffer.compare(one, contents))).toEqual([0, 0])
    expect((await store.info('large'))?.deleted).toBe(true)
    expect(warnings).toEqual([])
  })

  test('an object stays for the other consumers of the stream', async () => {
    await addConsumer()
    await addConsumer({}, 'D')
    const { Objm } = await import('@nats-io/obj')
    const store = await new Objm(nc).create('B')
    const sink = natsSink({
      servers: server.url,
      stream: 'S',
      subject: 'fsq.q',
      objectBucket: 'B',
      onWarning: () => undefined,
    })
    await sink.open()
    await sink.put([outgoing('large', randomBytes(2 * 1024 * 1024))], { signal: NEVER })
    await sink.close()
    const { worker } = await start(source(), async (item) => item.bytes())
    await until('it is done', () => worker.counters.done === 1)
    const { worker: other } = await start(source({ consumer: 'D', keepObjects: false }), async (item) =>
      item.bytes(),
    )
    await until('it is done there', () => other.counters.done === 1)
    expect((await store.info('large'))?.deleted).toBe(true)
  })

  test.each<[string, Partial<ConsumerConfig>, string]>([
    ['limited deliveries', { max_deliver: 5 }, 'max-deliver'],
    ['few with workers', { max_ack_pending: 10 }, 'max-ack-pending'],
  ])('warns about what a consumer cannot keep: %s', async (_, config, code) => {
    await addConsumer(config)
    await publish('one')
    const { worker } = await start(source(), () => undefined)
    await until('it is done', () => worker.counters.done === 1)
    expect(warnings.map((warning) => warning.code)).toEqual([code])
  })

  test('a consumer without acknowledgements is an error', async () => {
    await addConsumer({ ack_policy: 'none', ack_wait: 0, max_ack_pending: 0 })
    const { errors } = await start(source(), () => undefined)
    await until('the worker says so', () => errors.length > 0)
    expect(errors[0]).toMatchObject({ code: 'ERR_FSQ_NATS', reason: 'other' })
  })
})

test.each<[string, object]>([
  ['consumer', { consumer: 'a.b' }],
  ['maxTries', { maxTries: -1 }],
  ['deadLetter', { deadLetter: 1 }],
  ['keepObjects', { keepObjects: 'no' }],
  ['an unknown one', { batch: 1 }],
])('refuses a wrong option: %s', (_, option) => {
  expect(() => jetstreamSource({ stream: 'S', consumer: 'C', ...option })).toThrow(SettingError)
})
