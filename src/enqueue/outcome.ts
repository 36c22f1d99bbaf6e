/**
 * The results of native code, and the ids and errors that callers get for them.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import { type EnqueueFailure, type EnqueueResult, isFailure } from '../addon/native.js'
import type { Cancellation } from '../cancellation.js'
import { type QueueDirectory, isStale } from '../directory/open-directory.js'
import { type Entry, isLarge } from './entry.js'
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

/** The result of an entry from native code, or the error that kept the entry from getting there. */
export type Result = EnqueueResult | FsqError

const { ECANCELED, EFAULT } = os.constants.errno

/** Turns the results of one queue into ids and errors. */
export class Outcomes {
  readonly #directory: QueueDirectory
  readonly #charset: Charset

  constructor(directory: QueueDirectory, charset: Charset) {
    this.#directory = directory
    this.#charset = charset
  }

  /** The id of an item: the name of its file, as text. */
  idOfName(name: RawName): string {
    return fromRaw(name, this.#charset)
  }

  /** @throws The error of the entry, also if its item is in the queue, but not durably. */
  idOf(result: Result, entry: Entry): string {
    if (typeof result === 'string') return this.idOfName(result)
    throw this.errorOf(result, entry)
  }

  outcomeOf(result: Result, entry: Entry): EnqueueOutcome {
    if (typeof result === 'string') return { id: this.idOfName(result) }
    return { error: this.errorOf(result, entry) }
  }

  errorOf(failure: EnqueueFailure | FsqError, entry: Entry): FsqError {
    const { payload } = entry
    if (failure instanceof FsqError) return failure
    const cause = systemError(this.#directory.located(failure))
    if (failure.name !== undefined) {
      return new NotDurableError(this.idOfName(failure.name), { cause })
    }
    if (failure.nameBytes !== undefined) {
      return new NameTooLongError(failure.nameBytes, failure.nameLimit ?? LONGEST_NAME, { cause })
    }
    if (isFile(payload) && isAboutSource(failure)) return unreadableFile(payload, cause)
    if (isLarge(entry) && failure.errno === -EFAULT) return memoryGone(cause)
    return this.#directory.error(failure, 'enqueue into')
  }
}

/** Whether the item is in the queue, durable or not. */
export function isAdded(result: Result): boolean {
  return typeof result === 'string' || (!(result instanceof FsqError) && result.name !== undefined)
}

/** Whether the directory that was open is no longer the queue's. The entry can be tried again in the new one. */
export function isLost(result: Result): boolean {
  return isFailure(result) && !(result instanceof FsqError) && result.name === undefined && isStale(result)
}

export function isCancelled(result: Result): boolean {
  return typeof result === 'object' && result.errno === -ECANCELED
}

export function abortedError(cancellation: Cancellation): EnqueueAbortedError {
  return new EnqueueAbortedError(cancellation.raised?.reason)
}

/** @throws Any error of another kind: it is a bug, and not the outcome of an entry. */
export function asFsqError(error: unknown): FsqError {
  if (error instanceof FsqError) return error
  throw error
}

function isFile(payload: unknown): payload is string | number {
  return typeof payload === 'string' || typeof payload === 'number'
}

// The other system calls are about the item's own file. A failed copy involves both files, and mostly the disk is to blame.
function isAboutSource({ syscall, path }: Failure): boolean {
  const isSources = ['open', 'read', 'fstat', 'fcntl', 'lseek'].includes(syscall)
  return isSources && (path === undefined || path.startsWith('/'))
}

function memoryGone(cause: Error): PayloadError {
  return new PayloadError('The buffer of the payload was transferred away while it was written', {
    cause,
    advice: 'Nothing was enqueued; keep the buffer until the enqueue has settled, or pass a copy of it',
  })
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
