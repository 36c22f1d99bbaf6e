/**
 * An item that this process has claimed: locked, valid, and nobody else's until it is finished or released.
 *
 * @module
 */
import { Buffer, constants } from 'node:buffer'
import fs from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import os from 'node:os'
import type { Readable } from 'node:stream'
// Not the global ones, which a test may have replaced by some that stand still.
import { clearTimeout, setTimeout } from 'node:timers'
import { inspect, promisify } from 'node:util'

import type { Claims } from './claims.js'
import { type StreamOptions, contentStream } from './content-stream.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import {
  ContentError,
  FinishError,
  type FsqError,
  ItemFinishedError,
  ItemGoneError,
  NotDurableError,
  QueueClosedError,
} from '../errors/classes.js'
import { errnoOf } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import { type Finisher, type Move, type Moved, isGone } from './moves.js'
import { placePath } from '../directory/layout.js'
import { type RawName, pathText } from '../name/charset.js'
import { type ParsedName, parseItemName, withTries } from '../name/item-name.js'
import { NamedItem } from './named-item.js'
import { Place, type QueueHandle } from '../addon/native.js'
import { checkOptions, dueAfter } from '../options.js'
import { InFlight } from '../in-flight.js'
import type { Reporter } from '../report.js'
import type { Settings } from '../settings.js'
import { LARGEST_NUMBER, LONGEST_NAME } from '../name/limits.js'

const read = promisify(fs.read)
// Its node:fs takes no descriptors but its own.
const isDeno = 'deno' in process.versions

const { EBADF } = os.constants.errno
const READ_STEP = 1024 * 1024
const FIRST_BACKOFF = 100
const LONGEST_BACKOFF = 30_000

/** All that the items of one queue handle share. */
export interface ItemContext {
  readonly directory: QueueDirectory
  readonly settings: Settings
  readonly claims: Claims
  readonly finisher: Finisher
  /** Claims and finishes in native code. */
  readonly pending: InFlight
  /** Loops over items. */
  readonly scans: InFlight
  readonly reporter: Reporter
  /** Called when an item is given back as it was. */
  readonly releasing: Set<(name: RawName) => void>
}

/** How often and how long an item may be tried. */
export interface Limits {
  /** 0: without limit. */
  readonly maxTries: number
  /** Seconds; 0: without limit. */
  readonly ttl: number
}

/** One claim, as native code gives it. */
export interface ClaimedFile {
  readonly handle: QueueHandle
  readonly name: RawName
  /** By its number in native code. */
  readonly claim: number
  readonly descriptor: number
  readonly size: number
  /** What was read along with this claim and others, and where this one's content begins in it; -1: it was not read. */
  readonly contents: Buffer
  readonly offset: number
}

/** How an item is given back to be tried again. */
export interface RetryOptions {
  /** Milliseconds until it is due again. */
  readonly delay?: number | undefined
}

const RETRY_OPTIONS = ['delay'] as const

/** Where an item is after {@link WorkItem.retry}. */
export type RetryOutcome = 'waiting' | 'failed'

type Action = 'done' | 'fail' | 'retry' | 'discard'

// claimed -> finishing -> finished; finishing -> unfinished (the move failed) -> finishing; claimed -> released
type State = 'claimed' | 'finishing' | 'unfinished' | 'finished' | 'released'

interface Target {
  readonly action: Action
  readonly place: Place
  readonly to: RawName
  readonly due: number
}

/**
 * A claimed item. It stays claimed until it is finished (done, fail, retry, discard) or released; the kernel releases it
 * when this process ends.
 */
export class WorkItem extends NamedItem {
  readonly #context: ItemContext
  readonly #limits: Limits
  readonly #file: ClaimedFile
  #state: State = 'claimed'
  /** Reads under way, which a finish waits for. */
  #reads: InFlight | undefined
  #finishing: Promise<void> | undefined
  #target: Target | undefined
  #backoff = FIRST_BACKOFF
  #timer: NodeJS.Timeout | undefined

  /** @internal */
  constructor(context: ItemContext, file: ClaimedFile, parsed: ParsedName, limits: Limits) {
    super(parsed, context.settings)
    this.#context = context
    this.#file = file
    this.#limits = limits
    context.claims.hold(file.claim, this, file.name)
  }

  /** Bytes of the contents. */
  get size(): number {
    return this.#file.size
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
    this.#checkHeld('use the descriptor of')
    return this.#file.descriptor
  }

  /** Whether the item is still claimed by this object. */
  get claimed(): boolean {
    return (
      (this.#state === 'claimed' || this.#state === 'unfinished' || this.#state === 'finishing') &&
      !this.#context.directory.closed
    )
  }

  /**
   * The contents as bytes.
   *
   * @throws {@link ItemFinishedError} if the item is not claimed any more; {@link ContentError} if they are too large for one
   * value, or fewer than when the item was claimed; an error of the file system.
   */
  async bytes(): Promise<Buffer> {
    const { contents, offset, size } = this.#file
    if (offset < 0) return this.#read(async () => this.#readAll(constants.MAX_LENGTH))
    this.#checkHeld('read')
    // A copy: it shares its memory with the contents of other items.
    return Buffer.from(contents.subarray(offset, offset + size))
  }

  /** The contents as text (UTF-8). Throws as {@link bytes}. */
  async text(): Promise<string> {
    const { contents, offset, size } = this.#file
    if (offset < 0) {
      const bytes = await this.#read(async () => this.#readAll(constants.MAX_STRING_LENGTH))
      return bytes.toString('utf8')
    }
    this.#checkHeld('read')
    return contents.toString('utf8', offset, offset + size)
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
    this.#checkHeld('read')
    return contentStream(this.size, async (position, length) => this.#readPart(position, length), options)
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
    return this.#finish({ action: 'done', place: Place.done, to: this.parsed.raw, due: 0 })
  }

  /** The work has failed for good: moves the item to fail/. Throws as {@link done}. */
  fail(): Promise<void> {
    return this.#finish({ action: 'fail', place: Place.fail, to: this.parsed.raw, due: 0 })
  }

  /** The work has been done and nobody wants to see it again: removes the item. Throws as {@link done}. */
  discard(): Promise<void> {
    return this.#finish({ action: 'discard', place: Place.tmp, to: this.parsed.raw, due: 0 })
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
    const tries = this.tries + 1
    const { raw } = this.parsed
    const fits = tries <= LARGEST_NUMBER
    const to = fits ? withTries(raw, tries, this.#context.settings.encode) : raw
    const isUngrowable = !fits || to.length > LONGEST_NAME
    if (isUngrowable || this.#isExhausted(tries) || this.#isExpired()) {
      await this.#finish({ action: 'retry', place: Place.fail, to: raw, due: 0 })
      if (isUngrowable) {
        this.#context.reporter.reportBeside(
          'ungrowable',
          raw,
          'cannot be tried again, as its name would be too long: moved to fail/',
        )
      }
      return 'failed'
    }
    await this.#finish({ action: 'retry', place: Place.queue, to, due })
    return 'waiting'
  }

  /** Gives the item back as it was, for any worker to claim at once. Does nothing if it is not claimed any more. */
  release(): void {
    if (this.#state !== 'claimed') return
    this.#state = 'released'
    this.#context.claims.release(this.#file.claim, this)
    for (const callback of this.#context.releasing) callback(this.parsed.raw)
  }

  /** @internal Whether it is neither finished nor released. */
  get isHeld(): boolean {
    return this.#state !== 'finished' && this.#state !== 'released'
  }

  /** Releases the item if it has not been finished; waits for a finish that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#reads?.idle(), this.#finishing])
    this.release()
  }

  #isExhausted(tries: number): boolean {
    return this.#limits.maxTries > 0 && tries >= this.#limits.maxTries
  }

  #isExpired(): boolean {
    return this.#limits.ttl > 0 && Date.now() - this.enqueuedAt.getTime() >= this.#limits.ttl * 1000
  }

  #checkHeld(doing: string): void {
    const error = this.#heldError(doing)
    if (error !== undefined) throw error
  }

  #heldError(doing: string): FsqError | undefined {
    if (this.#context.directory.closed) {
      return new QueueClosedError(
        `Cannot ${doing} the item ${inspect(this.id)}: the handle of its queue has been closed, which released it`,
      )
    }
    if (this.#state === 'claimed' || this.#state === 'unfinished') return undefined
    const what = this.#state === 'released' ? 'released' : 'finished'
    return new ItemFinishedError(
      `Cannot ${doing} the item ${inspect(this.id)}: it has been ${what} already`,
      { advice: 'Do so once for each item' },
    )
  }

  async #read<Result>(read: () => Promise<Result>): Promise<Result> {
    this.#checkHeld('read')
    this.#reads ??= new InFlight()
    this.#reads.begin()
    try {
      return await this.#context.claims.reading(this.#file.claim, read)
    } finally {
      this.#reads.end()
    }
  }

  async #readPart(position: number, length: number): Promise<Buffer> {
    const { contents, offset } = this.#file
    if (offset >= 0) {
      this.#checkHeld('read')
      return Buffer.from(contents.subarray(offset + position, offset + position + length))
    }
    const buffer = Buffer.allocUnsafeSlow(length)
    const { bytesRead } = await this.#read(async () => this.#readAt(buffer, 0, length, position))
    return buffer.subarray(0, bytesRead)
  }

  async #readAll(most: number): Promise<Buffer> {
    const { size } = this.#file
    if (size > most) {
      throw new ContentError(
        `The item ${inspect(this.id)} has ${size} bytes, and one value can hold ${most}`,
        { advice: 'Read it with item.stream(), or give item.fd to a program' },
      )
    }
    const buffer = Buffer.allocUnsafe(size)
    let filled = 0
    while (filled < buffer.length) {
      const length = Math.min(buffer.length - filled, READ_STEP)
      const { bytesRead } = await this.#readAt(buffer, filled, length, filled)
      if (this.#state === 'released') this.#checkHeld('read')
      filled += bytesRead
    }
    return buffer
  }

  async #readAt(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }> {
    try {
      if (isDeno) return await readFrom(this.path, buffer, offset, length, position)
      // With a position, so that the offset, which a child may inherit, stays 0.
      const result = await read(this.#file.descriptor, buffer, offset, length, position)
      // An item is whole when it is claimed. Less than that must not pass for it.
      if (result.bytesRead === 0) throw this.#cutError(position)
      return result
    } catch (error) {
      if (error instanceof ContentError) throw error
      const errno = errnoOf(error) || -os.constants.errno.EIO
      throw fileSystemError({ errno, syscall: 'read', path: this.path }, `read the item ${inspect(this.id)}`)
    }
  }

  #cutError(position: number): ContentError {
    return new ContentError(
      `The item ${inspect(this.id)} had ${this.size} bytes when it was claimed, and has no more than ` +
        `${position} now: somebody has cut its file short`,
      { advice: 'Items in queue/ are not to be written to; retry or fail this one' },
    )
  }

  // Few promises: this is the way of every item.
  #finish(target: Target): Promise<void> {
    const refusal = this.#refusalOf(target)
    if (refusal !== undefined) return Promise.reject(refusal)
    // What was asked for first stays: the time of a retry, say, is not moved by asking again.
    this.#finishing = this.#attempt(this.#target ?? target)
    return this.#finishing
  }

  #refusalOf({ action }: Target): FsqError | undefined {
    if (this.#state !== 'unfinished' || this.#target?.action === action) return this.#heldError('finish')
    return new ItemFinishedError(
      `Cannot ${action} the item ${inspect(this.id)}: ${this.#target?.action ?? 'another finish'} was asked for, has ` +
        'failed, and is tried again until it succeeds or the queue is closed',
    )
  }

  async #attempt(target: Target): Promise<void> {
    const { claims, finisher, pending } = this.#context
    const { handle, claim } = this.#file
    const { place, to, due } = target
    this.#state = 'finishing'
    this.#target = target
    claims.surrender(claim, this)
    pending.begin()
    let moved: Moved
    try {
      if (this.#timer !== undefined) clearTimeout(this.#timer)
      if (this.#reads !== undefined) await this.#reads.idle()
      const move: Move = { handle, claim, from: this.parsed.raw, place, to, due }
      const result = await finisher.submit(move)
      moved =
        result === undefined
          ? { name: to, left: true, undelayed: false }
          : await finisher.resolve(move, result)
    } catch (error) {
      // Not a failed call, but a handle that is closed: nobody else would release the claim.
      this.#abandon()
      throw error
    } finally {
      pending.end()
    }
    if (moved.left) this.#settle(target, moved)
    else this.#keep(target, moved)
  }

  #abandon(): void {
    this.#state = 'released'
    this.#context.claims.hold(this.#file.claim, this, this.parsed.raw)
    this.#context.claims.release(this.#file.claim, this)
  }

  /** The item has moved. */
  #settle({ action, place, due }: Target, { name, failure, undelayed }: Moved): void {
    const { claims, reporter, settings } = this.#context
    this.#state = 'finished'
    claims.removeUnfinished(this)
    if (name !== this.parsed.raw) this.rename(parseItemName(name, settings))
    if (undelayed && place === Place.queue && due !== 0) {
      reporter.reportBeside('undelayed', name, 'is due at once: only its owner may set its time')
    }
    if (failure === undefined) return
    throw new NotDurableError(this.id, { cause: systemError(failure) }, action)
  }

  /** The item has not moved: it is still claimed, or lost. */
  #keep(target: Target, { failure }: Moved): void {
    const { claims, directory } = this.#context
    const { claim } = this.#file
    const cause = failure === undefined ? undefined : systemError(failure)
    claims.hold(claim, this, this.parsed.raw)
    if (failure !== undefined && isGone(failure)) {
      this.#state = 'finished'
      claims.removeUnfinished(this)
      claims.release(claim, this)
      const what =
        failure.errno === -EBADF
          ? 'its descriptor was closed by somebody else, and with it its lock is gone'
          : 'somebody else has moved or removed its file, or has put another in its place'
      throw new ItemGoneError(`Cannot finish (${target.action}) the item ${inspect(this.id)}: ${what}`, {
        cause,
        advice: 'Leave claimed items to their worker; whether the work has to be done again, only you know',
      })
    }
    this.#state = 'unfinished'
    const error = new FinishError(this.id, target.action, { cause })
    if (directory.closed) {
      claims.release(claim, this)
    } else {
      claims.addUnfinished(this, error, () => {
        clearTimeout(this.#timer)
      })
      this.#tryAgainLater(target)
    }
    throw error
  }

  /**
   * The work has run: ending the process now would have it run again, so the timer keeps it alive until the item has
   * moved or the queue is closed.
   */
  #tryAgainLater(target: Target): void {
    this.#timer = setTimeout(() => {
      if (this.#context.directory.closed || this.#state !== 'unfinished') return
      const report = (): void => {
        this.#context.reporter.reportBeside(
          'recovered',
          this.parsed.raw,
          `could be finished after all (${target.action})`,
        )
      }
      // An attempt that fails has seen to the next one itself, and its error is known to the caller of the first.
      this.#attempt(target)
        .then(report)
        .catch(() => undefined)
    }, this.#backoff)
    this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF)
  }
}

async function readFrom(
  path: string,
  ...range: [Buffer, number, number, number]
): Promise<{ bytesRead: number }> {
  const file = await openFile(path)
  try {
    return await file.read(...range)
  } finally {
    await file.close()
  }
}
