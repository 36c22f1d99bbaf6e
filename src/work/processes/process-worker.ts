/**
 * A worker whose handlers run in child processes. Each child claims for itself, with its own locks; this process starts, watches and
 * replaces the children, and emits their events.
 *
 * @module
 */
import { inspect } from 'node:util'

import { ClosingError, SettingError } from '../../errors/classes.js'
import { type SettingOverrides, type Settings, isGiven } from '../../settings.js'
import type { WorkerEvents } from '../events.js'
import { Worker } from '../handle.js'
import { type Counters, type WorkerState, noCounts } from '../journal.js'
import type { WorkedQueue } from '../local.js'
import { checkConcurrency } from '../options.js'
import { isQueueDown } from '../../directory/down.js'
import type { ItemContext } from '../../item/context.js'
import type { Report } from '../../report.js'
import { IdleRounds } from './idle-rounds.js'
import {
  type Job,
  type RemoteItem,
  type SentEvent,
  type SentItem,
  type ToChild,
  receiveEvent,
} from './messages.js'
import { type CheckedProcessOptions, type ProcessOptions, checkProcessOptions } from './options.js'
import { childProgram } from './program.js'
import { Seat } from './seat.js'
import { clearTimeout, performance, setImmediate, setTimeout } from '../../real-timers.js'

// As long as a child waits for its handlers after it has aborted their signals.
const AFTERMATH_MS = 1000

/** Which counter an event raises. */
const COUNTED: Readonly<Partial<Record<keyof WorkerEvents<RemoteItem>, keyof Counters>>> = {
  started: 'started',
  done: 'done',
  retried: 'retried',
  failed: 'failed',
  postponed: 'postponed',
  released: 'released',
  crashed: 'crashed',
}

/** States in which nothing is claimed. The worker is in one of them if all children that work are. */
const OUTAGES: readonly WorkerState[] = ['unfinished', 'missing', 'down']

/** {@link Queue.work} with a module. */
export async function workInProcesses(
  queue: WorkedQueue,
  module: URL,
  options: ProcessOptions,
): Promise<Worker<RemoteItem>> {
  const { context } = queue
  const checked = checkProcessOptions(context, options)
  const program = await childProgram()
  await context.directory.open()
  // The handle may have been opened long ago. This looks whether the queue still exists.
  await isQueueDown(context.directory.layout)
  checked.checked.signal?.throwIfAborted()
  const { timeout } = checked.checked
  const { layout } = context.directory
  const { parent } = layout
  const worker = new ProcessWorker(context, checked, program, {
    parent: process.pid,
    module: module.href,
    queue: (parent ?? layout).name,
    host: parent && layout.name,
    settings: settingsForChild(context.settings, queue.hasMaxTries),
    parsers: PARTS.filter((part) => queue.parsers?.[part] !== undefined),
    options: checked.forChild,
    timeout,
    killAfter: checked.killAfter,
  })
  queue.register(worker)
  await worker.start()
  return worker
}

const PARTS = ['body', 'args'] as const

/** Whether it is the URL of a module. An instance of another realm's class is one, too. */
export function isModule(handler: unknown): handler is URL {
  return typeof handler === 'object' && handler !== null && typeof (handler as URL).href === 'string'
}

/** The settings as a child process is to have them, also those that this process has changed by setConst(). */
function settingsForChild(settings: Settings, hasMaxTries: boolean): SettingOverrides {
  const { maxTries, ...others } = settings
  // JSON has no undefined, which here means: unchanged.
  const known = Object.entries(others).map(([name, value]: [string, unknown]) => [name, value ?? ''])
  // The child is to know, too, whether the number of tries was ever given.
  if (hasMaxTries || isGiven('maxTries')) known.push(['maxTries', maxTries])
  return Object.fromEntries(known) as SettingOverrides
}

class ProcessWorker extends Worker<RemoteItem> {
  readonly #context: ItemContext
  readonly #seats: readonly Seat[]
  readonly #idleRounds: IdleRounds<Seat>
  readonly #signal: AbortSignal | undefined
  readonly #counters = noCounts()
  #concurrency: number
  #isPaused: boolean
  #isClosing = false
  #hasClosed = false
  #state: WorkerState
  #outage: WorkerState | undefined
  /** Looks whether close() can go on. */
  #checkClose: () => void = () => undefined

  constructor(
    context: ItemContext,
    { processes, checked, execArgv, env }: CheckedProcessOptions,
    program: string,
    job: Job,
  ) {
    super({ options: checked })
    this.#context = context
    this.#signal = checked.signal
    this.#concurrency = checked.concurrency
    this.#isPaused = checked.paused
    this.#state = checked.paused ? 'paused' : 'running'
    const desk = {
      program,
      execArgv,
      env,
      job,
      now: () => ({ paused: this.#isPaused, concurrency: this.#concurrency }),
      onEvents: (seat: Seat, events: readonly SentEvent[]) => {
        for (const event of events) this.#onEvent(seat, event)
      },
      onIdle: (seat: Seat, round: number, started: number) => this.#idleRounds.onAnswer(seat, round, started),
      onMissing: (error: unknown) => this.#refresh(error),
      onChange: (error?: unknown) => this.#onChange(error),
    }
    this.#seats = Array.from({ length: processes }, () => new Seat(desk))
    this.#idleRounds = new IdleRounds({ ask: (round) => this.#ask(round), onIdle: () => this.onIdle() })
  }

  get state(): WorkerState {
    return this.#state
  }

  get running(): ReadonlySet<RemoteItem> {
    return new Set(this.#seats.flatMap(({ items }) => items))
  }

  get counters(): Counters {
    return { ...this.#counters }
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(concurrency: number) {
    checkConcurrency(concurrency)
    this.#concurrency = concurrency
    this.#tellAll({ type: 'concurrency', concurrency })
  }

  pause(): void {
    this.#isPaused = true
    this.#tellAll({ type: 'pause' })
    this.#refresh()
  }

  resume(): void {
    this.#isPaused = false
    this.#tellAll({ type: 'resume' })
    this.#refresh()
  }

  /** Starts the children. Resolves when each is ready or has ended. No child claims anything before the caller can have listeners. */
  async start(): Promise<void> {
    this.listen()
    for (const seat of this.#seats) seat.start()
    const ends = await Promise.all(this.#seats.map(async ({ first }) => first))
    if (this.#isClosing) {
      this.#signal?.throwIfAborted()
      this.#context.directory.checkOpen()
      throw new ClosingError('The worker was closed before its processes had loaded the module', {
        advice: 'No item was claimed. Call work() again to work the queue',
      })
    }
    const errors = ends.filter((error) => error !== undefined)
    const [first] = errors
    if (first !== undefined && errors.length === ends.length) {
      await this.close({ grace: 0 })
      throw first
    }
    setImmediate(() => {
      for (const error of errors) this.tell('error', error)
      for (const seat of this.#seats) seat.go()
      this.#refresh()
    })
  }

  /** Kills the children that still run handlers. */
  override abandon(): void {
    for (const seat of this.#seats) seat.kill()
  }

  protected lookIfIdle(): void {
    if (this.isIdleWanted && !this.#isClosing) this.#idleRounds.ask()
  }

  protected onGraceChange(): void {
    const grace = Math.max(0, this.graceEndsAt - performance.now())
    for (const seat of this.#seats) seat.close(grace)
    this.#checkClose()
  }

  /** A child that does not answer, because a handler computes without a pause, keeps its items as one that says so. */
  protected async closeInTime(): Promise<{ left: readonly RemoteItem[] }> {
    this.#isClosing = true
    this.#refresh()
    await Promise.race([Promise.all(this.#seats.map(async ({ closed }) => closed)), this.#aftermath()])
    this.#hasClosed = true
    // Clears the timer.
    this.#checkClose()
    this.#refresh()
    void Promise.all(this.#seats.map(async ({ gone }) => gone)).then(() => this.leave())
    return { left: [...this.running] }
  }

  /** Resolves a second after the end of the grace. */
  async #aftermath(): Promise<void> {
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined
      this.#checkClose = () => {
        clearTimeout(timer)
        const rest = this.graceEndsAt + AFTERMATH_MS - performance.now()
        if (rest <= 0 || this.#hasClosed) resolve()
        else timer = setTimeout(this.#checkClose, Math.ceil(rest))
      }
      this.#checkClose()
    })
  }

  #onEvent(seat: Seat, sent: SentEvent): void {
    const { name, fields } = sent
    const event = receiveEvent(sent, (item) => seat.itemOf(item))
    const item = fields['item'] as SentItem | undefined
    const counter = COUNTED[name]
    if (counter !== undefined) this.#counters[counter]++
    if (name === 'state') {
      const { state, error } = event as WorkerEvents<RemoteItem>['state'][0]
      seat.state = state
      this.#refresh(error)
      return
    }
    if (item !== undefined && name === 'started') seat.begun((event as { item: RemoteItem }).item, item.run)
    else if (item !== undefined && name !== 'stuck') seat.ended(item.run)
    if (name === 'report') this.#report(event as Report)
    // The fields are those of an event of this name: messages.ts has made them of one.
    else this.tell(name, event)
    if (name === 'started') this.lookIfIdle()
    if (this.#isPaused) this.#keepAlive()
  }

  #report(report: Report): void {
    const { type, rawName, message, error } = report
    if (this.listenerCount('report') > 0) this.tell('report', report)
    else this.#context.reporter.reportBeside(type, rawName, message, error)
  }

  /** A child begins to work, or has ended. */
  #onChange(error?: unknown): void {
    if (error !== undefined) this.tell('error', error)
    this.#idleRounds.onOthers()
    this.#refresh()
  }

  #ask(round: number): readonly Seat[] {
    const seats = this.#working
    for (const seat of seats) seat.send({ type: 'idle', round })
    return seats
  }

  #tellAll(message: ToChild): void {
    for (const seat of this.#seats) seat.send(message)
  }

  get #working(): readonly Seat[] {
    return this.#seats.filter(({ isWorking }) => isWorking)
  }

  #refresh(error?: unknown): void {
    this.#keepAlive()
    const state = this.#stateNow()
    const was = this.#state
    if (state === was) return
    this.#state = state
    this.tell('state', error === undefined ? { state, was } : { state, was, error })
  }

  /** A paused worker keeps the process alive only while handlers run. */
  #keepAlive(): void {
    const does = !this.#isPaused || this.#isClosing || this.#seats.some(({ items }) => items.length > 0)
    for (const seat of this.#seats) seat.keepAlive(does)
  }

  #stateNow(): WorkerState {
    if (this.#hasClosed) return 'closed'
    if (this.#isClosing) return 'closing'
    if (this.#isPaused) return 'paused'
    const states = new Set(this.#working.flatMap(({ state }) => state ?? []))
    // Without a child that works, the outage goes on until the next child has looked at the queue.
    if (states.size > 0) this.#outage = OUTAGES.find((outage) => states.size === 1 && states.has(outage))
    return this.#outage ?? 'running'
  }
}

/** @throws {@link SettingError} for a module without `processes`, or the other way round. */
export function checkGoTogether(handler: unknown, options: unknown): void {
  const hasProcesses = typeof options === 'object' && options !== null && 'processes' in options
  if (isModule(handler) === hasProcesses || !(isModule(handler) || typeof handler === 'function')) return
  if (hasProcesses)
    throw new SettingError(
      'handler',
      handler,
      'the URL of a module, because a function cannot be passed to another process',
      "Move it into a module of its own, as its default export, and pass new URL('./handler.js', import.meta.url)",
    )
  throw new SettingError(
    'processes',
    undefined,
    'a whole number of 1 or more',
    `${inspect((handler as URL).href)} is a module, which runs in child processes`,
  )
}
