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

import { placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { ItemContext } from '../item/context.js'
import { Slices } from '../inspect/slices.js'
import { PLACES } from '../inspect/states.js'
import { type FinishedState, type Keep, removeFinished, surplusInParts } from '../maintain/prune.js'
import type { Settings } from '../settings.js'
import { clearInterval, setInterval } from '../real-timers.js'

const EVERY_MS = 60_000
const EVERY_FINISHES = 1000
const STEP_FILES = 200
const STEP_PAUSE_MS = 50
const { EAGAIN } = os.constants.errno

/** The limits of one worker. */
export class Retention {
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #limits: readonly (readonly [FinishedState, Keep])[]
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout | undefined
  readonly #hasCount: boolean
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
    this.#hasCount = limits.some(([, { count }]) => count !== undefined)
    if (limits.length === 0) return
    this.#timer = setInterval(() => void this.#clean(), EVERY_MS)
    this.#timer.unref()
  }

  /** Counts an item that is done or has failed. */
  count(): void {
    if (this.#limits.length === 0 || ++this.#finishes % EVERY_FINISHES > 0) return
    // Without a count, finishes make no item surplus, and each clean-up looks at all files: it would take half of the time of quick items.
    if (!this.#hasCount && performance.now() - this.#cleanedAt < EVERY_MS) return
    void this.#clean()
  }

  end(): void {
    this.#hasEnded = true
    clearInterval(this.#timer)
  }

  #isOver(): boolean {
    return this.#hasEnded
  }

  async #clean(): Promise<void> {
    if (this.#isCleaning || this.#hasEnded) return
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
    const descriptor = await calls.open(placePath(layout, PLACES[state]), constants.O_RDONLY)
    try {
      if ((await calls.lock(descriptor, 'flock', false)) === -EAGAIN) return
      const slices = new Slices(() => {
        this.#directory.checkOpen()
      }, calls)
      for await (const surplus of surplusInParts(layout, state, keep, slices)) {
        for (let start = 0; start < surplus.length; start += STEP_FILES) {
          const step = surplus.slice(start, start + STEP_FILES)
          await removeFinished(layout, this.#settings, state, step, slices)
          if (this.#isOver()) return
          await later(STEP_PAUSE_MS, undefined, { ref: false })
        }
      }
    } finally {
      await calls.close(descriptor)
    }
  }
}
