/**
 * What native code answers for an entry, and what the caller gets for it: an id or an error.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import { type EnqueueFailure, type EnqueueResult, isFailure } from '../addon/native.js'
import type { Cancellation } from '../cancellation.js'
import { type QueueDirectory, isStale } from '../directory/open-directory.js'
import type { Entry } from './entry.js'
import {
  EnqueueAbortedError,
  type EnqueueOutcome,
  FsqError,
  NameTooLongError,
  NotDurableError,
  PayloadError,
} from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'
import { systemError } from '../errors/system-error.js'
import { type Charset, type RawName, fromRaw } from '../name/charset.js'
import { LONGEST_NAME } from '../name/limits.js'

/** What has become of an entry: what native code answers, or why it did not get that far. */
export type Result = EnqueueResult | FsqError

const { ECANCELED } = os.constants.errno

/** Makes ids and errors of the results of one queue. */
export class Outcomes {
  readonly #directory: QueueDirectory
  readonly #charset: Charset

  constructor(directory: QueueDirectory, charset: Charset) {
    this.#directory = directory
    this.#charset = charset
  }

  /** The id of an item, by the name of its file. */
  idOfName(name: RawName): string {
    return fromRaw(name, this.#charset)
  }

  /** @throws The error, if the item has not been added, or not durably. */
  idOf(result: Result, entry: Entry): string {
    if (typeof result === 'string') return this.idOfName(result)
    throw this.errorOf(result, entry)
  }

  outcomeOf(result: Result, entry: Entry): EnqueueOutcome {
    if (typeof result === 'string') return { id: this.idOfName(result) }
    return { error: this.errorOf(result, entry) }
  }

  errorOf(failure: EnqueueFailure | FsqError, { payload }: Entry): FsqError {
    if (failure instanceof FsqError) return failure
    const cause = systemError(this.#directory.located(failure))
    if (failure.name !== undefined) {
      return new NotDurableError(this.idOfName(failure.name), { cause })
    }
    if (failure.nameBytes !== undefined) {
      return new NameTooLongError(failure.nameBytes, failure.nameLimit ?? LONGEST_NAME, { cause })
    }
    if (isFile(payload) && isAboutSource(failure)) return unreadableFile(payload, cause)
    return this.#directory.error(failure, 'enqueue into')
  }
}

/** Whether the item is in the queue, durable or not. */
export function isAdded(result: Result): boolean {
  return typeof result === 'string' || (!(result instanceof FsqError) && result.name !== undefined)
}

/** Whether the entry met a directory that is gone. */
export function isLost(result: Result): boolean {
  return isFailure(result) && !(result instanceof FsqError) && result.name === undefined && isStale(result)
}

export function isCancelled(result: Result): boolean {
  return typeof result === 'object' && result.errno === -ECANCELED
}

export function abortedError(cancellation: Cancellation): EnqueueAbortedError {
  return new EnqueueAbortedError(cancellation.raised?.reason)
}

/** @throws The error, if it is none of this package: then it is no outcome of an entry. */
export function asFsqError(error: unknown): FsqError {
  if (error instanceof FsqError) return error
  throw error
}

function isFile(payload: unknown): payload is string | number {
  return typeof payload === 'string' || typeof payload === 'number'
}

// The other calls have the new item's file in them; a copy that fails has both, and most often it is the disk.
function isAboutSource({ syscall, path }: Failure): boolean {
  const isSources = ['open', 'read', 'fstat', 'fcntl', 'lseek'].includes(syscall)
  return isSources && (path === undefined || path.startsWith('/'))
}

function unreadableFile(source: string | number, cause: Error): PayloadError {
  const [what, advice] =
    typeof source === 'number'
      ? [`descriptor ${source}`, 'It must be open for reading until the item has been enqueued']
      : [inspect(source), 'It must be a regular file that this user may read']
  return new PayloadError(`The payload ${what} cannot be read: ${cause.message}`, {
    cause,
    advice,
  })
}
