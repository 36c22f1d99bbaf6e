/**
 * Every error of this package: one class and one `code` a situation.
 *
 * @module
 */
import os from 'node:os'
import { getSystemErrorMap, inspect, types } from 'node:util'

/** What a failed system call leaves behind: what native code reports instead of throwing. */
export interface Failure {
  /** The error number, negative as Node has it: -2 for ENOENT. */
  readonly errno: number
  /** The system call that failed, as 'openat'. */
  readonly syscall: string
  /** What it was called on. */
  readonly path?: string
  /** Where it was to go, for calls on two paths. */
  readonly dest?: string
}

/** A system error in Node's own shape; `dest` is what Node's types forget. */
export type SystemError = NodeJS.ErrnoException & { dest?: string }

// Errors that libuv has no name for, so that Node does not know them either.
const UNKNOWN_TO_NODE: Readonly<Record<string, string>> = {
  EDQUOT: 'disk quota exceeded',
  ESTALE: 'stale file handle',
}

function describeErrno(errno: number): readonly [code: string, text: string] {
  const known = getSystemErrorMap().get(errno)
  if (known !== undefined) return known
  for (const [code, number] of Object.entries(os.constants.errno)) {
    if (number === -errno) return [code, UNKNOWN_TO_NODE[code] ?? 'unknown error']
  }
  return [`Unknown system error ${errno}`, 'unknown error']
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

// On the prototype and not enumerable, as the names of the built-in errors are: minifiers cannot change it and
// util.inspect() does not print it twice.
function setName(constructor: { readonly prototype: object }, name: string): void {
  Object.defineProperty(constructor.prototype, 'name', { value: name, configurable: true, writable: true })
}

/** What an error is about besides its cause. */
export interface FsqErrorOptions extends ErrorOptions {
  /** The path that it is about, where no system call on it failed. */
  readonly path?: string
}

/**
 * The base of all errors of this package. `code` tells the situation; where a system call failed, `cause` is Node's
 * error for it, and `errno`, `syscall`, `path` and `dest` are repeated here.
 */
export class FsqError extends Error {
  /** The code of all errors of a class. */
  static readonly code: string = 'ERR_FSQ'
  static {
    setName(this, 'FsqError')
  }

  /** `ERR_FSQ_…`: stays the same from release to release, which messages do not. */
  readonly code: string
  /** The negative error number of the system call that failed, if one did. */
  declare readonly errno?: number
  /** The system call that failed, if one did. */
  declare readonly syscall?: string
  /** What the system call was called on, or what the error is about. */
  declare readonly path?: string
  /** The second path of the system call. */
  declare readonly dest?: string

  constructor(message: string, options?: FsqErrorOptions) {
    super(message, options)
    this.code = new.target.code
    if (options?.path !== undefined) this.path = options.path
    if (!types.isNativeError(this.cause)) return
    const { errno, syscall, path, dest } = this.cause as SystemError
    if (typeof errno !== 'number' || typeof syscall !== 'string') return
    this.errno = errno
    this.syscall = syscall
    if (path !== undefined) this.path = path
    if (dest !== undefined) this.dest = dest
  }
}

/** There is no such queue. */
export class QueueMissingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_MISSING'
  static {
    setName(this, 'QueueMissingError')
  }
}

/** A queue, or something else that is in the way, has the name already. */
export class QueueExistsError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_EXISTS'
  static {
    setName(this, 'QueueExistsError')
  }
}

/** The queue has been taken down: it must not be scanned. */
export class QueueDownError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_DOWN'
  static {
    setName(this, 'QueueDownError')
  }
}

/** The trigger cannot be made or pulled: it is missing, nobody listens, or something else has its name. */
export class TriggerError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_TRIGGER'
  static {
    setName(this, 'TriggerError')
  }
}

/** What has the name of the queue lacks the directories of one, or has something else where a file of a queue belongs. */
export class NotAQueueError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NOT_A_QUEUE'
  static {
    setName(this, 'NotAQueueError')
  }
}

/** Items wait in the queue, so it is not removed. */
export class QueueNotEmptyError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_NOT_EMPTY'
  static {
    setName(this, 'QueueNotEmptyError')
  }
}

/** The text cannot be the name of a queue (fsq standard, section 1). */
export class QueueNameError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_NAME'
  static {
    setName(this, 'QueueNameError')
  }
}

/** The handle of the queue has been closed. */
export class QueueClosedError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_CLOSED'
  static {
    setName(this, 'QueueClosedError')
  }
}

/** Something cannot be written into an item name, or the way to write it (delimiter, encode character) is not legal. */
export class EncodingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ENCODING'
  static {
    setName(this, 'EncodingError')
  }
}

/** A name, or a part of one, that cannot be read (fsq standard, section 2). */
export class MalformedNameError extends EncodingError {
  static override readonly code: string = 'ERR_FSQ_MALFORMED_NAME'
  static {
    setName(this, 'MalformedNameError')
  }

  /** What is wrong with the name, without the name. */
  readonly reason: string

  /**
   * @param reason - What is wrong with the name.
   * @param name - The name, made fit to be shown.
   */
  constructor(reason: string, name: string, options?: ErrorOptions) {
    super(`${inspect(name)} cannot be read as an item name: ${reason}`, options)
    this.reason = reason
  }
}

/** The name of an item would be longer than the file system takes. */
export class NameTooLongError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NAME_TOO_LONG'
  static {
    setName(this, 'NameTooLongError')
  }

  /** How many bytes the name would have. */
  readonly bytes: number
  /** How many bytes it may have. */
  readonly limit: number

  constructor(bytes: number, limit: number, options?: ErrorOptions) {
    super(
      `The name of the item would have ${bytes} bytes, and ${limit} are allowed. ` +
        'Put what is long into the payload and keep the arguments short',
      options,
    )
    this.bytes = bytes
    this.limit = limit
  }
}

/** A setting has a value that it cannot have (fsq standard, section 8). */
export class SettingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_SETTING'
  static {
    setName(this, 'SettingError')
  }

  /** The environment variable, or the option, that has the value. */
  readonly setting: string
  /** The value, as it was given. */
  readonly value: unknown
  /** What the value should have been. */
  readonly expected: string

  /**
   * @param next - What to do about it, as a sentence without its full stop.
   * @param message - Instead of the message that the other parameters make.
   */
  constructor(setting: string, value: unknown, expected: string, next?: string, message?: string) {
    const shown = inspect(value, { depth: 0, maxStringLength: 80 })
    super(message ?? `${setting} is ${shown}, expected ${expected}${next === undefined ? '' : `. ${next}`}`)
    this.setting = setting
    this.value = value
    this.expected = expected
  }
}

/** The error for something that is set and that does not exist. */
export function unknownSetting(setting: string, value: unknown, message: string): SettingError {
  return new SettingError(setting, value, 'a setting that there is', undefined, message)
}

/** What was given as the contents of an item cannot be its contents. */
export class PayloadError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_PAYLOAD'
  static {
    setName(this, 'PayloadError')
  }
}

/**
 * What was asked for has happened, but it could not be made sure that it survives a power cut (fsq standard, sections 3
 * and 5): an enqueued item is in the queue and may run at any moment, a finished one has left.
 */
export class NotDurableError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NOT_DURABLE'
  static {
    setName(this, 'NotDurableError')
  }

  /** The item, or the name of the queue. */
  readonly id: string

  /**
   * @param action - What was done with the item: 'enqueue', 'done', 'fail', 'retry' or 'discard'; or with a queue: 'install' or
   * 'uninstall'.
   */
  constructor(id: string, options?: ErrorOptions, action = 'enqueue') {
    super(
      `${describeOutcome(id, action)}, but a power cut may undo that: making the directory durable failed. ` +
        'Do not do so again; check the disk (see the cause)',
      options,
    )
    this.id = id
  }
}

function describeOutcome(id: string, action: string): string {
  const name = inspect(id)
  switch (action) {
    case 'enqueue':
      return `The item ${name} is in the queue and may run`
    case 'install':
    case 'uninstall':
      return `The queue ${name} has been ${action}ed`
    default:
      return `The item ${name} has been finished (${action})`
  }
}

/** An item was not enqueued, as the signal of its bulk enqueue was aborted before; `cause` is the signal's reason. */
export class EnqueueAbortedError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ENQUEUE_ABORTED'
  static {
    setName(this, 'EnqueueAbortedError')
  }

  constructor(cause: unknown) {
    super(
      'The item was not enqueued: the signal was aborted before. Enqueue it again if it is still wanted',
      {
        cause,
      },
    )
  }
}

/** What became of one entry of a bulk enqueue. */
export type EnqueueOutcome = { readonly id: string } | { readonly error: FsqError }

/**
 * Some entries of a bulk enqueue failed; the others are in the queue. So are those whose outcome is a {@link NotDurableError}: they
 * must not be added again.
 */
export class EnqueueManyError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ENQUEUE_MANY'
  static {
    setName(this, 'EnqueueManyError')
  }

  /** One outcome an entry, in the order of the entries. */
  readonly outcomes: readonly EnqueueOutcome[]

  constructor(outcomes: readonly EnqueueOutcome[]) {
    const errors = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error] : []))
    const failed = errors.filter((error) => !(error instanceof NotDurableError))
    const undurable = errors.length - failed.length
    const first = failed[0] ?? errors[0]
    const parts = [
      failed.length > 0 ? `${failed.length} of ${outcomes.length} items failed to be enqueued` : undefined,
      undurable > 0
        ? `${undurable} of ${outcomes.length} are in the queue, but perhaps not durably`
        : undefined,
    ]
    super(
      `${parts.filter((part) => part !== undefined).join(', and ')}; the first of them: ${first?.message ?? 'unknown'}. ` +
        "What became of each is in 'outcomes', in the order of the entries",
      { cause: first },
    )
    this.outcomes = outcomes
  }
}

/** The work on an item has been done, but the item could not be moved to where that shows. */
export class FinishError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_FINISH'
  static {
    setName(this, 'FinishError')
  }

  /** The item that stays claimed. */
  readonly id: string
  /** What could not be done: 'done', 'fail', 'retry' or 'discard'. */
  readonly action: string

  constructor(id: string, action: string, options?: ErrorOptions) {
    const { cause } = options ?? {}
    super(
      `The item ${inspect(id)} could not be finished (${action})` +
        `${cause instanceof Error ? `: ${describeCause(cause)}. ${adviceOn(cause)}` : ''}. ` +
        'It stays claimed, so that nobody else runs it, and finishing it is tried again until the queue is closed',
      options,
    )
    this.id = id
    this.action = action
  }
}

/** The item has been finished or released already. */
export class ItemFinishedError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ITEM_FINISHED'
  static {
    setName(this, 'ItemFinishedError')
  }
}

/** Somebody else has moved or removed the file of a claimed item. */
export class ItemGoneError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ITEM_GONE'
  static {
    setName(this, 'ItemGoneError')
  }
}

/** The contents of a claimed item are too large for one value, or somebody has cut its file short since it was claimed. */
export class ContentError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_CONTENT'
  static {
    setName(this, 'ContentError')
  }
}

/** The native part of this package cannot be loaded here. */
export class AddonMissingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ADDON_MISSING'
  static {
    setName(this, 'AddonMissingError')
  }
}

/** The directories of a queue are on separate mounts, and files cannot be moved from one to another. */
export class SeparateMountsError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_SEPARATE_MOUNTS'
  static {
    setName(this, 'SeparateMountsError')
  }
}

/** A lock was not to be had in time. */
export class LockTimeoutError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_LOCK_TIMEOUT'
  static {
    setName(this, 'LockTimeoutError')
  }
}

/** A lock has been unlocked already, or was lost while it was changed. */
export class LockNotHeldError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_LOCK_NOT_HELD'
  static {
    setName(this, 'LockNotHeldError')
  }
}

/** What was to be locked cannot be, or not in this way. */
export class NotLockableError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NOT_LOCKABLE'
  static {
    setName(this, 'NotLockableError')
  }
}

// What statfs(2) calls SMB.
const SMB = ['cifs', 'smb2', 'smbfs']

function unless(fileSystem: string): string {
  return SMB.includes(fileSystem)
    ? 'With several machines items run twice there, although their locks hold: if one machine alone works the queue'
    : 'If one machine alone works the queue, or its file system was tried with several'
}

/** The queue is on a network file system, which keeps none of the promises about locks by itself. */
export class NetworkFileSystemError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NETWORK_FS'
  static {
    setName(this, 'NetworkFileSystemError')
  }

  /** What it is called, as 'nfs'. */
  readonly fileSystem: string

  /** @param where - The path of the queue, or of the directory for queues. */
  constructor(where: string, fileSystem: string, options?: ErrorOptions) {
    super(
      `${where} is on a network file system (${fileSystem}). There a lock may hold on this machine only, a rename that the ` +
        'network repeats may be reported as failed though it was made, and no machine hears of what another one adds. Put ' +
        `FSQ_ROOT on a local file system. ${unless(fileSystem)} (see probe(), and lockKind: 'fcntl'), allow it by the option ` +
        'allowNetwork (FSQ_ALLOW_NETWORK=1)',
      options,
    )
    this.fileSystem = fileSystem
  }
}

/** A system call failed. */
export class FileSystemError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_FILE_SYSTEM'
  static {
    setName(this, 'FileSystemError')
  }
}

/** The user of this process may not do it. */
export class PermissionError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_PERMISSION'
  static {
    setName(this, 'PermissionError')
  }
}

/** The file system is mounted read-only. */
export class ReadOnlyError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_READ_ONLY'
  static {
    setName(this, 'ReadOnlyError')
  }
}

/** No space, no inodes or no quota is left. */
export class DiskFullError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_DISK_FULL'
  static {
    setName(this, 'DiskFullError')
  }
}

/** The process or the system has no file descriptors left. */
export class TooManyFilesError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_TOO_MANY_FILES'
  static {
    setName(this, 'TooManyFilesError')
  }
}

type FsqErrorClass = new (message: string, options?: FsqErrorOptions) => FsqError

/** What an error number means to who meets it: the class of the error, and what to do next. */
export type ErrnoMeaning = readonly [FsqErrorClass, string]

const ADVICE: Readonly<Record<string, ErrnoMeaning>> = {
  EACCES: [PermissionError, 'Give the user of this process read, write and search permission for it'],
  EPERM: [PermissionError, 'Only its owner or root may do this; run as one of them, or change its owner'],
  EROFS: [ReadOnlyError, 'Mount the file system for writing, or put FSQ_ROOT on one that is'],
  ENOSPC: [
    DiskFullError,
    'Make room (also of inodes: see df -i), for example in done/ and fail/, and try again',
  ],
  EDQUOT: [
    DiskFullError,
    'Make room, for example in done/ and fail/, or have the quota raised, and try again',
  ],
  EMFILE: [TooManyFilesError, 'Hold fewer items and files at a time, or raise the limit (ulimit -n)'],
  ENFILE: [TooManyFilesError, 'The whole system has too many open files; raise fs.file-max or close some'],
  EXDEV: [
    SeparateMountsError,
    'Parts of the queue are on separate mounts (Docker volumes?): mount the whole queue, or FSQ_ROOT, as one',
  ],
  ENOENT: [
    FileSystemError,
    'Check that it exists. Where a queue has lost a directory, make it again, with the owner and mode of the others',
  ],
  ENOTDIR: [FileSystemError, 'Something on the path is not a directory; move it out of the way'],
  EEXIST: [FileSystemError, 'Something is there already; move it out of the way'],
  ELOOP: [
    FileSystemError,
    'Symbolic links are not followed here; put the real file or directory in its place',
  ],
  ENAMETOOLONG: [FileSystemError, 'Use a shorter name or path'],
  EBUSY: [FileSystemError, 'It is in use, for example as a mount point; mount FSQ_ROOT instead'],
  EIO: [FileSystemError, 'The device reports errors: look into the log of the kernel before going on'],
  ESTALE: [FileSystemError, 'What was open is no longer what the path names; open the queue anew'],
  EFBIG: [FileSystemError, 'The file would be larger than the file system or the limits (ulimit -f) allow'],
  ENOTSUP: [FileSystemError, 'This file system cannot do it; put the queue on a local one'],
  ENOLCK: [
    FileSystemError,
    'The system has no room for more locks, or this file system has no such ones: hold fewer items, or put the queue on a local one',
  ],
  ENOSYS: [FileSystemError, 'This kernel, or the sandbox of this process, does not offer the call'],
  EINVAL: [FileSystemError, 'This file system may not offer the call; try a queue on another one'],
}

const NO_ADVICE = [FileSystemError, 'The man page of the system call tells what the error means'] as const

/** As the message of Node's error, but a name with control characters in it, which a producer can have chosen, cannot write to a terminal. */
function describeCause(cause: Error): string {
  const { errno, syscall, path, dest } = cause as SystemError
  if (errno === undefined || syscall === undefined) return cause.message
  const [code, text] = describeErrno(errno)
  return `${code}: ${text}, ${syscall}${describePaths(path, dest)}`
}

function describePaths(path: string | undefined, dest: string | undefined): string {
  const from = path === undefined ? '' : ` ${inspect(path)}`
  const to = dest === undefined ? '' : ` -> ${inspect(dest)}`
  return from + to
}

// The code of Node's error for a failed call is the name of its errno.
function adviceOn(cause: Error): string {
  const [, advice] = ADVICE[(cause as SystemError).code ?? ''] ?? NO_ADVICE
  return advice
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
  const { errno, syscall, path, dest } = failure
  const [code, text] = describeErrno(errno)
  const [ErrorClass, advice] = meaning ?? ADVICE[code] ?? NO_ADVICE
  const where = `${syscall}${describePaths(path, dest)}`
  const error = new ErrorClass(`Cannot ${doing}: ${text} (${code}, ${where}). ${advice}`, {
    cause: systemError(failure),
  })
  Error.captureStackTrace(error, fileSystemError)
  return error
}
