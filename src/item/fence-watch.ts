/**
 * Looks whether the fence of a worker has fallen, as long as it has claims: where several machines share a queue, a worker whose machine is
 * cut off loses its lock without notice. A thread of native code reads the lock file. This class asks for its result, which is in memory.
 *
 * @module
 */
import { type QueueHandle, native } from '../addon/native.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

/** Not only when the fence is due to fall: a read may find the lock lost long before. */
const LOOK_MS = 250

export class FenceWatch {
  /** Looks at the claims, and returns whether there are any. */
  readonly #check: () => boolean
  #timer: NodeJS.Timeout | undefined

  constructor(check: () => boolean) {
    this.#check = check
  }

  /** A claim begins. */
  begin(handle: QueueHandle): void {
    if (this.#timer === undefined && native.fence(handle) >= 0) this.#plan()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #plan(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#check()) this.#plan()
    }, LOOK_MS).unref()
  }
}
