/**
 * Long work in slices: the other work of the event loop has its turn between them.
 *
 * @module
 */
import { type FileCalls, HERE } from '../directory/calls.js'
import { setImmediate } from '../real-timers.js'

const SLICE_MS = 10

/** The slices of one piece of work: `if (slices.isOver) await slices.next()`, as often as possible. */
export class Slices {
  /** The calls on the files. Without those of this thread, each slice is short, however long a file server takes. */
  readonly calls: FileCalls
  readonly #check: () => void
  #end = performance.now() + SLICE_MS

  /**
   * @param check - Called at the beginning of each slice but the first. What it throws ends the work.
   * @param calls - For a program that has nothing else to do, those of this thread.
   */
  constructor(check: () => void = () => undefined, calls = HERE) {
    this.calls = calls
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
