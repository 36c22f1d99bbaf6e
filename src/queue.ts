/**
 * A queue, as one process sees it.
 *
 * @module
 */
import { Claims } from './item/claims.js'
import { QueueDirectory } from './directory/open-directory.js'
import { isQueueDown, makeDown, removeDown } from './directory/down.js'
import {
  type EnqueueEntry,
  type EnqueueManyOptions,
  type EnqueueOptions,
  type EnqueueSyncOptions,
  Enqueuer,
} from './enqueue/enqueuer.js'
import { Finisher } from './item/moves.js'
import {
  type InstallOptions,
  type UninstallOptions,
  installQueue,
  uninstallQueue,
} from './directory/install.js'
import type { ItemContext, WorkItem } from './item/work-item.js'
import { type Layout, type QueuePaths, layoutOf, pathsOf } from './directory/layout.js'
import { type Finding, audit } from './inspect/audit.js'
import { type Counts, type ItemsOptions, type ListedItem, Lister } from './inspect/lister.js'
import { type Stats, statsOf } from './inspect/stats.js'
import { type PruneKeep, prune } from './maintain/prune.js'
import { type FailedFilter, type Redriven, type RedriveOptions, redrive } from './maintain/redrive.js'
import { type RepairOptions, type Repaired, repair } from './maintain/repair.js'
import type { NameArgument } from './name/codec.js'
import { checkTimestampFormat } from './name/timestamp.js'
import { NotDurableError, SettingError } from './errors/classes.js'
import { checkOptions } from './options.js'
import type { Payload } from './enqueue/payload.js'
import { InFlight } from './in-flight.js'
import { type ReportListener, Reporter } from './report.js'
import { type ScanForeverOptions, type ScanOptions, scanQueue } from './scan/scan.js'
import { type SettingOverrides, type Settings, resolveSettings } from './settings.js'

import { type PullOptions, makeTrigger, pullTrigger, removeTrigger } from './directory/trigger.js'

/** Settings that this handle has for itself, and who hears of its reports. */
export interface QueueOptions extends SettingOverrides {
  /**
   * Hears of malformed, expired, foreign and unreadable files, once each; left out, each is a warning of the process. What
   * it throws ends the scan that had something to report.
   */
  readonly onReport?: ReportListener | undefined
}

/**
 * A handle on a queue. Making one touches no file; the directory is opened at the first use, and kept open.
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
 */
export class Queue {
  readonly #layout: Layout
  readonly #settings: Settings
  readonly #directory: QueueDirectory
  readonly #context: ItemContext
  readonly #enqueuer: Enqueuer
  readonly #lister: Lister

  /**
   * @param name - Not empty, without `/` and NUL, at most 255 bytes, and not starting with `.`.
   * @throws {@link QueueNameError} or {@link SettingError}. Whether there is such a queue shows at the first use.
   */
  constructor(name: string, options: QueueOptions = {}) {
    checkAreSettings(options)
    const { onReport, ...overrides } = options
    this.#settings = resolveSettings(overrides)
    checkTimestampFormat(this.#settings)
    this.#layout = layoutOf(name, this.#settings)
    this.#directory = new QueueDirectory(this.#layout, this.#settings)
    this.#context = {
      directory: this.#directory,
      settings: this.#settings,
      claims: new Claims(),
      finisher: new Finisher(this.#directory, this.#settings),
      pending: new InFlight(),
      scans: new InFlight(),
      reporter: new Reporter(this.#layout, onReport),
      releasing: new Set(),
    }
    this.#enqueuer = new Enqueuer(this.#directory, this.#settings, this.#context.reporter)
    this.#lister = new Lister(this.#directory, this.#settings)
  }

  /**
   * Makes a queue: its directories, with owner and mode, appear complete and durable under its name, or not at all (fsq
   * standard, section 1).
   *
   * @param options - `force: true` replaces a queue that is there, with all its items. `lockKind: 'fcntl'` has its workers
   * lock items by fcntl instead of flock.
   * @returns A handle on it.
   * @throws {@link QueueExistsError} if something has the name, {@link QueueMissingError} if there is no `root`,
   * {@link NotAQueueError} if `force` would replace something else than a queue, {@link NetworkFileSystemError} unless that
   * is allowed, or a file system error.
   */
  static async install(name: string, options: QueueOptions & InstallOptions = {}): Promise<Queue> {
    checkAreSettings(options)
    const { force, lockKind, ...rest } = options
    const queue = newQueue(name, rest)
    await installQueue(queue.#layout, queue.#settings, { force, lockKind })
    return queue
  }

  /** Its name below the root. */
  get name(): string {
    return this.#layout.name
  }

  /** The absolute path of the queue. */
  get path(): string {
    return this.#layout.path
  }

  /** The absolute paths of its four directories, for tools that look at files. */
  get paths(): QueuePaths {
    return pathsOf(this.#layout)
  }

  /** The settings of this handle. */
  get settings(): Settings {
    return this.#settings
  }

  /**
   * Adds an item (fsq standard, section 3). It can be seen only when it is complete, and it is durable, as far as the
   * setting `durability` promises, when this resolves.
   *
   * @param data - Its contents. Bytes are taken as they are at the call; a stream is read to its end, and let go of whatever
   * happens.
   * @param args - Its arguments. They share the 255 bytes of a file name: keep them short.
   * @param options - `delay`: milliseconds until it is due. `signal`: gives up, with nothing left of the item.
   * `trigger`: pull the trigger then (setting `useTrigger`).
   * @returns The id of the item.
   * @throws {@link PayloadError}, {@link EncodingError} or {@link NameTooLongError} for what cannot be an item,
   * {@link QueueMissingError}, {@link NotAQueueError}, {@link NetworkFileSystemError}, {@link SettingError}, or a file
   * system error: nothing has been added. The signal's reason. {@link NotDurableError}: the item has been added, and must not be
   * added again.
   * @example
   * ```ts
   * const id = await queue.enqueue({ json: { to: 'a@example.org' } }, ['mail'], { delay: 60_000 })
   * await queue.enqueue(request, ['upload'], { signal: AbortSignal.timeout(60_000) })
   * ```
   */
  async enqueue(data: Payload, args?: readonly NameArgument[], options?: EnqueueOptions): Promise<string> {
    return this.#enqueuer.enqueue(data, args, options)
  }

  /**
   * {@link enqueue}, on this thread, which waits for the disk. For scripts, and for items without durability. Takes no streams,
   * no Blobs and no pipes, which would have to be waited for.
   */
  enqueueSync(data: Payload, args?: readonly NameArgument[], options?: EnqueueSyncOptions): string {
    return this.#enqueuer.enqueueSync(data, args, options)
  }

  /**
   * Adds items in the order of the array, in few crossings into native code; streams are read one after the other. Not
   * atomic: each is added by itself.
   *
   * @param options - `signal`: gives up on those that are not in the queue yet.
   * @returns Their ids, in their order.
   * @throws {@link EnqueueManyError} if some could not be added; it has the outcome of each. A queue that is missing is an
   * error of its own, and so is a signal that was aborted before any item was in the queue: its reason.
   */
  async enqueueMany(entries: readonly EnqueueEntry[], options: EnqueueManyOptions = {}): Promise<string[]> {
    return this.#enqueuer.enqueueMany(entries, options)
  }

  /**
   * Claims the items that wait, one after the other, in FIFO order (fsq standard, section 4). Each is locked, checked and
   * yours until it is finished or released, also after the loop has gone on. Leaving the loop early releases the item that
   * it was left at, unless that is finished or being finished: where items are worked on beside the loop, leave it before
   * you hand one over, not after.
   *
   * One walk over what was waiting at its beginning; items held by others and those not due yet are passed by, and what a
   * worker that died gave back is found by the next scan. Malformed,
   * expired and exhausted items go to fail/ and are reported.
   *
   * With `wait: true` the loop goes on for ever (see {@link scanForever}).
   *
   * @throws {@link QueueDownError} if the queue is down, or comes down on the way; {@link QueueMissingError};
   * {@link QueueClosedError} if this handle is closed meanwhile; the reason of the `signal` once it is aborted;
   * {@link FinishError} while an item of this handle could not be finished; a file system error.
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
    return scanQueue(this.#context, options)
  }

  /**
   * {@link scan} with `wait: true`: hands out items as they come, until the signal is aborted or the loop is left. An item
   * that a worker loses by dying starts here within milliseconds. Whoever pulls the trigger of the queue wakes the loop.
   *
   * What throws ends it: a queue that comes down or is removed, too. Start it again when that is over.
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
    return scanQueue(this.#context, options, true)
  }

  /**
   * Lists items without claiming or locking anything, in FIFO order. Files whose names are not those of items are left
   * out.
   */
  items(options: ItemsOptions = {}): AsyncGenerator<ListedItem, void, undefined> {
    return this.#lister.items(options)
  }

  /**
   * Finds an item by its id, wherever it is, also after its tries have changed, or by its key. Locks nothing.
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
   * Whether no file is in queue/: nothing waits, nothing is delayed, and nothing is being worked on. Cheap, however many
   * there are; locks nothing.
   *
   * @throws {@link QueueMissingError}, {@link NotAQueueError} or a file system error.
   */
  async isEmpty(): Promise<boolean> {
    return this.#lister.isEmpty()
  }

  /**
   * Tells how many items the queue holds, how old they are, when the next one is due, and how many have been done and have failed
   * lately. Looks at every file, a million of them in seconds, and lets the event loop go on meanwhile. Locks nothing.
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
   * Moves failed items back to queue/, one after the other, in FIFO order. Safe beside running workers and beside another
   * redrive: each item moves once, and an item with the same name is never replaced.
   *
   * @param filter - Which ones: those that fit all that is given, or `'all'`.
   * @param options - `tries: 'keep'` leaves their tries as they are. `delay`: milliseconds from now until they are due; an item of
   * another user is due at once, and reported as `undelayed`. `signal`: ends the call between two items.
   * @returns How many wait again, and how many were not in fail/ any more.
   * @throws {@link SettingError}, also for a filter without a condition; {@link EncodingError} for an id that no item can have;
   * the reason of the `signal`; {@link QueueMissingError}, {@link NotAQueueError}, {@link QueueClosedError} or a file system
   * error. Items that have moved by then wait.
   * @example
   * ```ts
   * await queue.redrive({ argument: 'mail', olderThan: 3_600_000 }, { delay: 60_000 })
   * await queue.redrive('all')
   * ```
   */
  async redrive(filter: FailedFilter | 'all', options: RedriveOptions = {}): Promise<Redriven> {
    return redrive(this.#directory, this.#settings, this.#context.reporter, filter, options)
  }

  /**
   * Removes finished items: those that are too old, and those that are too many. Safe beside running workers: items in queue/ are
   * left alone.
   *
   * @param keep - What stays of done/ and of fail/. Without a limit for one of them, all of it stays.
   * @returns How many items have been removed.
   * @throws {@link SettingError}, also where there is no limit; {@link QueueMissingError}, {@link NotAQueueError},
   * {@link QueueClosedError} or a file system error. Items that have been removed by then are gone.
   * @example
   * ```ts
   * await queue.prune({ done: { age: 7 * 86_400_000 }, failed: { count: 10_000 } })
   * ```
   */
  async prune(keep: PruneKeep): Promise<{ removed: number }> {
    return prune(this.#directory, keep)
  }

  /**
   * Looks for what is not as it should be: files that crashes have left, names that are not those of items, wrong modes and
   * owners, directories on other mounts, clocks that differ, items past their TTL. Works on a queue that lacks a directory, too.
   * Changes and locks nothing.
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
   * Does what {@link audit} proposes: removes what crashed enqueues left in tmp/ more than 36 hours ago, moves malformed and expired
   * items to fail/, corrects modes and owners. Safe beside running workers: an item moves only under its lock.
   *
   * @param options - `dryRun: true` changes nothing.
   * @returns What has been mended, and what has not and why. Findings are held in memory until then.
   * @throws {@link SettingError}, {@link QueueMissingError}, {@link QueueClosedError} or a file system error. A single finding that
   * cannot be mended is no error.
   * @example
   * ```ts
   * const { mended, unmended } = await queue.repair()
   * for (const { path, message, reason } of unmended) console.error(`${path} ${message}: ${reason}`)
   * ```
   */
  async repair(options: RepairOptions = {}): Promise<Repaired> {
    return repair(this.#directory, this.#settings, options)
  }

  /** Forbids scans of this queue, by any process, until {@link up}. Items that are being worked on are not stopped. */
  async down(): Promise<void> {
    this.#directory.checkOpen()
    await makeDown(this.#layout, this.#settings)
  }

  /** Allows scans again. */
  async up(): Promise<void> {
    this.#directory.checkOpen()
    await removeDown(this.#layout)
  }

  /** Whether scans of the queue are forbidden: the file `down` exists. */
  async isDown(): Promise<boolean> {
    this.#directory.checkOpen()
    return isQueueDown(this.#layout)
  }

  /**
   * Makes the trigger, a FIFO: a byte written to it wakes a loop that waits ({@link scanForever}), in whatever language it
   * is. Of `queueUser` and `queueGroup`; whoever may read and write in directories of `queueMode` may listen and pull.
   *
   * @throws {@link TriggerError} if something else has its name; {@link QueueMissingError}, {@link NotAQueueError} or a file
   * system error.
   */
  async trigger(): Promise<void> {
    this.#directory.checkOpen()
    await makeTrigger(this.#layout, this.#settings)
  }

  /** Removes the trigger; nothing happens if there is none. */
  async untrigger(): Promise<void> {
    this.#directory.checkOpen()
    await removeTrigger(this.#layout)
  }

  /**
   * Pulls the trigger: one of the loops that wait looks for items, at once where the kernel does not notify it of changes, else
   * within about a second. Loops that are notified start new items without it.
   *
   * @param options - `ignoreListener: true`: it is no error if nobody listens.
   * @throws {@link TriggerError} if there is no trigger, or nobody listens.
   */
  async triggerPull(options: PullOptions = {}): Promise<void> {
    this.#directory.checkOpen()
    await pullTrigger(this.#layout, options)
  }

  /**
   * Removes the queue with all that is done and failed, and closes this handle. One that is closed already can do it, too.
   *
   * @param options - `force: true` removes waiting items, too.
   * @throws {@link QueueNotEmptyError} if items wait: the queue stays as it was, and so does the handle.
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
   * Releases at once all that this handle has claimed, and closes it when the claims and finishes that are under way have ended.
   * Whatever it is asked for after that is a {@link QueueClosedError}, but for {@link uninstall}. Harmless if it is closed already.
   */
  async close(): Promise<void> {
    const { claims, pending } = this.#context
    this.#directory.close()
    claims.releaseAll()
    await pending.idle()
    this.#directory.closeDescriptors()
  }

  /**
   * @internal Lets go of the descriptors, unless items are claimed or scanned through them; the next use opens the queue anew. For a
   * caller who knows that nothing else is under way.
   *
   * @returns Whether it has.
   */
  suspend(): boolean {
    const { claims, pending, scans } = this.#context
    const isIdle = claims.isEmpty && pending.isIdle && scans.isIdle
    if (isIdle) this.#directory.closeDescriptors()
    return isIdle
  }

  /** @internal {@link suspend}, once the loops that run have ended. What they leave claimed then is left to the garbage collector. */
  suspendLater(): void {
    void this.#context.scans.idle().then(() => this.suspend())
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

// A class that speaks of itself by its name gets another one by bundling.
function newQueue(name: string, options: QueueOptions): Queue {
  return new Queue(name, options)
}

function checkAreSettings(options: unknown): void {
  if (typeof options === 'object' && options !== null) return
  throw new SettingError('options', options, 'an object of settings')
}
