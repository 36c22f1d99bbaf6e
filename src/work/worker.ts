/**
 * A worker: it claims the items of a source, runs the handler for each, and moves each item as its handler ends.
 *
 *     running <──> paused                        pause(), resume()
 *     running <──> down, missing, unfinished     nothing can be claimed; the worker looks again by itself
 *     any of them ── close() ──> closing ── no handler runs, or grace + 1 s ──> closed
 *
 * @module
 */
import { ClosingError } from '../errors/classes.js'
import type { WorkItem } from '../item/work-item.js'
import type { WorkerEvents } from './events.js'
import { Feed } from './feed.js'
import { Worker } from './handle.js'
import { type Counters, type Journal, type WorkerState, noCounts } from './journal.js'
import { type CheckedOptions, LONGEST_TIMER, checkConcurrency } from './options.js'
import { Pool } from './pool.js'
import type { Desk, Handler, ItemParser } from './run.js'
import type { Outage, Source, WorkableItem } from './source.js'
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../real-timers.js'

// How long a worker that closes waits for its handlers after it has aborted their signals.
const AFTERMATH_MS = 1000

/** The parts that a worker is made of. */
export interface WorkerParts<Item extends WorkableItem> {
  readonly source: Source<Item>
  readonly handler: Handler<Item>
  readonly options: CheckedOptions<Item>
  readonly journal: Journal<Item>
  /** Called with each item before the handler runs. Default: items run as they are. */
  readonly parse?: ItemParser<Item> | undefined
  /** See {@link HandleParts}. */
  readonly onEvent?: (name: keyof WorkerEvents<Item>, event: readonly unknown[]) => void
}

/** A worker whose handlers run in this process. */
export class HandlerWorker<Item extends WorkableItem = WorkItem> extends Worker<Item> {
  readonly #parts: WorkerParts<Item>
  readonly #counters = noCounts()
  readonly #pool: Pool<Item>
  readonly #feed: Feed<Item>
  #state: WorkerState
  #isPaused: boolean
  #outage: Outage | undefined
  /** How many items cannot be finished. */
  #unfinished = 0
  readonly #closingState = { begun: false, aborted: false }
  /** All that was claimed ahead has been released. */
  #hasReleased = false
  #hasClosed = false
  #hasLeft = false
  /** Looks whether close() can go on. */
  #checkClose: () => void = () => undefined
  #alive: NodeJS.Timeout | undefined

  /** @internal */
  constructor(parts: WorkerParts<Item>) {
    super(parts)
    this.#parts = parts
    this.#isPaused = parts.options.paused
    this.#state = this.#isPaused ? 'paused' : 'running'
    this.#pool = new Pool(this.#desk(), () => this.#onEmpty())
    this.#feed = new Feed(parts.source, this.#pool, {
      onOutage: (outage, error, isNews) => this.#onOutage(outage, error, isNews),
      onSourceClosed: () => void this.close(),
      isIdleWanted: () => this.isIdleWanted,
      onIdle: () => this.onIdle(),
    })
  }

  get state(): WorkerState {
    return this.#state
  }

  get running(): ReadonlySet<Item> {
    return this.#pool.running
  }

  get counters(): Counters {
    return { ...this.#counters }
  }

  get concurrency(): number {
    return this.#pool.concurrency
  }

  set concurrency(concurrency: number) {
    checkConcurrency(concurrency)
    this.#pool.concurrency = concurrency
  }

  pause(): void {
    this.#isPaused = true
    this.#refresh()
  }

  resume(): void {
    this.#isPaused = false
    this.#refresh()
  }

  /** @internal Begins to claim. */
  start(): this {
    this.listen()
    this.#parts.journal.state(this.#state, this.counters)
    this.#refresh()
    return this
  }

  override handles(item: Item): boolean {
    return this.#pool.isHandled(item)
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

  protected lookIfIdle(): void {
    this.#feed.tellIdle()
  }

  protected onGraceChange(): void {
    this.#checkClose()
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

  protected async closeInTime(): Promise<{ left: readonly Item[] }> {
    const { journal } = this.#parts
    this.#closingState.begun = true
    journal.closing()
    this.#refresh()
    this.#pool.giveUp()
    // A source that does not end its scan must not keep this from closing.
    void this.#feed.released().then(() => {
      this.#hasReleased = true
      this.#checkClose()
    })
    await this.#emptyBy(() => this.graceEndsAt)
    if (!this.#isThrough) await this.#abortHandlers()
    this.#hasClosed = true
    this.#refresh()
    const left = [...this.#pool.running]
    if (left.length === 0) this.#leave()
    return { left }
  }

  /** Whether nothing keeps a worker that closes. */
  get #isThrough(): boolean {
    return this.#pool.isEmpty && this.#hasReleased
  }

  async #abortHandlers(): Promise<void> {
    this.#closingState.aborted = true
    const error = new ClosingError('The worker closes', {
      advice: 'End soon: the item goes back to the queue untried if the handler throws',
    })
    this.#pool.abort(error)
    const end = performance.now() + AFTERMATH_MS
    await this.#emptyBy(() => end)
  }

  /** Resolves when no item is in hand or claimed ahead, or at the time, which may come closer meanwhile. */
  async #emptyBy(end: () => number): Promise<void> {
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined
      this.#checkClose = () => {
        clearTimeout(timer)
        const rest = end() - performance.now()
        if (this.#isThrough || rest <= 0) resolve()
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
    this.leave()
  }
}
