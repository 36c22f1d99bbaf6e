/**
 * The handle by which a process uses a queue.
 *
 * @module
 */
import { type InspectOptions, inspect } from 'node:util'

import { Claims } from './item/claims.js'
import { QueueDirectory } from './directory/open-directory.js'
import { isQueueDown, makeDown, removeDown } from './directory/down.js'
import { enqueueMany } from './enqueue/bulk.js'
import { Enqueuer } from './enqueue/enqueuer.js'
import type { EnqueueEntry, EnqueueManyOptions, EnqueueOptions, EnqueueSyncOptions } from './enqueue/entry.js'
import { type ArgumentsParameter, type EntryOf, type PayloadOf, TypedEnqueuer } from './enqueue/typed.js'
import {
  type InstallOptions,
  type UninstallOptions,
  installQueue,
  uninstallQueue,
} from './directory/install.js'
import type { Forwarder } from './forward/forwarder.js'
import type { ItemContext } from './item/context.js'
import { parseItem } from './item/parse.js'
import { WorkItem } from './item/work-item.js'
import { type AddHostOptions, addHost, hostsOf, removeHost } from './directory/hosts.js'
import { type Layout, type QueuePaths, hostLayoutOf, layoutOf, pathsOf } from './directory/layout.js'
import {
  type DistributeHooks,
  type DistributeOptions,
  type Distributed,
  distribute,
} from './hosts/distribute.js'
import { audit } from './inspect/audit.js'
import type { Finding } from './inspect/finding.js'
import { type Counts, type ItemsOptions, type ListedItem, Lister } from './inspect/lister.js'
import { type Stats, statsOf } from './inspect/stats.js'
import { type PruneKeep, prune } from './maintain/prune.js'
import { type FailedFilter, type Redriven, type RedriveOptions, redrive } from './maintain/redrive.js'
import { type RepairOptions, type Repaired, repair } from './maintain/repair.js'
import { type Attempt, attemptsOf } from './meta/attempts.js'
import { type Finished, type FinishedOptions, finished } from './meta/finished.js'
import { Guard, type GuardOptions } from './meta/guard.js'
import { TakeOver } from './meta/take-over.js'
import { type WorkerInfo, workersOf } from './meta/workers.js'
import type { NameArgument } from './name/codec.js'
import { checkTimestampFormat } from './name/timestamp.js'
import { NotDurableError, SettingError } from './errors/classes.js'
import { checkFlag, checkOptions } from './options.js'
import type { Payload } from './enqueue/payload.js'
import { InFlight } from './in-flight.js'
import { type ReportListener, Reporter } from './report.js'
import { type Parsers, parsersOf } from './schema/parsers.js'
import type { PushOptions } from './remote/types.js'
import type { ArgsOf, BodyOf, ParserOptions, Shape, Untyped } from './schema/shape.js'
import { type ScanForeverOptions, type ScanOptions, scanQueue } from './scan/options.js'
import { type SettingOverrides, type Settings, checkNames, resolveSettings } from './settings.js'
import { inspected } from './inspected.js'
import { traceEnqueue, traceEnqueueMany, traceEnqueueSync } from './enqueue/traced.js'
import { enqueueChannel, isTraced } from './tracing.js'
import { type WorkOptions, type WorkedQueue, workQueue } from './work/local.js'
import type { Handler } from './work/run.js'
import type { RemoteItem } from './work/processes/messages.js'
import type { ProcessOptions } from './work/processes/options.js'
import { checkGoTogether, isModule, workInProcesses } from './work/processes/process-worker.js'
import type { Worker } from './work/handle.js'

import { type PullOptions, makeTrigger, pullTrigger, removeTrigger } from './directory/trigger.js'

/** The settings of a handle, and the listener for its reports. */
export interface QueueSettings extends SettingOverrides {
  /**
   * Receives a report of each malformed, expired, foreign or unreadable file, once for each. An error that it throws ends the scan that
   * reports. Default: each report is a warning of the process.
   */
  readonly onReport?: ReportListener | undefined
}

/**
 * Options of a queue: {@link QueueSettings}, and the parsers of a typed queue.
 *
 * - `body`: checks the body of each item, which is JSON. `enqueue()` then takes `{ json: body }` and nothing else. Items that do not pass
 *   are not added; a worker moves them to fail/ with the reason `invalid`. `item.body` is what the parser gives.
 * - `args`: checks the arguments, an array of texts, in the same way. `item.args` is what the parser gives.
 */
export type QueueOptions<T extends Shape = Untyped> = QueueSettings & ParserOptions<T>

/** An item of a queue of the shape, as its handler gets it. */
export type ItemOf<T extends Shape> = WorkItem<BodyOf<T>, ArgsOf<T>>

// For compat/shared-queues.ts only: by symbols, as no user of the package is to call them.
export const suspend = Symbol('suspend')
export const suspendLater = Symbol('suspendLater')

/** The options of a handle that are no settings. */
const HANDLE_OPTIONS: readonly string[] = ['body', 'args', 'onReport']
/** Those of {@link Queue.install} alone. */
const INSTALL_OPTIONS: readonly string[] = ['force', 'lockKind', 'claims', 'triggered', 'addHosts']

// By a symbol, as only {@link Queue.host} gives it.
const PARENT = Symbol('parent')

/** What the handle of a host has besides its options: the queue whose items the host gets. */
interface HostOptions {
  readonly [PARENT]?: Layout
}

/** Options of {@link Queue.close}. */
export interface QueueCloseOptions {
  /** Whether to release even the items whose handlers still run. Another worker may then run them at the same time. Default: false. */
  readonly force?: boolean | undefined
}

// `out T`: a queue of invoices may stand for a queue of any items, and not the other way round. TypeScript alone would allow both.
/**
 * A handle on a queue. Making one touches no file: the first use opens the directory, which then stays open.
 *
 * @example
 * ```ts
 * const queue = await Queue.install('a_queue', { root: '/var/fsq' })
 * await queue.enqueue('data', ['args', 'to', 'enqueue'])
 * for await (const item of queue.scan()) {
 *   console.log(item.args, await item.text())
 *   await item.done()
 * }
 * ```
 *
 * `T` is the {@link Shape} of the items of a typed queue. It follows from the parsers in the options.
 */
export class Queue<out T extends Shape = Untyped> {
  readonly #layout: Layout
  readonly #settings: Settings
  readonly #directory: QueueDirectory
  readonly #context: ItemContext
  /** The loops of this handle. */
  readonly #scans = new InFlight()
  /** The workers of this handle that have not ended. */
  readonly #workers = new Set<Worker<unknown>>()
  #isClosing = false
  readonly #hasMaxTries: boolean
  readonly #options: QueueOptions<T>
  readonly #enqueuer: Enqueuer
  /** `undefined`: the queue has no parsers. */
  readonly #parsers: Parsers | undefined
  readonly #typedEnqueuer: TypedEnqueuer | undefined
  readonly #lister: Lister

  /**
   * @param name - Not empty, without `/` and NUL, at most 255 bytes, and not starting with `.`.
   * @throws {@link QueueNameError} or {@link SettingError}. Whether the queue exists shows at the first use.
   */
  constructor(name: string, options: QueueOptions<T> = {} as QueueOptions<T>) {
    checkAreSettings(options)
    checkNames(options, HANDLE_OPTIONS)
    this.#options = options
    const { [PARENT]: parent } = options as HostOptions
    const { onReport, body, args, ...overrides }: QueueOptions<Shape> = options
    this.#parsers = parsersOf(body, args)
    this.#settings = resolveSettings(overrides)
    this.#hasMaxTries = overrides.maxTries !== undefined
    checkTimestampFormat(this.#settings)
    this.#layout =
      parent === undefined ? layoutOf(name, this.#settings) : hostLayoutOf(parent, name, this.#settings)
    this.#directory = new QueueDirectory(this.#layout, this.#settings)
    const reporter = new Reporter(this.#layout, onReport)
    const parts = {
      directory: this.#directory,
      settings: this.#settings,
      claims: new Claims(this.#directory, this.#settings, reporter),
      reporter,
    }
    this.#context = { ...parts, deadWorkers: new TakeOver(parts) }
    // The variable makes an installation create the trigger. Scripts that set it have never asked for pulls.
    const useTrigger = overrides.useTrigger !== undefined && this.#settings.useTrigger
    this.#enqueuer = new Enqueuer(this.#directory, { ...this.#settings, useTrigger }, this.#context.reporter)
    this.#typedEnqueuer =
      this.#parsers === undefined ? undefined : new TypedEnqueuer(this.#enqueuer, this.#parsers)
    this.#lister = new Lister(this.#directory, this.#settings)
  }

  /**
   * Makes a queue: its directories, with owner and mode, appear complete and durable under its name, or not at all (fsq
   * standard, section 1).
   *
   * @param options - `force: true` replaces an existing queue, with all its items. `claims: 'rename'` makes a queue that workers of several
   * machines can share. `lockKind: 'fcntl'` makes workers lock items by fcntl instead of flock. `triggered: true` makes it with a trigger,
   * and `addHosts` with hosts.
   * @returns A handle on the queue.
   * @throws {@link QueueExistsError} if a file or directory has the name, {@link QueueMissingError} if there is no `root`,
   * {@link NotAQueueError} if `force` would replace something other than a queue, {@link NetworkFileSystemError} unless
   * `allowNetwork` is set, {@link MountError} if several machines cannot work it there, or a file system error.
   */
  static async install<T extends Shape = Untyped>(
    name: string,
    options: QueueOptions<T> & InstallOptions = {} as QueueOptions<T>,
  ): Promise<Queue<T>> {
    checkAreSettings(options)
    checkNames(options, [...INSTALL_OPTIONS, ...HANDLE_OPTIONS])
    const { force, lockKind, claims, triggered, addHosts, ...rest } = options
    const queue = newQueue(name, rest as QueueOptions<T>)
    await installQueue(queue.#layout, queue.#settings, { force, lockKind, claims, triggered, addHosts })
    return queue
  }

  /** The name of the queue below the root. */
  get name(): string {
    return this.#layout.name
  }

  /** The absolute path of the queue. */
  get path(): string {
    return this.#layout.path
  }

  /** The absolute paths of the four directories, for tools that look at files. */
  get paths(): QueuePaths {
    return pathsOf(this.#layout)
  }

  /** The settings of this handle. */
  get settings(): Settings {
    return this.#settings
  }

  /**
   * Adds an item (fsq standard, section 3). Workers see the item only when it is complete. When this resolves, the item is as durable as
   * the setting `durability` promises.
   *
   * @param data - The contents. Up to 65,536 bytes are taken as they are at the call; do not change or transfer more than that until this
   * settles. A stream is read to its end, and destroyed if that fails.
   * @param args - The arguments. They share the 255 bytes of a file name: keep them short.
   * @param options - `delay`: milliseconds until the item is due. `signal`: its abort cancels the call, and nothing of the item stays.
   * `trigger`: whether to pull the trigger after the item is in the queue (default: the option `useTrigger` of this handle).
   * @returns The id of the item.
   * @throws {@link PayloadError}, {@link EncodingError} or {@link NameTooLongError} if data and arguments cannot be an item, or do not
   * fit the parsers of the queue,
   * {@link QueueMissingError}, {@link NotAQueueError}, {@link NetworkFileSystemError}, {@link MountError}, {@link SettingError}, a file
   * system error, or the signal's reason: nothing has been added. {@link NotDurableError}: the item has been added, so do not add it again.
   * @example
   * ```ts
   * const id = await queue.enqueue({ json: { to: 'a@example.org' } }, ['mail'], { delay: 60_000 })
   * await queue.enqueue(request, ['upload'], { signal: AbortSignal.timeout(60_000) })
   * ```
   */
  enqueue(data: PayloadOf<T>, args: ArgumentsParameter<T>, options?: EnqueueOptions): Promise<string> {
    const enqueuer = this.#typedEnqueuer ?? this.#enqueuer
    const payload = data as Payload
    const given = args as readonly NameArgument[] | undefined
    if (!isTraced(enqueueChannel)) return enqueuer.enqueue(payload, given, options)
    return traceEnqueue(this.#traced, payload, given, async () => enqueuer.enqueue(payload, given, options))
  }

  /**
   * Synchronous {@link enqueue}; blocks the thread while the disk works. For scripts, and for items without durability. Takes no streams,
   * Blobs and pipes, because those have to be awaited. For the same reason it throws a {@link PayloadError} if a parser of the queue is
   * asynchronous.
   */
  enqueueSync(data: PayloadOf<T>, args: ArgumentsParameter<T>, options?: EnqueueSyncOptions): string {
    const enqueuer = this.#typedEnqueuer ?? this.#enqueuer
    const payload = data as Payload
    const given = args as readonly NameArgument[] | undefined
    if (!isTraced(enqueueChannel)) return enqueuer.enqueueSync(payload, given, options)
    return traceEnqueueSync(this.#traced, payload, given, () => enqueuer.enqueueSync(payload, given, options))
  }

  /**
   * Adds items in the order of the array, in few calls into native code. Streams are read one after the other. The call is not atomic:
   * each item is added by itself. As with {@link enqueue}, do not change more than 65,536 bytes until this settles.
   *
   * @param options - `signal`: its abort cancels the entries that are not in the queue yet.
   * @returns The ids, in the order of the array.
   * @throws {@link EnqueueManyError} if some items could not be added; it has the outcome of each. If no item can be added, because the
   * queue is missing, say, or the signal was aborted before: that error, or the signal's reason.
   */
  async enqueueMany(entries: readonly EntryOf<T>[], options: EnqueueManyOptions = {}): Promise<string[]> {
    const given = entries as readonly EnqueueEntry[]
    const enqueue = async (): Promise<string[]> =>
      this.#typedEnqueuer?.enqueueMany(given, options) ?? enqueueMany(this.#enqueuer, given, options)
    if (!isTraced(enqueueChannel)) return enqueue()
    return traceEnqueueMany(this.#traced, given, enqueue)
  }

  /**
   * Claims the waiting items one after the other, in FIFO order (fsq standard, section 4). Each item is locked and checked, and it is
   * yours until you finish or release it, even after the loop has gone on. Leaving the loop early releases the item that the loop
   * handed out last, unless that is finished or being finished. So if other code works on items beside the loop, leave the loop
   * before you hand an item to that code, not after.
   *
   * The loop makes one pass over the items that are waiting when it begins. It skips items that other workers hold or that are not due.
   * An item freed by a dead worker is found by the next scan. Malformed, expired and exhausted items go to fail/ and are reported.
   *
   * With `wait: true` the loop goes on forever (see {@link scanForever}). The items of a typed queue are handed out as they are: call
   * {@link parse}.
   *
   * @throws {@link QueueDownError} if the queue is down or is taken down meanwhile; {@link QueueMissingError};
   * {@link QueueClosedError} if this handle is closed meanwhile; the reason of the `signal` once it is aborted;
   * {@link FinishError} as long as an item of this handle cannot be finished; a file system error.
   * @example
   * ```ts
   * for await (const item of queue.scan()) {
   *   try {
   *     await work(await item.json(), item.args)
   *   } catch {
   *     await item.retry()
   *     continue
   *   }
   *   await item.done()
   * }
   * ```
   */
  scan(options: ScanOptions = {}): AsyncGenerator<WorkItem, void, undefined> {
    return scanQueue(this.#context, this.#scans, options, false)
  }

  /**
   * {@link scan} with `wait: true`: hands out items as they come, until the signal is aborted or you leave the loop. When a worker dies,
   * this loop receives its item within milliseconds. Pulling the queue's trigger also wakes the loop.
   *
   * Every error ends the loop, also that of a queue that is taken down or removed. Start a new loop after that.
   *
   * @throws As {@link scan}.
   * @example
   * ```ts
   * const stop = new AbortController()
   * process.once('SIGTERM', () => stop.abort())
   * try {
   *   for await (const item of queue.scanForever({ signal: stop.signal })) {
   *     await work(await item.text())
   *     await item.done()
   *   }
   * } catch (error) {
   *   if (!stop.signal.aborted) throw error
   * }
   * ```
   */
  scanForever(options: ScanForeverOptions = {}): AsyncGenerator<WorkItem, void, undefined> {
    return scanQueue(this.#context, this.#scans, options, true)
  }

  /**
   * Checks an item of a scan by the parsers of the queue, as a worker does before it runs the handler. The item stays claimed, whether it
   * is valid or not.
   *
   * @returns The same item. It now has {@link WorkItem.body | body} and {@link WorkItem.args | args} as the parsers gave them.
   * @throws {@link PayloadError} if the item is not valid; or as {@link WorkItem.text}.
   * @example
   * ```ts
   * const queue = new Queue('mail', { body: (value) => ({ to: String(value) }) })
   * for await (const item of queue.scan()) {
   *   const { body } = await queue.parse(item)
   *   console.log(body.to)
   *   await item.done()
   * }
   * ```
   */
  async parse(item: WorkItem): Promise<ItemOf<T>> {
    const error = this.#parsers === undefined ? undefined : await parseItem(item, this.#parsers)
    if (error !== undefined) throw error
    return item as ItemOf<T>
  }

  /**
   * Works the items of the queue as they come: claims each, runs the handler, and moves the item as the handler ends. It is done when the
   * handler returns, and tried again when the handler throws, after a delay that grows from try to try. The last try that fails moves it
   * to fail/; so does a {@link PermanentFailure}. A {@link RetryLater} gives the item back untried. An item that does not fit the parsers
   * of the queue goes to fail/ unrun.
   *
   * The worker runs until {@link Worker.close}, also while the queue is down, and after the queue was removed and installed anew. It
   * tells by events what it does. Its own errors never end it.
   *
   * Set `maxTries`, here or as `FSQ_MAX_TRIES`: by default an item has one try.
   *
   * @param handler - Called with the item and its context. Its result, awaited, is not used.
   * @returns The worker, which has begun to claim.
   * @throws {@link SettingError}; {@link QueueMissingError}, {@link NotAQueueError}, {@link NetworkFileSystemError},
   * {@link QueueClosedError} or a file system error; the reason of the signal, if that is aborted already.
   * @example
   * ```ts
   * const worker = await queue.work(
   *   async (item, { signal }) => {
   *     await fetch('https://example.org/hook', { method: 'POST', body: await item.text(), signal })
   *   },
   *   { concurrency: 8, maxTries: 5, timeout: 30_000, closeOn: ['SIGTERM', 'SIGINT'] },
   * )
   * worker.on('failed', ({ id, reason, error }) => console.error(id, reason, error))
   * ```
   */
  work(handler: Handler<ItemOf<T>>, options?: WorkOptions<ItemOf<T>>): Promise<Worker<ItemOf<T>>>
  /**
   * Works the items of the queue in child processes: for handlers that compute for long, or that may end their process. Each child imports
   * the module, opens the queue with the settings of this handle, and works it as a worker of its own. A child that dies is replaced.
   *
   * @param module - Its default export is the handler. It may export a `backoff` function, too. The parsers of a typed queue cannot be passed to
   * another process: the module exports them as `body` and `args`.
   * @param options - `processes`: how many. `killAfter`: milliseconds after the `timeout` until a child whose handler still runs is killed.
   * @returns The worker of all children. Its events have descriptions of the items, which only the children can finish.
   * @throws As with a handler; {@link WorkerProcessError} if no child can import the module.
   * @example
   * ```ts
   * const worker = await queue.work(new URL('./handler.js', import.meta.url), {
   *   processes: 4,
   *   timeout: 30_000,
   *   closeOn: ['SIGTERM', 'SIGINT'],
   * })
   * worker.on('error', (error) => console.error(error))
   * ```
   */
  work(module: URL, options: ProcessOptions): Promise<Worker<RemoteItem>>
  async work(
    handler: Handler<ItemOf<T>> | URL,
    options: WorkOptions<ItemOf<T>> | ProcessOptions = {},
  ): Promise<Worker<ItemOf<T>> | Worker<RemoteItem>> {
    checkGoTogether(handler, options)
    const queue = this.worked
    // checkGoTogether() has found that a module has the options of one.
    if (isModule(handler)) return workInProcesses(queue, handler, options as ProcessOptions)
    // The engine knows items, not their shapes.
    const worker: unknown = await workQueue(queue, handler as Handler<WorkItem>, options as WorkOptions)
    return worker as Worker<ItemOf<T>>
  }

  /**
   * Pushes the items of this queue to a queue on another machine, as they come: `push()` of `fsq/remote`, which is loaded at the first call. An item
   * that has arrived is done here. While the receiver is away, items wait, and no try is counted.
   *
   * @param url - `http://`, `https://` or `unix://` of `fsq jsonrpcd` or of a server with `receiver()`.
   * @returns The forwarder, which has begun to claim.
   * @throws As {@link forward}.
   * @example
   * ```ts
   * const forwarder = await queue.push('https://edge:secret@example.org:8181', { queue: 'orders', closeOn: ['SIGTERM'] })
   * ```
   */
  async push(url: string | URL, options: PushOptions = {}): Promise<Forwarder> {
    // It needs node:http, which takes longer to load than all of this package.
    const { push } = await import('#remote')
    return push<Forwarder>(this, url, options)
  }

  /**
   * Lists items in FIFO order, without claiming or locking anything. Skips files whose names are not those of items.
   */
  items(options: ItemsOptions = {}): AsyncGenerator<ListedItem, void, undefined> {
    return this.#lister.items(options)
  }

  /**
   * Finds an item by its id or by its key, in any directory of the queue, even after its tries have changed. Locks nothing.
   *
   * @returns `undefined`: there is no such item.
   */
  async find(idOrKey: string): Promise<ListedItem | undefined> {
    return this.#lister.find(idOrKey)
  }

  /** Counts the files in the directories of the queue, without locking anything. */
  async counts(): Promise<Counts> {
    return this.#lister.counts()
  }

  /**
   * Whether queue/ has no file: no item is waiting, delayed or being worked on. Cheap, however many items there are. Locks nothing.
   *
   * @throws {@link QueueMissingError}, {@link NotAQueueError} or a file system error.
   */
  async isEmpty(): Promise<boolean> {
    return this.#lister.isEmpty()
  }

  /**
   * Counts the items of the queue, their ages, and the items that were done and have failed lately. Looks at every file, which takes
   * seconds for a million files, without blocking the event loop. Locks nothing. On a network file system, other threads look.
   *
   * @throws {@link QueueMissingError}, {@link NotAQueueError}, {@link QueueClosedError} or a file system error.
   * @example
   * ```ts
   * const { waiting, working, oldestAge, failed } = await queue.stats()
   * if ((oldestAge ?? 0) > 3_600_000 || failed.lastHour > 100) await alarm({ waiting, working, failed })
   * ```
   */
  async stats(): Promise<Stats> {
    return statsOf(this.#directory, this.#settings)
  }

  /**
   * Reads the attempts of an item that have not succeeded, the oldest first: why each failed, and which workers died with the item in
   * hand. Only workers of `queue.work()` and `fsq scan` write them down. They stay until the item is pruned, removed or discarded; of very many
   * attempts, the last ones.
   *
   * @throws {@link SettingError}; {@link EncodingError} for a text that no name can have; {@link QueueClosedError} or a file system error.
   * @example
   * ```ts
   * for (const { at, outcome, error } of await queue.attempts(id)) console.log(at, outcome, error?.message)
   * ```
   */
  async attempts(idOrKey: string): Promise<readonly Attempt[]> {
    this.#directory.checkOpen()
    return attemptsOf(this.#directory, this.#settings, idOrKey)
  }

  /**
   * Lists the workers that live, on all hosts that share the queue, and what each has in hand. Workers without a file in meta/, such as
   * those of other languages, show by the locks that they hold, if the system tells. Locks no item.
   *
   * @throws {@link QueueMissingError}, {@link NotAQueueError}, {@link QueueClosedError} or a file system error.
   * @example
   * ```ts
   * for (const { host, pid, items } of await queue.workers()) console.log(host, pid, items.map(({ key, since }) => [key, since]))
   * ```
   */
  async workers(): Promise<readonly WorkerInfo[]> {
    return workersOf(this.#directory, this.#settings)
  }

  /**
   * Resolves when an item is done, has failed for good, or is gone, by whichever process; at once if that has happened before. Locks
   * nothing.
   *
   * @param options - `signal`: its abort ends the wait.
   * @throws {@link SettingError}; {@link EncodingError} for a text that no name can have; the reason of the `signal`;
   * {@link QueueClosedError} if this handle is closed meanwhile; {@link QueueMissingError}, {@link NotAQueueError} or a file system error.
   * @example
   * ```ts
   * const id = await queue.enqueue('data')
   * const end = await queue.finished(id, { signal: AbortSignal.timeout(60_000) })
   * if (end.state === 'failed') console.error(end.attempts.at(-1)?.error?.message)
   * ```
   */
  async finished(idOrKey: string, options: FinishedOptions = {}): Promise<Finished> {
    return finished(this.#directory, this.#settings, idOrKey, options)
  }

  /** @internal The parts of this handle that a worker uses. */
  get worked(): WorkedQueue {
    return {
      context: this.#context,
      scans: this.#scans,
      hasMaxTries: this.#hasMaxTries,
      parsers: this.#parsers,
      register: (worker: Worker<unknown>) => this.#register(worker),
    }
  }

  /** @internal A journal of a worker of this queue, open: what the worker has in hand is marked if it dies. */
  openGuard(options: GuardOptions): Guard {
    const guard = new Guard(this.#context, options)
    guard.open()
    return guard
  }

  /**
   * Moves failed items back to queue/, one after the other, in FIFO order. Safe beside running workers and beside another redrive: each
   * item moves once, and never replaces another one.
   *
   * @param filter - The items that meet all given conditions, or `'all'`.
   * @param options - `from: 'done'` moves done items instead. `tries: 'keep'` keeps the number of tries; the default, `'reset'`, sets it to 0. `delay`: milliseconds until the items
   * are due; an item that belongs to another user is due at once, and reported as `undelayed`. `signal`: its abort ends the call
   * between two items.
   * @returns How many items have moved, and how many had left fail/ meanwhile.
   * @throws {@link SettingError}, also for a filter without conditions; {@link EncodingError} for an id that no item can have; the
   * reason of the `signal`; {@link QueueMissingError}, {@link NotAQueueError}, {@link QueueClosedError} or a file system error. The
   * items that have moved before stay in queue/.
   * @example
   * ```ts
   * await queue.redrive({ argument: 'mail', olderThan: 3_600_000 }, { delay: 60_000 })
   * await queue.redrive({ error: 'ECONNREFUSED', limit: 10 })
   * await queue.redrive('all')
   * ```
   */
  async redrive(filter: FailedFilter | 'all', options: RedriveOptions = {}): Promise<Redriven> {
    return redrive(this.#directory, this.#settings, this.#context.reporter, filter, options)
  }

  /**
   * Removes done and failed items above a limit of age or number. Safe beside running workers: it never touches items in queue/.
   *
   * @param keep - `done` and `failed`: the items to keep, as `age` in milliseconds and `count`. A directory without a limit keeps all.
   * @returns How many items were removed.
   * @throws {@link SettingError}, also if there is no limit at all; {@link QueueMissingError}, {@link NotAQueueError},
   * {@link QueueClosedError} or a file system error, after which some items may have been removed.
   * @example
   * ```ts
   * await queue.prune({ done: { age: 7 * 86_400_000 }, failed: { count: 10_000 } })
   * ```
   */
  async prune(keep: PruneKeep): Promise<{ removed: number }> {
    return prune(this.#directory, this.#settings, keep)
  }

  /**
   * Looks for problems: files left by crashes, malformed names, wrong modes and owners, directories on other mounts, clocks that differ,
   * items past their TTL. Works even on a queue that lacks a directory. Changes and locks nothing.
   *
   * @throws {@link QueueMissingError}, {@link QueueClosedError} or a file system error.
   * @example
   * ```ts
   * for await (const { path, message, fix } of queue.audit()) console.log(path, message, fix?.action)
   * ```
   */
  audit(): AsyncGenerator<Finding, void, undefined> {
    return audit(this.#directory, this.#settings)
  }

  /**
   * Makes the fixes that {@link audit} proposes: removes files that crashed enqueues left in tmp/ more than 36 hours ago, moves malformed
   * and expired items to fail/, corrects modes and owners. Safe beside running workers: it moves an item only under the item's lock.
   *
   * @param options - `dryRun: true` changes nothing.
   * @returns The findings that are mended, and those that are not, each with the reason. All of them are held in memory.
   * @throws {@link SettingError}, {@link QueueMissingError}, {@link QueueClosedError} or a file system error. A finding that cannot be
   * mended is not an error.
   * @example
   * ```ts
   * const { mended, unmended } = await queue.repair()
   * for (const { path, message, reason } of unmended) console.error(`${path} ${message}: ${reason}`)
   * ```
   */
  async repair(options: RepairOptions = {}): Promise<Repaired> {
    return repair(this.#directory, this.#settings, options)
  }

  /**
   * Forbids scans of this queue by any process, until {@link up}. Workers finish the items that they have in hand. Scans of this process hand
   * out no more items; those of other processes stop within 10 ms.
   */
  async down(): Promise<void> {
    this.#directory.checkOpen()
    await makeDown(this.#layout, this.#settings)
  }

  /** Allows scans again. */
  async up(): Promise<void> {
    this.#directory.checkOpen()
    await removeDown(this.#layout)
  }

  /** Whether scans of the queue are forbidden, which means that the file `down` exists, in the queue of a host or in the queue itself. */
  async isDown(): Promise<boolean> {
    this.#directory.checkOpen()
    const { parent } = this.#layout
    return (await isQueueDown(this.#layout)) || (parent !== undefined && (await isQueueDown(parent)))
  }

  /**
   * Makes the trigger, a FIFO: a byte written to it wakes a waiting loop ({@link scanForever}), in any language. The trigger belongs to
   * `queueUser` and `queueGroup`, and has the mode `itemMode`, as the one that `Queue.install()` makes: with 0640 only its owner may pull it, with 0660
   * its group, too.
   *
   * @throws {@link TriggerError} if another kind of file has its name; {@link QueueMissingError}, {@link NotAQueueError} or a file
   * system error.
   */
  async trigger(): Promise<void> {
    this.#directory.checkOpen()
    await makeTrigger(this.#layout, this.#settings, this.#directory.calls)
  }

  /** Removes the trigger, if there is one. */
  async untrigger(): Promise<void> {
    this.#directory.checkOpen()
    await removeTrigger(this.#layout, this.#directory.calls)
  }

  /**
   * Pulls the trigger: one of the waiting loops looks for items. It looks at once if the kernel does not notify it of changes, else within
   * about a second. A loop that is notified of changes starts new items without the trigger.
   *
   * @param options - `ignoreListener: true`: it is no error if no loop listens.
   * @throws {@link TriggerError} if there is no trigger, or if no loop listens.
   */
  async triggerPull(options: PullOptions = {}): Promise<void> {
    this.#directory.checkOpen()
    await pullTrigger(this.#layout, options, this.#directory.calls)
  }

  /**
   * The queue of a host: a queue like any other, below this one. {@link distribute} gives each host a copy of each item. While
   * this queue is down, those of its hosts are not scanned either. Its trigger is that of all hosts of this queue.
   *
   * @param name - The name of the host, which is a label only. Whether there is such a host shows at the first use.
   * @returns A handle of its own, with the options of this one. Close it, too.
   * @throws {@link QueueNameError}
   * @example
   * ```ts
   * const worker = await queue.host('berlin').work(async (item) => console.log(await item.text()))
   * ```
   */
  host(name: string): Queue<T> {
    const options: QueueOptions<T> & HostOptions = { ...this.#options, [PARENT]: this.#layout }
    return newQueue<T>(name, options)
  }

  /**
   * The names of the hosts of this queue, sorted.
   *
   * @throws {@link QueueMissingError}, {@link NotAQueueError} or a file system error.
   */
  async hosts(): Promise<string[]> {
    this.#directory.checkOpen()
    return hostsOf(this.#layout, this.#settings)
  }

  /**
   * Adds a host. Its queue appears complete, or not at all; its workers claim items as those of this queue do.
   *
   * @param options - `force: true` replaces an existing host with all its items.
   * @returns A handle on its queue, as {@link host} gives it.
   * @throws {@link QueueNameError}; {@link QueueExistsError} if there is such a host; {@link QueueMissingError}, {@link NotAQueueError} or a
   * file system error.
   */
  async addHost(name: string, options: AddHostOptions = {}): Promise<Queue<T>> {
    checkOptions('addHost', options, ['force'])
    this.#directory.checkOpen()
    await addHost(this.#layout, name, this.#settings, options)
    return this.host(name)
  }

  /**
   * Removes a host with its done and failed items.
   *
   * @param options - `force: true` removes waiting items, too.
   * @throws {@link QueueNotEmptyError} if items wait there or are worked on: the host stays as it was. {@link QueueMissingError},
   * {@link NotAQueueError} or a file system error. {@link NotDurableError}: the host has been removed, but a power cut may undo that.
   */
  async removeHost(name: string, options: UninstallOptions = {}): Promise<void> {
    checkOptions('removeHost', options, ['force'])
    this.#directory.checkOpen()
    await removeHost(this.#layout, name, this.#settings, options)
  }

  /**
   * Gives each waiting item to all hosts, under the same name: a copy for each. An item moves to done/ when every host has it; until then it
   * stays in queue/, and no try is counted. Hosts that are down get their items, too.
   *
   * A call that dies half-way does no harm: the next one gives each host what it lacks. A host that has an item in queue/, done/ or fail/ does
   * not get it again, whatever its tries; so do not prune a host to nothing while items wait here. One call at a time distributes a queue,
   * and others wait for it.
   *
   * @param options - `hosts`: some hosts only. `link`: hard links instead of copies. `keep`: leaves the items in queue/. `trigger`: pulls the
   * trigger of the hosts. `maxTries`, `ttl` and `onReport` are those of {@link scan}.
   * @returns How many items all hosts have, how many are left, and what kept hosts from taking them.
   * @throws {@link QueueMissingError} if there is no host, or not one of these; {@link QueueDownError}; {@link SettingError}; the reason of the
   * `signal`; {@link FinishError} or a file system error.
   * @example
   * ```ts
   * const { left, errors } = await queue.distribute({ trigger: true })
   * for (const [host, error] of errors) console.error(`${host}: ${error.message} (${left} items wait)`)
   * ```
   */
  async distribute(options: DistributeOptions = {}): Promise<Distributed> {
    return distribute(this.#context, this.#scans, options)
  }

  /** @internal {@link distribute} for the command, which tells of each item. */
  async distributeFor(options: DistributeOptions, hooks: DistributeHooks): Promise<Distributed> {
    return distribute(this.#context, this.#scans, options, hooks)
  }

  /**
   * Removes the queue with all its done and failed items, and closes this handle. A closed handle can do this, too.
   *
   * @param options - `force: true` removes waiting items, too.
   * @throws {@link QueueNotEmptyError} if items are waiting: the queue stays as it was, and the handle stays open.
   * {@link NotDurableError}: the queue has been removed and the handle is closed, but a power cut may undo the removal.
   */
  async uninstall(options: UninstallOptions = {}): Promise<void> {
    checkOptions('uninstall', options, ['force'])
    try {
      await uninstallQueue(this.#layout, this.#settings, options)
    } catch (error) {
      // The queue is gone then, too.
      if (error instanceof NotDurableError) await this.close()
      throw error
    }
    await this.close()
  }

  /**
   * Closes the workers of this handle, releases all its claims, and closes the handle when the calls in flight have ended. After that,
   * every method except {@link uninstall} throws a {@link QueueClosedError}. Harmless if the handle is closed already.
   *
   * It waits for the handlers of workers as {@link Worker.close} does. An item whose handler still runs then stays claimed until the
   * handler ends, which moves it, or until the process ends.
   *
   * @param options - `force: true` releases those items, too.
   * @throws {@link SettingError}
   */
  async close(options: QueueCloseOptions = {}): Promise<void> {
    checkOptions('close', options, ['force'])
    const { force = false } = options
    checkFlag('force', force)
    this.#isClosing = true
    const workers = [...this.#workers]
    // Without workers, the claims are released before this call returns.
    const left = workers.length === 0 ? [] : (await Promise.all(workers.map(closeWorker))).flat()
    for (const item of left) item.outlive(!force)
    if (force) for (const worker of workers) worker.abandon()
    this.#directory.close()
    await this.#context.claims.close()
    const retire = async (): Promise<void> => {
      await this.#directory.retireWorkers()
      this.#directory.closeDescriptors()
    }
    // The lock on the directory of this worker holds the items that are left, too.
    if (force || left.length === 0) await retire()
    else void Promise.all(workers.map(({ gone }) => gone)).then(retire)
  }

  /**
   * @internal Closes the descriptors, unless items are claimed or scanned through them; the next use opens the queue again. For a
   * caller that knows that nothing else is in flight.
   *
   * @returns Whether it closed them.
   */
  [suspend](): boolean {
    const isIdle = this.#context.claims.isIdle && this.#scans.isIdle
    if (isIdle) this.#directory.closeDescriptors()
    return isIdle
  }

  /** @internal Suspends once the running loops have ended. If they leave items claimed, the garbage collector closes the descriptors. */
  [suspendLater](): void {
    void this.#scans.idle().then(() => this[suspend]())
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspected('Queue', { name: this.name, path: this.path }, depth, options)
  }

  get #traced(): { readonly layout: Layout; readonly settings: Settings } {
    return { layout: this.#layout, settings: this.#settings }
  }

  #register(worker: Worker<unknown>): void {
    if (this.#isClosing) throw this.#directory.closedError()
    this.#workers.add(worker)
    void worker.gone.then(() => this.#workers.delete(worker))
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** @returns The items of this handle whose handlers still run. Those of child processes are not claimed by it. */
async function closeWorker(worker: Worker<unknown>): Promise<readonly WorkItem[]> {
  const { left } = await worker.close()
  return left.filter((item) => item instanceof WorkItem).filter((item) => worker.handles(item))
}

// Bundlers rename a class that refers to itself by its name.
function newQueue<T extends Shape>(name: string, options: QueueOptions<T>): Queue<T> {
  return new Queue<T>(name, options)
}

function checkAreSettings(options: unknown): void {
  if (typeof options === 'object' && options !== null) return
  throw new SettingError('options', options, 'an object of settings')
}
