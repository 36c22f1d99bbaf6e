/**
 * A clock that goes on while the machine is suspended. `performance.now()` stands still meanwhile, and `Date.now()` jumps when it is set.
 *
 * @module
 */
import os from 'node:os'

import { performance } from '../real-timers.js'

// The wall clock has been set, or the machine was suspended, if the two clocks have moved apart by more than this.
const APART_MS = 500

/** Milliseconds since some moment before this process. Never goes back. */
export class BootClock {
  /** For how long the machine was suspended since the start. */
  #suspended = 0
  #apart = Date.now() - performance.now()
  readonly #start = uptime() - performance.now()

  now(): number {
    const now = performance.now()
    const apart = Date.now() - now
    // Asking the kernel takes longer than both clocks, so it is asked only when there is a reason.
    if (Math.abs(apart - this.#apart) > APART_MS) {
      this.#apart = apart
      this.#suspended = Math.max(this.#suspended, uptime() - now - this.#start)
    }
    return now + this.#suspended
  }
}

function uptime(): number {
  return os.uptime() * 1000
}
