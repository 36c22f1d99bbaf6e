/**
 * A worker: it claims the items of a source, runs the handler for each, and moves each item as its handler ends.
 *
 *     running <──> paused                        pause(), resume()
 *     running <──> down, missing, unfinished     nothing can be claimed; the worker looks again by itself
 *     any of them ── close() ──> closing ── no handler runs, or grace + 1 s ──> closed
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import os from 'node:os'
import process from 'node:process'
import { inspect } from 'node:util'

import { ClosingError, SettingError } from '../errors/classes.js'
import type { WorkItem } from '../item/work-item.js'
import { checkOptions, checkSignal } from '../options.js'
import type { WorkerEvents } from './events.js'
import { Feed } from './feed.js'
import type { Counters, Journal, WorkerState } from './journal.js'
import { type CheckedOptions, LONGEST_TIMER, checkConcurrency, checkTimer } from './options.js'
import { Pool } from './pool.js'
import type { Desk, Handler, ItemParser, Tell } from './run.js'
import type { Outage, Source, SourceItem } from './source.js'
import { clearInterval, clearTimeout, nextTick, setInterval, setTimeout } from '../real-timers.js'

// How long a worker that closes waits for its handlers after it has aborted their signals.
const AFTERMATH_MS = 1000

let workers = 0

/** Options of {@link Worker.close}. */
export interface CloseOptions {
  /** Milliseconds until the signals of running handlers are aborted. Default: the option of the worker. */
  readonly grace?: number | undefined
}

/** Options of {@link Worker.idle}. */
export interface IdleOptions {
  /** Its abort rejects with its reason. */
  readonly signal?: AbortSignal | undefined
}

/** The parts that a worker is made of. */
export interface WorkerParts<Item extends SourceItem> {
  readonly source: Source<Item>
  readonly handler: Handler<Item>
  readonly options: CheckedOptions<Item>
  readonly journal: Journal<Item>
  /** Called with each item before the handler runs. Default: items run as they are. */
  readonly parse?: ItemParser<Item> | undefined
  /** Called with each event, before its listeners. Must not throw. */
  readonly onEvent?: (name: keyof WorkerEvents<Item>, event: readonly unknown[]) => void
}

/**
 * A worker of a queue, made by {@link Queue.work}, or of another source, made by {@link work}. It emits {@link WorkerEvents}.
 *
 * A listener that throws causes a warning of the process, and nothing else. So does an `error` event without a listener.
 */
export class Worker<Item extends SourceItem = WorkItem>
  extends EventEmitter<WorkerEvents<Item>>
  implements AsyncDisposable
{
  /** Names this worker on this machine: host, process and a number. */
  readonly id = `${os.hostname()}.${process.pid}.${++workers}`
  readonly #parts: WorkerParts<Item>
  readonly #counters = { started: 0, done: 0, retried: 0, failed: 0, postponed: 0, released: 0, crashed: 0 }
  readonly #pool: Pool<Item>
  readonly #feed: Feed<Item>
  #state: WorkerState
  #isPaused: boolean
  #outage: Outage | undefined
  /** How many items cannot be finished. */
  #unfinished = 0
  #closing: Promise<{ left: readonly Item[] }> | undefined
  readonly #closingState = { begun: false, aborted: false }
  #hasClosed = false
  #hasLeft = false
  #graceEndsAt = Infinity
  /** Looks whether close() can go on. */
  #checkClose: () => void = () => undefined
  #stopListening: () => void = () => undefined
  #onGone: () => void = () => undefined
  /** @internal Resolves when the worker has closed and no handler runs any more. */
  readonly gone: Promise<void> = new Promise((resolve) => (this.#onGone = resolve))
  #alive: NodeJS.Timeout | undefined
  readonly #idleWaiters = new Set<(error?: unknown) => void>()

  /** @internal */
  constructor(parts: WorkerParts<Item>) {
    super()
    this.#parts = parts
    this.#isPaused = parts.options.paused
    this.#state = this.#isPaused ? 'paused' : 'running'
    this.#pool = new Pool(this.#desk(), () => this.#onEmpty())
    this.#feed = new Feed(parts.source, this.#pool, {
      onOutage: (outage, error, isNews) => this.#onOutage(outage, error, isNews),
      onSourceClosed: () => void this.close(),
      isIdleWanted: () => this.#idleWaiters.size > 0 || this.listenerCount('idle') > 0,
      onIdle: () => this.#onIdle(),
    })
  }

  /** What the worker does at the moment. */
  get state(): WorkerState {
    return this.#state
  }

  /** The items whose handlers run. An item that cannot be finished stays among them until it can. */
  get running(): ReadonlySet<Item> {
    return this.#pool.running
  }

  /** How many items the worker has worked on, by outcome. */
  get counters(): Counters {
    return { ...this.#counters }
  }

  /** How many handlers run at once. A smaller number takes effect as handlers end. */
  get concurrency(): number {
    return this.#pool.concurrency
  }

  /** @throws {@link SettingError} if it is not a whole number of 1 or more. */
  set concurrency(concurrency: number) {
    checkConcurrency(concurrency)
    this.#pool.concurrency = concurrency
  }

  /** Claims nothing more until {@link resume}. Handlers that run go on. A paused worker does not keep the process alive. */
  pause(): void {
    this.#isPaused = true
    this.#refresh()
  }

  /** Ends a {@link pause}. */
  resume(): void {
    this.#isPaused = false
    this.#refresh()
  }

  /**
   * Resolves when no handler runs and a look at all items has found nothing to claim. Delayed items, and items that other workers hold,
   * do not count. For scripts that end when the work is done.
   *
   * @throws The reason of the signal; {@link ClosingError} if the worker closes before.
   */
  async idle(options: IdleOptions = {}): Promise<void> {
    checkOptions('idle', options, ['signal'])
    const { signal } = options
    checkSignal(signal)
    signal?.throwIfAborted()
    if (this.#closingState.begun) throw closingError()
    await new Promise<void>((resolve, reject) => {
      const settle = (error?: unknown): void => {
        this.#idleWaiters.delete(settle)
        signal?.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        // The reason of a signal may be any value.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        else reject(error)
      }
      const onAbort = (): void => settle(signal?.reason)
      signal?.addEventListener('abort', onAbort)
      this.#idleWaiters.add(settle)
      this.#feed.tellIdle()
    })
  }

  /**
   * Claims nothing more, waits for the handlers that run, and aborts their signals with a {@link ClosingError} when the grace is over. It
   * resolves one second after that at the latest. It never releases an item whose handler still runs: that item moves when its handler
   * ends, or is free when the process ends.
   *
   * Each call gives the same promise. A later call can make the grace shorter.
   *
   * @param options - `grace`: in milliseconds. Default: the option of the worker.
   * @returns `left`: the items whose handlers still run.
   * @throws {@link SettingError}
   */
  close(options: CloseOptions = {}): Promise<{ left: readonly Item[] }> {
    try {
      checkOptions('close', options, ['grace'])
      const { grace = this.#parts.options.grace } = options
      checkTimer('grace', grace)
      this.#graceEndsAt = Math.min(this.#graceEndsAt, performance.now() + grace)
    } catch (error) {
      if (error instanceof SettingError) return Promise.reject(error)
      throw error
    }
    this.#closing ??= this.#close()
    this.#checkClose()
    return this.#closing
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal Begins to claim. */
  start(): this {
    this.#listen()
    this.#parts.journal.state(this.#state, this.counters)
    this.#refresh()
    return this
  }

  /** @internal Emits an event. A listener that throws changes nothing. */
  readonly tell: Tell<Item> = (name, ...event) => {
    this.#parts.onEvent?.(name, event)
    if (this.listenerCount(name) === 0) {
      if (name === 'error')
        warn('FSQ_WORKER', `A worker without a listener for 'error' has met ${inspect(event[0])}`)
      return
    }
    try {
      ;(this as EventEmitter).emit(name, ...event)
    } catch (thrown) {
      warn('FSQ_LISTENER', `A listener for the event '${name}' of a worker threw ${inspect(thrown)}`)
    }
  }

  /** @internal */
  count(what: keyof Counters): void {
    this.#counters[what]++
  }

  #desk(): Desk<Item> {
    const { handler, options, journal, parse } = this.#parts
    return {
      handler,
      options,
      journal,
      parse,
      closing: this.#closingState,
      tell: this.tell,
      count: (what) => this.count(what),
      counted: () => journal.state(this.#state, this.counters),
      unfinished: (error) => {
        this.#unfinished++
        this.#refresh(error)
      },
      recovered: () => {
        this.#unfinished--
        this.#refresh()
      },
    }
  }

  #listen(): void {
    const { signal, closeOn } = this.#parts.options
    const close = (): void => void this.close()
    signal?.addEventListener('abort', close)
    // Once: without a listener, the next signal has the effect that it has on any process.
    for (const name of closeOn) process.once(name, close)
    this.#stopListening = () => {
      signal?.removeEventListener('abort', close)
      for (const name of closeOn) process.off(name, close)
    }
    ;(this as EventEmitter).on('newListener', (name) => {
      if (name === 'idle') nextTick(() => this.#feed.tellIdle())
    })
  }

  /** Claims as long as the state allows it, and tells of a new state. */
  #refresh(error?: unknown): void {
    const wants = !this.#closingState.begun && !this.#isPaused && this.#unfinished === 0
    if (wants) this.#feed.open()
    else {
      this.#feed.shut()
      this.#outage = undefined
    }
    this.#keepAlive(wants)
    const state = this.#stateNow()
    const was = this.#state
    if (state === was) return
    this.#state = state
    this.#parts.journal.state(state, this.counters)
    this.tell('state', error === undefined ? { state, was } : { state, was, error })
  }

  /** A loop that waits for items keeps the process alive, and so does this while all places are taken, whatever the handlers wait for. */
  #keepAlive(does: boolean): void {
    if (does) {
      this.#alive ??= setInterval(() => undefined, LONGEST_TIMER)
      return
    }
    clearInterval(this.#alive)
    this.#alive = undefined
  }

  #stateNow(): WorkerState {
    if (this.#hasClosed) return 'closed'
    if (this.#closingState.begun) return 'closing'
    if (this.#unfinished > 0) return 'unfinished'
    return this.#isPaused ? 'paused' : (this.#outage ?? 'running')
  }

  #onOutage(outage: Outage | undefined, error: unknown, isNews = false): void {
    this.#outage = outage
    // A queue that is down is no error.
    if (isNews && outage !== 'down') this.tell('error', error)
    this.#refresh(error)
  }

  /** No item is in hand. */
  #onEmpty(): void {
    this.#feed.lookIfIdle()
    this.#checkClose()
    if (this.#hasClosed) this.#leave()
  }

  #onIdle(): void {
    for (const settle of [...this.#idleWaiters]) settle()
    this.tell('idle')
  }

  async #close(): Promise<{ left: readonly Item[] }> {
    const { journal } = this.#parts
    this.#closingState.begun = true
    journal.closing()
    this.#refresh()
    this.#pool.giveUp()
    for (const settle of [...this.#idleWaiters]) settle(closingError())
    await this.#emptyBy(() => this.#graceEndsAt)
    if (!this.#pool.isEmpty) await this.#abortHandlers()
    await this.#feed.released()
    this.#hasClosed = true
    this.#refresh()
    this.#stopListening()
    const left = [...this.#pool.running]
    if (left.length === 0) this.#leave()
    return { left }
  }

  async #abortHandlers(): Promise<void> {
    this.#closingState.aborted = true
    const error = closingError()
    this.#pool.abort(error)
    const end = performance.now() + AFTERMATH_MS
    await this.#emptyBy(() => end)
  }

  /** Resolves when no item is in hand, or at the time, which may come closer meanwhile. */
  async #emptyBy(end: () => number): Promise<void> {
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined
      this.#checkClose = () => {
        clearTimeout(timer)
        const rest = end() - performance.now()
        if (this.#pool.isEmpty || rest <= 0) resolve()
        else timer = setTimeout(this.#checkClose, Math.ceil(rest))
      }
      this.#checkClose()
    })
    this.#checkClose = () => undefined
  }

  #leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#parts.journal.close()
    this.#onGone()
  }
}

function closingError(): ClosingError {
  return new ClosingError('The worker closes', {
    advice: 'End soon: the item goes back to the queue untried if the handler throws',
  })
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'FsqWarning', code })
}
