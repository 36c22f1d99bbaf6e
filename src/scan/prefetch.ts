/**
 * How many items a scan claims ahead.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'

const MOST_PREFETCHED = 32
const LARGEST_PREFETCH = 1024
const QUICK_MS = 5
const SLOW_MS = 50

/** How many to claim ahead: more while they go fast, fewer when they do not. */
export class Prefetch {
  readonly #isFixed: boolean
  #most: number
  #size = 1
  #since = Number.NaN

  constructor(fixed: number | undefined) {
    if (fixed !== undefined && !(Number.isInteger(fixed) && fixed >= 1 && fixed <= LARGEST_PREFETCH)) {
      throw new SettingError('prefetch', fixed, `a whole number from 1 to ${LARGEST_PREFETCH}`)
    }
    this.#isFixed = fixed !== undefined
    this.#most = fixed ?? MOST_PREFETCHED
  }

  /** How many items to hold, by the last {@link next}. */
  get size(): number {
    return this.#size
  }

  /** The queue was empty: what comes next may be all, and others wait, too. */
  reset(): void {
    this.#size = 1
    this.#since = Number.NaN
  }

  /**
   * The descriptors do not suffice for so many.
   *
   * @returns How many to keep: the others are for the work on them.
   */
  halve(held: number): number {
    this.#most = Math.max(1, Math.floor(held / 2))
    return this.#most
  }

  /** How many to hold, now that it is time to claim more. */
  next(): number {
    if (this.#isFixed) return (this.#size = this.#most)
    const now = performance.now()
    const taken = now - this.#since
    this.#since = now
    if (taken < QUICK_MS) this.#size *= 2
    else if (taken > SLOW_MS) this.#size = Math.max(1, Math.floor(this.#size / 2))
    this.#size = Math.min(this.#size, this.#most)
    return this.#size
  }
}
