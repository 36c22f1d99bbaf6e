/**
 * The place of one child process. A child that dies is replaced.
 *
 *     starting ── ready ──> ready ── go() ──> working ── it closes ──> leaving
 *        ^ │                  │                 │                       │
 *        │ v                  v                 v                       v
 *     waiting <────────────── the process has ended ───────────────────────── after close(): ended
 *        after 0.1 s, 0.2 s ... 10 s
 *
 * @module
 */
import { inspect } from 'node:util'

import {
  QueueMissingError,
  WorkerProcessError,
  type WorkerProcessErrorOptions,
} from '../../errors/classes.js'
import type { WorkerState } from '../journal.js'
import { type Ending, Link } from './link.js'
import {
  type Failing,
  type FromChild,
  type Job,
  type RemoteItem,
  type SentEvent,
  type SentItem,
  type ToChild,
  receiveValue,
} from './messages.js'
import { StuckWatch } from './stuck-watch.js'
import { clearTimeout, performance, setTimeout } from '../../real-timers.js'

const FIRST_PAUSE = 100
const LONGEST_PAUSE = 10_000
// A child that has lived for this long is no sign of a lasting problem.
const LIFE_MS = 10_000

/** What a seat needs of its worker. None of its functions throws. */
export interface SeatDesk {
  readonly program: string
  readonly execArgv: readonly string[] | undefined
  readonly env: NodeJS.ProcessEnv | undefined
  readonly job: Job
  /** For a child that begins to work. */
  readonly now: () => { readonly paused: boolean; readonly concurrency: number }
  readonly onEvents: (seat: Seat, events: readonly SentEvent[]) => void
  readonly onIdle: (seat: Seat, round: number, started: number) => void
  /** A child cannot work, because the queue is missing. */
  readonly onMissing: (error: unknown) => void
  /** A child begins to work, or has ended. `error`: it has not ended because it was to. */
  readonly onChange: (error?: WorkerProcessError) => void
}

interface Running {
  readonly item: RemoteItem
  readonly since: number
}

export class Seat {
  readonly #desk: SeatDesk
  #link: Link | undefined
  #phase: 'starting' | 'ready' | 'working' | 'leaving' | 'waiting' | 'ended' = 'waiting'
  #bornAt = 0
  #pause = FIRST_PAUSE
  #timer: NodeJS.Timeout | undefined
  #watch: StuckWatch | undefined
  /** Why the child is about to end. */
  #reason: WorkerProcessError | undefined
  /** The items whose handlers run, by the number of the run, the oldest first. */
  readonly #running = new Map<number, Running>()
  /** The state of the worker in the child; `undefined`: the child has not sent it yet. */
  state: WorkerState | undefined
  /** {@link go} has been called. */
  #isOpen = false
  #isClosing = false
  #onFirst: (error: WorkerProcessError | undefined) => void = () => undefined
  /** Resolves when the first child is ready, or has ended, which is an error unless the seat closes. */
  readonly first: Promise<WorkerProcessError | undefined> = new Promise(
    (resolve) => (this.#onFirst = resolve),
  )
  #onClosed: () => void = () => undefined
  /** Resolves when the worker in the child has closed. */
  readonly closed: Promise<void> = new Promise((resolve) => (this.#onClosed = resolve))
  #onGone: () => void = () => undefined
  /** Resolves when the seat has closed and no child lives. */
  readonly gone: Promise<void> = new Promise((resolve) => (this.#onGone = resolve))

  constructor(desk: SeatDesk) {
    this.#desk = desk
  }

  get isWorking(): boolean {
    return this.#phase === 'working'
  }

  get items(): readonly RemoteItem[] {
    return [...this.#running.values()].map(({ item }) => item)
  }

  start(): void {
    const { program, execArgv, env, job } = this.#desk
    this.#phase = 'starting'
    this.#bornAt = performance.now()
    this.#reason = undefined
    try {
      this.#link = new Link({
        program,
        execArgv,
        env,
        onMessage: (message) => this.#onMessage(message),
        onEnd: (ending) => this.#onEnd(ending),
      })
      this.#link.send({ type: 'start', job })
    } catch (error) {
      // Without memory, Node throws. Later: the caller does not expect an answer yet.
      setTimeout(() => this.#onEnd({ exitCode: null, signal: null, error }), 0)
    }
  }

  /** After {@link first}: the child that is ready begins to work. One that has ended is replaced. */
  go(): void {
    if (this.#isClosing) return
    this.#isOpen = true
    if (this.#phase === 'ready') this.#go()
    else this.#startLater()
  }

  send(message: ToChild): void {
    if (this.#phase === 'working') this.#link?.send(message)
  }

  keepAlive(does: boolean): void {
    this.#link?.keepAlive(does)
    if (does) this.#timer?.ref()
    else this.#timer?.unref()
  }

  /** Closes the worker in the child. Can be called again with a shorter grace. A child that has claimed nothing yet is killed. */
  close(grace: number): void {
    this.#isClosing = true
    if (this.#phase === 'waiting') {
      clearTimeout(this.#timer)
      this.#end()
    } else if (this.#phase === 'starting' || this.#phase === 'ready') this.#link?.kill()
    else this.#link?.send({ type: 'close', grace })
  }

  kill(): void {
    this.#link?.kill()
  }

  /** The item of an event, the same object for all events of one run. */
  itemOf({ run, enqueuedAt, ...sent }: SentItem): RemoteItem {
    const known = this.#running.get(run)?.item
    const item = { ...sent, enqueuedAt: new Date(enqueuedAt) }
    return known === undefined ? item : Object.assign(known, item)
  }

  begun(item: RemoteItem, run: number): void {
    this.#running.set(run, { item, since: performance.now() })
  }

  ended(run: number): void {
    this.#running.delete(run)
  }

  #go(): void {
    const { job, now } = this.#desk
    this.#phase = 'working'
    this.state = undefined
    this.#link?.send({ type: 'go', ...now() })
    if (job.timeout > 0) this.#watch = this.#newWatch()
    this.#desk.onChange()
  }

  #newWatch(): StuckWatch {
    const { timeout, killAfter } = this.#desk.job
    return new StuckWatch(timeout + killAfter, {
      oldest: () => this.#running.values().next().value,
      ping: () => this.#link?.send({ type: 'ping' }),
      onStuck: (ms, item) => {
        const what = item === undefined ? 'a handler' : `the handler of the item ${inspect(item.id)}`
        this.#reason = this.#error(
          `was killed, because ${what} has run for ${Math.round(ms)} ms, and its timeout is ${timeout} ms`,
          { advice: 'End the handler when its signal is aborted, or give it more time' },
        )
        this.kill()
      },
    })
  }

  #onMessage(message: FromChild): void {
    this.#watch?.heard()
    switch (message.type) {
      case 'ready':
        this.#phase = 'ready'
        if (this.#isClosing) this.kill()
        else if (this.#isOpen) this.#go()
        else this.#onFirst(undefined)
        break
      case 'failed':
        this.#onFailed(message.what, receiveValue(message.error))
        break
      case 'events':
        this.#desk.onEvents(this, message.events)
        break
      case 'idle':
        this.#desk.onIdle(this, message.round, message.started)
        break
      case 'closing':
        this.#phase = 'leaving'
        this.#desk.onChange()
        break
      case 'closed':
        this.#onClosed()
        break
      case 'pong':
        break
    }
  }

  #onFailed(what: Failing, cause: unknown): void {
    this.#reason = this.#failure(what, cause)
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (what !== 'work' || code !== QueueMissingError.code) return
    this.state = 'missing'
    this.#desk.onMissing(cause)
  }

  #onEnd(ending: Ending): void {
    const wasAsked = this.#phase === 'leaving' || this.#isClosing
    const error = this.#reason ?? (wasAsked ? undefined : this.#unexpected(ending))
    this.#watch?.end()
    this.#watch = undefined
    this.#running.clear()
    this.#link = undefined
    if (performance.now() - this.#bornAt >= LIFE_MS) this.#pause = FIRST_PAUSE
    this.#phase = 'waiting'
    if (this.#isClosing) this.#end()
    else if (this.#isOpen) this.#startLater()
    else {
      this.#onFirst(error)
      return
    }
    this.#desk.onChange(error)
  }

  #unexpected({ exitCode, signal, error }: Ending): WorkerProcessError {
    if (error !== undefined) return this.#error('could not be started', { cause: error })
    const how = signal === null ? `with the exit code ${exitCode}` : `by ${signal}`
    const items = this.items.map(({ id }) => inspect(id)).join(', ')
    const inHand = items === '' ? '' : `, while it worked on ${items}`
    return this.#error(`has ended ${how}${inHand}`, { exitCode, signal })
  }

  #failure(what: Failing, cause: unknown): WorkerProcessError {
    const shown = cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : inspect(cause)
    const module = inspect(this.#desk.job.module)
    switch (what) {
      case 'import':
        return this.#error(`cannot import ${module}: ${shown}`, { cause })
      case 'export':
        return this.#error(`cannot use ${module}: ${shown}`, {
          advice: 'Export the handler as default, and the parsers of a typed queue as body and args',
        })
      case 'work':
        return this.#error(`cannot work: ${shown}`, { cause })
    }
  }

  #error(what: string, options: WorkerProcessErrorOptions): WorkerProcessError {
    const pid = this.#link?.pid
    const who = pid === undefined ? 'A worker process' : `The worker process ${pid}`
    return new WorkerProcessError(`${who} ${what}`, { ...options, pid })
  }

  #startLater(): void {
    this.#timer = setTimeout(() => this.start(), this.#pause)
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE)
  }

  #end(): void {
    this.#phase = 'ended'
    this.#onFirst(undefined)
    this.#onClosed()
    this.#onGone()
  }
}
