/**
 * One run of one item:
 *
 *     the handler runs ──> how it ended decides the move ──> the failure is logged ──> the item moves ──> the event
 *          │ ^                                                                           │ ^
 *          v │ timeout, close: its signal is aborted, and nothing else                   v │ again after 100 ms, 200 ms ... 1 s
 *        runs on                                                                       unfinished: the move has failed
 *
 * | the handler                                     | then                                   |
 * | ----------------------------------------------- | -------------------------------------- |
 * | has finished or released the item itself        | that stands                            |
 * | does not run: the item does not parse           | failed                                 |
 * | returns                                         | done, or discarded with `keepDone: false` |
 * | throws a PermanentFailure                       | failed                                 |
 * | throws a RetryLater                             | released until later                   |
 * | throws after its signal was aborted by a close  | released                               |
 * | throws anything else                            | retried after the backoff, or failed if that was the last try |
 *
 * @module
 */
import { setTimeout as later } from 'node:timers/promises'
import { types } from 'node:util'

import {
  ClaimLostError,
  FinishError,
  type FsqError,
  ItemFinishedError,
  NotDurableError,
  PermanentFailure,
  RetryLater,
} from '../errors/classes.js'
import { askBackoff } from './backoff.js'
import type { FailureReason, WorkerEvents } from './events.js'
import type { Counters, FailedAttempt, Journal } from './journal.js'
import type { CheckedOptions } from './options.js'
import type { WorkableItem } from './source.js'
import { LONGEST_DELAY } from '../options.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

// A handler that still runs this long after its timeout is reported.
const STUCK_MS = 5000
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 1000

/** What a handler gets besides the item. */
export interface HandlerContext {
  /**
   * The signal of the item. Aborted at the timeout, when the worker has closed and the grace is over, and when the claim is lost. It only
   * asks the handler to end: pass it on to whatever takes a signal.
   */
  readonly signal: AbortSignal
  /** Tells others how far the handler is. The last value replaces the ones before it. */
  readonly progress: (value: string | number | object) => void
}

/**
 * The work on one item. Its result, awaited, is not used: the item is done when the handler returns, and retried when it throws.
 */
export type Handler<Item> = (item: Item, context: HandlerContext) => unknown

/**
 * Reads an item before its handler runs.
 *
 * @returns The error for which the item fails unrun; `undefined`: it is valid. A rejection counts as one of the handler's.
 */
export type ItemParser<Item> = (item: Item) => Promise<FsqError | undefined>

/**
 * Emits an event. Never throws. The type of a method: for one of a function, TypeScript would not take a worker of invoices for a worker of any
 * items.
 */
export type Tell<Item> = {
  tell<Name extends keyof WorkerEvents<Item>>(name: Name, ...event: WorkerEvents<Item>[Name]): void
}['tell']

/** The worker, as its runs see it. None of its functions throws. */
export interface Desk<Item extends WorkableItem> {
  readonly handler: Handler<Item>
  readonly options: CheckedOptions<Item>
  readonly journal: Journal<Item>
  /** `undefined`: items run as they are. */
  readonly parse: ItemParser<Item> | undefined
  /** Whether the worker closes, and whether it has aborted the signals of its handlers. */
  readonly closing: { readonly begun: boolean; readonly aborted: boolean }
  readonly tell: Tell<Item>
  readonly count: (what: keyof Counters) => void
  /** The counters have changed. Called once for all items that end in one tick. */
  readonly counted: () => void
  /** An item cannot be moved: claim nothing until {@link recovered} is called for it. */
  readonly unfinished: (error: unknown) => void
  readonly recovered: () => void
}

/** The move by which a run ends. */
type Ending =
  | { readonly move: 'done' }
  | { readonly move: 'retry'; readonly error: unknown; readonly delay: number }
  | { readonly move: 'fail'; readonly error: unknown; readonly reason: FailureReason }
  | { readonly move: 'postpone'; readonly delay: number }
  | { readonly move: 'release' }
  /** The handler has moved the item itself. `error`: its move has failed, and is tried again by the source. */
  | { readonly move: 'none'; readonly error?: unknown }

const DONE: Ending = { move: 'done' }
const RELEASE: Ending = { move: 'release' }
const NONE: Ending = { move: 'none' }

/** Runs one item, from its claim until it has left the worker's hands. */
export class Run<Item extends WorkableItem> implements HandlerContext {
  readonly #desk: Desk<Item>
  readonly item: Item
  #startedAt = 0
  #isParsed = false
  #hasEnded = false
  /** Of the timeout, and then of the report that the handler is stuck. */
  #timer: NodeJS.Timeout | undefined
  /** Of an item that cannot abort its own signal. */
  #own: AbortController | undefined
  /** The reason of the abort at the timeout. */
  #timeout: DOMException | undefined
  /** When the item is due again, in milliseconds since the epoch; 0: at once. */
  #due = 0
  readonly #leave: (run: Run<Item>) => void

  /** @param onGone - Called when the item has left the worker's hands. Must not throw. */
  constructor(desk: Desk<Item>, item: Item, onGone: (run: Run<Item>) => void) {
    this.#desk = desk
    this.item = item
    this.#leave = onGone
  }

  /** Whether the handler has ended, or does not run at all: what is left is to move the item. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  get signal(): AbortSignal {
    if (this.item.abort !== undefined) return this.item.signal
    this.#own ??= new AbortController()
    return AbortSignal.any([this.item.signal, this.#own.signal])
  }

  /** Asks the handler to end. */
  abort(reason: unknown): void {
    if (this.item.abort !== undefined) this.item.abort(reason)
    else (this.#own ??= new AbortController()).abort(reason)
  }

  get progress(): (value: string | number | object) => void {
    return (value) => {
      this.#desk.journal.progress(this.item, value)
    }
  }

  /**
   * Runs the handler and moves the item. Hot path: as few promises as possible, and few calls between the pool and the handler, because
   * each of them is a line in the stack of each error, which costs time wherever the stack is kept.
   */
  start(): void {
    const { handler, parse } = this.#desk
    if (parse !== undefined && !this.#isParsed) {
      void this.#parseFirst(parse)
      return
    }
    this.#begin()
    let answer: Promise<unknown> | undefined
    try {
      const given = handler(this.item, this)
      if (isPlainPromise(given)) answer = given
      // Its then() may throw, or call both functions, and so may that of a subclass.
      else if (isThenable(given)) answer = new Promise((resolve) => resolve(given))
    } catch (error) {
      this.#thrown(error)
      return
    }
    if (answer === undefined) this.#returned()
    else answer.then(this.#returned, this.#thrown)
  }

  async #parseFirst(parse: ItemParser<Item>): Promise<void> {
    const ending = await this.#parse(parse)
    this.#isParsed = true
    if (ending === undefined) this.start()
    else this.#end(ending)
  }

  /** Moves an item to fail/ that is not to run. */
  reject(reason: FailureReason, error: unknown): void {
    this.#startedAt = performance.now()
    this.#end({ move: 'fail', reason, error })
  }

  /** @returns How the item ends unrun; `undefined`: it runs. */
  async #parse(parse: ItemParser<Item>): Promise<Ending | undefined> {
    this.#startedAt = performance.now()
    try {
      const error = await this.#withinTimeout(parse(this.item))
      if (error !== undefined) return { move: 'fail', reason: 'invalid', error }
    } catch (error) {
      return this.#endingOf(error)
    }
    return this.#desk.closing.begun ? RELEASE : undefined
  }

  /** A parser has no signal: at the timeout it is left alone, and the try has failed. */
  async #withinTimeout<Result>(parsing: Promise<Result>): Promise<Result> {
    const { timeout } = this.#desk.options
    if (timeout === 0) return parsing
    parsing.catch(() => undefined)
    try {
      return await new Promise((resolve, reject) => {
        this.#setTimer(timeout, () => reject(timeoutError('A parser of the queue', timeout)))
        parsing.then(resolve, reject)
      })
    } finally {
      this.#stopTimer()
    }
  }

  #begin(): void {
    const { options, tell, count } = this.#desk
    const { timeout } = options
    this.#startedAt = performance.now()
    if (timeout > 0) this.#setTimer(timeout, () => this.#timeOut(timeout))
    count('started')
    tell('started', { item: this.item, try: this.item.tries + 1 })
  }

  readonly #returned = (): void => {
    this.#afterHandlersFinish(() => {
      if (this.item.claimed !== false) return DONE
      // Not before: an item makes its signal when it is asked for it.
      const { signal } = this.item
      // The work was done, and will be done again: that must not pass in silence.
      if (isA(signal.reason, ClaimLostError)) this.#desk.tell('error', signal.reason)
      return NONE
    })
  }

  readonly #thrown = (error: unknown): void => {
    this.#afterHandlersFinish(() => this.#endingOf(error))
  }

  /** Ends the run. The handler may have begun a finish without awaiting it: then that comes first. */
  #afterHandlersFinish(ending: () => Ending): void {
    const { finishing } = this.item
    if (finishing === undefined) {
      this.#end(ending())
      return
    }
    const end = (): void => this.#end(ending())
    finishing.then(end, end)
  }

  #endingOf(error: unknown): Ending {
    const { options, tell, closing } = this.#desk
    const item = this.item
    if (item.claimed === false) {
      tell('error', error)
      return NONE
    }
    if (isA(error, FinishError) && error.id === item.id) return { move: 'none', error }
    if (closing.aborted) return RELEASE
    if (isA(error, RetryLater)) {
      // A move that can never succeed would keep the worker from all other items.
      return closing.begun ? RELEASE : { move: 'postpone', delay: Math.min(error.after, LONGEST_DELAY) }
    }
    if (isA(error, PermanentFailure)) return { move: 'fail', reason: 'permanent', error }
    this.#blameTimeout(error)
    const { delay, problem } = askBackoff(options.backoff, item.tries, error, item)
    if (problem !== undefined) tell('error', problem)
    if (delay === false) return { move: 'fail', reason: 'permanent', error }
    const reason = item.retryLimit
    return reason === undefined ? { move: 'retry', error, delay } : { move: 'fail', reason, error }
  }

  #end(ending: Ending): void {
    this.#hasEnded = true
    this.#stopTimer()
    const ms = performance.now() - this.#startedAt
    this.#log(ending, ms)
    this.#move(ending).then(
      (moved) => {
        this.#tellOf(moved ?? ending, ms)
        this.#leave(this)
      },
      (error: unknown) => void this.#moveLater(error, ending, ms),
    )
  }

  /** The move has failed. It is made again until it succeeds, or the item has left the worker's hands by other means. */
  async #moveLater(error: unknown, ending: Ending, ms: number): Promise<void> {
    const { recovered, unfinished, tell } = this.#desk
    let rest = ending
    let problem = error
    let isUnfinished = false
    for (let pause = FIRST_PAUSE; this.item.claimed === true; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      // The handler has asked for another move, which has failed, too, and which the source tries again.
      if (isA(problem, ItemFinishedError)) rest = { move: 'none', error: problem }
      if (!isUnfinished) {
        isUnfinished = true
        tell('error', problem)
        unfinished(problem)
      }
      await later(pause)
      // The source was closed. That no other event tells, and the error of the move that was wanted says so.
      if (this.item.outcome === 'released') rest = ending
      try {
        this.#tellOf((await this.#move(rest)) ?? rest, ms)
        problem = undefined
        break
      } catch (thrown) {
        problem = thrown
      }
    }
    if (problem !== undefined) this.#tellOfLoss(problem, rest, isUnfinished, ms)
    if (isUnfinished) recovered()
    this.#leave(this)
  }

  #log(ending: Ending, ms: number): void {
    const { journal } = this.#desk
    if (ending.move === 'fail') {
      journal.failed(this.item, { error: ending.error, ms, reason: ending.reason })
      return
    }
    if (ending.move === 'retry' || ending.move === 'postpone')
      this.#due = ending.delay > 0 ? Date.now() + ending.delay : 0
    // Once it is released, another worker may have it.
    if (ending.move === 'release' || ending.move === 'postpone') journal.end([this.item])
    if (ending.move !== 'retry') return
    const attempt: FailedAttempt = { error: ending.error, ms }
    journal.failed(this.item, this.#due === 0 ? attempt : { ...attempt, due: this.#due })
  }

  /** @returns How the item has moved; `undefined`: as `ending` says. */
  #move(ending: Ending): Promise<Ending | undefined> {
    const { item } = this
    try {
      switch (ending.move) {
        case 'done':
          if (this.#desk.options.keepDone || item.discard === undefined) return asMoved(item.done())
          return asMoved(item.discard())
        case 'fail':
          return asMoved(item.fail())
        case 'retry':
          return this.#retry(ending)
        case 'postpone':
          return asMoved(item.release({ delay: ending.delay }))
        case 'release':
          return asMoved(item.release())
        case 'none':
          // Only the source can have released an item that could not be finished.
          if (item.claimed !== false || (ending.error !== undefined && item.outcome === 'released'))
            throw ending.error
          return asMoved(undefined)
      }
    } catch (error) {
      return asRejected(error)
    }
  }

  /** The source alone may know that the item has no tries left. */
  async #retry({ error, delay }: Ending & { move: 'retry' }): Promise<Ending | undefined> {
    const outcome = await this.item.retry({ delay })
    return outcome === 'waiting' ? undefined : { move: 'fail', reason: 'exhausted', error }
  }

  #tellOf(ending: Ending, ms: number): void {
    const { tell, count } = this.#desk
    const item = this.item
    switch (ending.move) {
      case 'done':
        count('done')
        tell('done', { item, ms })
        break
      case 'retry': {
        const { error } = ending
        count('retried')
        tell('retried', { item, error, try: item.tries, due: dateOf(this.#due), ms })
        break
      }
      case 'fail': {
        const { reason, error } = ending
        count('failed')
        tell('failed', { item, id: item.id, reason, error, ms })
        break
      }
      case 'postpone':
        count('postponed')
        tell('postponed', { item, due: new Date(this.#due === 0 ? Date.now() : this.#due), ms })
        break
      case 'release':
        count('released')
        tell('released', { item, why: 'closing' })
        break
      case 'none':
        this.#tellOfHandlersMove(ms)
    }
  }

  #tellOfHandlersMove(ms: number): void {
    const { tell, count } = this.#desk
    const item = this.item
    switch (item.outcome) {
      case 'released':
        count('released')
        tell('released', { item, why: 'handler' })
        break
      case 'waiting':
        this.#tellOf({ move: 'retry', error: undefined, delay: 0 }, ms)
        break
      case 'failed':
        this.#tellOf({ move: 'fail', reason: 'handler', error: undefined }, ms)
        break
      case 'gone':
        break
      case 'done':
      case undefined:
        this.#tellOf(DONE, ms)
    }
  }

  /**
   * The item has left the worker's hands, although its move has thrown: the handler or the source was faster, or the item is lost.
   *
   * @param isUnfinished - The move had failed before, and the source has tried it again by itself.
   */
  #tellOfLoss(error: unknown, ending: Ending, isUnfinished: boolean, ms: number): void {
    const { outcome } = this.item
    if (isUnfinished && outcome !== 'released' && outcome !== 'gone') {
      this.#tellOf(ending, ms)
      return
    }
    if (isA(error, ItemFinishedError)) {
      this.#tellOf(NONE, ms)
      return
    }
    this.#desk.tell('error', error)
    if (isA(error, NotDurableError)) this.#tellOf(ending, ms)
  }

  #timeOut(timeout: number): void {
    this.#timeout = timeoutError('The handler', timeout)
    this.#setTimer(STUCK_MS, () => {
      this.#desk.tell('stuck', { item: this.item, ms: performance.now() - this.#startedAt })
    })
    this.abort(this.#timeout)
  }

  /** After a timeout the handler may throw anything. The log is to say that the timeout was the cause. */
  #blameTimeout(error: unknown): void {
    if (this.#timeout === undefined || error === this.#timeout) return
    try {
      if (!(error instanceof Error) || error.cause !== undefined || !Object.isExtensible(error)) return
      Object.defineProperty(error, 'cause', { value: this.#timeout, configurable: true, writable: true })
    } catch {
      // A proxy, or an error whose cause cannot be set or read.
    }
  }

  #setTimer(ms: number, callback: () => void): void {
    this.#timer = setTimeout(callback, ms)
    // The handler, not its timeout, is what the process has to wait for.
    this.#timer.unref()
  }

  #stopTimer(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

function timeoutError(what: string, timeout: number): DOMException {
  return new DOMException(`${what} has run for ${timeout} ms, its timeout`, 'TimeoutError')
}

/** Whether it is an error of the class, also of another copy of this package. Anything can be thrown, so this never throws. */
function isA<Class extends typeof FsqError | typeof RetryLater | typeof FinishError>(
  error: unknown,
  type: Class,
): error is InstanceType<Class> {
  try {
    return error instanceof Error && (error as Partial<FsqError>).code === type.code
  } catch {
    return false
  }
}

/** Of a source whose moves are synchronous, too. Makes no promise of a promise. */
function asMoved(moving: Promise<void> | void): Promise<undefined> {
  return Promise.resolve(moving) as Promise<undefined>
}

/** What a source has thrown instead of a rejection. */
async function asRejected(error: unknown): Promise<undefined> {
  throw error
}

/** Whether its then() is the one of Node, which calls no code of others. */
function isPlainPromise(answer: unknown): answer is Promise<unknown> {
  return types.isPromise(answer) && answer.then === Promise.prototype.then && answer.constructor === Promise
}

function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  return typeof (answer as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

function dateOf(due: number): Date | undefined {
  return due === 0 ? undefined : new Date(due)
}
