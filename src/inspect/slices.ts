/**
 * Long work in slices: the other work of the event loop has its turn between them.
 *
 * @module
 */
import { setImmediate } from '../real-timers.js'

const SLICE_MS = 10

/** The slices of one piece of work: `if (slices.isOver) await slices.next()`, as often as possible. */
export class Slices {
  /** Whether files are looked at on this thread. Elsewhere a call can take minutes, and a worker must be able to abort its items meanwhile. */
  readonly isLocal: boolean
  readonly #check: () => void
  #end = performance.now() + SLICE_MS

  /**
   * @param check - Called at the beginning of each slice but the first. What it throws ends the work.
   * @param isLocal - Whether the files are on a file system of this machine alone.
   */
  constructor(check: () => void = () => undefined, isLocal = true) {
    this.isLocal = isLocal
    this.#check = check
  }

  /** Whether the current slice has used up its time. */
  get isOver(): boolean {
    return performance.now() >= this.#end
  }

  /** Resolves when the event loop has had its turn. */
  async next(): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    this.#check()
    this.#end = performance.now() + SLICE_MS
  }
}
