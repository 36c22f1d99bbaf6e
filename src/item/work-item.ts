/**
 * An item that this process has claimed: locked, with a valid name, and no other worker's until it is finished or released.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { Readable } from 'node:stream'
import { inspect } from 'node:util'

import type { Claim } from './claims.js'
import type { StreamOptions } from './content-stream.js'
import { Contents } from './contents.js'
import type { ItemContext } from './context.js'
import { Finish } from './finish.js'
import type { Limits } from './limits.js'
import type { Outcome, RetryLimit } from './outcome.js'
import { placePath } from '../directory/layout.js'
import { ContentError, FsqError } from '../errors/classes.js'
import { pathText } from '../name/charset.js'
import type { ParsedName } from '../name/item-name.js'
import { type ItemSummary, NamedItem } from './named-item.js'
import { type RetryDecision, decideRetry } from './retry.js'
import { Place } from '../addon/native.js'
import type { LogEntry } from '../addon/packing.js'
import { checkOptions, dueAfter } from '../options.js'
import { CLAIMED_DIRECTORY } from '../settings.js'
import type { Arguments } from '../schema/shape.js'
import { type FinishContext, contextOf, finishChannel, isTraced } from '../tracing.js'

/** Options of {@link WorkItem.retry}. */
export interface RetryOptions {
  /** Milliseconds until the item is due again. Default: 0. */
  readonly delay?: number | undefined
}

/** What the parsers of a queue made of an item; a part without a parser is not set. */
interface ParsedParts {
  readonly args: Arguments | undefined
  readonly body: { readonly value: unknown } | undefined
}

const CLAIM_ITEM =
  'Get claimed items from queue.work(handler) or queue.scan(). A test can use testQueue() of fsq/testing'

const RETRY_OPTIONS = ['delay'] as const

/** Options of {@link WorkItem.release}. */
export interface ReleaseOptions {
  /** Milliseconds until the item is due. Default: 0. */
  readonly delay?: number | undefined
}

const RELEASE_OPTIONS = ['delay'] as const

/** The place of an item after {@link WorkItem.retry}: back in queue/, or in fail/. */
export type RetryOutcome = 'waiting' | 'failed'

/**
 * A claimed item. It stays claimed until it is finished (done, fail, retry, discard) or released. The kernel releases it when this
 * process ends.
 *
 * `Body` and `Args` are the types of {@link WorkItem.body | body} and {@link WorkItem.args | args} as the parsers of a typed queue give them:
 * `WorkItem<Invoice>`, `WorkItem<Invoice, [userId: string]>`.
 */
export class WorkItem<Body = unknown, Args extends Arguments = readonly string[]> extends NamedItem<Args> {
  readonly #context: ItemContext
  readonly #limits: Limits
  readonly #claim: Claim
  /** @internal The journal that has the item written down as in hand. */
  heldBy: { end(items: readonly unknown[]): void } | undefined
  #contents: Contents | undefined
  #finish: Finish | undefined
  #decision: (RetryDecision & { readonly of: ParsedName }) | undefined
  /** What the parsers of the queue made of the item. */
  #read: ParsedParts | undefined

  /** @internal */
  constructor(context: ItemContext, claim: Claim, parsed: ParsedName, limits: Limits) {
    if ((context as ItemContext | undefined) === undefined)
      throw new FsqError('new WorkItem() makes no item', { advice: CLAIM_ITEM })
    super(parsed, context.settings)
    this.#context = context
    this.#claim = claim
    this.#limits = limits
    context.claims.keep(claim, this)
  }

  /** The arguments with which the item was enqueued; once an `args` parser has read them, what it made of them. */
  override get args(): Args {
    return this.#read?.args === undefined ? super.args : (this.#read.args as Args)
  }

  /**
   * The body, as the `body` parser of the queue made it from the contents. A worker parses each item before its handler runs. In a scan,
   * call {@link Queue.parse} first.
   *
   * @throws {@link ContentError} if no parser has read the contents.
   */
  get body(): Body {
    if (this.#read?.body !== undefined) return this.#read.body.value as Body
    throw new ContentError(`No parser has read the contents of the item ${inspect(this.id)}`, {
      advice:
        'Give the queue the option body and, in a scan, await queue.parse(item) first; or read them with json()',
    })
  }

  /** The size of the contents in bytes. */
  get size(): number {
    return this.#claim.file.size
  }

  override toJSON(): ItemSummary {
    return { ...super.toJSON(), size: this.size }
  }

  /** The path of the item's file while it is claimed. */
  get path(): string {
    const { layout } = this.#context.directory
    const name = pathText(this.parsed.raw)
    const worker = this.#claim.isRename ? this.#claim.worker : undefined
    if (worker === undefined) return placePath(layout, Place.queue, name)
    return path.join(layout.path, CLAIMED_DIRECTORY, pathText(worker), name)
  }

  /**
   * A fencing number, of an item in a queue whose claims are renames: each later claim of the item has a greater one. Hand it on to what the
   * work changes: a database, say, can refuse a smaller number than it has seen for this item, as of a worker whose machine was cut off. The
   * numbers of different items say nothing about each other.
   *
   * It is the time of the claim in microseconds, by the clock of the file system. Many of these clocks stand still for some milliseconds, so an
   * item goes back to the queue only once the clock has gone on since its claim. A clock that is set back makes later numbers smaller, and so
   * may another machine's clock on GlusterFS and CephFS, where each machine stamps files itself. `undefined` in other queues, which need none: there
   * a claim lasts as long as its process.
   */
  get claim(): number | undefined {
    return this.#claim.isRename ? this.#claim.file.claimedAt : undefined
  }

  /**
   * The descriptor of the item's file, for the stdin of a child process. Its offset is 0 until a child has read from it. The lock
   * belongs to this descriptor: do not close it, and do not finish the item before the child has ended. In a queue whose claims are renames,
   * the first use opens the file, on this thread, and the end of the claim closes it. If the claim is lost, the next finish or release does.
   *
   * @throws {@link ItemFinishedError} if the item is no longer claimed; {@link ClaimLostError} if the claim is lost, also where a descriptor
   * that was asked for before is still open.
   */
  get fd(): number {
    this.#claim.check('use the descriptor of')
    return this.#claim.lend()
  }

  /** @internal {@link fd}, beside this thread. */
  async openFd(): Promise<number> {
    this.#claim.check('use the descriptor of')
    return this.#claim.lendLater()
  }

  /** @internal Runs a call that reads from {@link fd}. A finish, a release and {@link Queue.close} close the descriptor after it. */
  async whileRead<Result>(read: () => Promise<Result>): Promise<Result> {
    return this.#claim.read(read)
  }

  /** Whether this object still has the claim on the item. */
  get claimed(): boolean {
    return this.#claim.isUsable
  }

  /**
   * Aborted when the claim is lost, because the handle of the queue was closed or this machine was cut off from a shared file system for
   * too long ({@link ClaimLostError}), and by {@link abort}. A worker ({@link Queue.work}) aborts
   * it at a timeout, and when it closes.
   */
  get signal(): AbortSignal {
    return this.#claim.signal
  }

  /** Aborts {@link signal}, and does nothing else: the item stays claimed. */
  abort(reason: unknown): void {
    this.#claim.abort(reason)
  }

  /** @internal The inode of the file, and when it was made. */
  async fileInfo(): Promise<fs.BigIntStats> {
    this.#claim.check('look at')
    const { descriptor } = this.#claim.file
    // The node:fs of Deno knows only descriptors that it has opened itself.
    if (descriptor >= 0 && !('deno' in process.versions)) return fs.fstatSync(descriptor, { bigint: true })
    const directory = Buffer.from(`${path.dirname(this.path)}/`)
    return fs.promises.lstat(Buffer.concat([directory, Buffer.from(this.parsed.raw, 'latin1')]), {
      bigint: true,
    })
  }

  /** @internal Whether the item was claimed because of an event: another worker may have died with it. */
  get cameByEvent(): boolean {
    return this.#claim.cameByEvent
  }

  /** @internal The next finish appends a line to the log of the item, ahead of its move. */
  logBeforeFinish(entry: LogEntry): void {
    this.#finishing().log = entry
  }

  /** How the item has left this worker's hands; `undefined`: it has not. */
  get outcome(): Outcome | undefined {
    if (this.#claim.state === 'released') return 'released'
    if (this.#claim.state === 'lost') return 'gone'
    return this.#claim.state === 'finished' ? this.#finish?.outcome : undefined
  }

  /** The finish in flight; `undefined`: there is none. */
  get finishing(): Promise<void> | undefined {
    return this.#claim.state === 'finishing' ? this.#finish?.lastRun : undefined
  }

  /** Why the next {@link retry} would move the item to fail/; `undefined`: it would not. */
  get retryLimit(): RetryLimit | undefined {
    return this.#retryDecision().limit
  }

  /**
   * The contents as bytes.
   *
   * @throws {@link ItemFinishedError} if the item is no longer claimed; {@link ContentError} if the contents are too large for one
   * value, or shorter than when the item was claimed; a file system error.
   */
  bytes(): Promise<Buffer> {
    return this.#readable().bytes()
  }

  /** The contents as text (UTF-8). Throws as {@link bytes}. */
  text(): Promise<string> {
    return this.#readable().text()
  }

  /**
   * The contents, parsed as JSON. Throws as {@link bytes}, and a SyntaxError if they are not JSON.
   */
  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T
  }

  /**
   * The contents as a stream of bytes, for items of any size. The stream reads by position, so the offset of {@link fd} stays 0. It
   * never closes the descriptor, and several streams may run at once. Read it to its end before finishing the item: a finish waits
   * for the read in flight, and the next read fails with {@link ItemFinishedError}. `Readable.toWeb()` turns it into a Web stream.
   *
   * @param options - `start` and `end`: the first and the last byte. `highWaterMark`: bytes a read. `signal`: destroys the stream.
   * @throws {@link ItemFinishedError} if the item is no longer claimed; {@link SettingError}. The stream fails as
   * {@link bytes} does.
   * @example
   * ```ts
   * await pipeline(item.stream(), zlib.createGzip(), fs.createWriteStream('copy.gz'))
   * await item.done()
   * ```
   */
  stream(options: StreamOptions = {}): Readable {
    return this.#readable().stream(options)
  }

  /**
   * Finishes the item after its work has succeeded: moves it to done/.
   *
   * @throws {@link FinishError} if the item cannot be moved. It stays claimed then, this handle hands out no more items, and the move is
   * tried again (after 100 ms, 200 ms ... 30 s) until it succeeds or the queue is closed.
   * @throws {@link ItemFinishedError} if the item was finished or released before.
   * @throws {@link ItemGoneError} if another process has moved or removed the file.
   * @throws {@link ClaimLostError} if this worker has lost the item, in a queue that several machines share.
   * @throws {@link NotDurableError} at durability 'full', if the item has moved, but a power cut may undo the move.
   */
  done(): Promise<void> {
    return this.#finishing().run({ action: 'done', place: Place.done, to: this.parsed.raw, due: 0 })
  }

  /** Finishes the item after its work has failed for good: moves it to fail/. Throws as {@link done}. */
  fail(): Promise<void> {
    return this.#finishing().run({ action: 'fail', place: Place.fail, to: this.parsed.raw, due: 0 })
  }

  /** Finishes the item after its work has succeeded, and keeps no trace: removes it. Throws as {@link done}. */
  discard(): Promise<void> {
    return this.#finishing().run({ action: 'discard', place: Place.tmp, to: this.parsed.raw, due: 0 })
  }

  /**
   * Gives the item back after its work has failed, to be tried again: its name counts one more try, and `item.id` is the new name. If
   * that reaches the limit of tries, or if the item is past its TTL, it goes to fail/ instead and keeps its name.
   *
   * The limit is 1 unless you set it (`maxTries`, `FSQ_MAX_TRIES`), as the standard requires: the first retry then fails the item.
   *
   * @param options - `delay`: milliseconds until the item is due again.
   * @returns `waiting`, or `failed` if the item went to fail/.
   * @throws As {@link done}; {@link SettingError}.
   * @example
   * ```ts
   * const queue = new Queue('a_queue', { maxTries: 5 })
   * if ((await item.retry({ delay: 60_000 })) === 'failed') console.error(`${item.id} has failed for good`)
   * ```
   */
  async retry(options: RetryOptions = {}): Promise<RetryOutcome> {
    checkOptions('retry', options, RETRY_OPTIONS)
    const due = dueAfter(options.delay)
    const { raw } = this.parsed
    const { to, limit } = this.#retryDecision()
    if (to !== undefined) {
      await this.#finishing().run({ action: 'retry', place: Place.queue, to, due })
      return 'waiting'
    }
    await this.#finishing().run({ action: 'retry', place: Place.fail, to: raw, due: 0 })
    if (limit === 'ungrowable') {
      this.#context.reporter.reportBeside(
        'ungrowable',
        raw,
        'cannot be tried again, because its name would be too long: moved to fail/',
      )
    }
    return 'failed'
  }

  /**
   * Gives the item back as it was, with no try counted. Does nothing if it is no longer claimed.
   *
   * @param options - `delay`: milliseconds until the item is due. Default: any worker can claim it at once. Only the owner of the file may
   * delay it: another user's item is due at once, and reported as `undelayed`.
   * @throws {@link SettingError}
   */
  release(options: ReleaseOptions = {}): void {
    checkOptions('release', options, RELEASE_OPTIONS)
    const due = dueAfter(options.delay)
    if (this.#claim.state === 'claimed' && isTraced(finishChannel)) this.#releaseTraced(due)
    else this.#release(due)
  }

  /** @internal After a {@link release}: resolves when the item is back in queue/, or cannot go there; `undefined`: at once. */
  get givingBack(): Promise<void> | undefined {
    return this.#claim.givingBack
  }

  /** @internal The parsers of the queue have read the item. */
  setParsed(parts: ParsedParts): void {
    this.#read = parts
  }

  /** @internal Whether the item stays claimed when its queue handle is closed, because its handler still runs. */
  outlive(does: boolean): void {
    this.#claim.outlives = does
  }

  /** Waits for the reads and the finish that the caller has begun, and releases the item unless it is finished. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#claim.reads, this.#finish?.lastRun])
    this.release()
  }

  /** @internal Whether the item has been removed by {@link discard}. */
  get isDiscarded(): boolean {
    return this.#claim.state === 'finished' && this.#finish?.action === 'discard'
  }

  #release(due: number): void {
    if (due !== 0 && this.#claim.state === 'claimed' && !this.#claim.isRename) this.#delay(due)
    // Once it is released, another worker may have it.
    if (this.#claim.state === 'claimed') this.heldBy?.end([this])
    this.#claim.releaseUntil(due)
  }

  #releaseTraced(due: number): void {
    const { layout } = this.#context.directory
    const context: FinishContext = { ...contextOf(this, layout), action: 'release' }
    finishChannel.traceSync(() => {
      this.#release(due)
      context.outcome = 'released'
    }, context)
  }

  #delay(due: number): void {
    try {
      fs.futimesSync(this.#claim.file.descriptor, Date.now() / 1000, due / 1000)
    } catch (error) {
      this.#context.reporter.reportBeside(
        'undelayed',
        this.#claim.name,
        `is due at once, because its time cannot be set: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  /** Of a queue without a TTL, it stays as it is until the item has another name. */
  #retryDecision(): RetryDecision {
    if (this.#limits.ttl === 0 && this.#decision?.of === this.parsed) return this.#decision
    const { parsed } = this
    this.#decision = { ...decideRetry(parsed, this.#limits, this.#context.settings), of: parsed }
    return this.#decision
  }

  #readable(): Contents {
    return (this.#contents ??= new Contents(this.#claim, this))
  }

  #finishing(): Finish {
    return (this.#finish ??= new Finish(this.#context, this.#claim, this))
  }
}
