/**
 * Putting items into a queue (fsq standard, section 3).
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import { ownerOf } from '../directory/owner.js'
import { Batcher } from '../addon/batcher.js'
import { BufferPool } from './buffer-pool.js'
import { MOST_REOPENINGS, type QueueDirectory, isStale } from '../directory/open-directory.js'
import {
  EncodingError,
  EnqueueAbortedError,
  EnqueueManyError,
  type EnqueueOutcome,
  FsqError,
  NameTooLongError,
  NotDurableError,
  PayloadError,
} from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'
import { systemError } from '../errors/system-error.js'
import { type RawName, fromRaw, toRaw } from '../name/charset.js'
import type { NameArgument } from '../name/codec.js'
import { nameSuffix } from '../name/item-name.js'
import { formatTimestamp } from '../name/timestamp.js'
import {
  type DraftHandle,
  type EnqueueFailure,
  type EnqueueResult,
  type ItemForm,
  type NativePayload,
  type QueueHandle,
  type StopHandle,
  isFailure,
  native,
} from '../addon/native.js'
import { Upload } from './upload.js'
import { awaitCompletions } from '../addon/completions.js'
import { checkFlag, checkOptions, checkSignal, dueAfter } from '../options.js'
import { type Payload, readPayload } from './payload.js'
import type { Settings } from '../settings.js'
import { Source } from './source.js'
import { Cancellation } from '../cancellation.js'
import type { Reporter } from '../report.js'
import { pullQuietly } from '../directory/trigger.js'
import { LONGEST_NAME } from '../name/limits.js'

/** How an item is added by a call that waits for it. */
export interface EnqueueSyncOptions {
  /** Milliseconds until the item is due; no worker takes it before. */
  readonly delay?: number | undefined
  /**
   * Whether to pull the trigger once the item is in the queue; left out: the setting `useTrigger`. It is fine if nobody
   * listens; any other trouble is reported, as the item is in the queue all the same.
   */
  readonly trigger?: boolean | undefined
}

/** How an item is added. */
export interface EnqueueOptions extends EnqueueSyncOptions {
  /**
   * Gives up: nothing of the item stays, and the call rejects with the signal's reason. Once the item has its name in the
   * queue it is too late: the call resolves with its id.
   */
  readonly signal?: AbortSignal | undefined
}

/** How items are added. */
export interface EnqueueManyOptions {
  /**
   * Gives up: the entries that are in the queue stay there, and the outcome of the others is an
   * {@link EnqueueAbortedError}. Where none is, the call rejects with the signal's reason.
   */
  readonly signal?: AbortSignal | undefined
}

/** One item for a bulk enqueue. */
export interface EnqueueEntry extends EnqueueSyncOptions {
  /** The contents; left out: none. */
  readonly data?: Payload
  /** The arguments; left out: none. */
  readonly args?: readonly NameArgument[]
}

type Result = EnqueueResult | FsqError

interface Named {
  readonly suffix: RawName
  readonly due: number
  readonly trigger: boolean
}

/** An item that native code can enqueue. */
interface Prepared extends Named {
  readonly payload: NativePayload
  readonly stop?: StopHandle | undefined
}

/** An item whose contents have to be read first. */
interface Streamed extends Named {
  readonly payload: Source
}

type Entry = Prepared | Streamed
type EnqueueCall = 'enqueue' | 'enqueueInLane' | 'enqueueBulk'

const { pid } = process
let knownHostName: string | undefined

// A system call each time otherwise, and a host does not change its name under a running process.
function hostName(): string {
  return (knownHostName ??= os.hostname())
}

const { ECANCELED } = os.constants.errno
const OPTIONS = ['delay', 'signal', 'trigger'] as const
const SYNC_OPTIONS = ['delay', 'trigger'] as const
const MANY_OPTIONS = ['signal'] as const
const ENTRY_KEYS = ['data', 'args', 'delay', 'trigger'] as const
// For all calls that leave them out.
const NO_ARGUMENTS: readonly NameArgument[] = Object.freeze([])
const NO_OPTIONS = Object.freeze({})
// Of items that are made durable together, and of others.
const BATCH_LIMIT = 256
const SMALL_BATCH = 16
const BULK_LIMIT = 1024
// Of a bulk that begins while it is read: the first part is small, to begin soon, and there are not many.
const FIRST_PART = 128
const EARLY_PARTS = 3

/** Adds items to one queue. */
export class Enqueuer {
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #reporter: Reporter
  readonly #copies = new BufferPool()
  readonly #isDurable: boolean
  readonly #batcher: Batcher<Prepared, Result>
  #form: ItemForm | undefined

  constructor(directory: QueueDirectory, settings: Settings, reporter: Reporter) {
    this.#directory = directory
    this.#settings = settings
    this.#reporter = reporter
    this.#isDurable = settings.durability !== 'none'
    this.#batcher = new Batcher(
      (entries) => this.#enqueueAll(entries, this.#isDurable ? 'enqueue' : 'enqueueInLane'),
      this.#isDurable ? BATCH_LIMIT : SMALL_BATCH,
      !this.#isDurable,
    )
  }

  async enqueue(
    data: Payload,
    args: readonly NameArgument[] = NO_ARGUMENTS,
    options: EnqueueOptions = NO_OPTIONS,
  ): Promise<string> {
    const entry = this.#prepare(data, args, options, checkAsyncOptions, this.#copies)
    const { signal } = options
    if (isStreamed(entry)) return this.#idOf(await this.#enqueueSource(entry, signal), entry)
    if (signal === undefined) return this.#idOf(await this.#enqueueReady(entry), entry)
    signal.throwIfAborted()
    const stop = new Cancellation(signal)
    try {
      const result = await this.#enqueueReady({ ...entry, stop: stop.handle })
      return this.#idOf(this.#unlessStopped(result, stop), entry)
    } finally {
      stop.end()
    }
  }

  enqueueSync(
    data: Payload,
    args: readonly NameArgument[] = NO_ARGUMENTS,
    options: EnqueueSyncOptions = NO_OPTIONS,
  ): string {
    const entry = this.#prepare(data, args, options, checkSyncOptions)
    if (isStreamed(entry)) {
      void entry.payload.stop()
      throw new PayloadError('The payload is read bit by bit, and enqueueSync cannot wait for that', {
        advice: 'Use enqueue, or write it into a file first and pass { path }',
      })
    }
    for (let attempt = 0; ; attempt++) {
      const handle = this.#directory.openSync()
      const result = native.enqueueSync(handle, this.#itemForm(), entry.suffix, entry.payload, entry.due)
      if (!isLost(result) || attempt === MOST_REOPENINGS) {
        if (entry.trigger) this.#pull([entry], [result])
        return this.#idOf(result, entry)
      }
      this.#directory.forget(handle)
    }
  }

  async enqueueMany(entries: readonly EnqueueEntry[], options: EnqueueManyOptions): Promise<string[]> {
    checkOptions('enqueueMany', options, MANY_OPTIONS)
    const { signal } = options
    checkSignal(signal)
    if (!Array.isArray(entries)) {
      throw new PayloadError(
        `The entries are ${inspect(entries, { depth: 0 })}, expected an array of { data, args }`,
      )
    }
    const prepared: (Entry | FsqError)[] = []
    const good: Entry[] = []
    const results: (Result | undefined)[] = []
    const stop = new Cancellation(signal)
    const running: Promise<void>[] = []
    let from = 0
    const begin = (part: readonly Entry[], overlaps: boolean): void => {
      const adding = this.#addPart(part, overlaps, stop, signal, results, from)
      adding.catch(() => undefined)
      running.push(adding)
      from += part.length
    }
    // What is in memory can be under way while the rest of it is read, which has to be done before this call returns.
    let early = !this.#isDurable && this.#form !== undefined && this.#directory.opened !== undefined
    for (const entry of entries as readonly EnqueueEntry[]) {
      const one = this.#prepareOrFail(entry)
      prepared.push(one)
      if (one instanceof FsqError) continue
      good.push(one)
      early &&= isInMemory(one) && stop.raised === undefined && running.length < EARLY_PARTS
      if (early && good.length - from === (from === 0 ? FIRST_PART : BULK_LIMIT))
        begin(good.slice(from), true)
    }
    try {
      stop.check()
      // No entry can be added without the queue and its settings, so one error says it better than one an entry.
      this.#itemForm()
      await this.#directory.open()
      let mayOverlap = true
      for (const part of partsOf(good.slice(from))) {
        // The next part of what is in memory is given to native code before the last one has ended, which takes them in order
        // all the same. What is durable waits for the disk anyway, and a file can be large.
        const overlaps = !this.#isDurable && part.every(isInMemory)
        while (running.length > (overlaps && mayOverlap ? 1 : 0)) await running.shift()
        begin(part, overlaps)
        mayOverlap = overlaps
      }
      await Promise.all(running)
    } finally {
      await Promise.allSettled(running)
      // Also those whose turn has not come.
      const left = Promise.all(good.filter(isStreamed).map(({ payload }) => payload.stop()))
      await stop.wait(left).catch(() => undefined)
      stop.end()
    }
    if (good.length === entries.length && results.every((result) => typeof result === 'string'))
      return results.map((id) => fromRaw(id, this.#settings.charset))
    this.#failMany(prepared, results, stop)
  }

  /** @throws What became of each entry; where all were given up, why. */
  #failMany(
    prepared: readonly (Entry | FsqError)[],
    results: readonly (Result | undefined)[],
    stop: Cancellation,
  ): never {
    let at = 0
    const outcomes = prepared.map((entry): EnqueueOutcome =>
      entry instanceof FsqError ? { error: entry } : this.#outcomeOf(results[at++], entry),
    )
    if (outcomes.every((outcome) => 'error' in outcome && outcome.error instanceof EnqueueAbortedError))
      stop.check()
    throw new EnqueueManyError(outcomes)
  }

  // The options are looked at after the data: a source that comes with bad ones is let go of, too.
  #prepare(
    data: Payload,
    args: readonly NameArgument[],
    options: EnqueueSyncOptions,
    check: (options: EnqueueSyncOptions) => void,
    copies?: BufferPool,
  ): Entry {
    const payload = readPayload(data, copies)
    try {
      check(options)
      const { delay, trigger: given } = options
      if (!Array.isArray(args)) {
        throw new EncodingError(`The arguments are ${inspect(args, { depth: 0 })}, expected an array of them`)
      }
      const fields = { pid, hostname: hostName(), tries: 0, args }
      const suffix = nameSuffix(fields, this.#settings)
      const due = dueAfter(delay)
      // All at once, and not by spreading what both kinds have, which V8 does the slow way.
      return { suffix, due, trigger: this.#pulls(given), payload } as Entry
    } catch (error) {
      if (payload instanceof Source) void payload.stop()
      throw error
    }
  }

  #pulls(given: boolean | undefined): boolean {
    if (given === undefined) return this.#settings.useTrigger
    checkFlag('trigger', given)
    return given
  }

  #prepareOrFail(entry: EnqueueEntry): Entry | FsqError {
    try {
      if (!isObject(entry)) checkEntry(entry)
      const { data = null, args = [] } = entry
      return this.#prepare(data, args, entry, checkEntry, this.#copies)
    } catch (error) {
      if (error instanceof FsqError) return error
      // From a getter of the caller's. Other entries may be on their way already, so it is the outcome of this one.
      return new PayloadError(`The entry cannot be read: ${inspect(error, { depth: 0 })}`, { cause: error })
    }
  }

  #itemForm(): ItemForm {
    const settings = this.#settings
    this.#form ??= native.newItemForm({
      delimiter: settings.delimiter.charCodeAt(0),
      escape: settings.encode.charCodeAt(0),
      timeFormat: settings.timefmt,
      utc: settings.utc,
      ...ownerOf(settings, 'item'),
      mode: settings.itemMode,
      durable: settings.durability !== 'none',
      plainSync: settings.sync === 'plain',
    })
    return this.#form
  }

  async #addPart(
    part: readonly Entry[],
    overlaps: boolean,
    stop: Cancellation,
    signal: AbortSignal | undefined,
    results: (Result | undefined)[],
    from: number,
  ): Promise<void> {
    const added = await this.#enqueuePart(part, overlaps ? 'enqueueBulk' : 'enqueue', stop, signal)
    for (const [index, result] of added.entries()) results[from + index] = result
  }

  /** One result an entry. */
  async #enqueuePart(
    part: readonly Entry[],
    call: EnqueueCall,
    stop: Cancellation,
    signal: AbortSignal | undefined,
  ): Promise<(Result | undefined)[]> {
    try {
      stop.check()
      const [first] = part
      if (first !== undefined && isStreamed(first)) return [await this.#enqueueSource(first, signal)]
      let ready = part as readonly Prepared[]
      if (signal !== undefined) ready = ready.map((entry) => ({ ...entry, stop: stop.handle }))
      const results = await this.#enqueueAll(ready, call)
      return results.map((result) => (isCancelled(result) ? aborted(stop) : result))
    } catch (error) {
      const { raised } = stop
      const shown = raised !== undefined && raised.reason === error ? aborted(stop) : toFsqError(error)
      return part.map(() => shown)
    }
  }

  async #enqueueReady(entry: Prepared): Promise<Result | undefined> {
    // A file can be large: it must not hold up the items that would share its batch.
    if (isInMemory(entry)) return this.#batcher.submit(entry)
    const [result] = await this.#enqueueAll([entry])
    return result
  }

  async #enqueueSource(entry: Streamed, signal: AbortSignal | undefined): Promise<Result | undefined> {
    const { payload: source, ...named } = entry
    const stop = new Cancellation(signal)
    const inflow = new Upload(source, stop, this.#directory)
    const closed = (): void => {
      stop.raise(this.#directory.closedError())
    }
    const unlisten = this.#directory.onClose(closed)
    try {
      stop.check()
      this.#checkFits(named.suffix)
      await this.#directory.open()
      const payload = await inflow.read(() => this.#openDraft(entry))
      const result = await this.#enqueueReady({ ...named, payload, stop: stop.handle })
      return this.#unlessStopped(result, stop)
    } finally {
      await inflow.end()
      unlisten()
      stop.end()
    }
  }

  async #openDraft(entry: Entry): Promise<DraftHandle> {
    for (let attempt = 0; ; attempt++) {
      const handle = await this.#directory.open()
      this.#directory.checkOpen()
      const draft = await native.openDraft(handle, this.#itemForm(), entry.suffix)
      if (!isFailure(draft)) return draft
      if (!isLost(draft) || attempt === MOST_REOPENINGS) throw this.#errorOf(draft, entry)
      this.#directory.forget(handle)
    }
  }

  // As far as can be told before its moment has come: a source is not read in vain.
  #checkFits(suffix: RawName): void {
    const bytes = formatTimestamp(Date.now(), this.#settings).length + '__0'.length + suffix.length
    if (bytes > LONGEST_NAME) throw new NameTooLongError(bytes, LONGEST_NAME)
  }

  #unlessStopped(result: Result | undefined, stop: Cancellation): Result | undefined {
    if (isCancelled(result)) stop.check()
    return result
  }

  /** One result an entry; those that met a directory that is gone are tried again in the one that took its place. */
  async #enqueueAll(entries: readonly Prepared[], call: EnqueueCall = 'enqueue'): Promise<Result[]> {
    let handle = this.#directory.opened ?? (await this.#directory.open())
    const ended = this.#enqueueInto(handle, entries, call)
    if (call === 'enqueueInLane') awaitCompletions()
    const results: Result[] = await ended
    for (let attempt = 0; attempt < MOST_REOPENINGS; attempt++) {
      if (!results.some(isLost)) break
      const lost = results.flatMap((result, index) => (isLost(result) ? [index] : []))
      this.#directory.forget(handle)
      try {
        handle = await this.#directory.open()
        const again = await this.#enqueueInto(
          handle,
          lost.map((index) => entries[index] as Prepared),
          call,
        )
        lost.forEach((index, position) => {
          results[index] = again[position] as Result
        })
      } catch (error) {
        // The result of these entries alone: others of their batch are in the queue, and must be told so.
        for (const index of lost) results[index] = toFsqError(error)
      }
    }
    for (const { payload } of entries) this.#copies.giveBack(payload)
    this.#pull(entries, results)
    return results
  }

  async #enqueueInto(
    handle: QueueHandle,
    entries: readonly Prepared[],
    call: EnqueueCall = 'enqueue',
  ): Promise<Result[]> {
    this.#directory.checkOpen()
    return native[call](
      handle,
      this.#itemForm(),
      entries.map(({ suffix }) => suffix),
      entries.map(({ payload }) => payload),
      entries.some(({ due }) => due !== 0) ? entries.map(({ due }) => due) : undefined,
      entries.some(({ stop }) => stop !== undefined) ? entries.map(({ stop }) => stop) : undefined,
    )
  }

  /** One pull for all that are in the queue now: whoever it wakes scans them all. */
  #pull(entries: readonly Prepared[], results: readonly Result[]): void {
    if (!entries.some(({ trigger }, index) => trigger && isAdded(results[index]))) return
    const { layout } = this.#directory
    const error = pullQuietly(layout)
    if (error === undefined) return
    const name = toRaw(this.#settings.trigger, 'utf8')
    this.#reporter.reportBeside('trigger', name, `was not pulled: ${error.message}`, error)
  }

  #outcomeOf(result: Result | undefined, entry: Entry): EnqueueOutcome {
    try {
      return { id: this.#idOf(result, entry) }
    } catch (error) {
      if (error instanceof FsqError) return { error }
      throw error
    }
  }

  #idOf(result: Result | undefined, entry: Entry): string {
    if (typeof result === 'string') return fromRaw(result, this.#settings.charset)
    if (result === undefined) throw new FsqError('The item was not enqueued')
    if (result instanceof FsqError) throw result
    throw this.#errorOf(result, entry)
  }

  #errorOf(failure: EnqueueFailure, { payload }: Entry): FsqError {
    const cause = systemError(this.#directory.located(failure))
    if (failure.name !== undefined)
      return new NotDurableError(fromRaw(failure.name, this.#settings.charset), { cause })
    if (failure.nameBytes !== undefined)
      return new NameTooLongError(failure.nameBytes, failure.nameLimit ?? LONGEST_NAME, { cause })
    if (isFile(payload) && isAboutSource(failure)) return sourceError(payload, cause)
    return this.#directory.error(failure, 'enqueue into')
  }
}

/** Runs of entries that native code can take at once; one that is streamed is alone. */
function* partsOf(entries: readonly Entry[]): Generator<readonly Entry[], void, undefined> {
  let part: Entry[] = []
  for (const entry of entries) {
    if (part.length > 0 && (part.length === BULK_LIMIT || isStreamed(entry))) {
      yield part
      part = []
    }
    part.push(entry)
    if (!isStreamed(entry)) continue
    yield part
    part = []
  }
  if (part.length > 0) yield part
}

function checkAsyncOptions(options: EnqueueOptions): void {
  checkOptions('enqueue', options, OPTIONS)
  checkSignal(options.signal)
}

function checkSyncOptions(options: EnqueueSyncOptions): void {
  checkOptions('enqueueSync', options, SYNC_OPTIONS)
}

function checkEntry(entry: EnqueueEntry): void {
  checkOptions('an entry of enqueueMany', entry, ENTRY_KEYS)
}

function isStreamed(entry: Entry): entry is Streamed {
  return entry.payload instanceof Source
}

function isInMemory({ payload }: Entry): boolean {
  return payload === null || payload instanceof Uint8Array
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

function isCancelled(result: Result | undefined): boolean {
  return typeof result === 'object' && result.errno === -ECANCELED
}

function aborted(stop: Cancellation): FsqError {
  return new EnqueueAbortedError(stop.raised?.reason)
}

function toFsqError(error: unknown): FsqError {
  if (error instanceof FsqError) return error
  throw error
}

function isFile(payload: unknown): payload is string | number {
  return typeof payload === 'string' || typeof payload === 'number'
}

function isAdded(result: Result | undefined): boolean {
  if (typeof result === 'string') return true
  return result !== undefined && !(result instanceof FsqError) && result.name !== undefined
}

function isLost(result: Result | undefined): boolean {
  return !(result instanceof FsqError) && isFailure(result) && result.name === undefined && isStale(result)
}

// The other calls have the new item's file in them; a copy that fails has both, and most often it is the disk.
function isAboutSource({ syscall, path }: Failure): boolean {
  const isSources = ['open', 'read', 'fstat', 'fcntl', 'lseek'].includes(syscall)
  return isSources && (path === undefined || path.startsWith('/'))
}

function sourceError(source: string | number, cause: Error): PayloadError {
  const [what, advice] =
    typeof source === 'number'
      ? [`descriptor ${source}`, 'It must be open for reading until the item has been enqueued']
      : [inspect(source), 'It must be a regular file that this user may read']
  return new PayloadError(`The payload ${what} cannot be read: ${cause.message}`, {
    cause,
    advice,
  })
}
