/**
 * Takes the messages of a stream of JetStream, for `work()` and `receive()`.
 *
 * @module
 */
import type { ConsumerInfo } from '@nats-io/jetstream'
import type { Msg } from '@nats-io/transport-node'

import type { DeliverySource } from '../receive/delivery.js'
import { NatsError, type Outage, SettingError, type SourceScan, type SourceScanOptions } from '../index.js'
import { clearInterval, setInterval } from '../real-timers.js'
import { BootClock } from './boot-clock.js'
import { Connection } from './connection.js'
import { type DeliveryOwner, JetstreamItem, infoOf } from './delivery.js'
import { apiError, type ApiError, natsError } from './errors.js'
import { MESSAGE_ID } from './headers.js'
import { download, remove } from './objects.js'
import { type NatsOptions, checkFlag, checkName, checkNatsOptions, portName, checkText } from './options.js'
import { Pull, type PullOwner } from './pull.js'
import { warningsOfConsumer } from './stream-config.js'

const PATIENCE = 1000
const NANOS = 1_000_000
// The part of ack_wait after which the deliveries are looked at.
const TICKS = 6
const SHORTEST_TICK = 20

/** Options of {@link jetstreamSource}. */
export interface JetstreamSourceOptions extends NatsOptions {
  /** The name of the stream. */
  readonly stream: string
  /** The name of the consumer. It must exist, be a pull consumer, and have the `ack_policy` explicit: {@link consumerConfig}. */
  readonly consumer: string
  /**
   * The subject under which a message is published that fails for good. A stream must take it. A function is called with the item. `false`:
   * none, the message is only not delivered any more. Default: `fail.SUBJECT`.
   */
  readonly deadLetter?: string | false | ((item: JetstreamItem) => string) | undefined
  /**
   * How often a message is tried. The server counts deliveries, so also those that were given back, and those to workers that were killed.
   * Default: 0, no limit.
   */
  readonly maxTries?: number | undefined
  /**
   * Whether contents in an object store stay there when their message is done. For streams with several consumers. Default: false, unless
   * the stream has several consumers when the source opens.
   */
  readonly keepObjects?: boolean | undefined
  /** The name of the source: see {@link DeliverySource.name}. Default: `nats-STREAM`. */
  readonly name?: string | undefined
}

const OWN_OPTIONS = ['stream', 'consumer', 'deadLetter', 'maxTries', 'keepObjects', 'name']

/**
 * The messages of a consumer of NATS JetStream, for `work()` and for `receive()`. A handler of a queue works them unchanged.
 *
 * It needs the packages `@nats-io/transport-node`, `@nats-io/jetstream`, and `@nats-io/obj` for an object store.
 *
 * `work()` does not close the source: call `source.close()` after `worker.close()`.
 *
 * @throws `SettingError`. `open()` rejects with `MissingPeerError`.
 * @example
 * ```ts
 * const source = jetstreamSource({ servers: 'nats://127.0.0.1:4222', stream: 'ORDERS', consumer: 'workers' })
 * const worker = await work(source, async (item) => console.log(item.args, await item.text()))
 * ```
 */
export function jetstreamSource(options: JetstreamSourceOptions): JetstreamSource {
  return new JetstreamSource(options)
}

/** A {@link DeliverySource}, made by {@link jetstreamSource}. */
export class JetstreamSource implements DeliverySource<JetstreamItem>, AsyncDisposable {
  readonly name: string
  readonly #stream: string
  readonly #consumer: string
  readonly #deadLetter: string | false | ((item: JetstreamItem) => string) | undefined
  readonly #keepGiven: boolean | undefined
  readonly #connection: Connection
  readonly #clock = new BootClock()
  readonly #held = new Set<JetstreamItem>()
  readonly #pulls = new Set<Pull>()
  readonly #delivery: DeliveryOwner
  readonly #pull: PullOwner
  #keepObjects = true
  #repeatsFor: number | undefined
  /** The consumer as the server has last described it. */
  #info: ConsumerInfo | undefined
  /** What comes from the server now, it has sent after this. */
  #since = -Infinity
  #looking: Promise<number> | undefined
  #pulse: NodeJS.Timeout | undefined
  #pending: number | undefined

  /** @internal */
  constructor(options: JetstreamSourceOptions) {
    const checked = checkNatsOptions('jetstreamSource', options, OWN_OPTIONS)
    const { stream, consumer, deadLetter, maxTries = 0, keepObjects, name } = options
    checkName('stream', stream)
    checkName('consumer', consumer)
    if (deadLetter !== false && typeof deadLetter !== 'function') checkText('deadLetter', deadLetter)
    if (!Number.isSafeInteger(maxTries) || maxTries < 0)
      throw new SettingError('maxTries', maxTries, 'a whole number, 0 for no limit')
    checkFlag('keepObjects', keepObjects)
    this.name = portName(name, stream)
    this.#stream = stream
    this.#consumer = consumer
    this.#deadLetter = deadLetter
    this.#keepGiven = keepObjects
    this.#connection = new Connection(checked, {
      onUp: () => this.#interrupt(),
      onDown: () => this.#interrupt(),
      // A scan waits for the link, so that it asks for messages at once when that is up: no error of it would tell.
      onAway: (error) => this.#connection.warn({ code: 'away', message: error.message }),
      onBack: () =>
        this.#connection.warn({ code: 'back', message: 'There is a connection to the NATS server again' }),
    })
    const { domain } = checked
    const api = domain === undefined ? '$JS.API' : `$JS.${domain}.API`
    this.#delivery = {
      maxTries,
      ackWait: (deliveries) => this.#ackWait(deliveries),
      now: () => this.#clock.now(),
      margin: () => this.#tick,
      acknowledge: (reply, payload, timeout) => this.#acknowledge(reply, payload, timeout),
      bury: (item) => this.#bury(item),
      done: (item) => this.#removeObject(item),
      read: (id, object) => download(this.#connection, id, object),
      forget: (item) => {
        this.#held.delete(item)
        this.#setPulse()
      },
    }
    this.#pull = {
      connection: this.#connection,
      nextSubject: `${api}.CONSUMER.MSG.NEXT.${stream}.${consumer}`,
      maxBatch: () => this.#info?.config.max_batch ?? 0,
      take: (message) => this.#take(message),
      look: () => this.#look(),
      ended: (pull) => {
        this.#pulls.delete(pull)
        this.#setPulse()
      },
    }
  }

  /** How many messages of the consumer wait, as of a few seconds ago. */
  get pending(): number | undefined {
    return this.#pending
  }

  /** The `max_age` of the stream in milliseconds. `undefined` until the stream has been read. */
  get repeatsFor(): number | undefined {
    return this.#repeatsFor
  }

  /** Whether there is a connection to a server. */
  get connected(): boolean {
    return this.#connection.session !== undefined
  }

  async open(): Promise<void> {
    await this.#connection.open(PATIENCE)
    // An error is that of the first scan, if it lasts.
    if (this.connected) await this.#look().catch(() => undefined)
  }

  scan(options: SourceScanOptions): SourceScan<JetstreamItem> {
    const pull = new Pull(this.#pull, options)
    this.#pulls.add(pull)
    this.#setPulse()
    return pull
  }

  outageOf(): Outage | 'closed' {
    return this.#connection.isClosed ? 'closed' : 'missing'
  }

  async close(): Promise<void> {
    await this.#connection.close()
    for (const item of this.#held) item.lose('the source was closed')
    this.#setPulse()
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #tick(): number {
    return Math.max(SHORTEST_TICK, this.#ackWait(1) / TICKS)
  }

  /** For how long a delivery is this worker's without a sign of life. */
  #ackWait(deliveries: number): number {
    const { ack_wait: ackWait = 0, backoff } = this.#info?.config ?? {}
    const nanos = backoff?.[Math.min(deliveries, backoff.length) - 1] ?? ackWait
    return nanos / NANOS
  }

  #interrupt(): void {
    for (const pull of this.#pulls) pull.interrupt()
  }

  /** Asks for the consumer. All callers of one moment share the answer. */
  #look(): Promise<number> {
    this.#looking ??= this.#ask().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #ask(): Promise<number> {
    const { jsm } = this.#connection.demand()
    const since = this.#clock.now()
    let info: ConsumerInfo
    try {
      info = await jsm.consumers.info(this.#stream, this.#consumer)
    } catch (error) {
      throw natsError(error, `Asking for the consumer ${this.#consumer} of the stream ${this.#stream}`)
    }
    if (this.#info === undefined) await this.#introduce(info)
    this.#info = info
    this.#since = Math.max(this.#since, since)
    this.#pending = info.num_pending
    this.#setPulse()
    return info.num_pending
  }

  /** The first time that the server has described the consumer. */
  async #introduce({ config }: ConsumerInfo): Promise<void> {
    for (const warning of warningsOfConsumer(this.#consumer, config)) this.#connection.warn(warning)
    if (config.deliver_subject !== undefined || config.ack_policy === 'none')
      throw new NatsError(
        `The consumer ${this.#consumer} is no pull consumer with acknowledgements`,
        'other',
        {
          advice: 'Make one as consumerConfig() describes it',
        },
      )
    await this.#readStream()
  }

  /** The credentials need not allow it. The objects are kept then. */
  async #readStream(): Promise<void> {
    try {
      const { config, state } = await this.#connection.demand().jsm.streams.info(this.#stream)
      this.#repeatsFor = config.max_age === 0 ? Infinity : config.max_age / NANOS
      this.#keepObjects = this.#keepGiven ?? state.consumer_count > 1
    } catch {
      this.#keepObjects = this.#keepGiven ?? true
    }
  }

  #take(message: Msg): JetstreamItem | undefined {
    this.#pending = infoOf(message).pending
    const item = new JetstreamItem(message, this.#delivery, this.#since)
    this.#held.add(item)
    this.#setPulse()
    return item
  }

  /** Runs the pulse while there is something to look after. */
  #setPulse(): void {
    const isWanted = this.#info !== undefined && (this.#held.size > 0 || this.#pulls.size > 0)
    if (isWanted === (this.#pulse !== undefined)) return
    if (isWanted) this.#pulse = setInterval(this.#beat, this.#tick)
    else {
      clearInterval(this.#pulse)
      this.#pulse = undefined
    }
  }

  readonly #beat = (): void => {
    for (const item of this.#held) item.tick()
    if (!this.connected) return
    this.#look().catch((error: unknown) => {
      if (!(error instanceof NatsError) || error.reason !== 'missing') return
      for (const item of this.#held) item.lose('its consumer or its stream was deleted')
      for (const pull of this.#pulls) pull.interrupt(error)
    })
  }

  async #acknowledge(reply: string, payload: string, left: number): Promise<void> {
    const timeout = Math.max(1, Math.min(left, this.#connection.options.timeout))
    await this.#connection.request(reply, payload, { doing: 'Acknowledging a message', timeout })
  }

  async #bury(item: JetstreamItem): Promise<void> {
    const subject = this.#deadLetterOf(item)
    if (subject === undefined) return
    const doing = `Publishing a message that has failed to ${subject}`
    const { peers } = this.#connection.demand()
    const headers = peers.transport.headers()
    for (const [name, values] of item.message.headers ?? [])
      if (!name.startsWith('Nats-')) for (const value of values) headers.append(name, value)
    // Its own: a dead letter is another message than the one that has failed.
    headers.set(MESSAGE_ID, `fail.${this.#stream}.${item.id}`)
    headers.set('Fsq-Failed-Subject', item.subject)
    const { data } = await this.#connection.request(subject, item.message.data, { doing, headers })
    const answer = JSON.parse(new TextDecoder().decode(data)) as { error?: ApiError }
    if (answer.error !== undefined) throw apiError(answer.error, doing)
  }

  #deadLetterOf(item: JetstreamItem): string | undefined {
    if (this.#deadLetter === false) return undefined
    if (typeof this.#deadLetter === 'function') return this.#deadLetter(item)
    return this.#deadLetter ?? `fail.${item.subject}`
  }

  async #removeObject(item: JetstreamItem): Promise<void> {
    if (item.object === undefined || this.#keepObjects) return
    try {
      await remove(this.#connection.demand(), item.object.bucket, item.id)
    } catch (error) {
      this.#connection.warn({
        code: 'object-left',
        message: `The object of a message that is done was not removed, and stays until the ttl of its bucket: ${String(error)}`,
      })
    }
  }
}
