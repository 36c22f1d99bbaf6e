/**
 * One pass over the names in queue/ (fsq standard, section 4): a listing, the names in it that were skipped, and the counts.
 *
 * @module
 */
import os from 'node:os'
import { debuglog } from 'node:util'

import {
  type ListingHandle,
  Place,
  type QueueHandle,
  type SkippedHandle,
  type WatchHandle,
  isFailure,
  native,
} from '../addon/native.js'
import type { ClaimBatch } from '../addon/packing.js'
import { isPromise } from '../addon/promises.js'
import type { Cancellation } from '../cancellation.js'
import { type QueueDirectory, isStale } from '../directory/open-directory.js'
import { FsqError } from '../errors/classes.js'
import type { DeadWorkers } from '../item/dead-workers.js'
import type { Failure } from '../errors/errno.js'
import type { RawName } from '../name/charset.js'
import type { ScannedQueue } from './scanned-queue.js'

const debug = debuglog('fsq')

const { ECANCELED, ESTALE } = os.constants.errno

/** Up to this many names are listed and claimed on this thread: a hop to another thread would cost more. */
export const SHORT_LISTING = 64
const LARGEST_SEED = 2 ** 31 - 2

/** How a scan makes its passes. */
export interface PassOptions {
  /** Takes the names in shuffled blocks instead of FIFO order. */
  readonly relaxed: boolean
  /** Remembers the names that it skips, for {@link Pass.revisit}. */
  readonly waits: boolean
  /** Lists so many names at a time, and at most twice as many. Default: all. */
  readonly namesAtOnce: number | undefined
  /** Ends the calls into native code, which can take long. */
  readonly cancellation: Cancellation
  readonly queue: ScannedQueue
  readonly deadWorkers: DeadWorkers
}

/** The handles of a pass in native code. */
export interface PassHandles {
  readonly handle: QueueHandle
  readonly listing: ListingHandle
  /** Of a scan that waits. */
  readonly skipped: SkippedHandle | undefined
}

/** The outcome of a pass. */
export interface PassSummary {
  /** Whether the pass was over all names, rather than over those that {@link Pass.revisit} found. */
  readonly isFull: boolean
  /** The queue has to be opened anew. */
  readonly isStale: boolean
  readonly handedOut: number
  /** How many items were skipped, because another worker holds them or because they are not due. */
  readonly skipped: number
  /** Whether each item that was skipped is held by another worker. */
  readonly isOnlyBusy: boolean
  /** Milliseconds that native code has taken for the pass. */
  readonly cost: number
}

/** The names that a pass tries again, besides new and due ones. */
export interface Revisited {
  /** Items that this process has released. */
  readonly released: readonly RawName[] | undefined
  /** The items of {@link Pass.hasKept}. */
  readonly kept: boolean
  /** A part of the items of {@link Pass.hasUnkept}. */
  readonly unkept: boolean
}

/** A pass over the names that were there at its beginning. A scan that waits makes one pass after the other with it. */
export class Pass {
  readonly #directory: QueueDirectory
  readonly #options: PassOptions
  #listing: ListingHandle | undefined
  /** The names that were skipped, of a scan that waits. */
  #skipped: SkippedHandle | undefined
  #isFull = false
  #isEnded = false
  #hasMore = false
  #isStale = false
  /** The listing has few names. */
  #isShort = false
  /** The last full listing had few names. */
  #wasShort = false
  #handedOut = 0
  #skippedCount = 0
  #isOnlyBusy = true
  #cost = 0

  constructor(directory: QueueDirectory, options: PassOptions) {
    this.#directory = directory
    this.#options = options
  }

  /** The queue that was listed. */
  get handle(): QueueHandle | undefined {
    return this.#options.queue.handle
  }

  /** What native code needs to claim; `undefined`: nothing is listed. */
  get handles(): PassHandles | undefined {
    const { handle } = this
    if (handle === undefined || this.#listing === undefined) return undefined
    return { handle, listing: this.#listing, skipped: this.#skipped }
  }

  /** Whether the pass is over the names that {@link revisit} has found. */
  get isByEvent(): boolean {
    return !this.#isFull
  }

  /** Whether the listing has no more names to claim. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Whether the pass goes on behind the names of the listing, by {@link listMore}. */
  get hasMore(): boolean {
    return this.#hasMore
  }

  /** Whether the scan waits and there are so few names that this thread claims them. */
  get isShort(): boolean {
    return this.#isShort
  }

  get summary(): PassSummary {
    return {
      isFull: this.#isFull,
      isStale: this.#isStale,
      handedOut: this.#handedOut,
      skipped: this.#skippedCount,
      isOnlyBusy: this.#isOnlyBusy,
      cost: this.#cost,
    }
  }

  /** Whether other workers hold items whose descriptors this pass keeps open, so that a watch tells when they are free. */
  get hasKept(): boolean {
    return this.#skipped !== undefined && native.skippedKept(this.#skipped) > 0
  }

  /** Whether other workers hold items of which only the names are kept: another try finds out when they are free. */
  get hasUnkept(): boolean {
    return this.#skipped !== undefined && native.skippedUnkept(this.#skipped) > 0
  }

  /**
   * Milliseconds until the first of the delayed items is due, 0: it is due; Infinity: none is delayed. By the clock of native code, which
   * decides whether an item is delayed: `Date` may be that of a test, and a loop that calls an item due which native code skips never rests.
   */
  get dueIn(): number {
    const due = this.#skipped === undefined ? -1 : native.skippedDueIn(this.#skipped)
    return due === -1 ? Infinity : due
  }

  /**
   * Tries the kept items and compares the times of the directory. Cheap. Keeps the lock on an item that has become free, for the next
   * pass.
   *
   * @returns True: another full pass would find only delayed and unreadable items.
   */
  tryQuiet(): boolean {
    if (this.#skipped === undefined || this.handle === undefined) return false
    return native.skippedQuiet(this.#skipped, this.handle)
  }

  /**
   * Lists all names: a full pass begins.
   *
   * @param maySync - Whether this thread may list, if the last full listing had few names.
   * @throws An error for a queue that is down, missing or closed, or a file system error.
   */
  begin(maySync = false): Promise<void> | undefined {
    const handle = this.#directory.opened
    if (handle === undefined || this.#directory.claimsByRename) return this.#beginAnew(maySync)
    const listed = this.#list(handle, maySync)
    if (!isPromise(listed)) return this.#begunBy(handle, listed, maySync)
    return listed.then((result) => this.#begunBy(handle, result, maySync))
  }

  /** Hot path: the queue is open, and no other has taken its place. */
  #begunBy(
    handle: QueueHandle,
    listed: ListingHandle | Failure,
    maySync: boolean,
  ): Promise<void> | undefined {
    if (!isFailure(listed)) {
      try {
        return this.#begun(listed)?.catch(async (error: unknown) => this.#beginAgain(error, maySync))
      } catch (error) {
        return this.#beginAgain(error, maySync)
      }
    }
    if (listed.errno === -ECANCELED) return this.#begun(undefined)
    if (isStale(listed)) {
      this.#directory.forget(handle)
      return this.#beginAnew(maySync)
    }
    throw this.#directory.error(listed, 'scan')
  }

  /** The look for the down file finds out that the queue has been converted to claims by renaming: opens it again. */
  async #beginAgain(error: unknown, maySync: boolean): Promise<void> {
    if (this.handle === undefined || !(error instanceof FsqError) || error.errno !== -ESTALE) throw error
    this.#directory.forget(this.handle)
    await this.#beginAnew(maySync)
  }

  async #beginAnew(maySync: boolean): Promise<void> {
    const listing = await this.#directory.use(async (handle) => {
      // Before the listing, so that the pass finds what dead workers had.
      if (native.claimsByRename(handle)) await this.#takeOver(handle)
      const listed = await this.#list(handle, maySync)
      return isFailure(listed) && listed.errno === -ECANCELED ? undefined : listed
    }, 'scan')
    await this.#begun(listing)
  }

  async #takeOver(handle: QueueHandle): Promise<void> {
    const { deadWorkers, waits } = this.#options
    await (waits ? deadWorkers.lookLately(handle) : deadWorkers.look(handle))
  }

  /**
   * Lists the names behind those of this listing. No item that was claimed from it may be released by {@link reopen} afterwards.
   *
   * @returns The failure that ends the pass.
   */
  async listMore(): Promise<Failure | undefined> {
    const { handle } = this
    const after = this.#listing
    this.#hasMore = false
    if (handle === undefined || after === undefined) return undefined
    const listing = native.list(...this.#argumentsFor(handle), after)
    native.closeListing(after)
    this.#listing = undefined
    const listed = await listing
    if (isFailure(listed)) return listed.errno === -ECANCELED ? undefined : listed
    this.#listing = listed
    this.#isEnded = native.listingSize(listed) === 0
    this.#cost += native.listingSpent(listed) / 1000
    return undefined
  }

  #list(handle: QueueHandle, maySync: boolean): Promise<ListingHandle | Failure> | ListingHandle | Failure {
    this.#use(handle)
    const args = this.#argumentsFor(handle)
    return maySync && this.#wasShort && this.#directory.isLocal
      ? native.listSync(...args)
      : native.list(...args)
  }

  #argumentsFor(handle: QueueHandle) {
    const { relaxed, cancellation, namesAtOnce } = this.#options
    const seed = relaxed ? 1 + Math.floor(Math.random() * LARGEST_SEED) : 0
    return [handle, Place.queue, seed, this.#skipped, cancellation.handle, namesAtOnce] as const
  }

  /** @param listing - `undefined`: the scan was cancelled. */
  #begun(listing: ListingHandle | undefined): Promise<void> | undefined {
    if (this.#listing !== undefined) native.closeListing(this.#listing)
    this.#listing = listing
    if (listing === undefined) {
      this.#isEnded = true
      return undefined
    }
    const size = native.listingSize(listing)
    this.#restart(size)
    this.#isFull = true
    this.#wasShort = this.#isShort
    this.#isOnlyBusy = true
    this.#cost = native.listingSpent(listing) / 1000
    this.#directory.checkOpen()
    debug('scan %s: %d names', this.#directory.layout.path, size)
    if (this.handle === undefined) return undefined
    if (!this.#directory.isLocal) return this.#directory.checkUpLater(this.handle)
    this.#directory.checkUp(this.handle)
    return undefined
  }

  /**
   * Lists the names that may be claimable now: those that the watch has seen appear, those that were delayed and are due, and the
   * {@link Revisited} ones.
   *
   * @returns Whether there are any; if so, a pass over them begins.
   */
  revisit(watch: WatchHandle, { released, kept, unkept }: Revisited): boolean {
    if (this.#skipped === undefined || this.#listing === undefined) return false
    const size = native.listNews(this.#listing, this.#skipped, watch, released, kept, unkept)
    if (size === 0) return false
    this.#restart(size)
    this.#isFull = false
    return true
  }

  /** Counts a batch of claims. */
  count({ spent, delayed, busy, notes, isEnded, hasMore }: ClaimBatch): void {
    // Not the time until this thread has the answer: a handler may keep it busy meanwhile.
    this.#cost += spent / 1000
    this.#skippedCount += delayed + busy
    this.#isOnlyBusy &&= delayed === 0 && notes.length === 0
    this.#isEnded = isEnded
    this.#hasMore = hasMore
  }

  countHandedOut(): void {
    this.#handedOut++
  }

  /** Counts an item that was skipped although native code has claimed it. */
  countSkipped(): void {
    this.#skippedCount++
    this.#isOnlyBusy = false
  }

  /** The names at these positions of the listing, whose claims were released, are claimed again. */
  reopen(positions: readonly number[]): void {
    if (this.#listing !== undefined) native.reopenNames(this.#listing, positions)
    this.#isEnded = false
  }

  /** Ends the pass here: the queue has to be opened anew. */
  endStale(): void {
    this.#isStale = true
    this.#isEnded = true
    this.#hasMore = false
  }

  close(): void {
    if (this.#listing !== undefined) native.closeListing(this.#listing)
    this.#listing = undefined
    if (this.#skipped !== undefined) native.closeSkipped(this.#skipped)
    this.#skipped = undefined
    this.#options.queue.handle = undefined
  }

  #use(handle: QueueHandle): void {
    const { queue, waits } = this.#options
    if (handle === queue.handle) return
    queue.handle = handle
    if (!waits) return
    // The names and descriptors of another queue are of no use in this one.
    if (this.#skipped !== undefined) native.closeSkipped(this.#skipped)
    this.#skipped = native.newSkipped()
  }

  #restart(size: number): void {
    this.#isShort = this.#options.waits && size <= SHORT_LISTING
    this.#isStale = false
    // An empty listing is not worth a call.
    this.#isEnded = size === 0
    this.#hasMore = false
    this.#handedOut = 0
    this.#skippedCount = 0
  }
}
