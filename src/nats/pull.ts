/**
 * Takes messages from a pull consumer, never more than the worker has room for:
 *
 *     waiting for the link ──> asking (as many as there is room for) ──> messages ... ──> asking again
 *             ^                        │ nothing came: the request ends after 10 s, or by an answer of the server
 *             └── the link is cut ─────┘
 *
 * One request is in flight at a time. Messages that come after the end of the scan are given back at once, so that no other worker waits
 * for `ack_wait`.
 *
 * @module
 */
import type { Msg, Subscription } from '@nats-io/transport-node'

import { NatsError, type SourceScan, type SourceScanOptions } from '../index.js'
import { clearTimeout, setTimeout } from '../real-timers.js'
import type { Connection, Session } from './connection.js'
import type { JetstreamItem } from './delivery.js'
import { natsError } from './errors.js'

const NANOS = 1_000_000
const EXPIRES_MS = 10_000
// The answer that a request has expired may be lost with the server that would have given it.
const PATIENCE_MS = EXPIRES_MS + 1000
const LARGEST_REQUEST = 256
// After this long without a message, the scan looks whether there are any.
const IDLE_MS = 20
// After an answer that asks for a repeat.
const PAUSE_MS = 250

const NOT_FOUND = 404
const TIMEOUT = 408
const CONFLICT = 409
const NO_RESPONDERS = 503

/** What a pull needs of its source. */
export interface PullOwner {
  readonly connection: Connection
  /** The subject of requests for messages. */
  readonly nextSubject: string
  /** The largest number of messages for a request. 0: the consumer has no limit. */
  readonly maxBatch: () => number
  readonly take: (message: Msg) => JetstreamItem | undefined
  /**
   * Looks whether the consumer is there, and how many messages wait. Fails if it is not.
   *
   * @throws `NatsError`
   */
  readonly look: () => Promise<number>
  readonly ended: (pull: Pull) => void
}

/** One scan of a source. */
export class Pull implements SourceScan<JetstreamItem> {
  readonly #owner: PullOwner
  readonly #options: SourceScanOptions
  readonly #ready: JetstreamItem[] = []
  /** The subject to which the server sends messages and answers. */
  #inbox = ''
  #subscription: Subscription | undefined
  /** The connection of the subscription. */
  #session: Session | undefined
  /** How many messages the request in flight may still give. */
  #expected = 0
  /** The server wants to be asked again, a little later. */
  #isTurnedAway = false
  #error: Error | undefined
  #isOver = false
  /** Set once the scan has called `onIdle`, until the next message. */
  #isIdle = false
  #wake: () => void = () => undefined

  constructor(owner: PullOwner, options: SourceScanOptions) {
    this.#owner = owner
    this.#options = options
    options.signal.addEventListener('abort', this.#onAbort)
  }

  tryNext(): JetstreamItem | undefined {
    for (;;) {
      const item = this.#ready.shift()
      // It may have waited for too long here.
      if (item === undefined || item.claimed) return item
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<JetstreamItem> {
    return {
      next: async () => this.#next(),
      return: async () => {
        await this.#end()
        return { done: true, value: undefined }
      },
    }
  }

  /** The link was cut, or the source has found an error. */
  interrupt(error?: Error): void {
    this.#expected = 0
    this.#error ??= error
    this.#wake()
  }

  async #next(): Promise<IteratorResult<JetstreamItem, undefined>> {
    try {
      for (;;) {
        const item = this.tryNext()
        if (item !== undefined) return { done: false, value: item }
        if (this.#isOver) return { done: true, value: undefined }
        await this.#fill()
      }
    } catch (error) {
      await this.#end()
      throw error
    }
  }

  async #fill(): Promise<void> {
    const { connection } = this.#owner
    if (this.#error !== undefined) throw this.#error
    if (this.#isTurnedAway) {
      this.#isTurnedAway = false
      await this.#wait(PAUSE_MS)
      return
    }
    const session = await connection.up(this.#options.signal)
    if (this.#subscription === undefined || this.#session?.nc !== session.nc) {
      await this.#owner.look()
      this.#subscribe(session)
    }
    this.#session = session
    if (this.#expected <= 0) this.#ask(session)
    await this.#wait(PATIENCE_MS)
  }

  #subscribe({ nc, peers }: Session): void {
    this.#subscription?.unsubscribe()
    this.#inbox = peers.transport.createInbox(this.#owner.connection.options.connection.inboxPrefix)
    this.#subscription = nc.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error !== null) this.interrupt(natsError(error, 'Subscribing to messages'))
        else this.#receive(message)
      },
    })
  }

  #ask({ nc }: Session): void {
    const room = Math.max(1, this.#options.demand?.() ?? 1)
    const limit = this.#owner.maxBatch()
    const batch = Math.min(room, limit > 0 ? limit : LARGEST_REQUEST, LARGEST_REQUEST)
    this.#expected = batch
    const request = JSON.stringify({ batch, expires: EXPIRES_MS * NANOS })
    nc.publish(this.#owner.nextSubject, request, { reply: this.#inbox })
  }

  #receive(message: Msg): void {
    if (message.subject === this.#inbox) {
      this.#answered(message)
      return
    }
    this.#expected--
    const item = this.#owner.take(message)
    if (item === undefined) return
    if (this.#isOver) {
      giveBack(item)
      return
    }
    this.#isIdle = false
    this.#ready.push(item)
    this.#wake()
  }

  /** The server has ended the request. */
  #answered({ headers }: Msg): void {
    const { code = 0, description = '' } = headers ?? {}
    // A heartbeat.
    if (code === 100) return
    this.#expected = 0
    if (code === NO_RESPONDERS) void this.#lookForError()
    else if (code === CONFLICT && /Consumer Deleted/i.test(description))
      this.#fail(`The consumer was deleted`, 'missing')
    else if (
      code === CONFLICT &&
      /Leadership Change|Server Shutdown|MaxWaiting|Max Waiting/i.test(description)
    )
      this.#isTurnedAway = true
    else if (code !== TIMEOUT && code !== NOT_FOUND)
      this.#fail(`The server refuses to deliver messages: ${description} (${code})`, 'other')
    this.#wake()
  }

  #fail(message: string, reason: 'missing' | 'other'): void {
    this.#error ??= new NatsError(message, reason, {
      advice: 'Compare the consumer with consumerConfig()',
    })
  }

  /** No server answers for the consumer. */
  async #lookForError(): Promise<void> {
    try {
      await this.#owner.look()
    } catch (error) {
      this.#error ??= natsError(error, 'Asking for the consumer')
    }
    this.#wake()
  }

  /** Waits for a message, an answer or an error. */
  async #wait(ms: number): Promise<void> {
    if (this.#ready.length > 0 || this.#isOver || this.#error !== undefined) return
    await new Promise<void>((resolve) => {
      const idle = setTimeout(() => void this.#tellIfIdle(), IDLE_MS)
      const end = setTimeout(() => {
        this.#expected = 0
        this.#wake()
      }, ms)
      this.#wake = () => {
        clearTimeout(idle)
        clearTimeout(end)
        this.#wake = () => undefined
        resolve()
      }
    })
  }

  async #tellIfIdle(): Promise<void> {
    if (this.#isIdle) return
    try {
      const pending = await this.#owner.look()
      if (pending > 0 || this.#ready.length > 0 || this.#isOver) return
      this.#isIdle = true
      this.#options.onIdle()
    } catch {
      // It is asked again later, and fails the scan if it lasts.
    }
  }

  readonly #onAbort = (): void => {
    this.#isOver = true
    this.#wake()
  }

  async #end(): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#isOver = true
    this.#wake()
    this.#owner.ended(this)
    const subscription = this.#subscription
    this.#subscription = undefined
    for (const item of this.#ready.splice(0)) giveBack(item)
    // The server may have sent messages before it hears of the end. They come before the answer to this.
    if (subscription !== undefined && !subscription.isClosed() && this.#session?.down.aborted === false)
      await subscription.drain().catch(() => undefined)
  }
}

function giveBack(item: JetstreamItem): void {
  // If this fails, the server gives the message to the next worker after ack_wait.
  item.release().catch(() => undefined)
}
