/**
 * The finish of one claimed item: done, fail, retry or discard (fsq standard, section 5).
 *
 *     claimed ──> finishing ──> finished  the item has moved, or it is gone: another process has moved or removed its file
 *                     │ ^
 *                     v │ again after 100 ms, 200 ms ... 30 s
 *                  unfinished             the move has failed: the item stays claimed, and the queue handle hands out no more items
 *
 * Closing the queue handle ends an unfinished finish: the item is released.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import { runLate } from '../addon/promises.js'
import { type FinishResult, Place } from '../addon/native.js'
import type { LogEntry } from '../addon/packing.js'
import {
  FinishError,
  type FsqError,
  ItemFinishedError,
  ItemGoneError,
  NotDurableError,
} from '../errors/classes.js'
import { systemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'
import type { Claim } from './claims.js'
import type { ItemContext } from './context.js'
import { type Move, type Moved, isGone, isLost } from './moves.js'
import { RENAME } from './named-item.js'
import type { Outcome } from './outcome.js'
import { type FinishContext, type TracedItem, contextOf, finishChannel, isTraced } from '../tracing.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

const { EBADF } = os.constants.errno
const DUE_AT_ONCE = 'is due at once: only its owner may set its time'
const DUE_AT_ONCE_FAR = `${DUE_AT_ONCE}, or the file system keeps no time in the future (CephFS is one)`
const FIRST_BACKOFF = 100
const LONGEST_BACKOFF = 30_000

export type Action = 'done' | 'fail' | 'retry' | 'discard'

/** What a finish does with the item. */
export interface Target {
  readonly action: Action
  readonly place: Place
  /** The name that the item gets there. */
  readonly to: RawName
  /** Milliseconds since the epoch; 0: the item is due at once. */
  readonly due: number
}

/** The item that is finished. */
interface Finishable extends TracedItem {
  [RENAME]: (name: RawName) => void
}

/** Moves one item to its target, and again until that succeeds. */
export class Finish {
  readonly #context: ItemContext
  readonly #claim: Claim
  readonly #item: Finishable
  /** The target of the first attempt, which every later attempt keeps: asking again does not move the due time of a retry. */
  #target: Target | undefined
  #backoff = FIRST_BACKOFF
  #timer: NodeJS.Timeout | undefined
  #isGone = false
  /** A line for the log of the item, which goes with the first move. */
  log: LogEntry | undefined
  #lastRun: Promise<void> | undefined

  constructor(context: ItemContext, claim: Claim, item: Finishable) {
    this.#context = context
    this.#claim = claim
    this.#item = item
  }

  /** How a finish that has succeeded has ended the claim. */
  get outcome(): Outcome {
    if (this.#isGone) return 'gone'
    switch (this.#target?.place) {
      case Place.queue:
        return 'waiting'
      case Place.fail:
        return 'failed'
      default:
        return 'done'
    }
  }

  /** The promise of the last {@link run}. */
  get lastRun(): Promise<void> | undefined {
    return this.#lastRun
  }

  /** The finish that was asked for; `undefined`: none yet. */
  get action(): Action | undefined {
    return this.#target?.action
  }

  /**
   * Moves the item. Hot path: as few promises as possible.
   *
   * @returns Rejects as {@link WorkItem.done} does.
   */
  run(target: Target): Promise<void> {
    return isTraced(finishChannel) ? this.#runTraced(target) : this.#run(target)
  }

  #run(target: Target): Promise<void> {
    const refusal = this.#refusal(target)
    if (refusal !== undefined) {
      if (this.#claim.state === 'lost') this.#claim.takeBack()
      return Promise.reject(refusal)
    }
    this.#lastRun = this.#attempt(this.#target ?? target)
    return this.#lastRun
  }

  async #runTraced(target: Target): Promise<void> {
    const { layout } = this.#context.directory
    const context: FinishContext = { ...contextOf(this.#item, layout), action: target.action }
    await finishChannel.tracePromise(async () => {
      try {
        await this.#run(target)
      } finally {
        // A finish whose durability is in doubt has moved the item all the same.
        if (this.#claim.state === 'finished') context.outcome = this.outcome
      }
    }, context)
  }

  #refusal({ action }: Target): FsqError | undefined {
    if (this.#claim.state !== 'unfinished' || this.#target?.action === action)
      return this.#claim.refusal('finish')
    return new ItemFinishedError(
      `Cannot ${action} the item ${inspect(this.#item.id)}: ${this.#target?.action ?? 'another finish'} was asked for, has ` +
        'failed, and is tried again until it succeeds or the queue is closed',
    )
  }

  #attempt(target: Target): Promise<void> {
    const { claims } = this.#context
    this.#target = target
    claims.handToFinish(this.#claim)
    claims.inFlight.begin()
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    return new Promise((resolve, reject) => {
      const { reads } = this.#claim
      if (reads === undefined) this.#submit(target, resolve, reject)
      else void reads.then(() => this.#submit(target, resolve, reject))
    })
  }

  #submit(
    target: Target,
    resolve: (ended: Promise<void> | void) => void,
    reject: (error: unknown) => void,
  ): void {
    const { moves, inFlight } = this.#context.claims
    const { place, to, due } = target
    const { log } = this
    this.log = undefined
    const move: Move = { claim: this.#claim, place, to, due, log }
    moves.submit(
      move,
      (result) => {
        if (result !== undefined) {
          resolve(this.#settleLate(target, move, result))
          return
        }
        inFlight.end()
        this.#settleMoved(target, { name: to, left: true, undelayed: false })
        resolve()
      },
      (error) => {
        this.#close()
        reject(error)
      },
    )
  }

  /** The move has not simply succeeded. */
  #settleLate(target: Target, move: Move, result: FinishResult): Promise<void> {
    const { moves, inFlight } = this.#context.claims
    return runLate(() => moves.resolve(move, result)).then(
      (moved) => {
        inFlight.end()
        if (moved.left) this.#settleMoved(target, moved)
        else this.#settleNotMoved(target, moved)
      },
      (error: unknown) => {
        this.#close()
        throw error
      },
    )
  }

  /** No call has failed: the queue handle is closed, and nothing else would release the claim. */
  #close(): void {
    const { claims } = this.#context
    claims.unlock(this.#claim)
    claims.inFlight.end()
  }

  #settleMoved({ action, place, due }: Target, { name, failure, undelayed }: Moved): void {
    const { claims, directory, reporter } = this.#context
    claims.finished(this.#claim)
    if (name !== this.#claim.name) {
      this.#claim.name = name
      this.#item[RENAME](name)
    }
    if (undelayed && place === Place.queue && due !== 0) {
      reporter.reportBeside('undelayed', name, directory.isLocal ? DUE_AT_ONCE : DUE_AT_ONCE_FAR)
    }
    if (failure === undefined) return
    throw new NotDurableError(this.#item.id, { cause: systemError(failure) }, action)
  }

  /** The item is still claimed, or it is gone. */
  #settleNotMoved(target: Target, { failure }: Moved): void {
    const { claims } = this.#context
    const { action } = target
    const cause = failure === undefined ? undefined : systemError(failure)
    if (failure !== undefined && isLost(failure)) {
      this.#isGone = true
      claims.lost(this.#claim)
      this.#claim.takeBack()
      throw this.#claim.lostError(`finish (${action})`)
    }
    if (failure !== undefined && isGone(failure)) {
      claims.gone(this.#claim)
      this.#isGone = true
      if (this.#claim.isRename) throw this.#claim.removedError(`finish (${action})`, cause)
      const what =
        failure.errno === -EBADF
          ? 'its descriptor was closed by other code of this process, and with it its lock is gone'
          : 'another process has moved or removed its file, or has put another file in its place'
      throw new ItemGoneError(`Cannot finish (${action}) the item ${inspect(this.#item.id)}: ${what}`, {
        cause,
        advice:
          'Find the program that moves claimed items, and stop it. Decide whether the work has to be done again',
      })
    }
    const error = new FinishError(this.#item.id, action, { cause })
    if (claims.isClosed && !this.#claim.outlives) {
      claims.unlock(this.#claim)
      throw error
    }
    claims.keepUnfinished(this.#claim, this.#item, error, () => {
      clearTimeout(this.#timer)
    })
    this.#tryAgainLater(target)
    throw error
  }

  /**
   * The work on the item is done: if the process ended now, another one would do the work again. So the timer keeps this process alive
   * until the item has moved or the queue handle is closed.
   */
  #tryAgainLater(target: Target): void {
    this.#timer = setTimeout(() => {
      if (this.#claim.state !== 'unfinished') return
      const report = (): void => {
        const message = `could be finished after all (${target.action})`
        this.#context.reporter.reportBeside('recovered', this.#claim.name, message)
      }
      // A failed attempt has set the timer of the next one, and the caller of the first attempt has received the error.
      this.#attempt(target)
        .then(report)
        .catch(() => undefined)
    }, this.#backoff)
    this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF)
  }
}
