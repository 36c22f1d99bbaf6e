/**
 * A worker of a queue of files: what the engine gets from the queue, and what the worker does for the queue beside its items.
 *
 * @module
 */
import process from 'node:process'
import { inspect } from 'node:util'

import { isQueueDown } from '../directory/down.js'
import { shownName } from '../directory/layout.js'
import { FinishError, QueueClosedError, QueueDownError, SettingError } from '../errors/classes.js'
import type { InFlight } from '../in-flight.js'
import type { ItemContext } from '../item/context.js'
import { parseItem } from '../item/parse.js'
import type { Limits } from '../item/limits.js'
import type { WorkItem } from '../item/work-item.js'
import { type FinishedState, type Keep, checkKeep } from '../maintain/prune.js'
import { checkLimit, checkOptions } from '../options.js'
import type { Report, ReportListener } from '../report.js'
import type { Parsers } from '../schema/parsers.js'
import { type ScanOptions, loopOptions, scanQueue } from '../scan/options.js'
import { isGiven } from '../settings.js'
import { DoneBacklog } from './backlog.js'
import type { WorkerEvents } from './events.js'
import {
  type CheckedOptions,
  WORKER_OPTIONS,
  type WorkerOptions,
  checkHandler,
  checkWorkerOptions,
} from './options.js'
import { Retention } from './retention.js'
import type { Handler, ItemParser } from './run.js'
import type { Outage, Source, SourceScan, SourceScanOptions } from './source.js'
import { nextTick } from '../real-timers.js'
import { Guard, type GuardOptions } from '../meta/guard.js'
import { tracedHandler } from './traced.js'
import { NO_JOURNAL } from './work.js'
import type { Worker } from './handle.js'
import { HandlerWorker } from './worker.js'

/** Options of {@link Queue.work}. */
export interface WorkOptions<Item = WorkItem> extends Omit<WorkerOptions<Item>, 'keepDone'> {
  /** How many tries an item has; 0: without limit. Default: the setting of the queue. All workers of a queue need the same number. */
  readonly maxTries?: number | undefined
  /** Seconds that an item may wait; 0: without limit. Default: the setting of the queue. */
  readonly ttl?: number | undefined
  /** As the option of {@link Queue.scan}. */
  readonly prefetch?: number | undefined
  /** As the option of {@link Queue.scan}. */
  readonly order?: 'fifo' | 'relaxed' | undefined
  /**
   * How many workers may die with an item in hand. Then it fails without being run again, because it seems to be the cause. Before that,
   * it runs alone. 0: without limit, and the worker writes down neither marks nor why attempts have failed. Default: 3.
   */
  readonly maxCrashes?: number | undefined
  /**
   * Which done items are kept. `true`: all. `false`: none, they are discarded. Limits: the others are removed, now and then and in small
   * steps. Default: true.
   */
  readonly keepDone?: boolean | Keep | undefined
  /** Which failed items are kept. `true`: all. Default: true. */
  readonly keepFailed?: true | Keep | undefined
}

const SCAN_OPTIONS = ['maxTries', 'ttl', 'prefetch', 'order'] as const
const QUEUE_OPTIONS = [...WORKER_OPTIONS, ...SCAN_OPTIONS, 'maxCrashes', 'keepFailed'] as const

/** The queue that a worker works. */
export interface WorkedQueue {
  readonly context: ItemContext
  /** The loops of the queue handle. */
  readonly scans: InFlight
  /** Whether the handle has its own `maxTries`. */
  readonly hasMaxTries: boolean
  readonly parsers: Parsers | undefined
  /** Registers a worker that is about to start. Throws if the handle closes. */
  readonly register: (worker: Worker<unknown>) => void
}

/** {@link WorkOptions}, checked. */
export interface CheckedQueueOptions {
  readonly checked: CheckedOptions<WorkItem>
  readonly scan: Pick<WorkOptions, (typeof SCAN_OPTIONS)[number]>
  readonly limits: Limits
  readonly maxCrashes: number
  readonly keep: readonly (readonly [FinishedState, Keep])[]
  /** Whether all done items stay. */
  readonly keepsAllDone: boolean
}

/** @throws {@link SettingError} */
export function checkQueueOptions(context: ItemContext, options: WorkOptions): CheckedQueueOptions {
  checkOptions('work', options, QUEUE_OPTIONS)
  const { maxTries, ttl, prefetch, order, maxCrashes = 3, keepDone, keepFailed, ...rest } = options
  checkLimit('maxCrashes', maxCrashes)
  const scan = { maxTries, ttl, prefetch, order }
  const { limits } = loopOptions(context, scan, true)
  const checked = checkWorkerOptions<WorkItem>({ ...rest, keepDone: keepDone !== false })
  const keep = [...limitsOf('done', 'keepDone', keepDone), ...limitsOf('failed', 'keepFailed', keepFailed)]
  const keepsAllDone = keepDone === undefined || keepDone === true
  return { checked, scan, limits, maxCrashes, keep, keepsAllDone }
}

/** What a worker of this package has and no other: the forwarder, which takes no crash and no try for a fault of an item. */
export interface OwnWork {
  /** Called with each event, before its listeners. Must not throw. */
  readonly onEvent: (name: keyof WorkerEvents<WorkItem>, event: readonly unknown[]) => void
  /** As in {@link LoopOptions}. */
  readonly namesAtOnce: number
}

/**
 * {@link Queue.work}.
 *
 * @param own - `undefined`: the worker is a caller's.
 */
export async function workQueue(
  queue: WorkedQueue,
  handler: Handler<WorkItem>,
  options: WorkOptions,
  own?: OwnWork,
): Promise<Worker> {
  checkHandler(handler)
  const { checked, scan, limits, maxCrashes, keep, keepsAllDone } = checkQueueOptions(queue.context, options)
  const tries = own === undefined ? new TriesAdvice(queue, scan.maxTries, limits.maxTries) : undefined
  const hear = (report: Report): void => passOn(report, worker, queue.context)
  const source = new QueueSource(queue, scan, hear, own?.namesAtOnce)
  await source.open()
  checked.signal?.throwIfAborted()
  const retention = new Retention(queue.context, keep, (error) => worker.tell('error', error))
  const backlog = keepsAllDone ? new DoneBacklog(queue.context.directory.layout) : undefined
  // The guard asks for the first time before there is a worker.
  let current: { readonly concurrency: number } = checked
  const guard = guardOf(queue.context, hear, {
    maxCrashes,
    suspects: own === undefined,
    concurrency: () => current.concurrency,
    onCrashed: (crash) => {
      worker.count('crashed')
      // Later: the first look for dead workers comes before the caller can have listeners.
      nextTick(() => worker.tell('crashed', crash))
    },
  })
  const worker: HandlerWorker = new HandlerWorker<WorkItem>({
    source,
    handler: tracedHandler(queue.context.directory.layout, handler),
    options: checked,
    journal: guard ?? NO_JOURNAL,
    parse: parserOf(queue),
    onEvent: (name, event) => {
      if (name === 'done' || name === 'failed') retention.count()
      if (name === 'failed') tries?.failed(event[0] as WorkerEvents<WorkItem>['failed'][0])
      if (name === 'state' && worker.state === 'closed') {
        retention.end()
        backlog?.end()
      }
      own?.onEvent(name, event)
    },
  })
  current = worker
  queue.register(worker)
  guard?.open()
  void backlog?.look()
  return worker.start()
}

function parserOf({ parsers }: WorkedQueue): ItemParser<WorkItem> | undefined {
  return parsers === undefined ? undefined : async (item) => parseItem(item, parsers)
}

/** `undefined`: no crash is to have consequences. */
function guardOf(context: ItemContext, hear: ReportListener, options: GuardOptions): Guard | undefined {
  if (options.maxCrashes === 0) return undefined
  return new Guard({ ...context, reporter: context.reporter.forScan(hear) }, options)
}

function limitsOf(
  state: FinishedState,
  option: string,
  keep: boolean | Keep | undefined,
): (readonly [FinishedState, Keep])[] {
  if (keep === undefined || keep === true || (keep === false && state === 'done')) return []
  if (keep === false) throw new SettingError(option, keep, 'true, or limits: { age }, { count }, or both')
  return [[state, checkKeep(option, option, keep)]]
}

/** The items of a queue, as they come. */
class QueueSource implements Source<WorkItem> {
  readonly #queue: WorkedQueue
  readonly #options: ScanOptions
  readonly #onReport: ReportListener
  readonly #namesAtOnce: number | undefined

  constructor(
    queue: WorkedQueue,
    options: ScanOptions,
    onReport: ReportListener,
    namesAtOnce: number | undefined,
  ) {
    this.#queue = queue
    this.#options = options
    this.#onReport = onReport
    this.#namesAtOnce = namesAtOnce
  }

  async open(): Promise<void> {
    const { directory } = this.#queue.context
    await directory.open()
    // The handle may have been opened long ago. This looks whether the queue still exists.
    await isQueueDown(directory.layout)
    await directory.makeWorker()
  }

  scan({ signal, onIdle }: SourceScanOptions): SourceScan<WorkItem> {
    const { context, scans } = this.#queue
    // A scan would find that, too, but only after it has listed all items.
    context.directory.checkUpByPath()
    const options = { ...this.#options, signal, onReport: this.#onReport }
    const own = { onSleep: onIdle, handsOver: true, namesAtOnce: this.#namesAtOnce }
    return scanQueue(context, scans, options, true, own)
  }

  outageOf(error: unknown): Outage | 'closed' {
    if (error instanceof QueueClosedError) return 'closed'
    if (error instanceof QueueDownError) return 'down'
    return error instanceof FinishError ? 'unfinished' : 'missing'
  }
}

/** Passes a report on, and tells of an item that has failed without having run. */
function passOn(report: Report, worker: HandlerWorker, { reporter }: ItemContext): void {
  const { type, name, rawName, message, error } = report
  if (type === 'malformed' || type === 'expired' || type === 'exhausted') {
    worker.count('failed')
    worker.tell('failed', { id: name, reason: type, error, ms: 0 })
  }
  if (worker.listenerCount('report') > 0) worker.tell('report', report)
  else reporter.reportBeside(type, rawName, message, error)
}

// Once for each queue of the process, however many workers and handles it has.
const advised = new Set<string>()

/** Warns of a number of tries that will surprise. */
class TriesAdvice {
  readonly #path: string
  readonly #isDefault: boolean

  /** @param option - The option of the worker; `limit`: the number that counts. */
  constructor({ context, hasMaxTries }: WorkedQueue, option: number | undefined, limit: number) {
    const { settings, directory } = context
    const isSet = hasMaxTries || isGiven('maxTries')
    this.#path = directory.layout.path
    this.#isDefault = !isSet && option === undefined && limit === 1
    if (option === undefined || !isSet || option === settings.maxTries) return
    this.#warn(
      'FSQ_MIXED_TRIES',
      `The worker has maxTries ${option}, and other users of the ${shownName(directory.layout)} in this environment have ` +
        `${settings.maxTries} (FSQ_MAX_TRIES). A worker with fewer tries moves an item to fail/ that has more tries behind it, without ` +
        'running it. Give all workers the same number',
    )
  }

  /** An item has failed for good. */
  failed({ item, reason }: WorkerEvents<WorkItem>['failed'][0]): void {
    if (!this.#isDefault || item === undefined || reason !== 'exhausted') return
    this.#warn(
      'FSQ_FIRST_FAILURE',
      `${inspect(item.id)} has failed at its first try, and there is no second one, because maxTries is 1 by default. Set maxTries, best ` +
        'as FSQ_MAX_TRIES for all workers, or 1 if that is what you want',
    )
  }

  #warn(code: string, message: string): void {
    const key = `${code} ${this.#path}`
    if (advised.has(key)) return
    advised.add(key)
    process.emitWarning(message, { type: 'FsqWarning', code })
  }
}
