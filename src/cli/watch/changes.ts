/**
 * Tells what has happened to items from the names that come to and leave the directories of a queue. Pure, but for the port
 * {@link Disk}.
 *
 * The kernel reports a name without saying whether it has come or gone. As long as no event is lost, the events of one name alternate,
 * so the names that are known to be in queue/ tell which it is:
 *
 *     queue/NAME: unknown ── comes ──> present ── leaves ──> left ── the same name in done/ or fail/ ──> done, fail
 *                    │                                        ├── its key in queue/ with other tries ──> retry
 *                    │                                        ├── the same name in claimed/ ──> held ── as for left, at any time
 *                    └── its key has just left fail/: redrive └── none of these in time ──> gone
 *
 * A name that comes back from claimed/ is an item that a worker has released: no change is told.
 *
 * @module
 */
import { Place } from '../../addon/native.js'
import { parseIfItem } from '../../inspect/states.js'
import type { RawName } from '../../name/charset.js'
import { itemKey, withTries } from '../../name/item-name.js'
import type { Settings } from '../../settings.js'

/** The kernel reports both halves of a rename within microseconds; a file system without such a rename takes two calls. */
const MATCH_MS = 200
/** A system that reports a change twice does so within this time. */
const REPEAT_MS = 1000

/** What has happened to an item. */
export type What = 'enqueue' | 'retry' | 'redrive' | 'done' | 'fail' | 'gone'

/** Something that has happened to an item. */
export interface Change {
  readonly what: What
  /** The name that the item has now, or had at last. */
  readonly raw: RawName
  /** Milliseconds, by the clock of the caller. */
  readonly at: number
}

/** Whether a name is in a directory at the moment. */
export type Disk = (place: Place, raw: RawName) => boolean

interface Left {
  readonly raw: RawName
  readonly at: number
  readonly place: typeof Place.queue | typeof Place.fail
}

export class Changes {
  readonly #settings: Settings
  readonly #claimsByRenaming: boolean
  readonly #isThere: Disk
  readonly #tell: (change: Change) => void
  readonly #present: Set<RawName>
  /** The names that have left, by key, until it is known where to. */
  readonly #left = new Map<RawName, Left>()
  /** The names that have come to done/ or fail/ lately, and when. */
  readonly #told = new Map<RawName, number>()
  /** Names that have a successor already, and are about to leave queue/. */
  readonly #superseded = new Set<RawName>()
  /** The names that have left queue/ for claimed/, by key. */
  readonly #held = new Map<RawName, Left>()
  #isSure = false

  /**
   * @param present - The names in queue/, listed after the watch has begun.
   * @param claimsByRenaming - Whether workers of the queue claim items by moving them to claimed/.
   */
  constructor(
    settings: Settings,
    present: Iterable<RawName>,
    isThere: Disk,
    tell: (change: Change) => void,
    claimsByRenaming = false,
  ) {
    this.#settings = settings
    this.#claimsByRenaming = claimsByRenaming
    this.#present = new Set(present)
    this.#isThere = isThere
    this.#tell = tell
  }

  /** Whether items are in claimed/, whose ends {@link settle} may have to find. */
  get isHolding(): boolean {
    return this.#held.size > 0
  }

  /** Whether {@link settle} has something to decide soon. */
  get isUnsettled(): boolean {
    return this.#left.size > 0 || this.#told.size > 0
  }

  /** All events from before the last listing have been heard: from now on, events of one name alternate. */
  trust(): void {
    this.#isSure = true
  }

  /** A name has come to queue/ or has left it. */
  inQueue(raw: RawName, at: number): void {
    const isKnown = this.#present.has(raw)
    // The listing may have been made after the event.
    if (!this.#isSure && isKnown === this.#isThere(Place.queue, raw)) return
    if (isKnown) this.#leaves(raw, at)
    else this.#comes(raw, at)
  }

  /** A name has come to done/ or fail/ or has left it. */
  inFinished(place: typeof Place.done | typeof Place.fail, raw: RawName, at: number): void {
    const key = this.#keyOf(raw)
    const left = this.#left.get(key) ?? this.#held.get(key)
    if (left?.raw === raw && left.place === Place.queue) {
      this.#left.delete(key)
      this.#held.delete(key)
      this.#finish(place, raw, at)
    } else if (this.#isThere(place, raw)) {
      if (at - (this.#told.get(raw) ?? Number.NEGATIVE_INFINITY) > REPEAT_MS) this.#finish(place, raw, at)
    } else if (place === Place.fail) this.#left.set(key, { raw, at, place })
  }

  /** Corrects what lost events have left wrong, by a listing of queue/ that has been made just now. */
  correct(listed: Iterable<RawName>, at: number): void {
    const names = new Set(listed)
    for (const raw of [...this.#present]) if (!names.has(raw)) this.#leaves(raw, at)
    for (const raw of names) if (!this.#present.has(raw)) this.#comes(raw, at)
    this.#isSure = false
  }

  /**
   * Decides about names that left queue/ some time before, and have come to no other place.
   *
   * @param claimed - The names in claimed/; `undefined`: nothing is decided about items that have been there.
   */
  settle(now: number, claimed?: ReadonlySet<RawName>): void {
    if (claimed !== undefined) {
      for (const [key, left] of this.#held) {
        if (claimed.has(left.raw)) continue
        this.#held.delete(key)
        // The events of its next place may still come.
        this.#left.set(key, { ...left, at: now })
      }
    }
    for (const [key, left] of this.#left) {
      const { raw, at, place } = left
      if (now - at < MATCH_MS) continue
      this.#left.delete(key)
      if (place !== Place.queue || this.#superseded.delete(raw)) continue
      if (claimed?.has(raw) === true) {
        this.#held.set(key, left)
        continue
      }
      const end = ([Place.done, Place.fail] as const).find((other) => this.#isThere(other, raw))
      if (end === undefined) this.#tell({ what: 'gone', raw, at })
      else if (!this.#told.has(raw)) this.#finish(end, raw, at)
    }
    for (const [raw, at] of this.#told) if (now - at > REPEAT_MS) this.#told.delete(raw)
  }

  #comes(raw: RawName, at: number): void {
    this.#present.add(raw)
    const key = this.#keyOf(raw)
    const left = this.#left.get(key) ?? this.#held.get(key)
    this.#left.delete(key)
    this.#held.delete(key)
    if (left?.place === Place.queue && left.raw === raw && this.#claimsByRenaming) return
    if (left !== undefined) {
      this.#tell({ what: left.place === Place.queue ? 'retry' : 'redrive', raw, at })
      return
    }
    const tries = parseIfItem(raw, this.#settings)?.tries ?? 0
    const before = tries > 0 ? withTries(raw, tries - 1, this.#settings.encode) : undefined
    // A retry by a link and an unlink.
    if (before !== undefined && this.#present.has(before)) {
      this.#superseded.add(before)
      this.#tell({ what: 'retry', raw, at })
    } else this.#tell({ what: 'enqueue', raw, at })
  }

  #leaves(raw: RawName, at: number): void {
    this.#present.delete(raw)
    this.#left.set(this.#keyOf(raw), { raw, at, place: Place.queue })
  }

  #finish(place: typeof Place.done | typeof Place.fail, raw: RawName, at: number): void {
    this.#told.set(raw, at)
    this.#tell({ what: place === Place.done ? 'done' : 'fail', raw, at })
  }

  #keyOf(raw: RawName): RawName {
    return itemKey(raw, this.#settings.encode)
  }
}
