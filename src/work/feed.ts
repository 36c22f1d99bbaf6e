/**
 * Brings the items of a source to the pool, as long as the worker wants any.
 *
 *     shut ── open() ──> scans <──────────── after 0.5 s, or 1, 2, 4 ... 30 s ──┐
 *       ^                  │  └── an error of the scan ──> outage: down, missing, unfinished
 *       └───── shut() ─────┴────────────────────────────────────────────────────┘
 *
 * Each open() begins a session. A session that was shut may still receive an item, and releases it.
 *
 * @module
 */

import { inspect } from 'node:util'

import { FsqError } from '../errors/classes.js'
import { codeOf } from '../errors/errno.js'
import type { Pool } from './pool.js'
import type { Outage, Source, WorkableItem } from './source.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

const DOWN_MS = 500
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 30_000
// A scan that ends by itself is begun again after this.
const RESCAN_MS = 1000

/** What the feed tells its worker. */
export interface FeedListener {
  /** `undefined`: the scan goes well. `isNews`: the attempt before this one has not failed in the same way. */
  readonly onOutage: (outage: Outage | undefined, error?: unknown, isNews?: boolean) => void
  /** The source has been closed. */
  readonly onSourceClosed: () => void
  /** Whether {@link onIdle} is of any use. */
  readonly isIdleWanted: () => boolean
  /** A scan that began while no item was in hand has found nothing to claim. */
  readonly onIdle: () => void
}

/** One scan after the other, from open() to shut(). */
class Session {
  readonly #abort = new AbortController()
  /** Ends the scan. */
  leave: () => void = () => undefined
  /** Ends the pause between two scans. */
  #wake: () => void = () => undefined
  /** No item was in hand when the scan began, and it has handed out none. */
  isClean = false
  /** The scan has found nothing to claim since it handed out its last item. */
  isAsleep = false
  hasToldIdle = false
  /** How many scans in a row have failed. */
  failures = 0
  /** The code of the error of the last scan, if that has failed. */
  problem: string | undefined

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** A method, as its answer changes while the caller awaits. */
  isOver(): boolean {
    return this.#abort.signal.aborted
  }

  end(): void {
    this.#abort.abort()
    this.#wake()
    this.leave()
  }

  /** Waits until it is time for the next scan, or until the end of the session. */
  async pause(ms: number): Promise<void> {
    if (this.isOver()) return
    await new Promise<void>((resolve) => {
      // Only this timer keeps the process alive meanwhile.
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** The way from a source to a pool. */
export class Feed<Item extends WorkableItem> {
  readonly #source: Source<Item>
  readonly #pool: Pool<Item>
  readonly #listener: FeedListener
  #session: Session | undefined
  /** The scans that were left and have yet to release what they had claimed ahead. */
  readonly #leaving = new Set<Promise<unknown>>()

  constructor(source: Source<Item>, pool: Pool<Item>, listener: FeedListener) {
    this.#source = source
    this.#pool = pool
    this.#listener = listener
  }

  open(): void {
    if (this.#session !== undefined) return
    this.#session = new Session()
    void this.#feed(this.#session)
  }

  /** Claims nothing more, and releases the items that were claimed ahead. */
  shut(): void {
    const session = this.#session
    this.#session = undefined
    session?.end()
  }

  /** Resolves when all that was claimed ahead has been released. */
  async released(): Promise<void> {
    await Promise.all(this.#leaving)
  }

  /** Calls the listener, also if nothing has happened since it was last called. */
  tellIdle(): void {
    if (this.#session !== undefined) this.#session.hasToldIdle = false
    this.lookIfIdle()
  }

  /**
   * Looks whether anything is left, if no item is in hand. A scan that has looked before cannot tell, because a handler may have added
   * items since: it takes a scan that begins now.
   */
  lookIfIdle(): void {
    const session = this.#session
    if (session?.isAsleep !== true || !this.#pool.isEmpty || !this.#listener.isIdleWanted()) return
    if (session.isClean && session.hasToldIdle) return
    this.shut()
    this.open()
  }

  async #feed(session: Session): Promise<void> {
    while (!session.isOver()) {
      let rest: number | undefined = RESCAN_MS
      try {
        await this.#scan(session)
      } catch (error) {
        if (session.isOver()) return
        rest = this.#failed(session, error)
      }
      if (rest === undefined) return
      await session.pause(rest)
    }
  }

  async #scan(session: Session): Promise<void> {
    const pool = this.#pool
    session.isClean = pool.isEmpty
    session.isAsleep = false
    const { signal } = session
    const items = this.#source.scan({
      signal,
      onIdle: () => this.#fallAsleep(session),
      demand: () => pool.room,
    })
    const iterator = items[Symbol.asyncIterator]()
    session.leave = () => this.#leave(iterator)
    const take = (item: Item): void => {
      if (!isItem(item)) {
        this.#leave(iterator)
        throw strangeItem(item)
      }
      this.#take(session, item)
    }
    for (;;) {
      while (pool.isFull && !session.isOver()) await pool.change()
      if (session.isOver()) return
      const ready = items.tryNext?.()
      if (ready !== undefined) {
        take(ready)
        continue
      }
      // Where the source tells that no more items are ready, those in hand need not wait for the end of the tick.
      if (items.tryNext !== undefined) pool.startNow()
      const next: IteratorResult<Item, unknown> = await iterator.next()
      if (next.done === true) {
        this.#fallAsleep(session)
        return
      }
      if (session.isOver()) {
        pool.giveBack(next.value)
        return
      }
      take(next.value)
    }
  }

  #take(session: Session, item: Item): void {
    if (session.problem !== undefined) this.#recover(session)
    session.isClean = false
    session.isAsleep = false
    // Since the item was asked for, a suspect has begun to run alone, or the worker has got fewer places.
    if (this.#pool.isFull) this.#pool.turnAway(item)
    else this.#pool.add(item)
  }

  /** The scan has looked at everything and found nothing to claim. */
  #fallAsleep(session: Session): void {
    if (session.isOver()) return
    if (session.problem !== undefined) this.#recover(session)
    session.isAsleep = true
    if (!this.#pool.isEmpty) return
    if (!session.isClean) {
      this.lookIfIdle()
      return
    }
    if (session.hasToldIdle) return
    session.hasToldIdle = true
    this.#listener.onIdle()
  }

  #recover(session: Session): void {
    session.failures = 0
    session.problem = undefined
    this.#listener.onOutage(undefined)
  }

  /** A source that throws here must not end the process. */
  #outageOf(error: unknown): Outage | 'closed' {
    try {
      return this.#source.outageOf?.(error) ?? 'missing'
    } catch {
      return 'missing'
    }
  }

  /** @returns Milliseconds until the next scan; `undefined`: there is none. */
  #failed(session: Session, error: unknown): number | undefined {
    const outage = this.#outageOf(error)
    if (outage === 'closed') {
      this.#listener.onSourceClosed()
      return undefined
    }
    const code = codeIfAny(error) ?? 'unknown'
    const isNews = code !== session.problem
    session.problem = code
    this.#listener.onOutage(outage, error, isNews)
    if (outage === 'down') return DOWN_MS
    return Math.min(FIRST_PAUSE * 2 ** session.failures++, LONGEST_PAUSE)
  }

  #leave(iterator: AsyncIterator<Item>): void {
    const leaving = (async () => iterator.return?.())()
      // The scan ends by its signal, too, and then rejects with its reason.
      .catch(() => undefined)
      .finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
  }
}

/** The error is the source's, and may throw here. */
function codeIfAny(error: unknown): string | undefined {
  try {
    return codeOf(error)
  } catch {
    return undefined
  }
}

/** The source is the caller's. Without these functions, a worker cannot release the item, and so could never close. */
function isItem(item: unknown): boolean {
  if (typeof item !== 'object' || item === null) return false
  const { done, fail, retry, release } = item as Partial<Record<keyof WorkableItem, unknown>>
  return [done, fail, retry, release].every((move) => typeof move === 'function')
}

function strangeItem(item: unknown): FsqError {
  return new FsqError(`The source has handed out ${inspect(item, { depth: 0 })}, which is no item`, {
    advice: 'An item is an object with the functions done, fail, retry and release',
  })
}
