/**
 * Whether a directory has to be listed again.
 *
 * @module
 */
import { type RawName, toRaw } from '../name/charset.js'
import { modifiedAt } from './files.js'

/** A directory may change again within the tick of the clock that its time has. */
export const CLOCK_TICK_MS = 20

/** Remembers the time that a directory had when it was listed. */
export class DirectoryChanges {
  readonly #directory: RawName
  /** When the directory was listed, and its time then; -1: it did not exist. */
  #listed = 0
  #changed = -1

  constructor(directory: string) {
    this.#directory = toRaw(directory, 'utf8')
  }

  /** Whether the directory existed at the last {@link take}. */
  get exists(): boolean {
    return this.#changed !== -1
  }

  /**
   * To be called before the directory is listed.
   *
   * @returns False: it cannot have changed since the last call that returned true.
   */
  take(): boolean {
    const changed = modifiedAt(this.#directory) ?? -1
    if (changed === this.#changed && this.#listed - changed > CLOCK_TICK_MS) return false
    this.#changed = changed
    this.#listed = Date.now()
    return true
  }

  /** The next {@link take} returns true. */
  forget(): void {
    this.#changed = Number.NaN
  }
}
