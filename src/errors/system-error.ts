/**
 * Turns failed system calls into errors: Node's own error, and the typed error of this package.
 *
 * @module
 */
import {
  DiskFullError,
  FileSystemError,
  type FsqError,
  type FsqErrorOptions,
  PermissionError,
  ReadOnlyError,
  SeparateMountsError,
  TooManyFilesError,
} from './classes.js'
import { type Failure, type SystemError, adviceOn, describeErrno, describePaths } from './errno.js'

type FsqErrorClass = new (message: string, options?: FsqErrorOptions) => FsqError

/** The meaning of an error number for one call: the class of the error, and what to do next. */
export type ErrnoMeaning = readonly [FsqErrorClass, string]

const CLASSES: Readonly<Record<string, FsqErrorClass>> = {
  EACCES: PermissionError,
  EPERM: PermissionError,
  EROFS: ReadOnlyError,
  ENOSPC: DiskFullError,
  EDQUOT: DiskFullError,
  EMFILE: TooManyFilesError,
  ENFILE: TooManyFilesError,
  EXDEV: SeparateMountsError,
}

/**
 * Creates the error that `node:fs` would have thrown for a failed system call: the same message, and `errno`
 * (negative), `code`, `syscall`, `path` and `dest`.
 *
 * @param failure - The failed call.
 * @example
 * ```ts
 * systemError({ errno: -2, syscall: 'open', path: '/x' }).message
 * // ENOENT: no such file or directory, open '/x'
 * ```
 */
export function systemError(failure: Failure): SystemError {
  const { errno, syscall, path, dest } = failure
  const [code, text] = describeErrno(errno)
  const from = path === undefined ? '' : ` '${path}'`
  const to = dest === undefined ? '' : ` -> '${dest}'`
  const error: SystemError = new Error(`${code}: ${text}, ${syscall}${from}${to}`)
  Error.captureStackTrace(error, systemError)
  error.errno = errno
  error.code = code
  error.syscall = syscall
  if (path !== undefined) error.path = path
  if (dest !== undefined) error.dest = dest
  return error
}

/**
 * Creates the typed error for a failed system call. The error number decides its class; the message says what was
 * attempted, on which path, and what to do next; Node's error is the `cause`.
 *
 * @param failure - The failed call.
 * @param doing - The attempted operation, to follow 'Cannot', such as `enqueue into 'a_queue'`.
 * @param meaning - The class and the advice, if this call gives the error number a meaning of its own.
 * @example
 * ```ts
 * throw fileSystemError({ errno: -13, syscall: 'openat', path: '/var/fsq/a/queue' }, "open the queue 'a'")
 * // PermissionError: Cannot open the queue 'a': permission denied (EACCES, openat '/var/fsq/a/queue'). Give the …
 * ```
 */
export function fileSystemError(failure: Failure, doing: string, meaning?: ErrnoMeaning): FsqError {
  const { errno, syscall } = failure
  const [code, text] = describeErrno(errno)
  const [ErrorClass, advice] = meaning ?? [CLASSES[code] ?? FileSystemError, adviceOn(errno)]
  const where = `${syscall}${describePaths(failure)}`
  const error = new ErrorClass(`Cannot ${doing}: ${text} (${code}, ${where})`, {
    advice,
    cause: systemError(failure),
  })
  Error.captureStackTrace(error, fileSystemError)
  return error
}
