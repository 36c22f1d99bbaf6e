/**
 * Putting items into a queue (fsq standard, section 3).
 *
 * @module
 */
import os from 'node:os'
import process from 'node:process'
import { inspect } from 'node:util'

import { ownerOf } from './account.js'
import { Batcher } from './batch.js'
import { MOST_REOPENINGS, type QueueDirectory, isStale } from './directory.js'
import {
  EncodingError,
  EnqueueManyError,
  type EnqueueOutcome,
  type Failure,
  FsqError,
  NameTooLongError,
  NotDurableError,
  PayloadError,
  SettingError,
  systemError,
} from './errors.js'
import { type RawName, fromRaw, toRaw } from './name/charset.js'
import type { NameArgument } from './name/encode.js'
import { nameSuffix } from './name/item-name.js'
import {
  type EnqueueResult,
  type ItemForm,
  type NativePayload,
  type QueueHandle,
  isFailure,
  native,
} from './native.js'
import { checkOptions } from './options.js'
import { type Payload, nativePayload } from './payload.js'
import type { Reporter } from './report.js'
import type { Settings } from './settings.js'
import { pullQuietly } from './trigger.js'

/** How an item is added. */
export interface EnqueueOptions {
  /** Milliseconds until the item is due; no worker takes it before. */
  readonly delay?: number | undefined
  /**
   * Whether to pull the trigger once the item is in the queue; left out: the setting `useTrigger`. It is fine if nobody
   * listens; any other trouble is reported, as the item is in the queue all the same.
   */
  readonly trigger?: boolean | undefined
}

/** One item for a bulk enqueue. */
export interface EnqueueEntry extends EnqueueOptions {
  /** The contents; left out: none. */
  readonly data?: Payload
  readonly args?: readonly NameArgument[]
}

type Result = EnqueueResult | FsqError

interface Prepared {
  readonly suffix: RawName
  readonly payload: NativePayload
  readonly due: number
  readonly trigger: boolean
}

let knownHostName: string | undefined

// A system call each time otherwise, and a host does not change its name under a running process.
function hostName(): string {
  return (knownHostName ??= os.hostname())
}

const OPTIONS = ['delay', 'trigger'] as const
const ENTRY_KEYS = ['data', 'args', 'delay', 'trigger'] as const
const NAME_LIMIT = 255
const BATCH_LIMIT = 256
const BULK_LIMIT = 1024
const LONGEST_DELAY = 100 * 365 * 24 * 3600 * 1000

/** Adds items to one queue. */
export class Enqueuer {
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #reporter: Reporter
  readonly #batcher: Batcher<Prepared, Result>
  #form: ItemForm | undefined

  constructor(directory: QueueDirectory, settings: Settings, reporter: Reporter) {
    this.#directory = directory
    this.#settings = settings
    this.#reporter = reporter
    this.#batcher = new Batcher((entries) => this.#enqueueAll(entries), BATCH_LIMIT)
  }

  async enqueue(data: Payload, args: readonly NameArgument[], options: EnqueueOptions): Promise<string> {
    checkOptions('enqueue', options, OPTIONS)
    const entry = this.#prepare(data, args, options, true)
    // A file can be large: it must not hold up the items that would share its batch.
    const result = isPath(entry) ? this.#enqueueOne(entry) : this.#batcher.submit(entry)
    return this.#idOf(await result, entry)
  }

  enqueueSync(data: Payload, args: readonly NameArgument[], options: EnqueueOptions): string {
    checkOptions('enqueueSync', options, OPTIONS)
    const entry = this.#prepare(data, args, options, false)
    for (let attempt = 0; ; attempt++) {
      const handle = this.#directory.openSync()
      const result = native.enqueueSync(handle, this.#itemForm(), entry.suffix, entry.payload, entry.due)
      if (!isLost(result) || attempt === MOST_REOPENINGS) {
        this.#pull([entry], [result])
        return this.#idOf(result, entry)
      }
      this.#directory.forget(handle)
    }
  }

  async enqueueMany(entries: readonly EnqueueEntry[]): Promise<string[]> {
    if (!Array.isArray(entries)) {
      throw new PayloadError(
        `The entries are ${inspect(entries, { depth: 0 })}, expected an array of { data, args }`,
      )
    }
    const prepared = entries.map((entry: EnqueueEntry) => this.#prepareOrFail(entry))
    // No entry can be added without the queue and its settings, so one error says it better than one an entry.
    this.#itemForm()
    await this.#directory.open()
    const outcomes = new Map<Prepared, EnqueueOutcome>()
    const good = prepared.filter((entry): entry is Prepared => !(entry instanceof FsqError))
    for (let from = 0; from < good.length; from += BULK_LIMIT) {
      const part = good.slice(from, from + BULK_LIMIT)
      const results = await this.#enqueueAll(part).catch(toFsqError)
      part.forEach((entry, index) => {
        outcomes.set(entry, isResults(results) ? this.#outcomeOf(results[index], entry) : { error: results })
      })
    }
    const all = prepared.map((entry): EnqueueOutcome => {
      if (entry instanceof FsqError) return { error: entry }
      return outcomes.get(entry) ?? { error: new FsqError('The item was not enqueued') }
    })
    const ids = all.flatMap((outcome) => ('id' in outcome ? [outcome.id] : []))
    if (ids.length < all.length) throw new EnqueueManyError(all)
    return ids
  }

  #prepare(data: Payload, args: readonly NameArgument[], options: EnqueueOptions, own: boolean): Prepared {
    if (!Array.isArray(args)) {
      throw new EncodingError(`The arguments are ${inspect(args, { depth: 0 })}, expected an array of them`)
    }
    const fields = { pid: process.pid, hostname: hostName(), tries: 0, args }
    return {
      suffix: nameSuffix(fields, this.#settings),
      payload: nativePayload(data, own),
      due: dueAfter(options.delay),
      trigger: this.#pulls(options.trigger),
    }
  }

  #pulls(given: boolean | undefined): boolean {
    if (given === undefined) return this.#settings.useTrigger
    if (typeof given === 'boolean') return given
    throw new SettingError('trigger', given, 'true or false')
  }

  #prepareOrFail(entry: EnqueueEntry): Prepared | FsqError {
    try {
      checkOptions('an entry of enqueueMany', entry, ENTRY_KEYS)
      return this.#prepare(entry.data ?? null, entry.args ?? [], entry, true)
    } catch (error) {
      if (error instanceof FsqError) return error
      throw error
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
    })
    return this.#form
  }

  async #enqueueOne(entry: Prepared): Promise<Result | undefined> {
    const [result] = await this.#enqueueAll([entry])
    return result
  }

  /** One result an entry; those that met a directory that is gone are tried again in the one that took its place. */
  async #enqueueAll(entries: readonly Prepared[]): Promise<Result[]> {
    let handle = await this.#directory.open()
    const results: Result[] = await this.#enqueueInto(handle, entries)
    for (let attempt = 0; attempt < MOST_REOPENINGS; attempt++) {
      const lost = results.flatMap((result, index) => (isLost(result) ? [index] : []))
      if (lost.length === 0) break
      this.#directory.forget(handle)
      try {
        handle = await this.#directory.open()
        const again = await this.#enqueueInto(
          handle,
          lost.map((index) => entries[index] as Prepared),
        )
        lost.forEach((index, position) => {
          results[index] = again[position] as Result
        })
      } catch (error) {
        // The result of these entries alone: others of their batch are in the queue, and must be told so.
        for (const index of lost) results[index] = toFsqError(error)
      }
    }
    this.#pull(entries, results)
    return results
  }

  async #enqueueInto(handle: QueueHandle, entries: readonly Prepared[]): Promise<Result[]> {
    this.#directory.checkOpen()
    return native.enqueue(
      handle,
      this.#itemForm(),
      entries.map(({ suffix }) => suffix),
      entries.map(({ payload }) => payload),
      entries.map(({ due }) => due),
    )
  }

  /** One pull for all that are in the queue now: whoever it wakes scans them all. */
  #pull(entries: readonly Prepared[], results: readonly Result[]): void {
    if (!entries.some(({ trigger }, index) => trigger && isAdded(results[index]))) return
    const { layout } = this.#directory
    const error = pullQuietly(layout)
    if (error === undefined) return
    const name = toRaw(this.#settings.trigger, 'utf8')
    this.#reporter.report('trigger', name, `was not pulled: ${error.message}`, error)
  }

  #outcomeOf(result: Result | undefined, entry: Prepared): EnqueueOutcome {
    try {
      return { id: this.#idOf(result, entry) }
    } catch (error) {
      if (error instanceof FsqError) return { error }
      throw error
    }
  }

  #idOf(result: Result | undefined, entry: Prepared): string {
    if (typeof result === 'string') return fromRaw(result, this.#settings.charset)
    if (result === undefined) throw new FsqError('The item was not enqueued')
    if (result instanceof FsqError) throw result
    const cause = systemError(this.#directory.located(result))
    if (result.name !== undefined)
      throw new NotDurableError(fromRaw(result.name, this.#settings.charset), { cause })
    if (result.nameBytes !== undefined)
      throw new NameTooLongError(result.nameBytes, result.nameLimit ?? NAME_LIMIT, { cause })
    if (isPath(entry) && isAboutSource(result)) throw sourceError(entry.payload, cause)
    throw this.#directory.error(result, 'enqueue into')
  }
}

function isResults<Value>(results: readonly Value[] | FsqError): results is Value[] {
  return Array.isArray(results)
}

function toFsqError(error: unknown): FsqError {
  if (error instanceof FsqError) return error
  throw error
}

function isPath(entry: Prepared): entry is Prepared & { readonly payload: string } {
  return typeof entry.payload === 'string'
}

function isAdded(result: Result | undefined): boolean {
  if (typeof result === 'string') return true
  return result !== undefined && !(result instanceof FsqError) && result.name !== undefined
}

function isLost(result: Result | undefined): boolean {
  return !(result instanceof FsqError) && isFailure(result) && result.name === undefined && isStale(result)
}

// The other calls have the new item's file in them; a copy that fails has both, and most often it is the disk.
function isAboutSource(failure: Failure): boolean {
  return ['open', 'read', 'fstat'].includes(failure.syscall) && failure.path?.startsWith('/') === true
}

function sourceError(path: string, cause: Error): PayloadError {
  return new PayloadError(
    `The payload ${inspect(path)} cannot be read: ${cause.message}. It must be a regular file that this user may read`,
    { cause },
  )
}

/** When something is due that is to wait for `delay` milliseconds; 0: at once. */
export function dueAfter(delay: number | undefined): number {
  if (delay === undefined || delay === 0) return 0
  if (Number.isFinite(delay) && delay > 0 && delay <= LONGEST_DELAY) return Date.now() + Math.ceil(delay)
  throw new SettingError('delay', delay, `milliseconds from 0 to ${LONGEST_DELAY}`)
}
