/**
 * The thread that makes the next small call into native code: this one while such calls are quick, else one of the pool.
 *
 * While all that a call touches is in memory, this thread makes it in less time than it takes to wake another thread. But a call that
 * waits for a disk blocks everything else here meanwhile. So this thread makes a call only
 *
 * - after a run of quick ones, which threads of the pool have made;
 * - until one is slow, and not because this process was preempted: then a hundred have to be quick again, over a fifth of a second if
 *   it was so slow that other work on this thread has noticed;
 * - for a few items a turn of the event loop, so that everything else has its turn.
 *
 * Its users keep it away from calls that wait by their nature (fsync), and from file systems that another machine or process serves.
 *
 * @module
 */
import { native } from './native.js'
import { performance, setImmediate } from '../real-timers.js'

// Quick items after a slow call, so that at most one call in a hundred blocks this thread, however the slow ones come.
const NEXT_RUN = 100
// A journal that is written out makes calls slow that are quick in between, a few times a second. After a call that takes this long, in
// microseconds, this thread makes none for so many milliseconds: then fewer than one timer of a millisecond in a hundred is late.
const NOTICED = 1000
const REST_MS = 200
/** The items that this thread has handled in this turn of the event loop. */
let handled = 0
/** How often this thread had gone to sleep before its first call in this turn. */
let sleeps = 0

function endTurn(): void {
  handled = 0
}

/** A thread that has not slept was preempted: on a busy machine the call would have taken as long in the pool, and its wake-up, too. */
function hasSlept(): boolean {
  return sleeps === -1 || native.sleeps() !== sleeps
}

/** Limits for calls of one kind. */
export interface CallLimits {
  /** Microseconds per item, of a call in the pool. Waking another thread takes longer. */
  readonly quick: number
  /**
   * Microseconds per item, of a call on this thread. More than `quick`, so that a small disturbance ends no run. A call of a millisecond
   * is slow however many items it has.
   */
  readonly slow: number
  /** How many items make the first run. */
  readonly run: number
  /** This thread makes no more of these calls in a turn of the event loop in which it has handled so many items, by whichever calls. */
  readonly turn: number
}

/** For a call of one item, or of a few that came together. */
export const FEW_ITEMS: CallLimits = { quick: 50, slow: 1000, run: 4, turn: 8 }

/** Measures how fast the calls of one kind are. */
export class CallThread {
  readonly #limits: CallLimits
  /** How many quick items the run still lacks. */
  #missing: number
  /** No call on this thread before this time, that of performance.now(). */
  #restsUntil = 0

  constructor(limits: CallLimits) {
    this.#limits = limits
    this.#missing = limits.run
  }

  /** Whether this thread is to make the next call. */
  get isQuick(): boolean {
    return this.#missing === 0 && handled < this.#limits.turn
  }

  /** Whether this thread is to make the next call, but not in this turn of the event loop. */
  get isTurnOver(): boolean {
    return this.#missing === 0 && handled >= this.#limits.turn
  }

  /** To be called before a call on this thread. Returns the time. */
  beginHere(): number {
    if (handled === 0) {
      setImmediate(endTurn)
      sleeps = native.sleeps()
    }
    return performance.now()
  }

  /**
   * Records a call on this thread.
   *
   * @param items - How many items it has handled.
   * @param spent - Microseconds.
   */
  noteHere(items: number, spent: number): void {
    handled += Math.max(items, 1)
    if (spent <= Math.min(items * this.#limits.slow, NOTICED) || !hasSlept()) return
    this.#missing = NEXT_RUN
    if (spent > NOTICED) this.#restsUntil = performance.now() + REST_MS
  }

  /** Records a call in the pool. */
  noteInPool(items: number, spent: number): void {
    if (spent > items * this.#limits.quick) this.#missing = Math.max(this.#missing, this.#limits.run)
    else this.#missing = Math.max(this.#isResting() ? 1 : 0, this.#missing - items)
  }

  #isResting(): boolean {
    if (this.#restsUntil === 0) return false
    if (performance.now() < this.#restsUntil) return true
    this.#restsUntil = 0
    return false
  }

  /** The next call is one for the pool, for another reason than a slow disk. */
  leave(): void {
    this.#missing = Math.max(this.#missing, this.#limits.run)
  }
}
