/**
 * A forwarder as its caller sees it.
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import process from 'node:process'
import { type InspectOptions, inspect } from 'node:util'

import { FsqError } from '../errors/classes.js'
import { inspected } from '../inspected.js'
import type { CloseOptions, IdleOptions, Worker } from '../work/handle.js'
import type { ForwarderEvents, ForwarderNumbers, ForwarderState } from './events.js'
import type { Handover } from './handover.js'

/** @internal The parts that a forwarder is made of. */
export interface ForwarderParts {
  readonly worker: Worker
  readonly handover: Handover
  /** Called once, when no put is in flight any more. */
  readonly end: () => Promise<void>
}

/**
 * Hands the items of a queue over to a target, made by {@link forward}. It emits {@link ForwarderEvents}.
 *
 * A listener that throws causes a warning of the process, and nothing else. So does an `error` event without a listener.
 */
export class Forwarder extends EventEmitter<ForwarderEvents> implements AsyncDisposable {
  /** The name of the target. */
  readonly sink: string
  readonly #parts: ForwarderParts
  #isPaused: boolean
  #state: ForwarderState
  readonly #ended: Promise<void>

  /** @internal */
  constructor(sink: string, isPaused: boolean, parts: ForwarderParts) {
    super()
    if ((parts as ForwarderParts | undefined) === undefined)
      throw new FsqError('new Forwarder() makes no forwarder', { advice: 'Call forward(queue, sink)' })
    this.sink = sink
    this.#parts = parts
    this.#isPaused = isPaused
    this.#state = isPaused ? 'paused' : 'running'
    this.#ended = parts.worker.gone.then(parts.end)
    // Its rejection is that of close(); a forwarder that closes by itself has nothing that awaits it.
    this.#ended.catch((error: unknown) => this.tell('error', error))
    const { worker } = parts
    worker.on('error', (error) => this.tell('error', error))
    // The worker tells of these only to listeners: reports go elsewhere without one, and an idle look costs a listing.
    ;(this as EventEmitter).on('newListener', (name) => {
      if (name === 'idle' && worker.listenerCount('idle') === 0) worker.on('idle', () => this.tell('idle'))
      if (name === 'report' && worker.listenerCount('report') === 0)
        worker.on('report', (report) => this.tell('report', report))
    })
  }

  /** Names this forwarder on this machine: host, process and a number. */
  get id(): string {
    return this.#parts.worker.id
  }

  /** What the forwarder does at the moment. */
  get state(): ForwarderState {
    return this.#state
  }

  /** What the forwarder has done. */
  get numbers(): ForwarderNumbers {
    return { ...this.#parts.handover.numbers, inFlight: this.#parts.worker.running.size }
  }

  /** How many items are claimed and handed over at once. A smaller number takes effect as puts end. */
  get inFlight(): number {
    return this.#parts.worker.concurrency
  }

  /** @throws {@link SettingError} if it is not a whole number of 1 or more. */
  set inFlight(items: number) {
    this.#parts.worker.concurrency = items
  }

  /** Claims nothing more until {@link resume}. Puts in flight go on. A paused forwarder does not keep the process alive. */
  pause(): void {
    this.#isPaused = true
    this.refresh()
  }

  /** Ends a {@link pause}. */
  resume(): void {
    this.#isPaused = false
    this.refresh()
  }

  /**
   * Resolves when no item is in hand and a look at all items has found nothing to claim. Delayed items, and items that other forwarders hold,
   * do not count. For programs that end when all is forwarded.
   *
   * @param options - `signal`: its abort rejects with its reason.
   * @throws The reason of the signal; {@link ClosingError} if the forwarder closes before.
   */
  async idle(options: IdleOptions = {}): Promise<void> {
    await this.#parts.worker.idle(options)
  }

  /**
   * Claims nothing more, and waits for the puts in flight. When the grace is over, it aborts their signal. Items without an answer then go
   * back to the queue as they were. `forwarded/` keeps that they may have been put.
   *
   * @param options - `grace`: in milliseconds. Default: the option of the forwarder.
   * @throws {@link SettingError}; the error with which the sink cannot be closed.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    await this.#parts.worker.close(options)
    await this.#ended
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { id, sink, state, inFlight, numbers } = this
    return inspected('Forwarder', { id, sink, state, inFlight, numbers }, depth, options)
  }

  /** @internal The worker claims unless the caller has paused the forwarder, or the target is away. */
  refresh(error?: unknown): void {
    const { worker, handover } = this.#parts
    if (this.#isPaused || handover.isAway) worker.pause()
    else worker.resume()
    this.noteState(error)
  }

  /** @internal The state of the worker or of the target may have changed. */
  noteState(error?: unknown): void {
    const { worker, handover } = this.#parts
    const was = this.#state
    const state = worker.state === 'paused' && handover.isAway && !this.#isPaused ? 'away' : worker.state
    if (state === was) return
    this.#state = state
    this.tell('state', error === undefined ? { state, was } : { state, was, error })
  }

  /** @internal Emits an event. A listener that throws changes nothing. */
  readonly tell = <Name extends keyof ForwarderEvents>(name: Name, ...event: ForwarderEvents[Name]): void => {
    if (this.listenerCount(name) === 0) {
      if (name === 'error')
        warn('FSQ_FORWARDER', `A forwarder without a listener for 'error' has met ${inspect(event[0])}`)
      return
    }
    try {
      ;(this as EventEmitter).emit(name, ...event)
    } catch (thrown) {
      warn('FSQ_LISTENER', `A listener for the event '${name}' of a forwarder threw ${inspect(thrown)}`)
    }
  }
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'FsqWarning', code })
}
