/**
 * How many items a scan claims ahead.
 *
 * @module
 */
import { SettingError } from './errors.js'

const MOST_PREFETCHED = 32
const LARGEST_PREFETCH = 1024
const QUICK_MS = 5
const SLOW_MS = 50

/** How many to claim ahead: more while they go fast, fewer when they do not. */
export class Prefetch {
  readonly #fixed: number | undefined
  #size = 1
  #since = Number.NaN

  constructor(fixed: number | undefined) {
    if (fixed !== undefined && !(Number.isInteger(fixed) && fixed >= 1 && fixed <= LARGEST_PREFETCH)) {
      throw new SettingError('prefetch', fixed, `a whole number from 1 to ${LARGEST_PREFETCH}`)
    }
    this.#fixed = fixed
  }

  /** The queue was empty: what comes next may be all, and others wait, too. */
  reset(): void {
    this.#size = 1
    this.#since = Number.NaN
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
