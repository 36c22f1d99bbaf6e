/**
 * On which thread the next items are claimed.
 *
 * @module
 */

// Not the global one, which a test may have replaced by one that stands still.
import { setImmediate } from 'node:timers'

// A name, in microseconds. Waking another thread takes several times as long.
const QUICK = 10
// A process that had to give way once is not thrown out for it.
const SLOW = 20
const MOST_CALLS = 4

/**
 * How fast claims go. Where all that a claim reads is in memory, this thread claims a few in less time than it takes to have
 * another one do it, and the other cores are free for the finishes; where it is not, or much has to be passed by, another thread
 * does it, which may wait.
 */
export class ClaimThread {
  #isQuick = false
  /** Calls on this thread since everything else has had its turn. */
  #calls = 0

  /** Whether the next few are best claimed on this thread. */
  get isQuick(): boolean {
    return this.#isQuick && this.#calls < MOST_CALLS
  }

  /** Some are claimed on this thread: after a few such calls everything else has its turn. */
  take(): void {
    if (this.#calls++ > 0) return
    setImmediate(() => {
      this.#calls = 0
    })
  }

  /**
   * What the last call of native code has taken.
   *
   * @param claims - How many items were claimed.
   * @param looked - How many names were looked at for that.
   * @param spent - Microseconds.
   */
  note(claims: number, looked: number, spent: number): void {
    this.#isQuick = claims > 0 && spent <= looked * (this.#isQuick ? SLOW : QUICK)
  }
}
