/**
 * When a waiting loop looks: a look is a full pass that no event has asked for. It catches every wake-up that the watch has missed.
 *
 * The usual interval is {@link LOOK_MS}, or {@link LOOK_SOON_MS} where the watch may not tell of everything that can be claimed. Looks
 * that are expensive are rarer: they take at most a fixed share of the time.
 *
 * @module
 */
import { Happened, WATCHES_FILES } from '../addon/native.js'
import { performance } from '../real-timers.js'
import type { Pass, PassSummary } from './pass.js'

const LOOK_MS = 5000
const LOOK_SOON_MS = 1000
// The loops of one process look at the same moments, so that the process wakes up seldom; other processes look at other moments.
const GRID_MS = 250
const PHASE_MS = GRID_MS * Math.random()
// The most that looks may take of the time: where the watch tells of everything that happens, and where it does not.
const SHARE_WATCHED = 1 / 100
const SHARE_UNWATCHED = 1 / 20

/** What the watch of a loop can tell. */
export interface WatchReach {
  /** The watch tells of new items. */
  readonly isNotified: boolean
  /** Other machines may change the queue, and no watch tells of that. */
  readonly isShared: boolean
}

/** Plans the looks of one loop. Times are those of performance.now(). */
export class LookSchedule {
  readonly #pass: Pass
  /** The last pass. */
  #last: PassSummary
  #reach: WatchReach = { isNotified: false, isShared: false }
  /** Events were lost since the last full pass. */
  #hasLost = false
  /** The trigger was pulled since the last full pass. */
  #wasPulled = false
  #lookAt = 0
  /** When to try again the items that other workers hold and the watch does not tell of; Infinity: there are none. */
  #retryAt = Infinity
  /** When the last full pass ended. */
  #passedAt = 0
  /** Milliseconds that the last full pass took for the items that it skipped. */
  #cost = 0

  constructor(pass: Pass) {
    this.#pass = pass
    this.#last = pass.summary
  }

  get hasLost(): boolean {
    return this.#hasLost
  }

  /** A full pass begins: it answers lost events and pulls of the trigger. */
  restart(): void {
    this.#hasLost = false
    this.#wasPulled = false
  }

  /** Plans the next look after a pass. */
  plan(last: PassSummary, reach: WatchReach): void {
    this.#last = last
    this.#reach = reach
    const { isFull, cost, handedOut, skipped } = last
    const now = performance.now()
    if (isFull) {
      this.#passedAt = now
      this.#cost = handedOut === 0 ? cost : (cost * skipped) / (handedOut + skipped)
    }
    const next = this.#nextLook(now)
    this.#lookAt = isFull ? next : Math.min(next, this.#lookAt)
    this.#retryAt = this.#pass.hasUnkept ? now + LOOK_SOON_MS : Infinity
  }

  /**
   * Lost events and a pull of the trigger bring the next look forward. A look at once would take all the time where looks are expensive
   * and events are many; the names that the watch did tell are claimed at once anyway.
   */
  note(happened: number): void {
    if ((happened & (Happened.lost | Happened.pulled)) === 0) return
    this.#hasLost ||= (happened & Happened.lost) !== 0
    this.#wasPulled ||= (happened & Happened.pulled) !== 0
    // Where the watch tells nothing, a pull asks for a look at once.
    const isUrgent = this.#wasPulled && !this.#reach.isNotified
    this.#lookAt = isUrgent ? 0 : Math.min(this.#lookAt, this.#nextLook(this.#passedAt))
  }

  /** Whether it is time to look. */
  isDue(): boolean {
    return performance.now() >= this.#lookAt
  }

  /** Whether it is time to try again the items of which only the names are kept. If so, the next {@link plan} plans the next time. */
  takeRetry(): boolean {
    const isDue = performance.now() >= this.#retryAt
    if (isDue) this.#retryAt = Infinity
    return isDue
  }

  /** Milliseconds until an item is due or it is time to look or to try again. */
  rest(): number {
    const due = this.#pass.dueIn
    const next = Math.max(0, Math.min(this.#lookAt, this.#retryAt) - performance.now())
    // If the clock is set meanwhile, an item may be due sooner.
    return Math.ceil(Math.min(due, next, LOOK_MS))
  }

  /**
   * Plans the next look instead of making the one that is due, if it would find nothing: the directory has not changed, and the items
   * that others held are still held. A delayed item that was touched, or an unreadable one that may be opened now, can wait.
   */
  postponeIfQuiet(): boolean {
    const now = performance.now()
    // This kernel may not know yet that a shared directory has changed.
    if (this.#pass.dueIn === 0 || this.#reach.isShared || this.#hasLost || this.#wasPulled) return false
    if (now >= this.#retryAt) return false
    const longest = Math.max(LOOK_MS, this.#leastInterval)
    if (!this.#last.isOnlyBusy && now - this.#passedAt > longest) return false
    if (!this.#pass.tryQuiet()) return false
    this.#lookAt = this.#nextLook(now)
    return true
  }

  #nextLook(from: number): number {
    let usual = LOOK_MS
    if (!this.#knowsAll || this.#last.skipped > 0 || this.#pass.hasKept) usual = LOOK_SOON_MS
    // There may be more items, and nothing would tell of them.
    if (this.#last.handedOut > 0 && !this.#reach.isNotified) usual = 0
    const at = from + Math.max(usual, this.#leastInterval)
    return Math.floor((at - PHASE_MS) / GRID_MS) * GRID_MS + PHASE_MS
  }

  /** Milliseconds. */
  get #leastInterval(): number {
    return this.#cost / (this.#knowsAll ? SHARE_WATCHED : SHARE_UNWATCHED)
  }

  /** Whether the watch has told of all that has happened since the last full pass, and no pull of the trigger says otherwise. */
  get #knowsAll(): boolean {
    const tellsOfSkipped = WATCHES_FILES || this.#last.skipped === 0
    return this.#reach.isNotified && tellsOfSkipped && !this.#hasLost && !this.#wasPulled
  }
}
