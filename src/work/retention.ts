/**
 * Removes done and failed items above the limits of a worker, in small steps beside its work.
 *
 * One of the workers of a queue cleans a directory at a time: the one that has the lock on the directory itself. Where a directory cannot
 * be locked, each worker cleans, which is as safe, but takes more time in all.
 *
 * @module
 */
import { constants } from 'node:fs'
import os from 'node:os'
import { setTimeout as later } from 'node:timers/promises'

import { native } from '../addon/native.js'
import { HERE } from '../directory/calls.js'
import { placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { Failure } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { ItemContext } from '../item/context.js'
import { Slices } from '../inspect/slices.js'
import { PLACES } from '../inspect/states.js'
import { type FinishedState, type Keep, removeFinished } from '../maintain/prune.js'
import { Logs } from '../meta/logs.js'
import { pathText } from '../name/charset.js'
import type { Settings } from '../settings.js'
import { clearInterval, setInterval } from '../real-timers.js'

const EVERY_MS = 60_000
const TIMER_MS = 1000
// The directory grows to a little more than its limit, and each file is looked at a few times, not once a minute.
const SHARE_OF_AGE = 4
const LONGEST_MS = 3_600_000
const SHARE_OF_COUNT = 10
const LEAST_FINISHES = 1000
const US_A_MS = 1000
const { EAGAIN } = os.constants.errno

/** The limits of one worker. */
export class Retention {
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #limits: readonly (readonly [FinishedState, Keep])[]
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout | undefined
  /** How long after the last clean-up the next one may come. */
  readonly #everyMs: number
  /** After how many finishes one comes. */
  readonly #everyFinishes: number
  #finishes = 0
  /** By `performance.now()`. */
  #cleanedAt = Number.NEGATIVE_INFINITY
  #isCleaning = false
  #hasEnded = false

  /** @param onError - Called with an error that has ended a clean-up. The next one comes all the same. */
  constructor(
    { directory, settings }: ItemContext,
    limits: readonly (readonly [FinishedState, Keep])[],
    onError: (error: unknown) => void,
  ) {
    this.#directory = directory
    this.#settings = settings
    this.#limits = limits
    this.#onError = onError
    const ages = limits.map(([, { age = Infinity }]) => age)
    const counts = limits.flatMap(([, { count }]) => (count === undefined ? [] : [count]))
    // Without a count, finishes make no item surplus: it is time that does.
    this.#everyMs =
      counts.length > 0 ? 0 : Math.min(Math.max(EVERY_MS, Math.min(...ages) / SHARE_OF_AGE), LONGEST_MS)
    this.#everyFinishes = Math.max(
      LEAST_FINISHES,
      Math.floor((counts.length > 0 ? Math.min(...counts) : 0) / SHARE_OF_COUNT),
    )
    if (limits.length === 0) return
    this.#timer = setInterval(() => void this.#cleanIfDue(), EVERY_MS)
    this.#timer.unref()
  }

  /** Counts an item that is done or has failed. */
  count(): void {
    if (this.#limits.length === 0 || ++this.#finishes < this.#everyFinishes) return
    this.#finishes = 0
    void this.#cleanIfDue()
  }

  end(): void {
    this.#hasEnded = true
    clearInterval(this.#timer)
  }

  #isOver(): boolean {
    return this.#hasEnded
  }

  async #cleanIfDue(): Promise<void> {
    if (this.#isCleaning || this.#hasEnded) return
    // A timer may come a little early.
    if (performance.now() - this.#cleanedAt < this.#everyMs - TIMER_MS) return
    this.#isCleaning = true
    this.#cleanedAt = performance.now()
    try {
      for (const [state, keep] of this.#limits) await this.#cleanState(state, keep)
    } catch (error) {
      if (!this.#isOver()) this.#onError(error)
    } finally {
      this.#isCleaning = false
    }
  }

  async #cleanState(state: FinishedState, keep: Keep): Promise<void> {
    const { layout, calls } = this.#directory
    const directory = placePath(layout, PLACES[state])
    const descriptor = await calls.open(directory, constants.O_RDONLY)
    let failure: Failure | undefined
    const note = (one: Failure | undefined): void => {
      failure ??= one
    }
    try {
      if ((await calls.lock(descriptor, 'flock', false)) === -EAGAIN) return
      const limits = await this.#limitsOf(descriptor, keep, note)
      if (limits !== undefined) await this.#removeOld(state, descriptor, limits, note)
    } finally {
      await calls.close(descriptor)
    }
    if (failure === undefined) return
    const { path: name } = failure
    const file = name === undefined ? directory : `${directory}/${pathText(name)}`
    throw fileSystemError({ ...failure, path: file }, 'remove finished items')
  }

  /** Of the files, only their times are held in memory. `undefined`: all stay. */
  async #limitsOf(
    descriptor: number,
    { age, count }: Keep,
    note: (failure: Failure | undefined) => void,
  ): Promise<PruneLimits | undefined> {
    const byAge = age === undefined ? undefined : { before: (Date.now() - age) * US_A_MS + 1, equals: 0 }
    if (count === undefined) return byAge
    const parts: Float64Array[] = []
    for await (const { changes, failure } of this.#steps(async () => native.changesNext(descriptor))) {
      parts.push(changes)
      note(failure)
    }
    const byCount = limitsByCount(parts, count)
    return byAge !== undefined && (byCount === undefined || byCount.before < byAge.before) ? byAge : byCount
  }

  async #removeOld(
    state: FinishedState,
    descriptor: number,
    { before, equals }: PruneLimits,
    note: (failure: Failure | undefined) => void,
  ): Promise<void> {
    const { layout, calls } = this.#directory
    const logs = await Logs.list(layout, calls === HERE)
    let left = equals
    for await (const step of this.#steps(async () =>
      native.pruneNext(descriptor, before, left, logs.areAny),
    )) {
      left -= step.equals
      note(step.failure)
      for (const raw of step.removed) await logs.removeOf(raw, this.#settings)
      const linked = step.linked.map((raw) => ({ raw, moved: 0 }))
      if (linked.length > 0)
        await removeFinished(layout, this.#settings, state, linked, new Slices(undefined, calls))
    }
  }

  /** The answers of a call until one says that it is the last. After each, it pauses for as long as that has taken. */
  async *#steps<Answer extends { readonly isOver: boolean }>(
    call: () => Promise<Answer>,
  ): AsyncGenerator<Answer, void, undefined> {
    for (;;) {
      const begun = performance.now()
      const answer = await call()
      yield answer
      if (answer.isOver || this.#isOver()) return
      await later(performance.now() - begun, undefined, { ref: false })
    }
  }
}

/** Which files of a directory go: see `pruneNext` of the addon. */
interface PruneLimits {
  readonly before: number
  readonly equals: number
}

/**
 * The limits above which as many files stay as are wanted.
 *
 * @param parts - When the files changed, in microseconds.
 * @returns `undefined`: there are not too many.
 */
function limitsByCount(parts: readonly Float64Array[], count: number): PruneLimits | undefined {
  const times = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    times.set(part, at)
    at += part.length
  }
  const tooMany = times.length - count
  // The event loop waits for the sort: a second for ten million.
  const last = times.sort()[tooMany - 1]
  if (last === undefined) return undefined
  // Of the files with that time, only some are too many.
  return { before: last, equals: tooMany - times.indexOf(last) }
}
