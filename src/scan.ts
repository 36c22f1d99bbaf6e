/**
 * Claiming items, one after the other (fsq standard, section 4).
 *
 * @module
 */
import { randomInt } from 'node:crypto'
import { debuglog, inspect } from 'node:util'

import { isStale } from './directory.js'
import type { FsqError } from './errors.js'
import { MalformedNameError, QueueDownError, SettingError, fileSystemError } from './errors.js'
import { isGone } from './finish.js'
import { type ClaimedFile, type ItemContext, type Limits, WorkItem } from './item.js'
import { type RawName, printable } from './name/charset.js'
import { type ParsedName, parseItemName } from './name/item-name.js'
import { parseTimestamp } from './name/timestamp.js'
import {
  type ClaimBatch,
  type ClaimNote,
  ENTRY_TYPES,
  type ListingHandle,
  NoteKind,
  Place,
  type QueueHandle,
  isFailure,
  native,
} from './native.js'
import { checkOptions } from './options.js'
import { type ReportListener, type ReportType, Reporter } from './report.js'

const debug = debuglog('fsq')

/** How a queue is scanned. */
export interface ScanOptions {
  /**
   * How many items are claimed ahead, the one handed out included: so many locks are held. Left out: one at first, and
   * up to 32 while they are used up within milliseconds. 1 holds just the one that is handed out.
   */
  readonly prefetch?: number | undefined
  /**
   * In which order: `fifo`, the oldest first, is what is left out. `relaxed` takes the items that wait in shuffled blocks of
   * 32, the oldest first within each: several workers on one long backlog then do not all try the same items, of which
   * each gets one. No item waits longer than one walk over the backlog.
   */
  readonly order?: 'fifo' | 'relaxed' | undefined
  /** Overrides the setting of the queue; 0: without limit. */
  readonly maxTries?: number | undefined
  /** Seconds; overrides the setting of the queue; 0: without limit. */
  readonly ttl?: number | undefined
  /** Hears of this scan's reports instead of the listener of the queue. */
  readonly onReport?: ReportListener | undefined
}

const SCAN_OPTIONS = ['prefetch', 'order', 'maxTries', 'ttl', 'onReport'] as const
const MOST_PREFETCHED = 32
const LARGEST_PREFETCH = 1024
// Small contents are read along with the claim, which spares a crossing.
const READ_LIMIT = 4096
const LARGEST_SEED = 2 ** 31 - 2
const QUICK_MS = 5
const SLOW_MS = 50
// Claimed ahead, but not handed out after this long: somebody else can have it.
const IDLE_MS = 100
const VALUES_A_CLAIM = 6

interface Ready {
  readonly item: WorkItem
  readonly position: number
}

/** How many to claim ahead: more while they go fast, fewer when they do not. */
class Prefetch {
  readonly #fixed: number | undefined
  #size = 1
  #since = Number.NaN

  constructor(fixed: number | undefined) {
    if (fixed !== undefined && !(Number.isInteger(fixed) && fixed >= 1 && fixed <= LARGEST_PREFETCH)) {
      throw new SettingError('prefetch', fixed, `a whole number from 1 to ${LARGEST_PREFETCH}`)
    }
    this.#fixed = fixed
  }

  /** How many to hold, now that it is time to claim more. */
  next(): number {
    if (this.#fixed !== undefined) return this.#fixed
    const now = performance.now()
    const taken = now - this.#since
    this.#since = now
    if (taken < QUICK_MS) this.#size = Math.min(this.#size * 2, MOST_PREFETCHED)
    else if (taken > SLOW_MS) this.#size = Math.max(1, Math.floor(this.#size / 2))
    return this.#size
  }
}

/** One walk over the names that were there at its beginning. */
class Scan {
  readonly #context: ItemContext
  readonly #limits: Limits
  readonly #prefetch: Prefetch
  readonly #order: 'fifo' | 'relaxed'
  #handle: QueueHandle | undefined
  #listing: ListingHandle | undefined
  #ready: Ready[] = []
  #ended = false
  #error: Error | undefined
  #filling: Promise<void> | undefined
  #size = 1
  #over = false
  #idle: NodeJS.Timeout | undefined

  constructor(context: ItemContext, options: ScanOptions) {
    checkOptions('scan', options, SCAN_OPTIONS)
    const { maxTries, ttl, onReport } = options
    this.#limits = {
      maxTries: limit('maxTries', maxTries, context.settings.maxTries),
      ttl: limit('ttl', ttl, context.settings.ttl),
    }
    this.#prefetch = new Prefetch(options.prefetch)
    this.#order = checkOrder(options.order ?? 'fifo')
    this.#context =
      onReport === undefined
        ? context
        : { ...context, reporter: new Reporter(context.directory.layout.name, onReport) }
  }

  async begin(): Promise<void> {
    const { directory } = this.#context
    this.#listing = await directory.use(async (handle) => {
      this.#handle = handle
      return native.list(handle, Place.queue, this.#seed())
    }, 'scan')
    directory.checkOpen()
    this.#checkDown()
    debug('scan %s: %d names', directory.layout.path, native.listingSize(this.#listing))
  }

  #seed(): number {
    return this.#order === 'relaxed' ? randomInt(1, LARGEST_SEED) : 0
  }

  /** The next item, claimed; none: the walk is over. */
  async next(): Promise<WorkItem | undefined> {
    while (this.#ready.length === 0) {
      this.#checkUnfinished()
      if (this.#filling === undefined) {
        if (this.#error !== undefined) throw this.#error
        if (this.#ended) return undefined
        this.#size = this.#prefetch.next()
        this.#startFill(this.#size)
      }
      await this.#filling
    }
    this.#checkUnfinished()
    // Whatever was claimed ahead: nothing is begun in a queue that is down.
    this.#checkDown()
    const ready = this.#ready.shift()
    if (this.#ready.length === 0) clearTimeout(this.#idle)
    this.#fillAhead()
    return ready?.item
  }

  /** Releases what was claimed ahead. */
  async end(): Promise<void> {
    this.#over = true
    this.#releaseReady()
    await this.#filling
    this.#releaseReady()
    if (this.#listing !== undefined) native.closeListing(this.#listing)
    this.#listing = undefined
  }

  /** Claims more while the last ones are being worked on, so that neither waits for the other. */
  #fillAhead(): void {
    const ahead = this.#size - 1
    if (this.#ready.length > ahead / 2 || ahead === 0) return
    if (this.#filling !== undefined || this.#ended || this.#error !== undefined) return
    this.#size = this.#prefetch.next()
    const room = this.#size - 1 - this.#ready.length
    if (room > 0) this.#startFill(room)
  }

  #startFill(count: number): void {
    const { pending } = this.#context
    pending.begin()
    this.#filling = this.#fill(count)
      .catch((error: unknown) => {
        // For the loop, once what has been claimed is handed out.
        this.#error ??= error instanceof Error ? error : new Error(String(error))
        this.#ended = true
      })
      .finally(() => {
        pending.end()
        this.#filling = undefined
      })
  }

  async #fill(count: number): Promise<void> {
    const { directory } = this.#context
    const handle = this.#handle
    const listing = this.#listing
    if (handle === undefined || listing === undefined) return
    directory.checkOpen()
    const batch = await native.claim(handle, listing, count, READ_LIMIT)
    const claimed = this.#take(handle, batch)
    // Left or closed meanwhile: nobody else knows of these claims.
    if (directory.closed || this.#over) {
      native.release(claimed.map(({ claim }) => claim))
      directory.checkOpen()
      return
    }
    this.#ended = batch.ended
    await this.#sort(handle, claimed)
    for (const note of batch.notes) this.#report(note)
    if (this.#ready.length > 0) this.#watchIdle()
    if (batch.failure !== undefined) {
      // The kind of lock has changed under this scan (the marker of fcntl locks): the next one opens the queue anew.
      if (isStale(batch.failure)) directory.forget(handle)
      this.#error = directory.error(batch.failure, 'scan')
    } else if (batch.down) {
      this.#error = this.#downError()
    }
  }

  #take(handle: QueueHandle, { claims, contents }: ClaimBatch): Claimed[] {
    const taken: Claimed[] = []
    for (let at = 0; at < claims.length; at += VALUES_A_CLAIM) {
      taken.push({
        handle,
        contents,
        name: claims[at] as RawName,
        descriptor: claims[at + 1] as number,
        size: claims[at + 2] as number,
        offset: claims[at + 3] as number,
        position: claims[at + 4] as number,
        claim: claims[at + 5] as number,
      })
    }
    return taken
  }

  /** What is fit to be handed out becomes ready; the rest goes to fail/. */
  async #sort(handle: QueueHandle, claimed: readonly Claimed[]): Promise<void> {
    const failing: Promise<void>[] = []
    for (const file of claimed) {
      const judged = this.#judge(file.name)
      if ('parsed' in judged) {
        const item = new WorkItem(this.#context, file, judged.parsed, this.#limits)
        this.#ready.push({ item, position: file.position })
      } else {
        failing.push(this.#failUnrun(handle, file, judged))
      }
    }
    await Promise.all(failing)
  }

  #judge(name: RawName): { readonly parsed: ParsedName } | Verdict {
    const { settings } = this.#context
    const { maxTries, ttl } = this.#limits
    let parsed: ParsedName
    try {
      parsed = parseItemName(name, settings)
    } catch (error) {
      if (!(error instanceof MalformedNameError)) throw error
      return { type: 'malformed', message: `is no item: ${error.reason}`, error }
    }
    if (maxTries > 0 && parsed.tries >= maxTries) {
      return {
        type: 'exhausted',
        message: `has been tried ${parsed.tries} times, and ${maxTries} are allowed`,
      }
    }
    if (ttl > 0) {
      const age = (Date.now() - (parseTimestamp(parsed.timestamp, settings) ?? 0)) / 1000
      if (age >= ttl)
        return { type: 'expired', message: `is ${Math.floor(age)} s old, and ${ttl} s are allowed` }
    }
    return { parsed }
  }

  async #failUnrun(handle: QueueHandle, file: Claimed, verdict: Verdict): Promise<void> {
    const { finisher, directory, reporter } = this.#context
    const { name, claim } = file
    const move = { handle, claim, from: name, place: Place.fail, to: name, due: 0 }
    const moved = await finisher.resolve(move, await finisher.submit(move))
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
          this.#handle !== undefined && native.usesFcntl(this.#handle)
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
    if (this.#handle === undefined) return
    const down = native.isDownSync(this.#handle)
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
      `The queue ${inspect(name)} is down (${downPath} exists), so it is not scanned. Take it up again with queue.up()`,
    )
  }

  // The loop may be busy with one item for an hour, and other workers idle meanwhile.
  #watchIdle(): void {
    clearTimeout(this.#idle)
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

  #releaseReady(): void {
    clearTimeout(this.#idle)
    for (const { item } of this.#ready) item.release()
    this.#ready = []
  }
}

interface Claimed extends ClaimedFile {
  readonly position: number
}

interface Verdict {
  readonly type: ReportType
  readonly message: string
  readonly error?: FsqError
}

function checkOrder(order: unknown): 'fifo' | 'relaxed' {
  if (order === 'fifo' || order === 'relaxed') return order
  throw new SettingError('order', order, "'fifo' or 'relaxed'")
}

function limit(name: string, given: number | undefined, setting: number): number {
  if (given === undefined) return setting
  if (Number.isSafeInteger(given) && given >= 0) return given
  throw new SettingError(name, given, 'a whole number, 0 for no limit')
}

/** Hands out the items that wait, claimed, in FIFO order. See {@link Queue.scan}. */
export async function* scan(
  context: ItemContext,
  options: ScanOptions,
): AsyncGenerator<WorkItem, void, undefined> {
  const walk = new Scan(context, options)
  let current: WorkItem | undefined
  try {
    await walk.begin()
    for (;;) {
      current = undefined
      current = await walk.next()
      if (current === undefined) return
      yield current
    }
  } finally {
    await walk.end()
    // The loop was left at this item. One that is being finished, or whose finish failed, keeps its claim.
    current?.release()
  }
}
