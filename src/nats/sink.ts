/**
 * Puts items into a stream of JetStream.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { inspect } from 'node:util'

import type { MsgHdrs } from '@nats-io/transport-node'

import type { OutgoingItem, PutOptions, PutOutcome, Sink } from '../forward/sink.js'
import { NatsError, SettingError, TooLargeError } from '../index.js'
import { performance } from '../real-timers.js'
import { Connection, type Session } from './connection.js'
import {
  type ApiError,
  MESSAGE_TOO_LARGE,
  WRONG_LAST_SEQUENCE,
  apiError,
  awayError,
  isError,
  isLasting,
  natsError,
} from './errors.js'
import { type Headers, headersOf, headersOfObject, sizeOf } from './headers.js'
import { type Uploaded, remove, upload } from './objects.js'
import { type NatsOptions, checkFlag, checkName, checkNatsOptions, portName } from './options.js'
import { loadObjectStores } from './peers.js'
import { type Answer, Publisher } from './publisher.js'
import { rememberedBy, warningsOfStream } from './stream-config.js'

// How long open() waits for a server that is there.
const PATIENCE = 1000
// The configuration of the stream is read again when it is older, as an administrator may have changed it.
const RECHECK_MS = 60_000

/** Options of {@link natsSink}. */
export interface NatsSinkOptions extends NatsOptions {
  /** The name of the stream. It must exist: {@link streamConfig}. */
  readonly stream: string
  /**
   * The subject of the messages, which the stream must take. A function is called with each item. If it throws, or its result is no subject,
   * the item fails.
   */
  readonly subject: string | ((item: OutgoingItem) => string)
  /**
   * Gives each item a subject of its own: the subject, a dot, and the id of the item with `~` for each dot. The stream then refuses a repeat
   * for as long as it has the message, not only for its `duplicate_window`. The stream must take `SUBJECT.*`, and has an index entry for each
   * message. Default: false.
   */
  readonly strict?: boolean | undefined
  /**
   * The bucket of an object store for contents that do not fit into a message (`max_payload` of the server, `max_msg_size` of the stream). It
   * must exist, with a ttl that is longer than `max_age` of the stream. Default: such items fail with a {@link TooLargeError}.
   */
  readonly objectBucket?: string | undefined
  /**
   * For how many milliseconds the stream recognises an id. Only for credentials that may not read the configuration of the stream. Default:
   * read from the stream.
   */
  readonly remembers?: number | undefined
  /** The name of the sink: see {@link Sink.name}. Default: `nats-STREAM`. */
  readonly name?: string | undefined
}

const OWN_OPTIONS = ['stream', 'subject', 'strict', 'objectBucket', 'remembers', 'name']

/**
 * A sink that puts items into a stream of NATS JetStream, for `forward()`.
 *
 * It needs the packages `@nats-io/transport-node`, `@nats-io/jetstream`, and `@nats-io/obj` for an object store.
 *
 * @throws `SettingError`. `open()` rejects with `MissingPeerError`.
 * @example
 * ```ts
 * const sink = natsSink({ servers: 'nats://127.0.0.1:4222', stream: 'ORDERS', subject: 'fsq.orders' })
 * const forwarder = await forward(queue, sink)
 * ```
 */
export function natsSink(options: NatsSinkOptions): NatsSink {
  return new NatsSink(options)
}

/** The answer to a publish: {@link https://docs.nats.io/reference/reference-protocols/nats_api_reference}. */
interface PublishAnswer {
  readonly stream?: string
  readonly duplicate?: boolean
  readonly error?: ApiError
}

/** What the configuration of the stream means for puts. */
interface Checked {
  readonly remembers: number
  readonly maxMessageSize: number
  /** `undefined`: not known, or those of a mirror. */
  readonly subjects: readonly string[] | undefined
}

/** An item that is ready to be published. */
interface Message {
  readonly item: OutgoingItem
  readonly subject: string
  readonly headers: Headers
  readonly body: Uint8Array
  /** Where the contents are, if not in the body. */
  readonly uploaded?: Uploaded
}

const EMPTY = new Uint8Array(0)

/** A {@link Sink}, made by {@link natsSink}. */
export class NatsSink implements Sink {
  readonly name: string
  readonly #stream: string
  readonly #subject: string | ((item: OutgoingItem) => string)
  readonly #strict: boolean
  readonly #bucket: string | undefined
  readonly #given: number | undefined
  readonly #connection: Connection
  #publisher: Publisher | undefined
  /** The last check of the stream that has succeeded. */
  #checked: Checked | undefined
  #checkedAt = -Infinity
  /** What the last check has found that has succeeded, also if one has failed since. */
  #remembers: number | undefined
  /** The check in flight. */
  #checking: Promise<Checked> | undefined
  /** Why the last check has failed. */
  #problem: NatsError | undefined

  /** @internal */
  constructor(options: NatsSinkOptions) {
    const checked = checkNatsOptions('natsSink', options, OWN_OPTIONS)
    const { stream, subject, strict, objectBucket, remembers, name } = options
    checkName('stream', stream)
    if (typeof subject !== 'function' && !isSubject(subject))
      throw new SettingError('subject', subject, 'a subject without spaces and wildcards, or a function')
    checkFlag('strict', strict)
    if (objectBucket !== undefined) checkName('objectBucket', objectBucket)
    if (remembers !== undefined && !(typeof remembers === 'number' && remembers >= 0))
      throw new SettingError('remembers', remembers, 'milliseconds, a number of 0 or more')
    this.name = portName(name, stream)
    this.#stream = stream
    this.#subject = subject
    this.#strict = strict ?? false
    this.#bucket = objectBucket
    this.#given = remembers
    this.#connection = new Connection(checked, {
      onUp: () => this.#recheck(),
      onRefused: (error) => this.#publisher?.refused(error),
    })
  }

  /** `Infinity` until the stream has been read. Until then, {@link put} puts nothing. */
  get remembers(): number {
    return this.#remembers ?? this.#given ?? Infinity
  }

  /** Whether there is a connection to a server. */
  get connected(): boolean {
    return this.#connection.session !== undefined
  }

  /** @internal Why nothing is stored until a user changes something. */
  get lastingError(): Error | undefined {
    const { session, lastError } = this.#connection
    const error = session === undefined ? awayError(lastError) : this.#problem
    return isLasting(error) ? error : undefined
  }

  /** Begins to connect, and waits a moment for the first success. Called by `forward()`. */
  async open(): Promise<void> {
    if (this.#bucket !== undefined) await loadObjectStores()
    await this.#connection.open(PATIENCE)
    await this.#checking?.catch(() => undefined)
  }

  async put(items: readonly OutgoingItem[], { signal }: PutOptions): Promise<readonly PutOutcome[]> {
    try {
      const { session, checked } = await this.#ready()
      const limit = Math.min(session.nc.info?.max_payload ?? Infinity, checked.maxMessageSize)
      const messages = await Promise.all(items.map((item) => this.#prepare(session, item, limit)))
      signal.throwIfAborted()
      // All in one tick and in their order: the client sends them together.
      return await this.#publishAll(messages, signal)
    } catch (error) {
      return items.map(() => unsent(error))
    }
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #ready(): Promise<{ session: Session; checked: Checked }> {
    const session = this.#connection.demand()
    const checked = this.#checked
    if (checked === undefined) return { session, checked: await this.#checkFirst() }
    if (performance.now() - this.#checkedAt > RECHECK_MS) this.#recheck()
    return { session, checked }
  }

  /** @throws `NatsError` if the caller has taken the target for one that remembers ids for longer than it does. */
  async #checkFirst(): Promise<Checked> {
    const before = this.remembers
    const checked = await this.#check()
    if (checked.remembers >= before) return checked
    throw new NatsError(
      `The configuration of the stream ${this.#stream} has only now been read, so nothing was put yet`,
      'away',
      { advice: 'The items are put again' },
    )
  }

  #recheck(): void {
    // An error is that of the next put, if it lasts.
    void this.#check().catch(() => undefined)
  }

  #check(): Promise<Checked> {
    this.#checking ??= this.#readStream().finally(() => (this.#checking = undefined))
    return this.#checking
  }

  async #readStream(): Promise<Checked> {
    const { jsm, nc } = this.#connection.demand()
    try {
      const { config } = await jsm.streams.info(this.#stream)
      for (const warning of warningsOfStream(config, this.#strict, nc.info?.version ?? ''))
        this.#connection.warn(warning)
      const { max_msg_size: size } = config
      this.#checked = {
        remembers: rememberedBy(config, this.#strict),
        maxMessageSize: size > 0 ? size : Infinity,
        subjects: config.subjects,
      }
    } catch (thrown) {
      const error = natsError(thrown, `Reading the configuration of the stream ${this.#stream}`)
      // What was true before must not be taken for true after a stream has been replaced.
      this.#checked = undefined
      this.#problem = error
      if (this.#given === undefined || error.reason !== 'denied') throw error
      this.#checked = { remembers: this.#given, maxMessageSize: Infinity, subjects: undefined }
      this.#connection.warn({
        code: 'unchecked',
        message: `The credentials do not allow to read the configuration of the stream ${this.#stream}, so it was not checked`,
      })
    }
    this.#problem = undefined
    this.#checkedAt = performance.now()
    this.#remembers = this.#checked.remembers
    return this.#checked
  }

  /** Reads an item, or uploads it. An outcome: it is not to be published. */
  async #prepare(session: Session, item: OutgoingItem, limit: number): Promise<Message | PutOutcome> {
    let subject: string
    try {
      subject = this.#subjectOf(item)
    } catch (error) {
      return refused(error)
    }
    try {
      const headers = headersOf(item)
      const room = limit - sizeOf(this.#withExpectations(headers))
      if (item.size <= room) return { item, subject, headers, body: await item.bytes() }
      if (this.#bucket === undefined) return refused(this.#tooLarge(item, room))
      const uploaded = await upload(session, this.#bucket, item)
      return { item, subject, headers: { ...headers, ...headersOfObject(uploaded) }, body: EMPTY, uploaded }
    } catch (error) {
      return unsent(error)
    }
  }

  async #publishAll(
    messages: readonly (Message | PutOutcome)[],
    signal: AbortSignal,
  ): Promise<readonly PutOutcome[]> {
    const session = this.#connection.demand()
    const { options } = this.#connection
    if (this.#publisher?.serves(session) !== true)
      this.#publisher = new Publisher(session, options.connection.inboxPrefix)
    const ready = messages.filter((message): message is Message => !('outcome' in message))
    const outbound = ready.map(({ subject, headers, body }) => ({
      subject,
      body,
      headers: encode(session, this.#withExpectations(headers)),
    }))
    const answers = await this.#publisher.publish(outbound, [signal, session.down], options.timeout)
    const outcomes = await Promise.all(
      ready.map(async (message, index) => this.#outcomeOf(answers[index] as Answer, session, message)),
    )
    let next = 0
    return messages.map((message) => ('outcome' in message ? message : (outcomes[next++] as PutOutcome)))
  }

  async #outcomeOf(answer: Answer, session: Session, message: Message): Promise<PutOutcome> {
    const doing = `Publishing to ${message.subject}`
    try {
      if ('error' in answer) throw answer.error
      const { error, stream, duplicate } = JSON.parse(Buffer.from(answer.data).toString()) as PublishAnswer
      if (error !== undefined) return this.#outcomeOfError(error, doing)
      if (stream === undefined)
        throw new NatsError(`${doing} was answered by a program that is no stream`, 'other')
      if (duplicate !== true) return { outcome: 'stored' }
      await this.#removeAgain(session, message)
      return { outcome: 'duplicate' }
    } catch (thrown) {
      const error = asError(thrown, doing)
      // No stream takes the subject. A link that is cut, and no answer, tell nothing.
      if (error instanceof NatsError && error.reason === 'missing')
        return unsent(await this.#whyMissing(error, message.subject))
      return { outcome: 'again', error, isUnsent: false, isLasting: isLasting(error) }
    }
  }

  /** No stream has answered: there may be none, it may have another subject, or it may have no leader for a moment. */
  async #whyMissing(unanswered: NatsError, subject: string): Promise<unknown> {
    try {
      const { subjects } = await this.#check()
      if (subjects?.some((pattern) => matches(pattern, subject)) !== false) return unanswered
      return new NatsError(
        `The stream ${this.#stream} does not take the subject ${subject}: its subjects are ${inspect(subjects)}`,
        'missing',
        { advice: 'Correct the subject, or the subjects of the stream' },
      )
    } catch (error) {
      return isLasting(error) ? error : unanswered
    }
  }

  #outcomeOfError(error: ApiError, doing: string): PutOutcome {
    if (this.#strict && error.err_code === WRONG_LAST_SEQUENCE) return { outcome: 'duplicate' }
    // Only after the limit of the stream was lowered: the next put knows it.
    if (error.err_code === MESSAGE_TOO_LARGE) this.#recheck()
    return unsent(apiError(error, doing))
  }

  /**
   * A receiver had removed the object before this put uploaded it anew, and the message turns out to be a repeat. No receiver will remove
   * the object a second time.
   */
  async #removeAgain(session: Session, { item, uploaded }: Message): Promise<void> {
    if (uploaded?.wasRemoved !== true) return
    await remove(session, uploaded.bucket, item.id).catch(() => undefined)
  }

  #withExpectations(headers: Headers): Headers {
    return {
      ...headers,
      'Nats-Expected-Stream': this.#stream,
      ...(this.#strict && { 'Nats-Expected-Last-Subject-Sequence': '0' }),
    }
  }

  #subjectOf(item: OutgoingItem): string {
    const subject = typeof this.#subject === 'function' ? this.#subject(item) : this.#subject
    if (!isSubject(subject))
      throw new SettingError(
        'subject',
        subject,
        'that the function gives a subject without spaces and wildcards',
      )
    return this.#strict ? `${subject}.${item.id.replaceAll('.', '~')}` : subject
  }

  #tooLarge(item: OutgoingItem, room: number): TooLargeError {
    return new TooLargeError(`a message of the stream ${this.#stream}`, item.size, Math.max(0, room), {
      advice:
        'Give the sink an object store (objectBucket), or raise max_payload of the server and max_msg_size of the stream',
    })
  }
}

function encode({ peers }: Session, headers: Headers): MsgHdrs {
  const encoded = peers.transport.headers()
  for (const [name, value] of Object.entries(headers)) encoded.set(name, value)
  return encoded
}

/** The stream has certainly not stored it. */
function unsent(thrown: unknown): PutOutcome {
  const error = asError(thrown, 'Publishing')
  return { outcome: 'again', error, isUnsent: true, isLasting: isLasting(error) }
}

function asError(error: unknown, doing: string): Error {
  return isError(error) && 'code' in error ? error : natsError(error, doing)
}

function refused(error: unknown): PutOutcome {
  return { outcome: 'refused', error: isError(error) ? error : new Error(String(error)) }
}

/** Whether a pattern of a stream, with its wildcards, takes a subject. */
function matches(pattern: string, subject: string): boolean {
  const tokens = subject.split('.')
  const parts = pattern.split('.')
  const takes = (part: string, index: number): boolean =>
    part === '>' ? tokens.length > index : part === '*' || part === tokens[index]
  return parts.every(takes) && (parts.at(-1) === '>' || parts.length === tokens.length)
}

function isSubject(subject: unknown): subject is string {
  return typeof subject === 'string' && /^[^\s.*>]+(\.[^\s.*>]+)*$/.test(subject)
}
