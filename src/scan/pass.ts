/**
 * Claiming items, one after the other (fsq standard, section 4).
 *
 * @module
 */
import os from 'node:os'
// Not the global ones, which a test may have replaced by some that stand still.
import { clearTimeout, setTimeout } from 'node:timers'
import { debuglog, inspect } from 'node:util'

import { type QueueDirectory, isStale } from '../directory/open-directory.js'
import { QueueDownError } from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type Moved, isGone } from '../item/moves.js'
import { type ClaimedFile, type ItemContext, type Limits, WorkItem } from '../item/work-item.js'
import { type RawName, printable } from '../name/charset.js'
import { plainEscape } from '../name/item-name.js'
import {
  BatchNumber,
  type ClaimBatch,
  type ClaimNote,
  ClaimNumber,
  ENTRY_TYPES,
  type ListingHandle,
  NoteKind,
  Place,
  type QueueHandle,
  type SkippedHandle,
  type WatchHandle,
  claimNumbersAt,
  isFailure,
  native,
} from '../addon/native.js'
import { ClaimThread } from './claim-thread.js'
import type { Prefetch } from './prefetch.js'
import type { Cancellation } from '../cancellation.js'
import { type Verdict, judge } from '../item/limits.js'

const debug = debuglog('fsq')

const { ECANCELED, EMFILE, ENFILE } = os.constants.errno

// Small contents are read along with the claim, which spares a crossing.
const READ_LIMIT = 4096
// So few are listed and claimed on this thread: a hop to another would cost more.
const QUICK_NAMES = 64
const ALL_NAMES = 2 ** 31
// So many at a time, where this thread claims what waits in a longer listing.
const FEW = 8
// Claimed ahead, but not handed out after this long: somebody else can have it.
const IDLE_MS = 100
const LARGEST_SEED = 2 ** 31 - 2

interface Ready {
  readonly item: WorkItem
  readonly position: number
}

interface Claimed extends ClaimedFile {
  readonly position: number
  readonly tries: number
}

/** How a walk over all names begins. */
interface Beginning {
  /** Nothing much has come since the last time: if there were few names then, lists on this thread. */
  readonly quick: boolean
  /** Called with the queue that is about to be listed. */
  readonly prepare: (handle: QueueHandle) => void
}

/** How one walks. */
interface Manner {
  readonly prefetch: Prefetch
  /** In shuffled blocks. */
  readonly relaxed: boolean
  /** What is passed by is remembered, for {@link Pass.revisit}. */
  readonly waits: boolean
  /** Ends the calls into native code, which can be long ones. */
  readonly stop: Cancellation
  readonly walked: ScannedQueue
}

/** The queue that one walk is over, which it keeps open. */
export class ScannedQueue {
  readonly #directory: QueueDirectory
  #handle: QueueHandle | undefined

  constructor(directory: QueueDirectory) {
    this.#directory = directory
  }

  get handle(): QueueHandle | undefined {
    return this.#handle
  }

  /** Another one, or none any more. */
  set handle(handle: QueueHandle | undefined) {
    const earlier = this.#handle
    this.#handle = handle
    if (handle !== undefined) this.#directory.beginWalk(handle)
    if (earlier !== undefined) this.#directory.endWalk(earlier)
  }
}

/** A walk over the names that were there at its beginning; one that waits can begin again. */
export class Pass {
  readonly #context: ItemContext
  readonly #limits: Limits
  readonly #prefetch: Prefetch
  readonly #pace = new ClaimThread()
  readonly #relaxed: boolean
  readonly #waits: boolean
  readonly #stop: Cancellation
  readonly #walked: ScannedQueue
  #listing: ListingHandle | undefined
  /** Of a walk that waits. */
  #skipped: SkippedHandle | undefined
  /** Few names: claimed on this thread. */
  #isQuick = false
  /** The last of the full listings had few names. */
  #isSmall = false
  #isFull = false
  #isStale = false
  #handedOut = 0
  #passedBy = 0
  #isPlain = true
  #cost = 0
  #ready: Ready[] = []
  #ended = false
  #error: Error | undefined
  #filling: Promise<void> | undefined
  #size = 1
  #over = false
  /** Somebody waits for the next item. Left as it is where there is none: nothing is claimed then. */
  #isAwaited = false
  /** What {@link takeReady} has found that {@link next} is to tell. */
  #down: ReturnType<typeof native.isDownSync> = false
  #idle: NodeJS.Timeout | undefined
  readonly #escape: number
  // Without locks nothing else keeps the next walk from handing out once more what is being worked on.
  readonly #unlocked: Map<RawName, WeakRef<WorkItem>> | undefined

  constructor(context: ItemContext, limits: Limits, { prefetch, relaxed, waits, stop, walked }: Manner) {
    this.#context = context
    this.#limits = limits
    this.#prefetch = prefetch
    this.#relaxed = relaxed
    this.#waits = waits
    this.#stop = stop
    this.#walked = walked
    this.#escape = plainEscape(context.settings)
    if (waits && !context.settings.lock) this.#unlocked = new Map()
  }

  /** The queue that is walked over. */
  get handle(): QueueHandle | undefined {
    return this.#walked.handle
  }

  /** Whether it was over all names. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** The queue is to be opened anew. */
  get isStale(): boolean {
    return this.#isStale
  }

  /** How many items this walk has claimed. */
  get handedOut(): number {
    return this.#handedOut
  }

  /** How many it has passed by, as others hold them or they are not due. */
  get passedBy(): number {
    return this.#passedBy
  }

  /** Milliseconds that native code has taken for it. */
  get cost(): number {
    return this.#cost
  }

  /** Whether something that it has passed by is held by others. */
  get isBusy(): boolean {
    return this.#skipped !== undefined && native.skippedKept(this.#skipped) > 0
  }

  /** Whether others hold so much that {@link isQuiet} and a watch cannot tell when all of it is free. */
  get isCrowded(): boolean {
    return this.#skipped !== undefined && native.skippedUnkept(this.#skipped) > 0
  }

  /** Whether all that it has passed by is held by others. */
  get isPlain(): boolean {
    return this.#isPlain
  }

  /** Whether another full walk would find nothing but what is delayed or may not be opened. Cheap. */
  get isQuiet(): boolean {
    if (this.#skipped === undefined || this.#walked.handle === undefined) return false
    return native.skippedQuiet(this.#skipped, this.#walked.handle)
  }

  /** When the first of the delayed items is due, in milliseconds since the epoch. */
  get nextDue(): number {
    const due = this.#skipped === undefined ? 0 : native.skippedDue(this.#skipped)
    return due === 0 ? Infinity : due
  }

  /** Walks over all names there are. */
  async begin(beginning?: Beginning): Promise<void> {
    const { directory } = this.#context
    const seed = this.#relaxed ? 1 + Math.floor(Math.random() * LARGEST_SEED) : 0
    const listing = await directory.use(async (handle) => {
      this.#use(handle)
      beginning?.prepare(handle)
      const isSmall = beginning?.quick === true && this.#isSmall
      const what = [handle, Place.queue, seed, this.#skipped, this.#stop.handle] as const
      const listed = isSmall ? native.listSync(...what) : await native.list(...what)
      return isFailure(listed) && listed.errno === -ECANCELED ? undefined : listed
    }, 'scan')
    if (this.#listing !== undefined) native.closeListing(this.#listing)
    this.#listing = listing
    if (listing === undefined) {
      this.#ended = true
      return
    }
    this.#restart(native.listingSize(listing), true)
    this.#cost = native.listingSpent(listing) / 1000
    directory.checkOpen()
    this.#checkDown()
    debug('scan %s: %d names', directory.layout.path, native.listingSize(listing))
  }

  /**
   * Walks over just what the watch has seen appear, these names, those that were delayed and are due, and those that others have
   * held: if `kept`, what {@link isBusy} is about, if `unkept`, what {@link isCrowded} is about, or a part of that.
   *
   * @returns Whether there are any.
   */
  revisit(
    watch: WatchHandle,
    names: readonly RawName[] | undefined,
    kept: boolean,
    unkept: boolean,
  ): boolean {
    if (this.#skipped === undefined || this.#listing === undefined) return false
    const size = native.listNews(this.#listing, this.#skipped, watch, names, kept, unkept, Date.now())
    if (size > 0) this.#restart(size, false)
    return size > 0
  }

  /** The next item, claimed; none: the walk is over, or was stopped. */
  async next(): Promise<WorkItem | undefined> {
    this.#isAwaited = true
    let fresh = false
    while (this.#ready.length === 0) {
      if (this.#over) return undefined
      this.#checkUnfinished()
      if (this.#stop.raised !== undefined) return undefined
      fresh = this.#filling === undefined
      if (fresh) {
        if (this.#error !== undefined) throw this.#error
        if (this.#ended) return undefined
        this.#size = this.#prefetch.next()
        this.#fill(this.#size)
      }
      if (this.#filling !== undefined) {
        fresh = false
        await this.#filling
      }
    }
    this.#checkUnfinished()
    // Whatever was claimed ahead: nothing is begun in a queue that is down. Whoever claimed it just now has looked.
    if (!fresh) this.#checkDown()
    return this.#takeFirst()
  }

  /** The next item, if this thread can claim it here and now; else {@link next} tells. Whoever waits feels each detour. */
  claimNow(): WorkItem | undefined {
    if (!this.#isQuick || this.#ready.length > 0 || this.#filling !== undefined) return undefined
    if (this.#over || this.#ended || this.#error !== undefined) return undefined
    this.#checkUnfinished()
    this.#isAwaited = true
    this.#size = this.#prefetch.next()
    this.#fill(this.#size)
    // It has just been looked whether the queue is down.
    return this.#ready.length === 0 ? undefined : this.#takeFirst()
  }

  /** The next item, if one is claimed already and nothing stands against handing it out; else {@link next} tells. */
  takeReady(): WorkItem | undefined {
    const { directory, claims } = this.#context
    if (this.#ready.length === 0 || this.#walked.handle === undefined) return undefined
    if (directory.closed || claims.unfinished !== undefined) return undefined
    this.#down = native.isDownSync(this.#walked.handle)
    return this.#down === false ? this.#takeFirst() : undefined
  }

  /** Releases what was claimed ahead. */
  async end(): Promise<void> {
    this.#over = true
    this.#stop.raise(undefined)
    this.#releaseReady()
    await this.#filling
    this.#releaseReady()
    if (this.#listing !== undefined) native.closeListing(this.#listing)
    this.#listing = undefined
    if (this.#skipped !== undefined) native.closeSkipped(this.#skipped)
    this.#skipped = undefined
    this.#walked.handle = undefined
  }

  #use(handle: QueueHandle): void {
    if (handle === this.#walked.handle) return
    this.#walked.handle = handle
    if (!this.#waits) return
    // Names and descriptors of another queue are of no use in this one.
    if (this.#skipped !== undefined) native.closeSkipped(this.#skipped)
    this.#skipped = native.newSkipped()
  }

  #restart(size: number, isFull: boolean): void {
    this.#isQuick = this.#waits && size <= QUICK_NAMES
    if (isFull) {
      this.#isSmall = this.#isQuick
      this.#isPlain = true
    }
    this.#isFull = isFull
    this.#isStale = false
    this.#ended = false
    this.#handedOut = 0
    this.#passedBy = 0
    this.#prefetch.reset()
    for (const [name, item] of this.#unlocked ?? []) {
      if (item.deref()?.isHeld !== true) this.#unlocked?.delete(name)
    }
  }

  #takeFirst(): WorkItem | undefined {
    this.#isAwaited = false
    const ready = this.#ready.shift()
    if (this.#ready.length === 0) this.#unwatchIdle()
    this.#fillAhead()
    return ready?.item
  }

  /** Claims more while the last ones are being worked on, so that neither waits for the other. */
  #fillAhead(): void {
    const ahead = this.#size - 1
    if (this.#ready.length > ahead / 2 || ahead === 0) return
    if (this.#filling !== undefined || this.#ended || this.#error !== undefined) return
    this.#size = this.#prefetch.next()
    const room = this.#size - 1 - this.#ready.length
    if (room > 0) this.#fill(room)
  }

  /** Claims some: at once, or it is under way from here on. */
  #fill(count: number): void {
    const handle = this.#walked.handle
    const listing = this.#listing
    if (handle === undefined || listing === undefined) return
    try {
      this.#context.directory.checkOpen()
      const batch = this.#claimHere(handle, listing, count)
      if (batch === undefined) {
        const claiming = native.claim(
          handle,
          listing,
          count,
          ALL_NAMES,
          READ_LIMIT,
          this.#escape,
          this.#skipped,
          this.#stop.handle,
        )
        this.#filling = this.#whenFilled(
          claiming.then(async (claimed) => settled(this.#receive(handle, listing, claimed))),
        )
      } else {
        const failing = this.#receive(handle, listing, batch)
        if (failing.length > 0) this.#filling = this.#whenFilled(settled(failing))
      }
    } catch (error) {
      this.#failWith(error)
    }
  }

  async #whenFilled(filling: Promise<unknown>): Promise<void> {
    const { pending } = this.#context
    pending.begin()
    try {
      await filling
    } catch (error) {
      this.#failWith(error)
    } finally {
      pending.end()
      this.#filling = undefined
    }
  }

  /** For the loop, once what has been claimed is handed out. */
  #failWith(error: unknown): void {
    this.#error ??= error instanceof Error ? error : new Error(String(error))
    this.#ended = true
  }

  #claimHere(handle: QueueHandle, listing: ListingHandle, count: number): ClaimBatch | undefined {
    if (this.#isQuick) {
      return native.claimSync(handle, listing, count, QUICK_NAMES, READ_LIMIT, this.#escape, this.#skipped)
    }
    if (!this.#pace.isQuick) return undefined
    this.#pace.take()
    return native.claimSync(
      handle,
      listing,
      Math.min(count, FEW),
      FEW,
      READ_LIMIT,
      this.#escape,
      this.#skipped,
    )
  }

  /**
   * What native code has claimed, and what it says of the rest.
   *
   * @returns Those that are not fit to be handed out, on their way to fail/.
   */
  #receive(handle: QueueHandle, listing: ListingHandle, batch: ClaimBatch): Promise<void>[] {
    const { directory } = this.#context
    const [numbers, names, contents, notes, failure] = batch
    const delayed = numbers[BatchNumber.delayed] as number
    const spent = numbers[BatchNumber.spent] as number
    // Not the time until this thread has the answer, which a handler may keep busy.
    this.#cost += spent / 1000
    this.#pace.note(names.length, numbers[BatchNumber.looked] as number, spent)
    this.#passedBy += delayed + (numbers[BatchNumber.busy] as number)
    this.#isPlain &&= delayed === 0 && notes === undefined
    const claimed = names.map((name, index) => claimedFile(handle, numbers, name, index, contents))
    // Left or closed meanwhile: nobody else knows of these claims.
    if (directory.closed || this.#over) {
      native.release(claimed.map(({ claim }) => claim))
      directory.checkOpen()
      return []
    }
    this.#ended = numbers[BatchNumber.ended] === 1
    const failing: Promise<void>[] = []
    for (const file of claimed) this.#sort(handle, file, failing)
    this.#reportAll(notes ?? [])
    // What is taken at once needs no watch.
    if (this.#ready.length > (this.#isAwaited ? 1 : 0)) this.#watchIdle()
    if (failure !== undefined && isOutOfDescriptors(failure) && this.#ready.length > 0) {
      this.#claimLess(listing)
    } else if (failure !== undefined) {
      // The kind of lock has changed under this scan (the marker of fcntl locks): the next one opens the queue anew.
      this.#isStale = isStale(failure)
      if (this.#isStale) directory.forget(handle)
      if (this.#isStale && this.#waits) this.#ended = true
      else this.#failWith(directory.error(failure, 'scan'))
    } else if (numbers[BatchNumber.down] === 1) {
      this.#failWith(this.#downError())
    }
    return failing
  }

  /** What was claimed ahead has used up the descriptors. It is an error only where not even the next item can be claimed. */
  #claimLess(listing: ListingHandle): void {
    const surplus = this.#ready.splice(this.#prefetch.halve(this.#ready.length))
    for (const { item } of surplus) item.release()
    const [first] = surplus
    if (first !== undefined) native.seekListing(listing, first.position)
  }

  /** What is fit to be handed out becomes ready; else it goes to fail/. */
  #sort(handle: QueueHandle, file: Claimed, failing: Promise<void>[]): void {
    if (this.#unlocked?.get(file.name)?.deref()?.isHeld === true) {
      native.release([file.claim])
      // It may be dropped without a word, and then nothing tells that it is to be had.
      this.#passedBy++
      this.#isPlain = false
      return
    }
    const judged = judge(file.name, file.tries, this.#context.settings, this.#limits)
    if ('parsed' in judged) {
      const item = new WorkItem(this.#context, file, judged.parsed, this.#limits)
      this.#ready.push({ item, position: file.position })
      this.#unlocked?.set(file.name, new WeakRef(item))
      this.#handedOut++
    } else {
      failing.push(this.#failUnrun(handle, file, judged))
    }
  }

  async #failUnrun(handle: QueueHandle, file: Claimed, verdict: Verdict): Promise<void> {
    const { finisher, directory, reporter } = this.#context
    const { name, claim } = file
    const move = { handle, claim, from: name, place: Place.fail, to: name, due: 0 }
    let moved: Moved
    try {
      moved = await finisher.resolve(move, await finisher.submit(move))
    } catch (error) {
      // Closed meanwhile: nobody else knows of the claim.
      native.release([claim])
      throw error
    }
    if (moved.left) {
      const renamed = moved.name === name ? '' : ` as ${inspect(printable(moved.name))}`
      reporter.report(verdict.type, name, `${verdict.message}: moved to fail/${renamed}`, verdict.error)
      return
    }
    // It has not run, so it can be let go of; only the work of others must not stop for it.
    native.release([claim])
    const { failure } = moved
    if (failure === undefined || isGone(failure)) return
    const error = directory.error(failure, 'move an item to fail/ in')
    reporter.report(
      'unmovable',
      name,
      `${verdict.message}, and cannot be moved to fail/: ${error.message}`,
      error,
    )
  }

  /** What a listener throws is for the loop: whoever receives claims must not stop half-way. */
  #reportAll(notes: readonly ClaimNote[]): void {
    try {
      for (const note of notes) this.#report(note)
    } catch (error) {
      this.#failWith(error)
    }
  }

  #report(note: ClaimNote): void {
    const { reporter, directory } = this.#context
    switch (note.kind) {
      case NoteKind.foreign:
        reporter.report(
          'foreign',
          note.name,
          `is ${ENTRY_TYPES[note.type] ?? 'unknown'}, not a regular file, and is left alone. Remove it`,
        )
        break
      case NoteKind.unreadable: {
        const failure = note.failure ?? { errno: 0, syscall: 'openat' }
        const error = fileSystemError(directory.located(failure), 'open an item')
        const needs =
          this.#walked.handle !== undefined && native.usesFcntl(this.#walked.handle)
            ? '. The fcntl locks of this queue need items that each worker may open for writing: enqueue with an ' +
              'FSQ_ITEM_MODE such as 0660'
            : ''
        reporter.report('unreadable', note.name, `is left alone: ${error.message}${needs}`, error)
        break
      }
      default:
        reporter.report('completed', note.name, 'had been moved already; its old name was removed')
    }
  }

  #checkDown(): void {
    if (this.#walked.handle === undefined) return
    const down = this.#down === false ? native.isDownSync(this.#walked.handle) : this.#down
    this.#down = false
    if (isFailure(down)) throw this.#context.directory.error(down, 'scan')
    if (down) throw this.#downError()
  }

  #checkUnfinished(): void {
    this.#context.directory.checkOpen()
    const { unfinished } = this.#context.claims
    if (unfinished !== undefined) throw unfinished
  }

  #downError(): QueueDownError {
    const { name, downPath } = this.#context.directory.layout
    return new QueueDownError(
      `The queue ${inspect(name)} is down (${downPath} exists), so it is not scanned`,
      { path: downPath, advice: 'Take it up again with queue.up()', adviceKey: 'take-up' },
    )
  }

  // The loop may be busy with one item for an hour, and other workers idle meanwhile.
  #watchIdle(): void {
    this.#unwatchIdle()
    this.#idle = setTimeout(() => {
      const [first] = this.#ready
      if (first === undefined || this.#listing === undefined) return
      if (this.#filling !== undefined) {
        this.#watchIdle()
        return
      }
      this.#releaseReady()
      // They are claimed again when their turn comes, unless somebody else was faster.
      native.seekListing(this.#listing, first.position)
      this.#ended = false
    }, IDLE_MS)
    this.#idle.unref()
  }

  #unwatchIdle(): void {
    if (this.#idle !== undefined) clearTimeout(this.#idle)
    this.#idle = undefined
  }

  #releaseReady(): void {
    this.#unwatchIdle()
    for (const { item } of this.#ready) item.release()
    this.#ready = []
  }
}

function claimedFile(
  handle: QueueHandle,
  numbers: Float64Array,
  name: RawName,
  index: number,
  contents: Buffer,
): Claimed {
  const at = claimNumbersAt(index)
  return {
    handle,
    name,
    claim: numbers[at + ClaimNumber.claim] as number,
    descriptor: numbers[at + ClaimNumber.descriptor] as number,
    size: numbers[at + ClaimNumber.size] as number,
    contents,
    offset: numbers[at + ClaimNumber.offset] as number,
    position: numbers[at + ClaimNumber.position] as number,
    tries: numbers[at + ClaimNumber.tries] as number,
  }
}

/** When all have come to their end, whatever that is. Rejects as the first of them does. */
async function settled(all: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(all)) if (result.status === 'rejected') throw result.reason
}

function isOutOfDescriptors({ errno }: Failure): boolean {
  return errno === -EMFILE || errno === -ENFILE
}
