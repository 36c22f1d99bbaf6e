// What TypeScript allows: `npm run check:types` compiles this.
import { expect, test } from '@jest/globals'
import type { JetStreamManager } from '@nats-io/jetstream'
import { type Handler, type Sink, type SourceItem, type Worker, forward, receive, work } from 'fsq'
import {
  type JetstreamItem,
  type JetstreamSource,
  type NatsSink,
  type NatsSinkOptions,
  type NatsWarning,
  consumerConfig,
  jetstreamSource,
  natsSink,
  streamConfig,
} from 'fsq/nats'
import { testQueue } from 'fsq/testing'

const common = {
  stream: 'S',
  onWarning: ({ code, message }: NatsWarning): void => console.warn(code, message),
}

async function ends(): Promise<void> {
  await using queue = await testQueue()
  const sink: NatsSink = natsSink({ ...common, subject: ({ args }) => `fsq.${args[0] ?? ''}`, strict: true })
  const anySink: Sink = sink
  await forward(queue, anySink)
  await using source: JetstreamSource = jetstreamSource({
    ...common,
    consumer: 'C',
    deadLetter: ({ subject }) => subject,
  })
  await receive(source, queue)
  // One handler for both.
  const handler: Handler<SourceItem> = async (item) => item.json<{ order: number }>()
  await queue.work(handler)
  const worker: Worker<JetstreamItem> = await work(source, handler)
  worker.on('done', ({ item }) => console.log(item.subject, item.sequence))
}

async function administer(jsm: JetStreamManager): Promise<void> {
  await jsm.streams.add(streamConfig({ stream: 'S', subject: ['fsq.a', 'fsq.b'], maxAge: 3_600_000 }))
  await jsm.consumers.add('S', consumerConfig({ consumer: 'C', ackWait: 10_000 }))
}

// @ts-expect-error: the subject is missing
const withoutSubject: NatsSinkOptions = { stream: 'S' }
const client: NatsSinkOptions = {
  ...common,
  subject: 's',
  connection: { tls: { caFile: 'ca.pem' }, inboxPrefix: 'in' },
}
// @ts-expect-error: the client has no such option
const wrong: NatsSinkOptions = { ...common, subject: 's', connection: { caFile: 'ca.pem' } }

test('types', () => {
  expect([ends, administer, withoutSubject, client, wrong]).toHaveLength(5)
})

test.each<[string, () => unknown]>([
  [
    'a window longer than max_age',
    () => streamConfig({ stream: 'S', subject: 's', maxAge: 1000, window: 2000 }),
  ],
  ['a name with a dot', () => consumerConfig({ consumer: 'a.b' })],
  ['no options of a stream', () => streamConfig(undefined as never)],
  ['no options of a consumer', () => consumerConfig(null as never)],
  ['an option that there is not', () => streamConfig({ stream: 'S', subject: 's', maxage: 1 } as never)],
  ['a stream without a subject', () => streamConfig({ stream: 'S' } as never)],
  ['no subject of several', () => streamConfig({ stream: 'S', subject: [] })],
  ['a subject that takes no ids', () => streamConfig({ stream: 'S', subject: 'a.>', strict: true })],
  ['too many replicas', () => streamConfig({ stream: 'S', subject: 's', replicas: 6 })],
  ['bytes that are no number', () => streamConfig({ stream: 'S', subject: 's', maxBytes: '1' as never })],
  ['messages that are none', () => consumerConfig({ consumer: 'C', maxAckPending: 0 })],
])('refuses %s', (_, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_FSQ_SETTING' }))
})

test('a configuration as the server takes it', () => {
  expect(streamConfig({ stream: 'S', subject: 'a', strict: true })).toEqual({
    name: 'S',
    subjects: ['a.*'],
    retention: 'limits',
    storage: 'file',
    num_replicas: 3,
    discard: 'new',
    max_age: 72 * 3600 * 1e9,
    max_bytes: 10 * 2 ** 30,
    max_msgs: -1,
    max_msg_size: -1,
    max_msgs_per_subject: -1,
    max_consumers: -1,
    duplicate_window: 3600 * 1e9,
    deny_delete: true,
  })
})
