/**
 * The configuration of streams and consumers that keep what fsq promises, and what is wrong with others.
 *
 * @module
 */
import type { ConsumerConfig, StreamConfig } from '@nats-io/jetstream'

import { SettingError } from '../index.js'
import { checkFlag, checkName, checkOptions, checkPositive } from './options.js'
import type { NatsWarning } from './options.js'

const NANOS = 1_000_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const STREAM_OPTIONS = ['stream', 'subject', 'strict', 'maxAge', 'window', 'maxBytes', 'replicas']
const CONSUMER_OPTIONS = ['consumer', 'ackWait', 'maxAckPending']
/** The most that a server takes. */
const MOST_REPLICAS = 5

/** Options of {@link streamConfig}. */
export interface StreamConfigOptions {
  /** The name of the stream. */
  readonly stream: string
  /** The subject of {@link natsSink}, or several. With `strict`, each is followed by `.*` for the ids. */
  readonly subject: string | readonly string[]
  /** Whether the sink is `strict`. Default: false. */
  readonly strict?: boolean | undefined
  /** How long the stream keeps messages, in milliseconds. Default: 72 hours. */
  readonly maxAge?: number | undefined
  /** For how long the stream recognises ids, in milliseconds. Default: 1 hour. */
  readonly window?: number | undefined
  /** How much the stream takes on the disk, in bytes. Default: 10 GiB. */
  readonly maxBytes?: number | undefined
  /** On how many servers each message lies. 1 for a server alone. Default: 3. */
  readonly replicas?: number | undefined
}

/** A stream as `nats stream add --config` and the client's `streams.add()` take it. Times are in nanoseconds. */
export type StreamConfiguration = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'retention'
  | 'storage'
  | 'num_replicas'
  | 'discard'
  | 'max_age'
  | 'max_bytes'
  | 'max_msgs'
  | 'max_msg_size'
  | 'max_msgs_per_subject'
  | 'max_consumers'
  | 'duplicate_window'
  | 'deny_delete'
>

/** A consumer as `nats consumer add --config` and the client's `consumers.add()` take it. Times are in nanoseconds. */
export type ConsumerConfiguration = Pick<
  ConsumerConfig,
  'ack_policy' | 'ack_wait' | 'max_deliver' | 'max_ack_pending' | 'deliver_policy' | 'replay_policy'
> & { readonly durable_name: string }

/**
 * The configuration of a stream that can keep what {@link natsSink} promises.
 *
 * @returns An object for `JSON.stringify()` and `nats stream add --config FILE`, or for the client's `streams.add()`.
 * @throws `SettingError`
 * @example
 * ```ts
 * console.log(JSON.stringify(streamConfig({ stream: 'ORDERS', subject: 'fsq.orders' }), null, 2))
 * ```
 */
export function streamConfig(options: StreamConfigOptions): StreamConfiguration {
  checkOptions('streamConfig', options, STREAM_OPTIONS)
  const { stream, subject, strict = false, maxAge = 72 * HOUR, window = HOUR } = options
  const { maxBytes = 10 * 2 ** 30, replicas = 3 } = options
  checkName('stream', stream)
  checkFlag('strict', strict)
  checkSubjects(subject, strict)
  checkCount('maxBytes', maxBytes)
  checkCount('replicas', replicas, MOST_REPLICAS)
  checkPositive('maxAge', maxAge)
  checkPositive('window', window)
  if (window > maxAge) throw new SettingError('window', window, 'at most maxAge')
  const subjects = [subject].flat()
  return {
    name: stream,
    subjects: strict ? subjects.map((one) => `${one}.*`) : subjects,
    retention: 'limits',
    storage: 'file',
    num_replicas: replicas,
    discard: 'new',
    max_age: maxAge * NANOS,
    max_bytes: maxBytes,
    max_msgs: -1,
    max_msg_size: -1,
    max_msgs_per_subject: -1,
    max_consumers: -1,
    duplicate_window: window * NANOS,
    deny_delete: true,
  }
}

/** @throws `SettingError` */
function checkSubjects(given: unknown, isStrict: boolean): void {
  const subjects: readonly unknown[] = [given].flat()
  const wanted = isStrict ? /^[^\s>]+$/ : /^\S+$/
  if (subjects.length > 0 && subjects.every((one) => typeof one === 'string' && wanted.test(one))) return
  throw new SettingError(
    'subject',
    given,
    `a subject without spaces${isStrict ? ' and `>`' : ''}, or an array of such`,
  )
}

/** @throws `SettingError` */
function checkCount(option: string, value: unknown, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most) return
  throw new SettingError(option, value, `a whole number from 1 to ${most}`)
}

/** Options of {@link consumerConfig}. */
export interface ConsumerConfigOptions {
  /** The name of the consumer. */
  readonly consumer: string
  /**
   * After how many milliseconds without a sign of life the server gives a message to another worker. Workers send such signs by
   * themselves. Default: 30,000.
   */
  readonly ackWait?: number | undefined
  /** How many messages may be with workers at a time, those that wait for a retry included. Default: 1024. */
  readonly maxAckPending?: number | undefined
}

/**
 * The configuration of a consumer for {@link jetstreamSource}.
 *
 * @returns An object for `JSON.stringify()` and `nats consumer add STREAM --config FILE`, or for the client's `consumers.add()`.
 * @throws `SettingError`
 */
export function consumerConfig(options: ConsumerConfigOptions): ConsumerConfiguration {
  checkOptions('consumerConfig', options, CONSUMER_OPTIONS)
  const { consumer, ackWait = 30_000, maxAckPending = 1024 } = options
  checkName('consumer', consumer)
  checkPositive('ackWait', ackWait)
  checkCount('maxAckPending', maxAckPending)
  return {
    durable_name: consumer,
    ack_policy: 'explicit',
    ack_wait: ackWait * NANOS,
    max_deliver: -1,
    max_ack_pending: maxAckPending,
    deliver_policy: 'all',
    replay_policy: 'instant',
  }
}

/**
 * For how many milliseconds a stream recognises an id. A stream that removes consumed messages forgets their ids at each restart of the
 * server.
 */
export function rememberedBy(config: StreamConfig, strict: boolean): number {
  if (config.retention !== 'limits') return 0
  const window = config.duplicate_window / NANOS
  if (!strict) return window
  return config.max_age === 0 ? Infinity : Math.max(window, config.max_age / NANOS)
}

// The first server that does not: https://github.com/nats-io/nats-server/issues/4771.
const NO_LEAK = [2, 10, 5] as const

/** Whether a server of this version removes old messages of a stream that is full by max_bytes, although it is to discard new ones. */
function leaks(version: string): boolean {
  const numbers = version.split('.').map((part) => parseInt(part, 10))
  const index = NO_LEAK.findIndex((number, at) => numbers[at] !== number)
  return index >= 0 && (numbers[index] ?? 0) < (NO_LEAK[index] ?? 0)
}

/**
 * What of a stream cannot keep what is promised.
 *
 * @param version - That of the server.
 */
export function warningsOfStream(
  config: StreamConfig,
  strict: boolean,
  version: string,
): readonly NatsWarning[] {
  const { name } = config
  const window = config.duplicate_window / NANOS
  const found: NatsWarning[] = []
  const warn = (code: string, message: string): void => {
    found.push({ code, message: `The stream ${name} ${message}` })
  }
  if (config.retention !== 'limits')
    warn(
      config.retention,
      `has the retention ${config.retention}: it removes messages that were consumed, and forgets their ids at a restart of the server, so that a repeat is stored again. Make a stream with retention limits and a max_age`,
    )
  if (!strict && window < 2 * 60_000)
    warn(
      'short-window',
      `recognises ids for ${window / 1000} s only (duplicate_window): an item in doubt after a longer outage is held. Set an hour, or use the option strict`,
    )
  if (config.storage === 'memory')
    warn(
      'memory',
      'is in memory: a restart of the server loses its messages. Make a stream with storage file',
    )
  if (config.num_replicas === 1)
    warn(
      'one-replica',
      'has one replica: its messages are lost with the disk of that server, and the last ones at a power cut. Set num_replicas to 3 in a cluster',
    )
  if (config.max_age > 0 && config.max_age / NANOS < DAY)
    warn(
      'short-age',
      `removes messages after ${config.max_age / NANOS / HOUR} h (max_age), also those that no receiver has taken by then. Set 24 to 72 h`,
    )
  if (config.discard !== 'new' && (config.max_bytes > 0 || config.max_msgs > 0))
    warn(
      'discard-old',
      'removes old messages when it is full, also those that no receiver has taken. Set discard to new, so that the queue keeps what does not fit',
    )
  if (config.discard === 'new' && config.max_bytes > 0 && leaks(version))
    warn(
      'leaky-limit',
      `may lose its oldest messages when it is full (max_bytes), although it is to discard new ones: a defect of nats-server ${version}. Use 2.10.5 or newer, or limit the stream by max_msgs alone`,
    )
  if (config.max_msgs_per_subject > 0 && (config.max_msgs_per_subject > 1 || !strict))
    warn('per-subject', 'keeps only the last messages of each subject (max_msgs_per_subject). Set it to -1')
  if (!config.deny_delete)
    warn(
      'deletable',
      'allows single messages to be deleted, with which their ids are forgotten. Set deny_delete',
    )
  if (config.no_ack === true)
    warn('no-ack', 'does not confirm what it stores (no_ack): no item can be forwarded. Set no_ack to false')
  return found
}

/** What of a consumer cannot keep what is promised. */
export function warningsOfConsumer(name: string, config: ConsumerConfig): readonly NatsWarning[] {
  const found: NatsWarning[] = []
  const warn = (code: string, message: string): void => {
    found.push({ code, message: `The consumer ${name} ${message}` })
  }
  if (config.ack_policy !== 'explicit')
    warn(
      'ack-policy',
      `has the ack_policy ${config.ack_policy}: messages are lost with a worker. Make a consumer with ack_policy explicit`,
    )
  if (config.deliver_subject !== undefined)
    warn('push', 'pushes its messages. Make a pull consumer, without a deliver_subject')
  if (config.max_deliver !== undefined && config.max_deliver > 0)
    warn(
      'max-deliver',
      `stops delivering a message after ${config.max_deliver} times, also if its workers were killed. Set max_deliver to -1, and the option maxTries of the source`,
    )
  if (config.max_ack_pending !== undefined && config.max_ack_pending > 0 && config.max_ack_pending < 256)
    warn(
      'max-ack-pending',
      `has at most ${config.max_ack_pending} messages with workers (max_ack_pending): messages of workers that were killed block it for ack_wait. Set 1024`,
    )
  return found
}
