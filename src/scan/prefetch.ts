/**
 * How many items a scan claims ahead.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'

const MOST_PREFETCHED = 32
// Such claims are made in the pool, and each call there costs two wake-ups of a thread. Half of the calls save a twentieth of the time.
const MOST_BY_RENAME = 64
const LARGEST_PREFETCH = 1024
const QUICK_MS = 5
const SLOW_MS = 50

/** Decides how many items to claim ahead: more while the caller takes them quickly, fewer when it does not. */
export class Prefetch {
  readonly #isFixed: boolean
  readonly #claimsByRename: () => boolean
  /** By the option, or as {@link halve} has found; `undefined`: as the queue suits. */
  #limit: number | undefined
  #size = 1
  #since = Number.NaN

  /** @param claimsByRename - Whether the queue that is scanned now does. */
  constructor(fixed: number | undefined, claimsByRename: () => boolean) {
    if (fixed !== undefined && !(Number.isInteger(fixed) && fixed >= 1 && fixed <= LARGEST_PREFETCH)) {
      throw new SettingError('prefetch', fixed, `a whole number from 1 to ${LARGEST_PREFETCH}`)
    }
    this.#isFixed = fixed !== undefined
    this.#claimsByRename = claimsByRename
    this.#limit = fixed
  }

  /** How many items to hold, by the last {@link next}. */
  get size(): number {
    return this.#size
  }

  /** Starts again with one item. After an empty queue, the next items may be few, and other workers wait for them, too. */
  reset(): void {
    this.#size = 1
    this.#since = Number.NaN
  }

  /**
   * Too few descriptors: from now on, half of what is held is the upper bound.
   *
   * @returns How many items to keep. The descriptors of the others are needed for the work.
   */
  halve(held: number): number {
    this.#limit = Math.max(1, Math.floor(held / 2))
    return this.#limit
  }

  /** How many items to hold from now on. */
  next(): number {
    const most = this.#limit ?? (this.#claimsByRename() ? MOST_BY_RENAME : MOST_PREFETCHED)
    if (this.#isFixed) return (this.#size = most)
    const now = performance.now()
    const taken = now - this.#since
    this.#since = now
    if (taken < QUICK_MS) this.#size *= 2
    else if (taken > SLOW_MS) this.#size = Math.max(1, Math.floor(this.#size / 2))
    this.#size = Math.min(this.#size, most)
    return this.#size
  }
}
