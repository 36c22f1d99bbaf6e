// forward() and receive() with a real server, in the situations of its administrator. Nothing is lost, nothing arrives twice, and nothing passes in silence.
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, beforeEach, expect, test } from '@jest/globals'
import type { JetStreamManager, StreamConfig } from '@nats-io/jetstream'
import { type ForwardOptions, type Forwarder, InDoubtError, NatsError, forward, receive } from 'fsq'
import { type NatsSinkOptions, consumerConfig, jetstreamSource, natsSink, streamConfig } from 'fsq/nats'
import { type TestQueue, testQueue } from 'fsq/testing'

import { until } from '../support/queue.js'
import { HAS_NATS, NatsServer } from '../support/nats-server.js'
import { given } from '../support/needs.js'

const NANOS = 1_000_000
const suite = given(HAS_NATS).describe

let server: NatsServer
let jsm: JetStreamManager
let queue: TestQueue
const closers: (() => Promise<unknown>)[] = []

suite('with a server', () => {
  beforeEach(async () => {
    server = await NatsServer.start()
    jsm = await server.manager()
    queue = await testQueue()
  })
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
    await queue.remove()
    await server.remove()
  })

  async function addStream(config: Partial<StreamConfig> = {}): Promise<void> {
    await jsm.streams.add({ ...streamConfig({ stream: 'S', subject: 'fsq.q', replicas: 1 }), ...config })
  }

  async function start(
    sinkOptions: Partial<NatsSinkOptions> = {},
    options: ForwardOptions = {},
  ): Promise<{ forwarder: Forwarder; events: [string, unknown][] }> {
    const sink = natsSink({
      servers: server.url,
      stream: 'S',
      subject: 'fsq.q',
      timeout: 400,
      onWarning: () => undefined,
      ...sinkOptions,
    })
    const forwarder = await forward(queue, sink, { grace: 0, ...options })
    const events: [string, unknown][] = []
    forwarder.on('error', (error) => events.push(['error', error]))
    forwarder.on('away', ({ error }) => events.push(['away', error]))
    forwarder.on('back', () => events.push(['back', undefined]))
    forwarder.on('held', ({ error }) => events.push(['held', error]))
    closers.push(async () => forwarder.close())
    return { forwarder, events }
  }

  const kinds = (events: readonly [string, unknown][]): readonly string[] => events.map(([kind]) => kind)
  const messages = async (): Promise<number> => (await jsm.streams.info('S')).state.messages

  test('a stream that is full: the queue keeps the rest until there is room', async () => {
    await addStream({ max_msgs: 10 })
    for (let index = 0; index < 15; index++) await queue.enqueue(String(index))
    const { forwarder, events } = await start()
    await until('the forwarder says so', () => kinds(events).includes('away'))
    expect(events[0]?.[1]).toMatchObject({ code: 'ERR_FSQ_NATS', reason: 'full' })
    expect(await messages()).toBe(10)
    await jsm.streams.update('S', { max_msgs: -1 })
    await until('all are forwarded', () => forwarder.numbers.forwarded === 15)
    expect(await messages()).toBe(15)
    expect(kinds(events)).toContain('back')
    expect((await queue.counts()).failed).toBe(0)
  })

  test('a stream that is deleted: the queue keeps the items until there is one', async () => {
    await addStream()
    const { forwarder, events } = await start()
    await queue.enqueue('one')
    await until('it is forwarded', () => forwarder.numbers.forwarded === 1)
    await jsm.streams.delete('S')
    await queue.enqueue('two')
    await until('the forwarder says so', () => kinds(events).includes('away'))
    expect(events[0]?.[1]).toBeInstanceOf(NatsError)
    await addStream()
    await until('it is forwarded', () => forwarder.numbers.forwarded === 2)
    expect(await messages()).toBe(1)
  })

  // The window is so short that all but half a second of it is the minute that a forwarder leaves to clocks.
  const SHORT = { duplicate_window: 60_500 * NANOS }

  test('a server without an answer for longer than the window: the item is held', async () => {
    await addStream(SHORT)
    const { forwarder, events } = await start()
    await server.freeze()
    await queue.enqueue('one')
    await until('the forwarder says so', () => kinds(events).includes('away'))
    const end = performance.now() + 1200
    await until('the window is over', () => performance.now() > end)
    server.signal('SIGCONT')
    await until('it is held', () => forwarder.numbers.held === 1)
    expect(events.find(([kind]) => kind === 'held')?.[1]).toBeInstanceOf(InDoubtError)
    expect((await queue.counts()).failed).toBe(1)
    // It comes from the connection that was given up: a put would have been the second.
    await until('it is there', async () => (await messages()) === 1)
  })

  test('a server that is away for longer than the window: nothing is in doubt', async () => {
    await addStream(SHORT)
    const { forwarder, events } = await start()
    await server.stop()
    await queue.enqueue('one')
    await until('the forwarder says so', () => kinds(events).includes('away'))
    const end = performance.now() + 1200
    await until('the window is over', () => performance.now() > end)
    await server.start()
    await until('it is forwarded', () => forwarder.numbers.forwarded === 1)
    expect(forwarder.numbers.held).toBe(0)
    expect(await messages()).toBe(1)
  })

  test('a retry of what was forwarded puts again only what the server has lost', async () => {
    await addStream()
    for (let index = 0; index < 20; index++) await queue.enqueue(String(index))
    const { forwarder } = await start()
    await until('all are forwarded', () => forwarder.numbers.forwarded === 20)
    await using target = await testQueue()
    await jsm.consumers.add('S', consumerConfig({ consumer: 'C' }))
    const source = jetstreamSource({
      servers: server.url,
      stream: 'S',
      consumer: 'C',
      onWarning: () => undefined,
    })
    const receiver = await receive(source, target)
    closers.unshift(async () => receiver.close({ grace: 0 }))
    await until('all are received', () => receiver.numbers.taken === 20)
    // A disaster: the server has lost the stream, also what was received from it.
    await jsm.streams.delete('S')
    await addStream()
    await jsm.consumers.add('S', consumerConfig({ consumer: 'C' }))
    takeBack()
    await until('all are forwarded again', () => forwarder.numbers.forwarded === 40)
    expect(await messages()).toBe(20)
    await until('all are recognised', () => receiver.numbers.known === 20)
    expect((await target.counts()).waiting).toBe(20)
  })

  /** As `fsq retry` does with items of done/. */
  function takeBack(): void {
    const { done, queue: waiting } = queue.paths
    for (const name of fs.readdirSync(done)) fs.renameSync(path.join(done, name), path.join(waiting, name))
  }

  test('8 MiB from queue to queue, and arguments that are not UTF-8', async () => {
    await addStream()
    await jsm.consumers.add('S', consumerConfig({ consumer: 'C' }))
    const { Objm } = await import('@nats-io/obj')
    const store = await new Objm(await server.connect()).create('B')
    const contents = randomBytes(8 * 1024 * 1024)
    await queue.enqueue(contents, ['large', 'ü'])
    const { forwarder } = await start({ objectBucket: 'B', timeout: 5000 })
    await using target = await testQueue()
    const source = jetstreamSource({
      servers: server.url,
      stream: 'S',
      consumer: 'C',
      onWarning: () => undefined,
    })
    const receiver = await receive(source, target)
    closers.unshift(async () => receiver.close({ grace: 0 }))
    await until('it is received', () => receiver.numbers.taken === 1)
    expect(forwarder.numbers.forwarded).toBe(1)
    for await (const item of target.scan()) {
      expect(item.args).toEqual(['large', 'ü'])
      expect(Buffer.compare(await item.bytes(), contents)).toBe(0)
      await item.done()
    }
    expect((await store.list()).length).toBe(0)
  })
})
