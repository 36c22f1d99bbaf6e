/**
 * A worker as its caller sees it, whatever runs the handlers: the engine in this process (worker.ts), or child processes
 * (processes/process-worker.ts).
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import os from 'node:os'
import process from 'node:process'
import { type InspectOptions, inspect } from 'node:util'

import { ClosingError, FsqError, SettingError } from '../errors/classes.js'
import { inspected } from '../inspected.js'
import type { WorkItem } from '../item/work-item.js'
import { checkOptions, checkSignal } from '../options.js'
import type { WorkerEvents } from './events.js'
import type { Counters, WorkerState } from './journal.js'
import { type CheckedOptions, checkTimer } from './options.js'
import { nextTick } from '../real-timers.js'
import { shown } from '../shown.js'

const CALL_WORK = 'Call queue.work(handler), or work(source, handler)'

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

/** What every worker has to know. */
export interface HandleParts<Item> {
  readonly options: Pick<CheckedOptions<Item>, 'grace' | 'signal' | 'closeOn'>
  /** Called with each event, before its listeners. Must not throw. */
  readonly onEvent?: (name: keyof WorkerEvents<Item>, event: readonly unknown[]) => void
}

/**
 * A worker of a queue, made by {@link Queue.work}, or of another source, made by {@link work}. It emits {@link WorkerEvents}.
 *
 * A listener that throws causes a warning of the process, and nothing else. So does an `error` event without a listener.
 */
export abstract class Worker<Item = WorkItem>
  extends EventEmitter<WorkerEvents<Item>>
  implements AsyncDisposable
{
  /** Names this worker on this machine: host, process and a number. */
  readonly id = `${os.hostname()}.${process.pid}.${++workers}`
  readonly #handle: HandleParts<Item>
  #closing: Promise<{ left: readonly Item[] }> | undefined
  #graceEndsAt = Infinity
  readonly #idleWaiters = new Set<(error?: unknown) => void>()
  #stopListening: () => void = () => undefined
  #onGone: () => void = () => undefined
  /** @internal Resolves when the worker has closed and no handler runs any more. */
  readonly gone: Promise<void> = new Promise((resolve) => (this.#onGone = resolve))

  /** @internal */
  constructor(parts: HandleParts<Item>) {
    super()
    // The class is abstract for TypeScript only. A comparison of new.target with it would cost it its name in the bundle.
    if ((parts as Partial<HandleParts<Item>> | undefined)?.options === undefined)
      throw new FsqError('new Worker() makes no worker', { advice: CALL_WORK })
    this.#handle = parts
  }

  /** What the worker does at the moment. */
  abstract get state(): WorkerState

  /** The items whose handlers run. An item that cannot be finished stays among them until it can. */
  abstract get running(): ReadonlySet<Item>

  /** How many items the worker has worked on, by outcome. */
  abstract get counters(): Counters

  /** How many handlers run at once, in each process. A smaller number takes effect as handlers end. */
  abstract get concurrency(): number

  /** @throws {@link SettingError} if it is not a whole number of 1 or more. */
  abstract set concurrency(concurrency: number)

  /** Claims nothing more until {@link resume}. Handlers that run go on. A paused worker does not keep the process alive. */
  abstract pause(): void

  /** Ends a {@link pause}. */
  abstract resume(): void

  /** Closes, at {@link graceEndsAt}, which may come closer meanwhile. Called once. */
  protected abstract closeInTime(): Promise<{ left: readonly Item[] }>

  /** {@link graceEndsAt} has changed. */
  protected abstract onGraceChange(): void

  /** Calls {@link onIdle} when the worker is idle, if {@link isIdleWanted}, also if nothing has happened since the last call. */
  protected abstract lookIfIdle(): void

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
    if (this.#closing !== undefined) throw new ClosingError(NEVER_IDLE)
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
      this.lookIfIdle()
    })
  }

  /**
   * Claims nothing more, waits for the handlers that run, and aborts their signals with a {@link ClosingError} when the grace is over. It
   * resolves one second after that at the latest. It never releases an item whose handler still runs: that item moves when its handler
   * ends, or is free when its process ends.
   *
   * Each call gives the same promise. A later call can make the grace shorter.
   *
   * @param options - `grace`: in milliseconds. Default: the option of the worker.
   * @returns `left`: the items whose handlers still run, and those that cannot be finished.
   * @throws {@link SettingError}
   */
  close(options: CloseOptions = {}): Promise<{ left: readonly Item[] }> {
    try {
      checkOptions('close', options, ['grace'])
      const { grace = this.#handle.options.grace } = options
      checkTimer('grace', grace)
      this.#graceEndsAt = Math.min(this.#graceEndsAt, performance.now() + grace)
    } catch (error) {
      if (error instanceof SettingError) return Promise.reject(error)
      throw error
    }
    // Kept before anything happens: a listener for the state may call this again.
    if (this.#closing === undefined) {
      let begin: (closing: Promise<{ left: readonly Item[] }>) => void = () => undefined
      this.#closing = new Promise((resolve) => (begin = resolve))
      begin(this.#close())
    }
    this.onGraceChange()
    return this.#closing
  }

  /** @internal Ends handlers that still run after {@link close}, if that is possible without ending this process. */
  abandon(): void {
    // A function cannot be ended.
  }

  /** @internal Whether a handler runs for an item that {@link close} has left. If none does, the item cannot be finished. */
  handles(_item: Item): boolean {
    return true
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { id, state, concurrency, running, counters } = this
    return inspected('Worker', { id, state, concurrency, running: running.size, counters }, depth, options)
  }

  /** @internal Emits an event. A listener that throws changes nothing. */
  readonly tell = <Name extends keyof WorkerEvents<Item>>(
    name: Name,
    ...event: WorkerEvents<Item>[Name]
  ): void => {
    this.#handle.onEvent?.(name, event)
    if (this.listenerCount(name) === 0) {
      if (name === 'error')
        warn('FSQ_WORKER', `A worker without a listener for 'error' has met ${shown(event[0])}`)
      return
    }
    try {
      ;(this as EventEmitter).emit(name, ...event)
    } catch (thrown) {
      warn('FSQ_LISTENER', `A listener for the event '${name}' of a worker threw ${shown(thrown)}`)
    }
  }

  /** When the signals of running handlers are aborted, by `performance.now()`. */
  protected get graceEndsAt(): number {
    return this.#graceEndsAt
  }

  /** Whether {@link onIdle} is of any use. */
  protected get isIdleWanted(): boolean {
    return this.#idleWaiters.size > 0 || this.listenerCount('idle') > 0
  }

  /** No handler runs, and a look at all items has found nothing to claim. */
  protected onIdle(): void {
    for (const settle of [...this.#idleWaiters]) settle()
    this.tell('idle')
  }

  /** Listens to the signals that close the worker, and for listeners of `idle`. */
  protected listen(): void {
    const { closeOn } = this.#handle.options
    // A signal of its own: Node warns of a leak where more than ten workers listen to one.
    const signal = this.#handle.options.signal && AbortSignal.any([this.#handle.options.signal])
    const close = (): void => void this.close()
    signal?.addEventListener('abort', close)
    // Once: without a listener, the next signal has the effect that it has on any process.
    for (const name of closeOn) process.once(name, close)
    this.#stopListening = () => {
      signal?.removeEventListener('abort', close)
      for (const name of closeOn) process.off(name, close)
    }
    ;(this as EventEmitter).on('newListener', (name) => {
      if (name === 'idle') nextTick(() => this.lookIfIdle())
    })
  }

  /** Resolves {@link gone}. */
  protected leave(): void {
    this.#onGone()
  }

  async #close(): Promise<{ left: readonly Item[] }> {
    for (const settle of [...this.#idleWaiters]) settle(new ClosingError(NEVER_IDLE))
    try {
      return await this.closeInTime()
    } finally {
      this.#stopListening()
    }
  }
}

const NEVER_IDLE = 'The worker closes, so it does not become idle'

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'FsqWarning', code })
}
