/**
 * Joins the calls of one tick, so that they cross into native code together. A lone call never waits for others.
 *
 * @module
 */
import type { CallThread } from './call-thread.js'
import { isPromise } from './promises.js'
import { nextTick, setImmediate } from '../real-timers.js'

interface Waiting<Entry, Outcome> {
  readonly entry: Entry
  readonly settle: (outcome: Outcome) => void
  readonly fail: (error: unknown) => void
}

type Outcomes<Outcome> = readonly Outcome[]

/**
 * Runs a batch.
 *
 * @param mayRunHere - Whether it suits the thread of JavaScript: it has one entry and no other is in flight, or all batches suit it.
 * @returns One outcome for each entry, in the same order. If it throws or rejects, all its entries fail.
 */
export type RunBatch<Entry, Outcome> = (
  entries: readonly Entry[],
  mayRunHere: boolean,
) => Outcomes<Outcome> | Promise<Outcomes<Outcome>>

/** Which batches the thread of JavaScript may run. */
export interface RunsHere {
  /** Says when: entries wait for the turn of the event loop in which this thread may run them. */
  readonly thread: CallThread
  /** Whether it may run all batches now, rather than only those of a lone entry. */
  readonly isForAll?: () => boolean
}

/** Runs entries in batches, in the order in which they were submitted. */
export class Batcher<Entry, Outcome> {
  readonly #run: RunBatch<Entry, Outcome>
  readonly #limit: number
  readonly #overlapping: boolean
  readonly #here: RunsHere | undefined
  #waiting: Waiting<Entry, Outcome>[] = []
  #isPlanned = false
  /** How many batches are in flight. */
  #running = 0

  /**
   * @param limit - The most entries of a batch.
   * @param overlapping - False: one batch at a time, and the next one gathers meanwhile. This suits batches that cost
   * much, and little more for each further entry. True: a batch begins as soon as it is full, and at the end of the
   * tick, without waiting for earlier ones: while one is in flight, the outcomes of the last one prepare the next.
   * The limit is small in this case.
   * @param here - The batches for which `run` may make its call on this thread. Default: none.
   */
  constructor(run: RunBatch<Entry, Outcome>, limit: number, overlapping: boolean, here?: RunsHere) {
    this.#run = run
    this.#limit = limit
    this.#overlapping = overlapping
    this.#here = here
  }

  /** Hot path: no promises. One of the two functions is called once, never before this returns. Neither may throw. */
  submit(entry: Entry, settle: (outcome: Outcome) => void, fail: (error: unknown) => void): void {
    this.#waiting.push({ entry, settle, fail })
    // A batch that runs here waits for the end of the tick, because its outcomes must not come before this returns.
    if (this.#overlapping && this.#waiting.length === this.#limit && !this.#isAllHere())
      this.#begin(this.#take())
    if (this.#waiting.length > 0) this.#plan()
  }

  #plan(): void {
    if (this.#isPlanned || (!this.#overlapping && this.#running > 0)) return
    this.#isPlanned = true
    // Neither now nor among the microtasks: those handle item after item, and may submit more.
    const isForNextTurn = this.#here?.thread.isTurnOver === true && (this.#running === 0 || this.#isAllHere())
    if (isForNextTurn) setImmediate(this.#drain)
    else nextTick(this.#drain)
  }

  readonly #drain = (): void => {
    this.#isPlanned = false
    while (this.#waiting.length > 0 && (this.#overlapping || this.#running === 0)) {
      if (this.#isAllHere() && this.#here?.thread.isTurnOver === true) return this.#plan()
      this.#begin(this.#take())
    }
  }

  #isAllHere(): boolean {
    return this.#here?.isForAll?.() === true
  }

  #take(): readonly Waiting<Entry, Outcome>[] {
    if (this.#waiting.length > this.#limit) return this.#waiting.splice(0, this.#limit)
    const all = this.#waiting
    this.#waiting = []
    return all
  }

  #begin(batch: readonly Waiting<Entry, Outcome>[]): void {
    const isLone = batch.length === 1 && this.#running === 0
    const mayRunHere = isLone || this.#isAllHere()
    this.#running++
    let outcomes: Outcomes<Outcome> | Promise<Outcomes<Outcome>>
    try {
      outcomes = this.#run(
        batch.map(({ entry }) => entry),
        mayRunHere,
      )
    } catch (error) {
      nextTick(() => this.#failed(batch, error))
      return
    }
    if (isPromise(outcomes)) {
      outcomes.then(
        (all) => this.#settled(batch, all),
        (error: unknown) => this.#failed(batch, error),
      )
    } else {
      this.#settled(batch, outcomes)
    }
  }

  #settled(batch: readonly Waiting<Entry, Outcome>[], outcomes: Outcomes<Outcome>): void {
    this.#running--
    let index = 0
    for (const { settle } of batch) settle(outcomes[index++] as Outcome)
    if (this.#waiting.length > 0) this.#plan()
  }

  #failed(batch: readonly Waiting<Entry, Outcome>[], error: unknown): void {
    this.#running--
    for (const { fail } of batch) fail(error)
    if (this.#waiting.length > 0) this.#plan()
  }
}
