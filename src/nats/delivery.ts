/**
 * A delivery of a message of JetStream, as a handler gets it.
 *
 * The server takes an acknowledgement at any time, also after it has delivered the message again. So this side keeps the time: it knows
 * how long the delivery is certainly its own, and sends nothing after that.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import type { Msg } from '@nats-io/transport-node'

import type { Delivery } from '../receive/delivery.js'
import { ClaimLostError, ItemFinishedError, type Outcome, type RetryLimit } from '../index.js'
import { argBytesIn, argsIn, enqueuedIn, idIn, objectIn, type StoredObject } from './headers.js'

const NANOS = 1_000_000

/** What a delivery needs of its source. */
export interface DeliveryOwner {
  readonly maxTries: number
  /** Milliseconds, by the clock of {@link now}. */
  readonly ackWait: (deliveries: number) => number
  readonly now: () => number
  /** How long before the end of a delivery it counts as lost. */
  readonly margin: () => number
  /** Sends an acknowledgement, and waits until the server has confirmed it. */
  readonly acknowledge: (reply: string, payload: string, timeout: number) => Promise<void>
  readonly bury: (item: JetstreamItem) => Promise<void>
  readonly done: (item: JetstreamItem) => Promise<void>
  readonly read: (name: string, object: StoredObject) => AsyncIterable<Uint8Array>
  /** The delivery is out of this worker's hands. */
  readonly forget: (item: JetstreamItem) => void
}

/** A message of a stream, delivered to this worker: a {@link Delivery}, made by {@link jetstreamSource}. */
export class JetstreamItem implements Delivery {
  readonly id: string
  /** The same as {@link id}. */
  readonly key: string
  /**
   * The arguments with which the item was enqueued. Those of a message that no forwarder has put into the stream: its subject.
   */
  readonly args: readonly string[]
  readonly argBytes: readonly Uint8Array[] | undefined
  /** When the item was enqueued in the queue that it comes from, or when the stream has stored the message. */
  readonly enqueuedAt: Date
  /** How often the message was delivered before, whatever the reasons. */
  readonly tries: number
  readonly size: number
  /** The subject of the message. */
  readonly subject: string
  /** The number of the message in the stream. */
  readonly sequence: number
  /** @internal Where the contents are, if not in the message. */
  readonly object: StoredObject | undefined
  /** @internal */
  readonly message: Msg
  readonly #owner: DeliveryOwner
  readonly #deliveries: number
  readonly #reply: string
  /** The delivery began after this. */
  #since: number
  #controller: AbortController | undefined
  #outcome: Outcome | undefined
  #finishing: Promise<void> | undefined
  #isProlonging = false
  /** The message has been put under the subject of dead letters. */
  #isBuried = false

  /**
   * @internal
   * @param since - The server has sent the message after this.
   */
  constructor(message: Msg, owner: DeliveryOwner, since: number) {
    const info = infoOf(message)
    const { headers } = message
    this.message = message
    this.#owner = owner
    this.#since = since
    this.#reply = message.reply ?? ''
    this.#deliveries = info.deliveries
    this.id = idIn(headers) ?? `${info.sequence}:${info.timestamp}`
    this.key = this.id
    this.args = argsIn(headers) ?? [message.subject]
    this.argBytes = argBytesIn(headers)
    this.enqueuedAt = enqueuedIn(headers) ?? new Date(Number(info.timestamp) / NANOS)
    this.tries = info.deliveries - 1
    this.subject = message.subject
    this.sequence = info.sequence
    this.object = objectIn(headers)
    this.size = this.object?.size ?? message.data.length
  }

  /**
   * Aborted with a {@link ClaimLostError} when the delivery may be another worker's soon: the server has confirmed no sign of life for most of
   * `ack_wait`, or the consumer was deleted.
   */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  get claimed(): boolean {
    return this.#outcome === undefined
  }

  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  get finishing(): Promise<void> | undefined {
    return this.#finishing
  }

  get retryLimit(): RetryLimit | undefined {
    const { maxTries } = this.#owner
    return maxTries > 0 && this.#deliveries >= maxTries ? 'exhausted' : undefined
  }

  abort(reason: unknown): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }

  async bytes(): Promise<Buffer> {
    const { data } = this.message
    // A copy: the handler may change it, and the message is sent on if it fails.
    if (this.object === undefined) return Buffer.from(data)
    const chunks: Uint8Array[] = []
    for await (const chunk of this.stream()) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  async text(): Promise<string> {
    return (await this.bytes()).toString('utf8')
  }

  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    if (this.object === undefined) yield Buffer.from(this.message.data)
    else yield* this.#owner.read(this.id, this.object)
  }

  /** Acknowledges the message, and removes its object. */
  done(): Promise<void> {
    return this.#finish(
      'done',
      () => this.#send('+ACK'),
      () => this.#owner.done(this),
    )
  }

  /** Puts the message under the subject of dead letters, and ends its deliveries. */
  fail(): Promise<void> {
    return this.#finish('failed', async () => {
      if (!this.#isBuried) await this.#owner.bury(this)
      this.#isBuried = true
      await this.#send('+TERM')
    })
  }

  async retry({ delay = 0 }: { delay?: number } = {}): Promise<'waiting' | 'failed'> {
    if (this.retryLimit !== undefined) {
      await this.fail()
      return 'failed'
    }
    await this.#finish('waiting', () => this.#send(nak(delay)))
    return 'waiting'
  }

  /** Gives the message back. The server counts the delivery, so {@link tries} of the next one is larger. */
  release({ delay = 0 }: { delay?: number } = {}): Promise<void> {
    return this.#finish('released', () => this.#send(nak(delay)))
  }

  /** @internal Called each time that a part of `ack_wait` has passed. */
  tick(): void {
    if (this.#outcome !== undefined) return
    const { now, ackWait } = this.#owner
    if (this.#left() <= 0) this.lose()
    else if (now() - this.#since >= ackWait(this.#deliveries) / 3) void this.#prolong()
  }

  /**
   * @internal The delivery is, or will be, another worker's.
   *
   * @param why - Completes `because …`.
   */
  lose(why = 'the server has confirmed no sign of life for most of ack_wait'): void {
    if (this.#outcome !== undefined) return
    this.#leave('gone')
    this.abort(this.#lostError(why))
  }

  /** Milliseconds for which the delivery is certainly this worker's. */
  #left(): number {
    const { ackWait, now, margin } = this.#owner
    return this.#since + ackWait(this.#deliveries) - margin() - now()
  }

  async #prolong(): Promise<void> {
    if (this.#isProlonging) return
    this.#isProlonging = true
    const { now } = this.#owner
    // The server may have taken it as soon as it was sent.
    const since = now()
    try {
      await this.#send('+WPI')
      this.#since = since
    } catch {
      // It is sent again at the next tick, until the delivery is lost.
    } finally {
      this.#isProlonging = false
    }
  }

  /** @param then - Called when the item has left this worker's hands. */
  #finish(outcome: Outcome, move: () => Promise<void>, then?: () => Promise<void>): Promise<void> {
    if (this.#finishing !== undefined) return Promise.reject(this.#finishedError())
    const finishing = this.#move(outcome, move, then).finally(() => (this.#finishing = undefined))
    this.#finishing = finishing
    return finishing
  }

  async #move(outcome: Outcome, move: () => Promise<void>, then?: () => Promise<void>): Promise<void> {
    if (this.#outcome === 'gone') throw this.#lostError()
    if (this.#outcome !== undefined) throw this.#finishedError()
    await move()
    this.#leave(outcome)
    await then?.()
  }

  /** @throws {@link ClaimLostError}; `NatsError` if it is not confirmed. */
  async #send(payload: string): Promise<void> {
    const left = this.#left()
    if (left <= 0) this.lose()
    // An acknowledgement that is sent from here on would count for the delivery to another worker.
    if (this.#outcome === 'gone') throw this.#lostError()
    await this.#owner.acknowledge(this.#reply, payload, left)
  }

  #leave(outcome: Outcome): void {
    // Lost while the acknowledgement was in flight: the confirmation came after all.
    if (this.#outcome === undefined || this.#outcome === 'gone') this.#outcome = outcome
    this.#owner.forget(this)
  }

  #lostError(why?: string): ClaimLostError {
    const reason: unknown = this.#controller?.signal.reason
    if (why === undefined && reason instanceof ClaimLostError) return reason
    return new ClaimLostError(
      `The delivery of the message ${this.id} is lost${why === undefined ? '' : `, because ${why}`}. The server gives it to another worker`,
      { advice: 'Stop the work on it when item.signal is aborted' },
    )
  }

  #finishedError(): ItemFinishedError {
    return new ItemFinishedError(`The message ${this.id} has been finished or released already`, {
      advice: 'Do so once for each item',
    })
  }
}

function nak(delay: number): string {
  return delay > 0 ? `-NAK ${JSON.stringify({ delay: Math.ceil(delay) * NANOS })}` : '-NAK'
}

/** What the subject of the acknowledgement tells of a message. */
export interface MessageInfo {
  readonly deliveries: number
  readonly sequence: number
  /** When the stream has stored the message, in nanoseconds since the epoch. More digits than a number holds. */
  readonly timestamp: string
  /** How many messages wait after this one. */
  readonly pending: number
}

/**
 * Reads the subject of the acknowledgement:
 *
 *     $JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.CONSUMER-SEQUENCE.TIMESTAMP.PENDING
 *     $JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.DELIVERIES. … .PENDING.RANDOM
 */
export function infoOf({ reply = '' }: Pick<Msg, 'reply'>): MessageInfo {
  const tokens = reply.split('.')
  const [deliveries = '1', sequence = '0', , timestamp = '0', pending = '0'] = tokens.slice(
    tokens.length === 9 ? 4 : 6,
  )
  return {
    deliveries: Number(deliveries),
    sequence: Number(sequence),
    timestamp,
    pending: Number(pending),
  }
}
