/**
 * An item that this process has claimed: locked, with a valid name, and no other worker's until it is finished or released.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import type { Readable } from 'node:stream'

import type { Claim } from './claims.js'
import type { StreamOptions } from './content-stream.js'
import { Contents } from './contents.js'
import type { ItemContext } from './context.js'
import { Finish } from './finish.js'
import { type Limits, isExhausted, isExpired, nameAfterTry } from './limits.js'
import { placePath } from '../directory/layout.js'
import { type RawName, pathText } from '../name/charset.js'
import type { ParsedName } from '../name/item-name.js'
import { NamedItem } from './named-item.js'
import { Place } from '../addon/native.js'
import { checkOptions, dueAfter } from '../options.js'

/** How an item is given back to be tried again. */
export interface RetryOptions {
  /** Milliseconds until it is due again. */
  readonly delay?: number | undefined
}

const RETRY_OPTIONS = ['delay'] as const

/** Where an item is after {@link WorkItem.retry}. */
export type RetryOutcome = 'waiting' | 'failed'

/**
 * A claimed item. It stays claimed until it is finished (done, fail, retry, discard) or released; the kernel releases it
 * when this process ends.
 */
export class WorkItem extends NamedItem {
  readonly #context: ItemContext
  readonly #limits: Limits
  readonly #claim: Claim
  #contents: Contents | undefined
  #finish: Finish | undefined

  /** @internal */
  constructor(context: ItemContext, claim: Claim, parsed: ParsedName, limits: Limits) {
    super(parsed, context.settings)
    this.#context = context
    this.#claim = claim
    this.#limits = limits
    context.claims.hold(claim, this)
  }

  /** Bytes of the contents. */
  get size(): number {
    return this.#claim.file.size
  }

  /** The path of the item's file while it is claimed. */
  get path(): string {
    return placePath(this.#context.directory.layout, Place.queue, pathText(this.parsed.raw))
  }

  /**
   * The descriptor of the item's file, for a child's stdin: at offset 0, until a child has read from it. The lock lives on it: do
   * not close it, and do not finish the item before the child has ended.
   *
   * @throws {@link ItemFinishedError} if the item is not claimed any more.
   */
  get fd(): number {
    this.#claim.check('use the descriptor of')
    return this.#claim.file.descriptor
  }

  /** Whether the item is still claimed by this object. */
  get claimed(): boolean {
    return this.#claim.isUsable
  }

  /**
   * The contents as bytes.
   *
   * @throws {@link ItemFinishedError} if the item is not claimed any more; {@link ContentError} if they are too large for one
   * value, or fewer than when the item was claimed; an error of the file system.
   */
  bytes(): Promise<Buffer> {
    return this.#readable().bytes()
  }

  /** The contents as text (UTF-8). Throws as {@link bytes}. */
  text(): Promise<string> {
    return this.#readable().text()
  }

  /**
   * The contents as the value that their JSON stands for. Throws as {@link bytes}, and a SyntaxError for what is no JSON.
   */
  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T
  }

  /**
   * The contents as a stream of bytes, for items of any size. It reads by position, so that the offset of {@link fd} stays 0,
   * and it never closes the descriptor; several may run at once. Read it to its end before finishing the item: a finish
   * waits for the read that is under way, and the next one fails with {@link ItemFinishedError}. `Readable.toWeb()` makes a
   * Web stream of it.
   *
   * @param options - `start` and `end`: the first and the last byte. `highWaterMark`: bytes a read. `signal`: destroys it.
   * @throws {@link ItemFinishedError} if the item is not claimed any more; {@link SettingError}. The stream fails as
   * {@link bytes} does.
   * @example
   * ```ts
   * await pipeline(item.stream(), zlib.createGzip(), fs.createWriteStream('copy.gz'))
   * await item.done()
   * ```
   */
  stream(options: StreamOptions = {}): Readable {
    return this.#readable().stream(options)
  }

  /**
   * The work has been done: moves the item to done/.
   *
   * @throws {@link FinishError} if it cannot be moved; it stays claimed then, this handle hands out no more items, and
   * the move is tried again (100 ms, 200 ms ... 30 s) until it succeeds or the queue is closed.
   * @throws {@link ItemFinishedError} if the item was finished or released before.
   * @throws {@link ItemGoneError} if somebody else has moved or removed the file.
   * @throws {@link NotDurableError} at durability 'full', if it has moved, but perhaps not for good.
   */
  done(): Promise<void> {
    return this.#finishing().run({ action: 'done', place: Place.done, to: this.parsed.raw, due: 0 })
  }

  /** The work has failed for good: moves the item to fail/. Throws as {@link done}. */
  fail(): Promise<void> {
    return this.#finishing().run({ action: 'fail', place: Place.fail, to: this.parsed.raw, due: 0 })
  }

  /** The work has been done and nobody wants to see it again: removes the item. Throws as {@link done}. */
  discard(): Promise<void> {
    return this.#finishing().run({ action: 'discard', place: Place.tmp, to: this.parsed.raw, due: 0 })
  }

  /**
   * The work has failed for now: gives the item back with one try more, and `item.id` is its new name. Where that reaches
   * the limit of tries, or the item is past its TTL, it goes to fail/ instead, its name unchanged.
   *
   * @returns Where it is now. Throws as {@link done}.
   * The limit is 1 unless it is set (`maxTries`, `FSQ_MAX_TRIES`): the first retry fails the item then, as the standard has
   * it.
   *
   * @example
   * ```ts
   * const queue = new Queue('a_queue', { maxTries: 5 })
   * if ((await item.retry({ delay: 60_000 })) === 'failed') console.error(`${item.id} has failed for good`)
   * ```
   */
  async retry(options: RetryOptions = {}): Promise<RetryOutcome> {
    checkOptions('retry', options, RETRY_OPTIONS)
    const due = dueAfter(options.delay)
    const { raw, tries } = this.parsed
    const next = nameAfterTry(this.parsed, this.#context.settings.encode)
    if (next === undefined || this.#isOverLimits(tries + 1)) {
      await this.#finishing().run({ action: 'retry', place: Place.fail, to: raw, due: 0 })
      if (next === undefined) {
        this.#context.reporter.reportBeside(
          'ungrowable',
          raw,
          'cannot be tried again, as its name would be too long: moved to fail/',
        )
      }
      return 'failed'
    }
    await this.#finishing().run({ action: 'retry', place: Place.queue, to: next, due })
    return 'waiting'
  }

  /** Gives the item back as it was, for any worker to claim at once. Does nothing if it is not claimed any more. */
  release(): void {
    this.#claim.release()
  }

  /** Releases the item if it has not been finished; waits for a finish that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#claim.reads, this.#finish?.attempt])
    this.release()
  }

  /** @internal The file has another name from now on. */
  override rename(name: RawName): void {
    this.#claim.name = name
    super.rename(name)
  }

  #isOverLimits(tries: number): boolean {
    const { maxTries, ttl } = this.#limits
    return isExhausted(tries, maxTries) || isExpired(this.enqueuedAt.getTime(), ttl, Date.now())
  }

  #readable(): Contents {
    return (this.#contents ??= new Contents(this.#claim, this))
  }

  #finishing(): Finish {
    return (this.#finish ??= new Finish(this.#context, this.#claim, this))
  }
}
