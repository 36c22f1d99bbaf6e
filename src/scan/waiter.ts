/**
 * Waiting until there is something to claim (fsq standard, sections 4 and 7).
 *
 * A watch (inotify, kqueue) is a hint, and a full pass is the truth. After a pass has ended, {@link Waiter.wait} does one of these:
 *
 *     lists at once    there was work: watching would turn each claim into an event for every worker
 *     arms the watch   and lists once more for items added before the watch was armed; later ones raise an event
 *     sleeps ── an event, a release, a due time ──────────────> revisits the names in question
 *            ── the queue itself has changed (down, removed) ─> lists at once
 *            ── lost events, a pull of the trigger ───────────> lists, as soon as the next look may be
 *            ── the time of the next look ────────────────────> lists, unless the directory shows that nothing has changed
 *            ── cancelled (signal, close, the loop is left) ──> ends without a pass
 *
 * A missed wake-up is caught by the next look: see look-schedule.ts.
 *
 * @module
 */
import os from 'node:os'

import {
  Happened,
  Place,
  type QueueHandle,
  Reach,
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
import { LookSchedule } from './look-schedule.js'
import type { Pass, PassSummary } from './pass.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

const { ENOENT, ENOTDIR } = os.constants.errno
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
  readonly #looks: LookSchedule
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
    this.#looks = new LookSchedule(pass)
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
   * @returns False: the loop was cancelled.
   * @throws An error for a queue that is down, missing or closed, or a file system error.
   */
  async wait(): Promise<boolean> {
    if (await this.#listNow()) return true
    for (;;) {
      if (this.#isCancelled()) return false
      const happened = this.#pollWatch() ?? (await this.#sleep())
      if (this.#isCancelled()) return false
      this.#looks.note(happened)
      if ((happened & Happened.look) !== 0 || this.#looks.isDue()) {
        await this.#look()
        return true
      }
      if (this.#revisit(happened)) return true
    }
  }

  /** Begins the next pass without a sleep, if the last one says so. Otherwise plans the next look. */
  async #listNow(): Promise<boolean> {
    const last = this.#pass.summary
    if (!last.isStale && this.#watched !== undefined) {
      this.#planLook(last)
      return false
    }
    // The next pass costs more than events if the last one skipped more items than it handed out.
    if (last.isStale || last.handedOut > last.skipped) await this.#list(false)
    else if (this.#arm()) await this.#list(true)
    else {
      this.#planLook(last)
      return false
    }
    return true
  }

  #planLook(last: PassSummary): void {
    const isNotified = this.#watched !== undefined && !this.#isShared
    this.#looks.plan(last, { isNotified, isShared: this.#isShared })
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

  async #look(): Promise<void> {
    const { hasLost } = this.#looks
    // Lost events mean a burst of work, which is claimed without a watch.
    if (hasLost) this.#disarm()
    await this.#list(!hasLost)
  }

  /**
   * Begins a full pass.
   *
   * @param maySync - Whether this thread may list, if the queue is watched and few names are to be expected.
   */
  async #list(maySync: boolean): Promise<void> {
    const { isLocal, layout } = this.#context.directory
    // Before each listing, so that no pull is lost.
    this.#reportDeafness(
      isLocal
        ? native.listenTriggerSync(this.#watch, layout.triggerPath)
        : await native.listenTrigger(this.#watch, layout.triggerPath),
    )
    this.#looks.restart()
    this.#released.clear()
    await this.#pass.begin(maySync && this.#watched !== undefined)
    while (this.#watched !== undefined && this.#watched !== this.#pass.handle) {
      // Another queue has taken the place of the watched one. It is watched from now on, so it is listed again.
      if (this.#arm()) await this.#pass.begin()
    }
  }

  #revisit(happened: number): boolean {
    const released = this.#released.size === 0 ? undefined : [...this.#released]
    this.#released.clear()
    const unkept = this.#looks.takeRetry()
    const kept = unkept || (happened & Happened.closed) !== 0
    return this.#pass.revisit(this.#watch, { released, kept, unkept })
  }

  #reportDeafness(failure: Failure | undefined): void {
    if (failure === undefined) return
    const { reporter, settings, directory } = this.#context
    const { triggerPath } = directory.layout
    const error = fileSystemError({ ...failure, path: triggerPath }, 'listen to the trigger')
    reporter.report('trigger', toRaw(settings.trigger, 'utf8'), `is not listened to: ${error.message}`, error)
  }

  /** @returns Whether the queue is watched now. */
  #arm(): boolean {
    const { handle } = this.#pass
    const { layout, isLocal } = this.#context.directory
    const items = placePath(layout, Place.queue)
    const failure = isLocal
      ? native.armWatch(this.#watch, layout.path, items, layout.parent?.path)
      : native.armWatch(this.#watch, layout.path, items, undefined, handle)
    this.#watched = failure === undefined ? handle : undefined
    this.#isShared = handle !== undefined && native.fileSystemOf(handle).reach !== Reach.local
    if (failure !== undefined) warnOnce(failure)
    return failure === undefined
  }

  #disarm(): void {
    native.disarmWatch(this.#watch)
    this.#watched = undefined
  }

  /** `undefined`: nothing yet; the watch wakes this loop. */
  #pollWatch(): number | undefined {
    if (this.#released.size > 0 || this.#pass.dueIn === 0) return native.cancelWatch(this.#watch)
    return native.awaitWatch(this.#watch, this.#pass.hasKept, this.#wake)
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
    const rest = this.#looks.rest()
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
      if (this.#looks.rest() > 0 || this.#looks.postponeIfQuiet()) this.#setAlarm()
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
   * @returns A function that stops listening.
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
