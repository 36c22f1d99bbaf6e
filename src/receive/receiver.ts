/**
 * A receiver: a worker whose items are the deliveries of a source, and whose handler enqueues each of them once.
 *
 * @module
 */
import process from 'node:process'
import { inspect } from 'node:util'

import {
  EncodingError,
  NameTooLongError,
  PermanentFailure,
  QueueDownError,
  RetryLater,
  SettingError,
} from '../errors/classes.js'
import type { ItemContext } from '../item/context.js'
import { closeInTime } from '../work/close-in-time.js'
import { NO_JOURNAL } from '../work/work.js'
import type { Worker } from '../work/handle.js'
import type { CheckedOptions } from '../work/options.js'
import { HandlerWorker } from '../work/worker.js'
import type { Delivery, DeliverySource } from './delivery.js'
import { isLedgerId } from './ledger.js'
import { GuardedSource } from './source.js'
import { Spool, UnreadableDelivery } from './spool.js'

/** How long a delivery waits at its source that the queue could not take. */
const PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

/** The numbers of a receiver since its start. */
export interface ReceiverNumbers {
  /** How many messages have become items. */
  readonly taken: number
  /** How many deliveries were repeats of messages that the ledger knows: they were acknowledged, and nothing else. */
  readonly known: number
  /** How many deliveries the source has called repeats: those with `tries` above 0. */
  readonly redelivered: number
  /** How many items a receiver before this one had left in staged/, and this one has moved to queue/. */
  readonly recovered: number
  /** How many messages can be no item, because their arguments do not fit a name. Their deliveries have failed at the source. */
  readonly refused: number
  /** How many deliveries the receiver has in hand. */
  readonly inFlight: number
  /** How many messages wait at the source; `undefined`: it does not know. */
  readonly pending: number | undefined
  /** How many entries the ledger has. */
  readonly entries: number
  /** When the last message became an item. */
  readonly lastTaken: Date | undefined
}

/**
 * A receiver, made by {@link receive}: a {@link Worker} of a source that fills a queue. Its events are those of a worker: `done` when a
 * delivery is acknowledged, `failed` for a message that can be no item, `retried` if the contents of a delivery cannot be read, `postponed` if
 * the queue cannot take an item, and `state`. Its state is `down` or `missing` while the queue cannot take items, for example because its disk is full;
 * the receiver tries again by itself.
 */
export interface Receiver<Item extends Delivery = Delivery> extends Worker<Item> {
  readonly numbers: ReceiverNumbers
}

/** The parts that a receiver is made of. */
export interface ReceiverParts<Item extends Delivery> {
  readonly source: DeliverySource<Item>
  readonly context: ItemContext
  readonly options: CheckedOptions<Item>
  /** Milliseconds until the ledger may forget a message. */
  readonly keep: number
}

/** The worker behind a {@link Receiver}. */
export class ReceiverWorker<Item extends Delivery> extends HandlerWorker<Item> implements Receiver<Item> {
  readonly #parts: ReceiverParts<Item>
  readonly #guarded: GuardedSource<Item>
  #spool: Spool | undefined
  #opening: Promise<void> | undefined
  /** The messages in hand. A repeat waits for the delivery before it. */
  readonly #open = new Map<string, Promise<void>>()
  #taken = 0
  #known = 0
  #redelivered = 0
  #recovered = 0
  #refused = 0
  #lastTaken: Date | undefined
  /** Why the queue takes nothing until a time of `performance.now()`, and how long the next such pause is. */
  #trouble: { readonly error: unknown; readonly until: number } | undefined
  #pause = PAUSE_MS
  #end: Promise<void> | undefined

  constructor(parts: ReceiverParts<Item>) {
    const enter = async (): Promise<void> => this.#enter()
    const guarded = new GuardedSource(parts.source, enter)
    const handler = async (delivery: Item): Promise<void> => this.#receive(delivery)
    super({ source: guarded, handler, options: parts.options, journal: NO_JOURNAL })
    this.#parts = parts
    this.#guarded = guarded
  }

  get numbers(): ReceiverNumbers {
    return {
      taken: this.#taken,
      known: this.#known,
      redelivered: this.#redelivered,
      recovered: this.#recovered,
      refused: this.#refused,
      inFlight: this.running.size,
      pending: this.#parts.source.pending,
      entries: this.#spool?.entries ?? 0,
      lastTaken: this.#lastTaken,
    }
  }

  /** Opens the queue and the source. Call it once, before {@link start}. */
  async open(): Promise<void> {
    await this.#openSpool()
    try {
      await this.#guarded.open()
    } catch (error) {
      await this.#spool?.close()
      throw error
    }
    const { source, keep } = this.#parts
    if (source.repeatsFor !== undefined && source.repeatsFor > keep)
      warnOfKeep(source.name, source.repeatsFor, keep)
  }

  protected override async closeInTime(): Promise<{ left: readonly Item[] }> {
    const result = await super.closeInTime()
    await this.#end
    return result
  }

  /** No delivery is in hand any more. */
  protected override leave(): void {
    this.#end = this.#close()
    void this.#end.then(() => super.leave())
  }

  async #close(): Promise<void> {
    try {
      const { source } = this.#parts
      await closeInTime(`The source ${source.name}`, source.close?.())
    } catch (error) {
      this.tell('error', error)
    }
    // A scan that was left may still be opening it.
    await this.#opening?.catch(() => undefined)
    await this.#spool?.close()
  }

  /** Ahead of each scan: the queue must be up, and everything in its place. */
  async #enter(): Promise<void> {
    if (this.#trouble !== undefined && performance.now() < this.#trouble.until) throw this.#trouble.error
    if (this.#opening !== undefined || this.#spool?.isSound() !== true) await this.#openSpool()
    await this.#spool?.checkUp()
  }

  /** Opens the spool, or opens it again. Scans that begin meanwhile share this. */
  async #openSpool(): Promise<void> {
    this.#opening ??= this.#openAnew().finally(() => {
      this.#opening = undefined
    })
    await this.#opening
  }

  async #openAnew(): Promise<void> {
    const { context, source, keep } = this.#parts
    const old = this.#spool
    this.#spool = undefined
    await old?.close()
    this.#spool = await Spool.open(context, source.name, keep)
    this.#recovered += this.#spool.recovered
  }

  async #receive(delivery: Item): Promise<void> {
    const { id } = delivery
    if (!isLedgerId(id))
      throw new SettingError('the id of a delivery', id, '1 to 200 of the ASCII letters, digits, and . _ : -')
    if (delivery.tries > 0) this.#redelivered++
    for (let before = this.#open.get(id); before !== undefined; before = this.#open.get(id))
      await before.catch(() => undefined)
    const taking = this.#take(delivery)
    this.#open.set(id, taking)
    try {
      await taking
    } finally {
      this.#open.delete(id)
    }
  }

  async #take(delivery: Item): Promise<void> {
    const spool = this.#spool
    // The spool is being opened again, because of the delivery before this one.
    if (spool === undefined) throw new RetryLater({ after: PAUSE_MS })
    try {
      await spool.checkUp()
      if ((await spool.take(delivery)) === 'known') {
        this.#known++
        return
      }
    } catch (error) {
      throw this.#meaningOf(error, delivery, spool)
    }
    this.#taken++
    this.#lastTaken = new Date()
    this.#trouble = undefined
    this.#pause = PAUSE_MS
  }

  /** What the worker is to make of an error. */
  #meaningOf(error: unknown, { id, signal }: Item, spool: Spool): unknown {
    if (error instanceof UnreadableDelivery) return error.cause
    if (error instanceof EncodingError || error instanceof NameTooLongError) {
      this.#refused++
      return new PermanentFailure(`The message ${inspect(id)} can be no item: ${error.message}`, {
        cause: error,
      })
    }
    if (signal.aborted) return error
    // Otherwise the spool has been opened again meanwhile, and its closing is the cause.
    if (spool === this.#spool) this.#stop(error)
    return new RetryLater({ after: PAUSE_MS, cause: error })
  }

  /** The queue takes nothing for now. All that is in hand fails at the same time, and makes one pause. */
  #stop(error: unknown): void {
    const now = performance.now()
    if (!(error instanceof QueueDownError) && (this.#trouble === undefined || now >= this.#trouble.until)) {
      this.#trouble = { error, until: now + this.#pause }
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS)
    }
    this.#guarded.fail(error)
  }
}

function warnOfKeep(source: string, repeatsFor: number, keep: number): void {
  process.emitWarning(
    `The source ${inspect(source)} may repeat a message for ${repeatsFor} ms, and the ledger of its receiver forgets it after ${keep} ms: ` +
      'a message that is repeated later arrives a second time. Set keep to more than that',
    { type: 'FsqWarning', code: 'FSQ_SHORT_LEDGER' },
  )
}
