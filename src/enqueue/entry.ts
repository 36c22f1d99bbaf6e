/**
 * What a caller gives to an enqueue, checked and made ready: an {@link Entry}.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import type { BufferPool } from './buffer-pool.js'
import { EncodingError, FsqError, NameTooLongError, PayloadError, SettingError } from '../errors/classes.js'
import type { NativePayload, StopHandle } from '../addon/native.js'
import type { RawName } from '../name/charset.js'
import type { NameArgument } from '../name/codec.js'
import { nameSuffix } from '../name/item-name.js'
import { LargeContents } from './large.js'
import { LONGEST_NAME } from '../name/limits.js'
import { formatTimestamp } from '../name/timestamp.js'
import { checkFlag, checkOptions, checkSignal, dueAfter } from '../options.js'
import { type Payload, readPayload } from './payload.js'
import type { Settings } from '../settings.js'
import { Source } from './source.js'

/** Options of a synchronous enqueue. */
export interface EnqueueSyncOptions {
  /** Milliseconds until the item is due. No worker claims it earlier. Default: 0. */
  readonly delay?: number | undefined
  /**
   * Whether to pull the trigger once the item is in the queue. It is no error if no process listens. Any other failure is
   * reported instead of thrown, because the item is in the queue. Default: the option `useTrigger` of the handle.
   */
  readonly trigger?: boolean | undefined
}

/** Options of an enqueue. */
export interface EnqueueOptions extends EnqueueSyncOptions {
  /**
   * Cancels the enqueue: nothing of the item remains, and the call rejects with the signal's reason. An abort after the item
   * was linked into the queue has no effect: the call resolves with the item's id.
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of a bulk enqueue. */
export interface EnqueueManyOptions {
  /**
   * Cancels the enqueue: entries that are in the queue stay there, and the outcome of the others is an
   * {@link EnqueueAbortedError}. If none is in the queue, the call rejects with the signal's reason.
   */
  readonly signal?: AbortSignal | undefined
}

/** One item of a bulk enqueue. */
export interface EnqueueEntry extends EnqueueSyncOptions {
  /** The contents. Default: `null`, no contents. */
  readonly data?: Payload | undefined
  /** The arguments. Default: none. */
  readonly args?: readonly NameArgument[] | undefined
}

interface Named {
  /** The name of the item from the pid on. Native code puts the time and the entropy before it. */
  readonly suffix: RawName
  /** In milliseconds since the epoch; 0: at once. */
  readonly due: number
  /** Whether to pull the trigger afterwards. */
  readonly trigger: boolean
}

/** An item that native code can enqueue. */
export interface ReadyEntry extends Named {
  readonly payload: NativePayload
  readonly stop?: StopHandle | undefined
}

/** An item whose contents must be read from a source first. */
export interface StreamedEntry extends Named {
  readonly payload: Source
}

/** An item whose contents are large, and must be written first. */
export interface LargeEntry extends Named {
  readonly payload: LargeContents
  readonly stop?: StopHandle | undefined
}

export type Entry = ReadyEntry | LargeEntry | StreamedEntry

/** The options of each call. The key is the call's name in the error for an unknown option. */
const OPTIONS = {
  enqueue: ['delay', 'signal', 'trigger'],
  enqueueSync: ['delay', 'trigger'],
  enqueueMany: ['signal'],
  'an entry of enqueueMany': ['data', 'args', 'delay', 'trigger'],
} as const satisfies Record<string, readonly string[]>

type Call = keyof typeof OPTIONS

// One constant for all calls without arguments.
export const NO_ARGUMENTS: readonly NameArgument[] = Object.freeze([])

const { pid } = process
let knownHostName: string | undefined

// Cached, because os.hostname() is a system call, and a host does not change its name while a process runs.
function hostName(): string {
  return (knownHostName ??= os.hostname())
}

/** Makes the entries of one queue. */
export class EntryMaker {
  readonly #settings: Settings
  readonly #pool: BufferPool

  /** @param pool - Memory for the copies of bytes that native code reads after the call has returned. */
  constructor(settings: Settings, pool: BufferPool) {
    this.#settings = settings
    this.#pool = pool
  }

  /**
   * Makes the entry of a call. If it throws, it stops the source, if `data` is one.
   *
   * @throws {@link PayloadError} or {@link EncodingError} for data or arguments that an item cannot have, {@link SettingError}
   * for options.
   */
  make(
    call: 'enqueueSync',
    data: Payload,
    args: readonly NameArgument[],
    options: EnqueueSyncOptions,
  ): ReadyEntry | StreamedEntry
  make(call: Call, data: Payload, args: readonly NameArgument[], options: EnqueueOptions): Entry
  make(call: Call, data: Payload, args: readonly NameArgument[], options: EnqueueOptions): Entry {
    // The data comes before the options, so that bad options stop the source, too. Native code reads the bytes of enqueueSync
    // before the call returns, so they need no copy.
    const payload = readPayload(data, call === 'enqueueSync' ? undefined : this.#pool)
    try {
      checkOptionsOf(call, options)
      const { delay, trigger } = options
      if (!Array.isArray(args)) {
        throw new EncodingError(`The arguments are ${inspect(args, { depth: 0 })}, expected an array of them`)
      }
      const suffix = nameSuffix({ pid, hostname: hostName(), tries: 0, args }, this.#settings)
      const due = dueAfter(delay)
      // One literal: spreading the common part into either kind is slow in V8.
      return { suffix, due, trigger: this.#pullsTrigger(trigger), payload } as Entry
    } catch (error) {
      if (payload instanceof Source) void payload.stop()
      throw error
    }
  }

  /**
   * Makes entries of a bulk enqueue. The error of one that cannot be an item stands in its place.
   *
   * @param from - The index of the first one.
   * @param to - The index after the last one.
   */
  makeAll(given: readonly EnqueueEntry[], from: number, to: number): (Entry | FsqError)[] {
    // The loop is here, and not in BulkEnqueue: a full garbage collection between two bulks discards optimized code that
    // depends on objects of which none lives then.
    const made: (Entry | FsqError)[] = []
    for (let index = from; index < to; index++) made.push(this.#makeOrFail(given[index] as EnqueueEntry))
    return made
  }

  #makeOrFail(given: EnqueueEntry): Entry | FsqError {
    const call = 'an entry of enqueueMany'
    try {
      if (!isObject(given))
        throw new SettingError('the entry', given, `an object of ${OPTIONS[call].join(', ')}`)
      const { data = null, args = NO_ARGUMENTS } = given
      return this.make(call, data, args, given)
    } catch (error) {
      if (error instanceof FsqError) return error
      // A getter of the caller's threw it. It is the outcome of this entry alone, as native code may be adding others already.
      return new PayloadError(`The entry cannot be read: ${inspect(error, { depth: 0 })}`, { cause: error })
    }
  }

  #pullsTrigger(given: boolean | undefined): boolean {
    if (given === undefined) return this.#settings.useTrigger
    checkFlag('trigger', given)
    return given
  }
}

/**
 * Checks that options belong to a call, and that its signal is one.
 *
 * @throws {@link SettingError}
 */
export function checkOptionsOf(call: Call, options: EnqueueOptions): void {
  checkOptions(call, options, OPTIONS[call])
  if (call === 'enqueue' || call === 'enqueueMany') checkSignal(options.signal)
}

/**
 * Checks the length of a name with the current time in it, so that a source is not read for a name that is too long anyway.
 * The final time and entropy may still make the name too long.
 *
 * @throws {@link NameTooLongError}
 */
export function checkNameFits(suffix: RawName, settings: Settings): void {
  const bytes = formatTimestamp(Date.now(), settings).length + '__0'.length + suffix.length
  if (bytes > LONGEST_NAME) throw new NameTooLongError(bytes, LONGEST_NAME)
}

export function isStreamed(entry: Entry): entry is StreamedEntry {
  return entry.payload instanceof Source
}

export function isLarge(entry: Entry): entry is LargeEntry {
  return entry.payload instanceof LargeContents
}

/** Whether the contents are small and in memory. */
export function isSmall(entry: Entry): entry is ReadyEntry {
  return entry.payload === null || entry.payload instanceof Uint8Array
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
