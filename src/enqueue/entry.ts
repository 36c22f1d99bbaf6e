/**
 * What a caller gives to an enqueue, checked and made ready: an {@link Entry}.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import type { BufferPool } from './buffer-pool.js'
import { EncodingError, FsqError, NameTooLongError, PayloadError } from '../errors/classes.js'
import type { NativePayload, StopHandle } from '../addon/native.js'
import type { RawName } from '../name/charset.js'
import type { NameArgument } from '../name/codec.js'
import { nameSuffix } from '../name/item-name.js'
import { LONGEST_NAME } from '../name/limits.js'
import { formatTimestamp } from '../name/timestamp.js'
import { checkFlag, checkOptions, checkSignal, dueAfter } from '../options.js'
import { type Payload, readPayload } from './payload.js'
import type { Settings } from '../settings.js'
import { Source } from './source.js'

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

/** An item whose contents have to be read first. */
export interface StreamedEntry extends Named {
  readonly payload: Source
}

export type Entry = ReadyEntry | StreamedEntry

/** The options of each call; its name is part of the error for an unknown one. */
const OPTIONS = {
  enqueue: ['delay', 'signal', 'trigger'],
  enqueueSync: ['delay', 'trigger'],
  enqueueMany: ['signal'],
  'an entry of enqueueMany': ['data', 'args', 'delay', 'trigger'],
} as const satisfies Record<string, readonly string[]>

type Call = keyof typeof OPTIONS

// For all calls that leave them out.
export const NO_ARGUMENTS: readonly NameArgument[] = Object.freeze([])

const { pid } = process
let knownHostName: string | undefined

// A system call each time otherwise, and a host does not change its name under a running process.
function hostName(): string {
  return (knownHostName ??= os.hostname())
}

/** Makes the entries of one queue. */
export class EntryMaker {
  readonly #settings: Settings
  readonly #pool: BufferPool

  /** @param pool - Where bytes are copied to that are read after the call returns. */
  constructor(settings: Settings, pool: BufferPool) {
    this.#settings = settings
    this.#pool = pool
  }

  /**
   * The entry of a call.
   *
   * @throws {@link FsqError} for what cannot be an item. A source that comes with it is stopped.
   */
  make(call: Call, data: Payload, args: readonly NameArgument[], options: EnqueueOptions): Entry {
    const payload = readPayload(data, call === 'enqueueSync' ? undefined : this.#pool)
    // The options are looked at after the data: a source that comes with bad ones is let go of, too.
    try {
      checkOptionsOf(call, options)
      const { delay, trigger } = options
      if (!Array.isArray(args)) {
        throw new EncodingError(`The arguments are ${inspect(args, { depth: 0 })}, expected an array of them`)
      }
      const suffix = nameSuffix({ pid, hostname: hostName(), tries: 0, args }, this.#settings)
      const due = dueAfter(delay)
      // All at once, and not by spreading what both kinds have, which V8 does the slow way.
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
      if (!isObject(given)) checkOptionsOf(call, given)
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

/** @throws {@link SettingError} for an option that the call does not have, or a signal that is none. */
export function checkOptionsOf(call: Call, options: EnqueueOptions): void {
  checkOptions(call, options, OPTIONS[call])
  if (call === 'enqueue' || call === 'enqueueMany') checkSignal(options.signal)
}

/**
 * As far as can be told before its moment has come: a source is not read in vain.
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

export function isInMemory({ payload }: Entry): boolean {
  return payload === null || payload instanceof Uint8Array
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
