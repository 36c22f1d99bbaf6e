/**
 * The directory meta/ of one queue: made at first need, and gone without harm at any moment. No error of it reaches the work: the
 * first of each kind is reported, and the work goes on without what could not be written or read.
 *
 * @module
 */
import type { Stats } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'

import type { LockKind } from '../addon/native.js'
import type { FileCalls } from '../directory/calls.js'
import type { Layout } from '../directory/layout.js'
import { FsqError, NotAQueueError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { Reporter } from '../report.js'
import { LOCK_MARKER, META_DIRECTORY } from '../settings.js'
import { type FileOwner, infoAt, isMissing, isTaken, makeDirectory } from './files.js'
import { type MetaPart, metaPath, partPath } from './layout.js'

const READ_WRITE = 0o666
const MODE_BITS = 0o7777

/** Without meta/crashed/, crash marks do not count: that is the loss of meta/log/. */
type ReportedPart = Exclude<MetaPart, 'crashed'>

const CONSEQUENCES: Readonly<Record<ReportedPart, string>> = {
  workers: 'so a crash of this worker leaves no mark',
  log: 'so reasons of failures and crash marks are not kept',
}

/** The modes and owners of what is made in meta/: those of the queue, so that each of its users may write there. */
export interface MetaAccess {
  readonly directoryMode: number
  readonly fileMode: number
  readonly owner: FileOwner
}

/** Receives the errors of {@link MetaDirectory.attempt}. */
export type MetaReporter = Pick<Reporter, 'reportBeside'>

/** What one process does in the meta/ of one queue. */
export class MetaDirectory {
  readonly layout: Layout
  readonly host = os.hostname()
  readonly reporter: MetaReporter | undefined

  /** @param reporter - `undefined`: nothing is reported, because the caller only looks. */
  constructor(layout: Layout, reporter?: MetaReporter) {
    this.layout = layout
    this.reporter = reporter
  }

  /** The kind of lock that the workers of this queue use. A file system may have only one of the two. */
  get lockKind(): LockKind {
    return kindBy(infoAt(this.#marker))
  }

  /** @throws As `node:fs`: ENOENT if there is no queue. */
  get access(): MetaAccess {
    return accessBy(infoAt(`${this.layout.path}/.`))
  }

  /** {@link lockKind} by these calls. */
  async findLockKind(calls: FileCalls): Promise<LockKind> {
    return kindBy(await calls.lstat(this.#marker))
  }

  /** {@link access} by these calls. */
  async findAccess(calls: FileCalls): Promise<MetaAccess> {
    return accessBy(await calls.lstat(`${this.layout.path}/.`))
  }

  get #marker(): string {
    return path.join(this.layout.path, LOCK_MARKER)
  }

  /** Makes meta/ and a directory in it. Harmless if they exist. */
  make(part: MetaPart, { directoryMode, owner }: MetaAccess): void {
    for (const directory of [metaPath(this.layout), partPath(this.layout, part)]) {
      try {
        makeDirectory(directory, directoryMode, owner)
      } catch (error) {
        if (!isTaken(error)) throw error
        if (infoAt(directory)?.isDirectory() !== false) continue
        throw new NotAQueueError(`${directory} is not a directory`, { advice: 'Move it out of the way' })
      }
    }
  }

  /**
   * Runs an operation on files, whose errors must not reach the work.
   *
   * @returns `undefined` after an error, which is reported once for each part.
   */
  attempt<Result>(part: ReportedPart, operation: () => Result): Result | undefined {
    try {
      return operation()
    } catch (error) {
      // Of a queue that was removed, its scan tells.
      if (!(error instanceof MissingQueue)) this.#report(part, error)
      return undefined
    }
  }

  /** {@link attempt} of an operation beside this thread. Never rejects. */
  async attemptLater<Result>(
    part: ReportedPart,
    operation: () => Promise<Result>,
  ): Promise<Result | undefined> {
    try {
      return await operation()
    } catch (error) {
      return this.attempt(part, () => {
        throw error
      })
    }
  }

  #report(part: ReportedPart, error: unknown): void {
    const name = `${META_DIRECTORY}/${part}`
    const cause = errorOf(error, partPath(this.layout, part))
    const message = `cannot be used, ${CONSEQUENCES[part]}: ${cause.message}`
    this.reporter?.reportBeside('meta', name, message, cause)
  }
}

function kindBy(marker: Stats | undefined): LockKind {
  return marker === undefined ? 'flock' : 'fcntl'
}

/** @param queue - Of the directory of the queue. */
function accessBy(queue: Stats | undefined): MetaAccess {
  if (queue === undefined) throw new MissingQueue()
  const { mode, uid, gid } = queue
  return {
    directoryMode: mode & MODE_BITS,
    fileMode: mode & READ_WRITE,
    // Not os.userInfo(), which fails for users without an entry in the list of users, as in many containers.
    owner: { user: process.geteuid?.() === 0 ? uid : -1, group: gid },
  }
}

/** There is no queue, so there is no meta/ to make. */
class MissingQueue extends Error {}

/** Runs an operation that finds nothing if a file or a directory is missing. */
export function ifThere<Result>(operation: () => Result): Result | undefined {
  try {
    return operation()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function errorOf(error: unknown, directory: string): FsqError {
  if (error instanceof FsqError) return error
  if (error instanceof Error && 'syscall' in error) {
    const { path: at = directory } = error as NodeJS.ErrnoException
    return fileSystemError(failureOf(error, '', at), 'use meta/')
  }
  return new FsqError(`Cannot use ${directory}: ${inspect(error)}`, { cause: error })
}
