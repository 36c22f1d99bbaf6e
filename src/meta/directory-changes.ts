/**
 * Whether a directory has to be listed again.
 *
 * @module
 */
import { type RawName, toRaw } from '../name/charset.js'
import { modifiedAt } from './files.js'

/** A directory may change again within the tick of the clock that its time has. */
export const CLOCK_TICK_MS = 20
const MISSING = -1

/**
 * Remembers the time that a directory had when it was listed. It compares such times with one another only: a file server has a
 * clock of its own.
 */
export class DirectoryChanges {
  readonly #directory: RawName
  /** The time of the directory, in milliseconds since the epoch. */
  #changedAt = MISSING
  /** When this process found that time. */
  #foundAt = 0
  /** Another change would have another time. */
  #isSettled = false

  constructor(directory: string) {
    this.#directory = toRaw(directory, 'utf8')
  }

  /** Whether the directory existed at the last {@link take}. */
  get exists(): boolean {
    return this.#changedAt !== MISSING
  }

  /**
   * To be called before the directory is listed.
   *
   * @returns False: the directory cannot have changed since the last call that returned true.
   */
  take(): boolean {
    const changedAt = modifiedAt(this.#directory) ?? MISSING
    const now = performance.now()
    if (changedAt !== this.#changedAt) {
      this.#changedAt = changedAt
      this.#foundAt = now
      this.#isSettled = changedAt === MISSING
      return true
    }
    if (this.#isSettled) return false
    this.#isSettled = now - this.#foundAt > CLOCK_TICK_MS
    return true
  }

  /** The next {@link take} returns true. */
  forget(): void {
    this.#changedAt = Number.NaN
  }
}
