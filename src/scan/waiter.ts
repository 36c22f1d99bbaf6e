/**
 * Waiting until there is something to claim (fsq standard, sections 4 and 7).
 *
 * @module
 */
import os from 'node:os'
// Not the global ones, which a test may have replaced by some that stand still.
import { clearTimeout, setTimeout } from 'node:timers'

import type { Failure } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import type { ItemContext } from '../item/work-item.js'
import { placePath } from '../directory/layout.js'
import { type RawName, toRaw } from '../name/charset.js'
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
import type { Pass } from './pass.js'

const { ENOENT, ENOTDIR } = os.constants.errno
// A watch is a hint, and a look is the truth: what no watch tells of is found after so long.
const LOOK_MS = 5000
// Where the watch may not tell of all that can be found.
const LOOK_SOON_MS = 1000
// The loops of one process look at the same moments, so that it wakes up seldom; those of others at other moments.
const GRID_MS = 250
const PHASE_MS = GRID_MS * Math.random()
// A look over a great many items that nobody may have yet is seldom: it takes at most this part of the time where the watch
// tells of all that happens, and where it does not.
const SHARE_WATCHED = 1 / 100
const SHARE_UNWATCHED = 1 / 20

let hasWarned = false
const abandonedLoops = new FinalizationRegistry<() => void>((stopListening) => {
  stopListening()
})

/** What wakes up one scan that waits. */
export class Waiter {
  readonly #context: ItemContext
  readonly #walk: Pass
  readonly #stopped: Cancellation
  readonly #signal: AbortSignal | undefined
  readonly #leaving: AbortSignal
  readonly #watch: WatchHandle = newWatch()
  /** The queue that is watched, while one is. */
  #watched: QueueHandle | undefined
  /** Other machines may change the queue, too, and no watch tells of that. */
  #isShared = false
  /** Since the last walk events were lost. */
  #hasLost = false
  /** Since the last walk the trigger was pulled. */
  #wasPulled = false
  #lookAt = 0
  /** When to try again what others hold and nothing tells of; Infinity: there is nothing of that. */
  #retryAt = Infinity
  #walkedAt = 0
  /** Milliseconds that the last walk took, of what it passed by. */
  #cost = 0
  /** What this process gave back since the last walk: it was nobody's that a watch would tell of. */
  readonly #released = new Set<RawName>()
  /** Ends the sleep that is under way. */
  #endSleep: ((happened: number) => void) | undefined
  /** Left as it is from one sleep to the next: it may go off too early. */
  #alarm: NodeJS.Timeout | undefined
  #alarmAt = 0
  readonly #stopListening: () => void
  readonly #wake = (happened: number): void => {
    const end = this.#endSleep
    this.#endSleep = undefined
    // Only a loop that waits keeps the process alive.
    this.#alarm?.unref()
    end?.(happened)
  }
  readonly #stop = (): void => {
    if (this.#endSleep !== undefined) this.#wake(native.cancelWatch(this.#watch))
  }

  /**
   * @param stopped - Raised by the two signals, and when the queue's handle is closed.
   * @param leaving - Aborted: the loop is left, and nobody asks for more.
   */
  constructor(
    context: ItemContext,
    walk: Pass,
    stopped: Cancellation,
    signal: AbortSignal | undefined,
    leaving: AbortSignal,
  ) {
    this.#context = context
    this.#walk = walk
    this.#stopped = stopped
    this.#signal = signal
    this.#leaving = leaving
    this.#stopListening = this.#listen()
  }

  /** Begins the first walk. */
  async begin(): Promise<void> {
    await this.#list(false)
  }

  /**
   * Begins the next walk, as soon as it may find something.
   *
   * @throws The reason of the signal, an error for a queue that is down, missing or closed, or a file system error.
   */
  async more(): Promise<void> {
    const walk = this.#walk
    if (walk.isStale) return this.#list(false)
    if (this.#watched === undefined) {
      // Each claim is an event for all who watch: so nobody does while there is work. But the next walk costs more than events
      // where the last one passed by more than it handed out.
      if (walk.handedOut > walk.passedBy) return this.#list(false)
      // What has come since the listing is found by another, and what comes after that is told.
      if (this.#arm()) return this.#list(true)
    }
    this.#planLook()
    for (;;) {
      this.#checkStop()
      const happened = this.#whatHappened() ?? (await this.#sleep())
      this.#checkStop()
      if (this.#leaving.aborted) return
      this.#note(happened)
      if ((happened & Happened.look) !== 0 || performance.now() >= this.#lookAt) return this.#look()
      const released = this.#released.size === 0 ? undefined : [...this.#released]
      this.#released.clear()
      const isRetry = performance.now() >= this.#retryAt
      if (isRetry) this.#retryAt = Infinity
      if (walk.revisit(this.#watch, released, isRetry || (happened & Happened.closed) !== 0, isRetry)) return
    }
  }

  end(): void {
    clearTimeout(this.#alarm)
    this.#stopListening()
    abandonedLoops.unregister(this)
    native.closeWatch(this.#watch)
  }

  async #look(): Promise<void> {
    // So many events are a burst of work, which is claimed unwatched.
    if (this.#hasLost) this.#disarm()
    return this.#list(!this.#hasLost)
  }

  async #list(quick: boolean): Promise<void> {
    this.#listenToTrigger()
    this.#hasLost = false
    this.#wasPulled = false
    this.#released.clear()
    await this.#walk.begin({
      quick: quick && this.#watched !== undefined,
      prepare: (handle) => {
        // Installed anew: the one that was watched is not the one that is listed.
        if (this.#watched !== undefined && this.#watched !== handle) this.#arm(handle)
      },
    })
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

  #arm(handle = this.#walk.handle): boolean {
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

  /** Whether a watch tells of what happens. */
  get #isTold(): boolean {
    return this.#watched !== undefined && !this.#isShared
  }

  /** Whether it has told of all that has happened since the last walk, and nobody has pulled the trigger for what it does not tell. */
  get #isWatched(): boolean {
    const tellsOfSkipped = WATCHES_FILES || this.#walk.passedBy === 0
    return this.#isTold && tellsOfSkipped && !this.#hasLost && !this.#wasPulled
  }

  #planLook(): void {
    const { isFull, cost, handedOut, passedBy } = this.#walk
    const now = performance.now()
    if (isFull) {
      this.#walkedAt = now
      this.#cost = handedOut === 0 ? cost : (cost * passedBy) / (handedOut + passedBy)
    }
    const next = this.#nextLook(now)
    this.#lookAt = isFull ? next : Math.min(next, this.#lookAt)
    this.#retryAt = this.#walk.isCrowded ? now + LOOK_SOON_MS : Infinity
  }

  #nextLook(from: number): number {
    const { passedBy, isBusy, handedOut } = this.#walk
    let usual = LOOK_MS
    if (!this.#isWatched || passedBy > 0 || isBusy) usual = LOOK_SOON_MS
    // There may be more, and nothing would tell.
    if (handedOut > 0 && !this.#isTold) usual = 0
    const at = from + Math.max(usual, this.#lookEvery)
    return Math.floor((at - PHASE_MS) / GRID_MS) * GRID_MS + PHASE_MS
  }

  /** Milliseconds from one look to the next, at the least. */
  get #lookEvery(): number {
    return this.#cost / (this.#isWatched ? SHARE_WATCHED : SHARE_UNWATCHED)
  }

  /**
   * Lost events and a pull are answered by a look when it is time for one, as looks at once would take all the time where they
   * cost much and events are many. What the watch did tell is claimed at once.
   */
  #note(happened: number): void {
    if ((happened & (Happened.lost | Happened.pulled)) === 0) return
    this.#hasLost ||= (happened & Happened.lost) !== 0
    this.#wasPulled ||= (happened & Happened.pulled) !== 0
    // A pull where nothing else tells asks for a look at once.
    const isUrgent = this.#wasPulled && !this.#isTold
    this.#lookAt = isUrgent ? 0 : Math.min(this.#lookAt, this.#nextLook(this.#walkedAt))
  }

  /**
   * It is time to look. Where the directory has not changed and what others held is still held, a listing would only find
   * that what was delayed has been touched, or that what was unreadable may be opened: that can wait.
   */
  #isQuiet(): boolean {
    const { nextDue, isPlain } = this.#walk
    const now = performance.now()
    // Of a shared directory, this kernel may not know yet that it has changed.
    if (nextDue <= Date.now() || this.#isShared || this.#hasLost || this.#wasPulled) return false
    if (now >= this.#retryAt) return false
    if (!isPlain && now - this.#walkedAt > Math.max(LOOK_MS, this.#lookEvery)) return false
    if (!this.#walk.isQuiet) return false
    this.#lookAt = this.#nextLook(now)
    return true
  }

  /** Milliseconds until something is due or it is time to look. */
  #rest(): number {
    const due = Math.max(0, this.#walk.nextDue - Date.now())
    const next = Math.max(0, Math.min(this.#lookAt, this.#retryAt) - performance.now())
    // The clock may be set meanwhile, and then what is due is due sooner.
    return Math.ceil(Math.min(due, next, LOOK_MS))
  }

  /** None: nothing yet, and the watch will tell. */
  #whatHappened(): number | undefined {
    if (this.#released.size > 0 || this.#leaving.aborted || this.#walk.nextDue <= Date.now())
      return native.cancelWatch(this.#watch)
    return native.awaitWatch(this.#watch, this.#walk.isBusy, this.#wake)
  }

  /** Until something happens, something is due, it is time to look, or the signal or the queue's handle says stop. */
  #sleep(): Promise<number> {
    return new Promise((resolve) => {
      this.#endSleep = resolve
      this.#setAlarm()
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
      // Most often there is nothing new: then nobody is woken.
      if (this.#rest() > 0 || this.#isQuiet()) this.#setAlarm()
      else this.#stop()
    }, rest)
  }

  /**
   * To what ends the loop and to what this process gives back, without keeping this loop in memory: they may well outlive one that
   * nobody goes on with.
   *
   * @returns Stops it.
   */
  #listen(): () => void {
    const { releasing } = this.#context
    const weak = new WeakRef(this)
    const released = (name: RawName): void => {
      const loop = weak.deref()
      if (loop !== undefined) loop.#noteReleased(name)
    }
    releasing.add(released)
    this.#stopped.onRaise(() => {
      const loop = weak.deref()
      if (loop !== undefined) loop.#stop()
    })
    const stopListening = (): void => {
      releasing.delete(released)
    }
    abandonedLoops.register(this, stopListening, this)
    return stopListening
  }

  #noteReleased(name: RawName): void {
    this.#released.add(name)
    this.#stop()
  }

  #checkStop(): void {
    this.#signal?.throwIfAborted()
    this.#context.directory.checkOpen()
  }
}

/** Too few inotify instances or watches, or no inotify at all: waiting works, but slower. */
function warnOnce(failure: Failure): void {
  // Removed just now, which the next look finds out.
  if (hasWarned || failure.errno === -ENOENT || failure.errno === -ENOTDIR) return
  hasWarned = true
  process.emitWarning(
    `The kernel cannot tell of new items: ${systemError(failure).message}. They are found by looking once a second, and when ` +
      'the trigger is pulled. Raise the limits fs.inotify.max_user_instances or fs.inotify.max_user_watches, or that of ' +
      'open files (ulimit -n)',
    { type: 'FsqWarning', code: 'FSQ_NO_WATCH' },
  )
}
