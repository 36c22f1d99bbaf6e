/**
 * A sink that pushes items to a queue on another machine.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { setMaxListeners } from 'node:events'

import type { OutgoingItem, PutOptions, PutOutcome, Sink } from '../forward/sink.js'
import { PushError, SettingError } from '../index.js'
import { performance, setTimeout } from '../real-timers.js'
import { REMOTE_KEYS } from './client.js'
import { checkKeys, checkText, number } from './options.js'
import { Sender } from './sender.js'
import type { PushSinkOptions } from './types.js'

const PATIENCE_MS = 2000
const NAME_DIGITS = 8
const LONGEST_NAME = 180

export const SINK_KEYS = [...REMOTE_KEYS, 'url', 'queue', 'rate', 'trigger', 'name', 'remembers'] as const

/**
 * A sink that pushes items to a receiver on another machine, for `forward`: one of this package, or of the first implementation.
 *
 * @throws `SettingError`
 * @example
 * ```ts
 * const sink = pushSink({ url: 'https://edge:secret@example.org:8181', queue: 'orders' })
 * const forwarder = await forward(queue, sink, { inDoubt: 'publish' })
 * ```
 */
export function pushSink(options: PushSinkOptions): PushSink {
  return new PushSink(options)
}

/** A `Sink`, made by {@link pushSink}. */
export class PushSink implements Sink {
  readonly name: string
  readonly #sender: Sender
  readonly #interval: number
  readonly #trigger: string | undefined
  readonly #remembers: number | undefined
  /** When the next item may go, by `performance.now()`. */
  #next = 0
  #connected: boolean | undefined
  /** @internal Why the receiver takes nothing until a user changes something, as it was asked in {@link open}. */
  lastingError: Error | undefined

  /** @internal */
  constructor(options: PushSinkOptions) {
    checkKeys('pushSink', options, SINK_KEYS)
    const { url, queue, rate, trigger, name, remembers, ...remote } = options
    checkText('queue', queue)
    if (trigger !== undefined) checkText('trigger', trigger)
    if (rate !== undefined && !(typeof rate === 'number' && rate > 0))
      throw new SettingError('rate', rate, 'a number above 0')
    this.#interval = rate === undefined ? 0 : 1000 / rate
    this.#trigger = trigger
    this.#remembers =
      remembers === undefined || remembers === Infinity ? remembers : number('remembers', remembers, 0, 0)
    this.#sender = new Sender(url, queue, remote)
    this.name = name ?? nameOf(this.#sender.client.shown, queue)
  }

  /** See `Sink.remembers`. Known once the receiver has been reached. */
  get remembers(): number {
    return this.#remembers ?? this.#sender.about?.keep ?? 0
  }

  /** Whether the last request was answered. */
  get connected(): boolean | undefined {
    return this.#connected
  }

  /** Asks the receiver what it can do. One that is away is asked again later. */
  async open(): Promise<void> {
    const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_MS).unref())
    const asked = this.#sender.ask().then(
      () => undefined,
      (error: unknown) => {
        if (isLasting(error)) this.lastingError = error
      },
    )
    await Promise.race([asked, patience])
  }

  /** See `Sink.put`. */
  async put(items: readonly OutgoingItem[], { signal }: PutOptions): Promise<readonly PutOutcome[]> {
    // Each request listens to it.
    setMaxListeners(0, signal)
    const outcomes = await Promise.all(items.map(async (item) => this.#putOne(item, signal)))
    if (this.#trigger !== undefined && outcomes.some(({ outcome }) => outcome === 'stored'))
      await this.#sender.pullTrigger(this.#trigger, true, signal).catch(() => undefined)
    return outcomes
  }

  async close(): Promise<void> {
    this.#sender.client.close()
  }

  async #putOne(item: OutgoingItem, signal: AbortSignal): Promise<PutOutcome> {
    try {
      await this.#turn()
      signal.throwIfAborted()
      if (this.#sender.about === undefined && this.#remembers === undefined) await this.#sender.ask(signal)
      await this.#sender.send(item, signal)
      this.#connected = true
      return { outcome: 'stored' }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error('The put was aborted', { cause: thrown })
      if (!(error instanceof PushError)) return { outcome: 'again', error }
      const { reason } = error
      this.#connected = !['away', 'timeout', 'other'].includes(reason)
      if (reason === 'refused' || reason === 'unable') return { outcome: 'refused', error }
      const isHopeless = isLasting(error)
      return { outcome: 'again', error, isUnsent: isHopeless || reason === 'away', isLasting: isHopeless }
    }
  }

  async #turn(): Promise<void> {
    if (this.#interval === 0) return
    const now = performance.now()
    const at = Math.max(now, this.#next)
    this.#next = at + this.#interval
    if (at > now) await new Promise((resolve) => setTimeout(resolve, at - now))
  }
}

/** Whether an error stays until a user changes something. */
function isLasting(error: unknown): error is PushError {
  return error instanceof PushError && (error.reason === 'denied' || error.reason === 'missing')
}

function nameOf(shown: string, queue: string): string {
  const readable = `${shown.replace(/^\w+:\/\/+/, '')}-${queue}`.replace(/[^\w.-]+/g, '_')
  const hash = createHash('sha256').update(`${shown} ${queue}`).digest('hex').slice(0, NAME_DIGITS)
  return `push-${readable.slice(0, LONGEST_NAME)}-${hash}`
}
