/**
 * Spinning for the completion of a lane call. A system call takes a few microseconds; waking this thread takes several times as
 * long, and costs both threads more than the call itself. So this thread looks for completions itself for a short while. Everything
 * else has its turn between two looks, as with any `setImmediate()`.
 *
 * @module
 */
import { performance, setImmediate } from '../real-timers.js'
import { native } from './native.js'

// A call that has not completed by then takes longer than a wake-up.
const PATIENCE_MS = 0.06
// Upper bound of the back-off: after failed spins, up to this many calls do not spin.
const MOST_SKIPPED = 256

class Completions {
  #isSpinning = false
  #lastCompletion = 0
  #inFlight = 0
  /** How many calls do not spin after the next failed spin. */
  #penalty = 0
  /** How many calls are still to be made without a spin. */
  #skipping = 0
  readonly #look = (): void => {
    const left = native.resolveCompleted(true)
    const now = performance.now()
    if (left < this.#inFlight) this.#lastCompletion = now
    this.#inFlight = left
    if (left > 0 && now - this.#lastCompletion < PATIENCE_MS) {
      setImmediate(this.#look)
      return
    }
    this.#isSpinning = false
    if (left === 0) this.#penalty = 0
    else this.#skipping = this.#penalty = Math.min(Math.max(1, this.#penalty * 2), MOST_SKIPPED)
    native.resolveCompleted(false)
  }

  spin(): void {
    if (this.#isSpinning) return
    if (this.#skipping > 0) {
      this.#skipping--
      return
    }
    // With more calls in flight, this thread has enough to do until the wake-up.
    if (native.resolveCompleted(true) > 1) {
      native.resolveCompleted(false)
      return
    }
    this.#isSpinning = true
    this.#lastCompletion = performance.now()
    this.#inFlight = 1
    setImmediate(this.#look)
  }
}

const completions = new Completions()

/** To be called after a lane call has begun: its completion may be there within microseconds. */
export function spinForCompletions(): void {
  completions.spin()
}
