/**
 * The thread that claims the next items.
 *
 * @module
 */

import { setImmediate } from '../real-timers.js'

// Microseconds per name. Waking another thread takes several times as long.
const QUICK = 10
// Twice that, so that one preemption of this process does not end a quick run.
const SLOW = 20
const MOST_CALLS = 4

/**
 * Measures how fast claims are. While everything that a claim reads is in memory, this thread claims a few items in less time than it
 * takes to wake another thread, and the other cores are free for the finishes. Otherwise, or if many names have to be skipped, a thread
 * of the pool claims, which may wait for the disk.
 */
export class ClaimThread {
  #isQuick = false
  /** The calls on this thread in this turn of the event loop. */
  #calls = 0

  /** Whether this thread is to claim the next few items. */
  get isQuick(): boolean {
    return this.#isQuick && this.#calls < MOST_CALLS
  }

  /** Counts a call on this thread. After a few calls, the rest of the event loop has its turn. */
  take(): void {
    if (this.#calls++ > 0) return
    setImmediate(() => {
      this.#calls = 0
    })
  }

  /**
   * Records what the last call of native code has taken.
   *
   * @param claims - How many items were claimed.
   * @param looked - How many names it has looked at.
   * @param spent - Microseconds.
   */
  note(claims: number, looked: number, spent: number): void {
    this.#isQuick = claims > 0 && spent <= looked * (this.#isQuick ? SLOW : QUICK)
  }
}
