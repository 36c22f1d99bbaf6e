/**
 * How a failed system call becomes an error: Node's own, and that of this package.
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

/** What an error number means to who meets it: the class of the error, and what to do next. */
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
 * Makes the error that `node:fs` would have thrown for a failed system call: the same message, and `errno` (negative),
 * `code`, `syscall`, `path` and `dest`.
 *
 * @param failure - What failed.
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
 * Makes the typed error for a failed system call: its class by the error number, a message that says what was being
 * done, on what, and what to do next, and Node's error for it as the `cause`.
 *
 * @param failure - What failed.
 * @param doing - What it was part of, to follow 'Cannot', as `enqueue into 'a_queue'`.
 * @param meaning - The class and the advice, where this call means something else by the error number than others do.
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
