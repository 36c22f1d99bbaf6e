/**
 * Waiting until there is something to claim (fsq standard, sections 4 and 7).
 *
 * A watch (inotify, kqueue) is a hint, and a full pass is the truth. After a pass that has ended, {@link Waiter.wait} is in one of
 * these states, and each move out of "sleeps" begins a pass:
 *
 *     lists at once    there was work: watching would turn each claim into an event for every worker
 *     arms the watch   and lists once more for items added before the watch was armed; later ones raise an event
 *     sleeps ── an event, a release, a due time ────────────────> revisits the names in question
 *            ── lost events, a pull of the trigger, a change ───> lists, as soon as the next look may be
 *            ── the time of the next look: a change was missed ─> lists, unless the directory shows that nothing has changed
 *            ── cancelled (signal, close, the loop is left) ────> returns
 *
 * A missed wake-up is caught by the look: at most {@link LOOK_MS} later, or {@link LOOK_SOON_MS} where a watch may not tell all.
 *
 * @module
 */
import os from 'node:os'
// Not the globals: a test with fake timers replaces those.
import { clearTimeout, setTimeout } from 'node:timers'

import {
  Happened,
  Place,
  type QueueHandle,
  Reach,
  WATCHES_FILES,
  type WatchHandle,
  native,
  newWatch,
} from '../addon/native.js'
import type { Cancellation } from '../cancellation.js'
import { placePath } from '../directory/layout.js'
import type { Failure } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import type { ItemContext } from '../item/context.js'
import { type RawName, toRaw } from '../name/charset.js'
import type { Pass, PassSummary } from './pass.js'

const { ENOENT, ENOTDIR } = os.constants.errno
// The longest time from one look to the next, unless a look is expensive.
const LOOK_MS = 5000
// The same where the watch may not tell of everything that can be claimed.
const LOOK_SOON_MS = 1000
// The loops of one process look at the same moments, so that the process wakes up seldom; other processes look at other moments.
const GRID_MS = 250
const PHASE_MS = GRID_MS * Math.random()
// A look over very many items that cannot be claimed yet takes at most this share of the time: where the watch tells of everything
// that happens, and where it does not.
const SHARE_WATCHED = 1 / 100
const SHARE_UNWATCHED = 1 / 20

let hasWarned = false
const abandonedWaiters = new FinalizationRegistry<() => void>((stopListening) => {
  stopListening()
})

/** Wakes up one loop that waits. */
export class Waiter {
  readonly #context: ItemContext
  readonly #pass: Pass
  readonly #cancellation: Cancellation
  readonly #onSleep: (() => void) | undefined
  readonly #watch: WatchHandle = newWatch()
  /** The queue that is watched. */
  #watched: QueueHandle | undefined
  /** Other machines may change the queue, and no watch tells of that. */
  #isShared = false
  /** The last pass. */
  #last: PassSummary
  /** Events were lost since the last full pass. */
  #hasLost = false
  /** The trigger was pulled since the last full pass. */
  #wasPulled = false
  /** When to look, by the clock of performance.now(). */
  #lookAt = 0
  /** When to try again the items that other workers hold and the watch does not tell of; Infinity: there are none. */
  #retryAt = Infinity
  /** When the last full pass ended. */
  #passedAt = 0
  /** Milliseconds that the last full pass took for the items that it skipped. */
  #cost = 0
  /** The items that this process has released since the last pass: the watch raises no event for them. */
  readonly #released = new Set<RawName>()
  /** Ends the sleep in progress. */
  #endSleep: ((happened: number) => void) | undefined
  /** Stays from one sleep to the next, so it may fire too early. */
  #alarm: NodeJS.Timeout | undefined
  #alarmAt = 0
  readonly #stopListening: () => void
  readonly #wake = (happened: number): void => {
    const end = this.#endSleep
    this.#endSleep = undefined
    // Only a loop that sleeps keeps the process alive.
    this.#alarm?.unref()
    end?.(happened)
  }

  /**
   * @param cancellation - Raised by the signal of the loop, by the close of the queue handle, and when the loop is left.
   * @param onSleep - Called each time that the loop goes to sleep.
   */
  constructor(context: ItemContext, pass: Pass, cancellation: Cancellation, onSleep?: () => void) {
    this.#onSleep = onSleep
    this.#context = context
    this.#pass = pass
    this.#last = pass.summary
    this.#cancellation = cancellation
    this.#stopListening = this.#listen()
  }

  /** Begins the first pass. */
  async begin(): Promise<void> {
    await this.#list(false)
  }

  /**
   * Begins the next pass, as soon as it may find something.
   *
   * @param last - The pass that has ended.
   * @returns False: the loop was cancelled.
   * @throws An error for a queue that is down, missing or closed, or a file system error.
   */
  async wait(last: PassSummary): Promise<boolean> {
    this.#last = last
    if (last.isStale) return this.#list(false)
    if (this.#watched === undefined) {
      // The next pass costs more than events where the last one skipped more than it handed out.
      if (last.handedOut > last.skipped) return this.#list(false)
      if (this.#arm()) return this.#list(true)
    }
    this.#planLook()
    for (;;) {
      if (this.#isCancelled()) return false
      const happened = this.#happened() ?? (await this.#sleep())
      if (this.#isCancelled()) return false
      this.#note(happened)
      if ((happened & Happened.look) !== 0 || performance.now() >= this.#lookAt) return this.#look()
      if (this.#revisit(happened)) return true
    }
  }

  end(): void {
    clearTimeout(this.#alarm)
    this.#stopListening()
    abandonedWaiters.unregister(this)
    native.closeWatch(this.#watch)
  }

  #isCancelled(): boolean {
    return this.#cancellation.raised !== undefined
  }

  async #look(): Promise<boolean> {
    // Lost events mean a burst of work, which is claimed without a watch.
    if (this.#hasLost) this.#disarm()
    return this.#list(!this.#hasLost)
  }

  /** @param maySync - Whether this thread may list, if the queue is watched and few names are to be expected. */
  async #list(maySync: boolean): Promise<boolean> {
    this.#listenToTrigger()
    this.#hasLost = false
    this.#wasPulled = false
    this.#released.clear()
    await this.#pass.begin(maySync && this.#watched !== undefined)
    // The queue was installed anew: the watch was on the old one while the new one was listed.
    while (this.#watched !== undefined && this.#watched !== this.#pass.handle && this.#arm())
      await this.#pass.begin()
    return true
  }

  #revisit(happened: number): boolean {
    const released = this.#released.size === 0 ? undefined : [...this.#released]
    this.#released.clear()
    const isRetry = performance.now() >= this.#retryAt
    if (isRetry) this.#retryAt = Infinity
    const areSomeFree = isRetry || (happened & Happened.closed) !== 0
    return this.#pass.revisit(this.#watch, released, areSomeFree, isRetry)
  }

  /** Before each listing, so that no pull is lost. */
  #listenToTrigger(): void {
    const { triggerPath } = this.#context.directory.layout
    const failure = native.listenTrigger(this.#watch, triggerPath)
    if (failure === undefined) return
    const { reporter, settings } = this.#context
    const error = fileSystemError({ ...failure, path: triggerPath }, 'listen to the trigger')
    reporter.report('trigger', toRaw(settings.trigger, 'utf8'), `is not listened to: ${error.message}`, error)
  }

  /** @returns Whether the queue is watched now. */
  #arm(): boolean {
    const { handle } = this.#pass
    const { layout } = this.#context.directory
    const failure = native.armWatch(this.#watch, layout.path, placePath(layout, Place.queue))
    this.#watched = failure === undefined ? handle : undefined
    this.#isShared = handle !== undefined && native.fileSystemOf(handle).reach !== Reach.local
    if (failure !== undefined) warnOnce(failure)
    return failure === undefined
  }

  #disarm(): void {
    native.disarmWatch(this.#watch)
    this.#watched = undefined
  }

  /** Whether the watch tells of new items. */
  get #isNotified(): boolean {
    return this.#watched !== undefined && !this.#isShared
  }

  /** Whether the watch has told of all that has happened since the last full pass, and no pull of the trigger says otherwise. */
  get #knowsAll(): boolean {
    const tellsOfSkipped = WATCHES_FILES || this.#last.skipped === 0
    return this.#isNotified && tellsOfSkipped && !this.#hasLost && !this.#wasPulled
  }

  #planLook(): void {
    const { isFull, cost, handedOut, skipped } = this.#last
    const now = performance.now()
    if (isFull) {
      this.#passedAt = now
      this.#cost = handedOut === 0 ? cost : (cost * skipped) / (handedOut + skipped)
    }
    const next = this.#nextLook(now)
    this.#lookAt = isFull ? next : Math.min(next, this.#lookAt)
    this.#retryAt = this.#pass.isCrowded ? now + LOOK_SOON_MS : Infinity
  }

  #nextLook(from: number): number {
    let usual = LOOK_MS
    if (!this.#knowsAll || this.#last.skipped > 0 || this.#pass.isBusy) usual = LOOK_SOON_MS
    // There may be more items, and nothing would tell of them.
    if (this.#last.handedOut > 0 && !this.#isNotified) usual = 0
    const at = from + Math.max(usual, this.#leastLookInterval)
    return Math.floor((at - PHASE_MS) / GRID_MS) * GRID_MS + PHASE_MS
  }

  /** Milliseconds. */
  get #leastLookInterval(): number {
    return this.#cost / (this.#knowsAll ? SHARE_WATCHED : SHARE_UNWATCHED)
  }

  /**
   * Lost events and a pull bring the next look forward, but a look at once would take all the time where looks are expensive and
   * events are many. The names that the watch did tell are claimed at once.
   */
  #note(happened: number): void {
    if ((happened & (Happened.lost | Happened.pulled)) === 0) return
    this.#hasLost ||= (happened & Happened.lost) !== 0
    this.#wasPulled ||= (happened & Happened.pulled) !== 0
    // Where the watch tells nothing, a pull asks for a look at once.
    const isUrgent = this.#wasPulled && !this.#isNotified
    this.#lookAt = isUrgent ? 0 : Math.min(this.#lookAt, this.#nextLook(this.#passedAt))
  }

  /**
   * Plans the next look instead of making the one that is due, if it would find nothing: the directory has not changed, and the items
   * that others held are still held. A delayed item that was touched, or an unreadable one that may be opened now, can wait.
   */
  #postponeIfQuiet(): boolean {
    const now = performance.now()
    // This kernel may not know yet that a shared directory has changed.
    if (this.#pass.nextDue <= Date.now() || this.#isShared || this.#hasLost || this.#wasPulled) return false
    if (now >= this.#retryAt) return false
    const longest = Math.max(LOOK_MS, this.#leastLookInterval)
    if (!this.#last.isOnlyBusy && now - this.#passedAt > longest) return false
    if (!this.#pass.wouldFindNothing()) return false
    this.#lookAt = this.#nextLook(now)
    return true
  }

  /** Milliseconds until an item is due or it is time to look. */
  #rest(): number {
    const due = Math.max(0, this.#pass.nextDue - Date.now())
    const next = Math.max(0, Math.min(this.#lookAt, this.#retryAt) - performance.now())
    // If the clock is set meanwhile, an item may be due sooner.
    return Math.ceil(Math.min(due, next, LOOK_MS))
  }

  /** `undefined`: nothing yet; the watch wakes this loop. */
  #happened(): number | undefined {
    if (this.#released.size > 0 || this.#pass.nextDue <= Date.now()) return native.cancelWatch(this.#watch)
    return native.awaitWatch(this.#watch, this.#pass.isBusy, this.#wake)
  }

  /** Until an event, a release, a due time, the time of the next look, or the cancellation. */
  #sleep(): Promise<number> {
    return new Promise((resolve) => {
      this.#endSleep = resolve
      this.#setAlarm()
      // Last: it may cancel the loop, which ends this sleep.
      this.#onSleep?.()
    })
  }

  #setAlarm(): void {
    const rest = this.#rest()
    const at = performance.now() + rest
    if (this.#alarm !== undefined && this.#alarmAt <= at) {
      this.#alarm.ref()
      return
    }
    clearTimeout(this.#alarm)
    this.#alarmAt = at
    this.#alarm = setTimeout(() => {
      this.#alarm = undefined
      if (this.#endSleep === undefined) return
      // Most looks would find nothing: then the loop sleeps on.
      if (this.#rest() > 0 || this.#postponeIfQuiet()) this.#setAlarm()
      else this.#endSleepNow()
    }, rest)
  }

  #endSleepNow(): void {
    if (this.#endSleep !== undefined) this.#wake(native.cancelWatch(this.#watch))
  }

  /**
   * Listens to the cancellation and to the releases of this process. Both may outlive a loop that its caller has abandoned, so they hold
   * only a weak reference to this waiter.
   *
   * @returns Ends that.
   */
  #listen(): () => void {
    const weak = new WeakRef(this)
    this.#cancellation.onRaise(() => {
      const waiter = weak.deref()
      if (waiter !== undefined) waiter.#endSleepNow()
    })
    const stopListening = this.#context.claims.onRelease((name) => {
      const waiter = weak.deref()
      if (waiter !== undefined) waiter.#noteReleased(name)
    })
    abandonedWaiters.register(this, stopListening, this)
    return stopListening
  }

  #noteReleased(name: RawName): void {
    this.#released.add(name)
    this.#endSleepNow()
  }
}

/** Too few inotify instances or watches, or no inotify at all: waiting works, but slower. */
function warnOnce(failure: Failure): void {
  // ENOENT, ENOTDIR: the queue has just been removed, which the next look reports.
  if (hasWarned || failure.errno === -ENOENT || failure.errno === -ENOTDIR) return
  hasWarned = true
  process.emitWarning(
    `The kernel cannot tell of new items: ${systemError(failure).message}. They are found by looking once a second, and when ` +
      'the trigger is pulled. Raise the limits fs.inotify.max_user_instances or fs.inotify.max_user_watches, or that of ' +
      'open files (ulimit -n)',
    { type: 'FsqWarning', code: 'FSQ_NO_WATCH' },
  )
}
