/**
 * Every error of this package: one class and one `code` a situation.
 *
 * @module
 */
import { inspect, types } from 'node:util'

import { type SystemError, adviceOn, describeErrno, describePaths, errnoOf } from './errno.js'

/**
 * Which advice an error gives, where it speaks of calls and options of this package: who shows errors to somebody that has
 * others, such as those of a command, gives it in other words.
 */
export type AdviceKey =
  | 'install-queue'
  | 'make-root'
  | 'name-queue'
  | 'take-up'
  | 'use-or-replace-queue'
  | 'empty-queue'
  | 'leave-network'
  | 'make-trigger'
  | 'replace-trigger'
  | 'wait-for-finish'
  | 'leave-out-setting'

/** What an error is about besides its cause. */
export interface FsqErrorOptions extends ErrorOptions {
  /** The path that it is about, where no system call on it failed. */
  readonly path?: string
  /** What to do next, as a sentence without its full stop. The message ends with it. */
  readonly advice?: string | undefined
  /** @internal Which advice that is. */
  readonly adviceKey?: AdviceKey
}

/** A message: what has happened, and what to do next. A problem that ends its line has the advice on a line of its own. */
export function messageOf(problem: string, advice: string | undefined): string {
  if (advice === undefined) return problem
  return problem.endsWith('\n') ? problem + advice : `${problem}. ${advice}`
}

/** The message of an error without its advice. */
export function problemOf({ message, advice }: FsqError): string {
  if (advice === undefined || !message.endsWith(advice)) return message
  const problem = message.slice(0, message.length - advice.length)
  return problem.endsWith('. ') ? problem.slice(0, -2) : problem
}

/**
 * The base of all errors of this package. `code` tells the situation, `advice` what to do next; where a system call failed,
 * `cause` is Node's error for it, and `errno`, `syscall`, `path` and `dest` are repeated here.
 */
export class FsqError extends Error {
  /** The code of all errors of a class. */
  static readonly code: string = 'ERR_FSQ'

  /** `ERR_FSQ_…`: stays the same from release to release, which messages do not. */
  readonly code: string
  /** What to do next, as a sentence without its full stop; `undefined`: nothing is advised. The message ends with it. */
  declare readonly advice: string | undefined
  /** @internal Which advice that is, if it speaks of calls and options of this package. */
  declare readonly adviceKey: AdviceKey | undefined
  /** The negative error number of the system call that failed, if one did. */
  declare readonly errno?: number
  /** The system call that failed, if one did. */
  declare readonly syscall?: string
  /** What the system call was called on, or what the error is about. */
  declare readonly path?: string
  /** The second path of the system call. */
  declare readonly dest?: string

  /** @param message - What has happened. The message of the error adds the `advice` of the options. */
  constructor(message: string, options?: FsqErrorOptions) {
    super(messageOf(message, options?.advice), options)
    this.code = new.target.code
    // Not enumerable: the message has it, and util.inspect() does not print it twice.
    Object.defineProperties(this, {
      advice: { value: options?.advice },
      adviceKey: { value: options?.adviceKey, configurable: true },
    })
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
}

/** A queue, or something else that is in the way, has the name already. */
export class QueueExistsError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_EXISTS'
}

/** The queue has been taken down: it must not be scanned. */
export class QueueDownError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_DOWN'
}

/** The trigger cannot be made or pulled: it is missing, nobody listens, or something else has its name. */
export class TriggerError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_TRIGGER'
}

/** What has the name of the queue lacks the directories of one, or has something else where a file of a queue belongs. */
export class NotAQueueError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NOT_A_QUEUE'
}

/** Items wait in the queue, so it is not removed. */
export class QueueNotEmptyError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_NOT_EMPTY'
}

/** The text cannot be the name of a queue (fsq standard, section 1). */
export class QueueNameError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_NAME'
}

/** The handle of the queue has been closed. */
export class QueueClosedError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_QUEUE_CLOSED'
}

/** Something cannot be written into an item name, or the way to write it (delimiter, encode character) is not legal. */
export class EncodingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ENCODING'
}

/** A name, or a part of one, that cannot be read (fsq standard, section 2). */
export class MalformedNameError extends EncodingError {
  static override readonly code: string = 'ERR_FSQ_MALFORMED_NAME'

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

  /** How many bytes the name would have. */
  readonly bytes: number
  /** How many bytes it may have. */
  readonly limit: number

  constructor(bytes: number, limit: number, options?: ErrorOptions) {
    super(`The name of the item would have ${bytes} bytes, and ${limit} are allowed`, {
      ...options,
      advice: 'Put what is long into the payload and keep the arguments short',
    })
    this.bytes = bytes
    this.limit = limit
  }
}

/** A setting has a value that it cannot have (fsq standard, section 8). */
export class SettingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_SETTING'

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
    super(message ?? `${setting} is ${shown}, expected ${expected}`, { advice: next })
    this.setting = setting
    this.value = value
    this.expected = expected
  }
}

/** The error for an option that stands for a setting, and has a value that this cannot have. */
export function overrideError(
  option: string,
  value: unknown,
  expected: string,
  variable: string,
): SettingError {
  const next = `It stands for ${variable}; leave it out to have that`
  const error = new SettingError(option, value, expected, next)
  const adviceKey: AdviceKey = 'leave-out-setting'
  return Object.defineProperty(error, 'adviceKey', { value: adviceKey })
}

/** The error for something that is set and that does not exist. */
export function unknownSetting(setting: string, value: unknown, message: string): SettingError {
  return new SettingError(setting, value, 'a setting that there is', undefined, message)
}

/** What was given as the contents of an item cannot be its contents. */
export class PayloadError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_PAYLOAD'
}

/**
 * What was asked for has happened, but it could not be made sure that it survives a power cut (fsq standard, sections 3
 * and 5): an enqueued item is in the queue and may run at any moment, a finished one has left.
 */
export class NotDurableError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NOT_DURABLE'

  /** The item, or the name of the queue. */
  readonly id: string

  /**
   * @param action - What was done with the item: 'enqueue', 'done', 'fail', 'retry' or 'discard'; or with a queue: 'install' or
   * 'uninstall'.
   */
  constructor(id: string, options?: ErrorOptions, action = 'enqueue') {
    super(
      `${describeOutcome(id, action)}, but a power cut may undo that: making the directory durable failed`,
      { ...options, advice: 'Do not do so again; check the disk (see the cause)' },
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

  constructor(cause: unknown) {
    super('The item was not enqueued: the signal was aborted before', {
      cause,
      advice: 'Enqueue it again if it is still wanted',
    })
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
      `${parts.filter((part) => part !== undefined).join(', and ')}; the first of them: ${first?.message ?? 'unknown'}`,
      { cause: first, advice: "What became of each is in 'outcomes', in the order of the entries" },
    )
    this.outcomes = outcomes
  }
}

/** The work on an item has been done, but the item could not be moved to where that shows. */
export class FinishError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_FINISH'

  /** The item that stays claimed. */
  readonly id: string
  /** What could not be done: 'done', 'fail', 'retry' or 'discard'. */
  readonly action: string

  constructor(id: string, action: string, options?: ErrorOptions) {
    const { cause } = options ?? {}
    super(
      `The item ${inspect(id)} could not be finished (${action})${cause instanceof Error ? `: ${describeCause(cause)}` : ''}`,
      {
        ...options,
        advice: finishAdvice(cause, ', and finishing it is tried again until the queue is closed'),
        adviceKey: 'wait-for-finish',
      },
    )
    this.id = id
    this.action = action
  }
}

/** As the message of Node's error, but safe to show. */
function describeCause(cause: Error): string {
  const { errno, syscall } = cause as SystemError
  if (errno === undefined || syscall === undefined) return cause.message
  const [code, text] = describeErrno(errno)
  return `${code}: ${text}, ${syscall}${describePaths(cause as SystemError)}`
}

/** The advice of a {@link FinishError}. `then`: how it goes on. */
export function finishAdvice(cause: unknown, then: string): string {
  const first = cause instanceof Error ? `${adviceOn(errnoOf(cause))}. ` : ''
  return `${first}It stays claimed, so that nobody else runs it${then}`
}

/** The item has been finished or released already. */
export class ItemFinishedError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ITEM_FINISHED'
}

/** Somebody else has moved or removed the file of a claimed item. */
export class ItemGoneError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ITEM_GONE'
}

/** The contents of a claimed item are too large for one value, or somebody has cut its file short since it was claimed. */
export class ContentError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_CONTENT'
}

/** The native part of this package cannot be loaded here. */
export class AddonMissingError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_ADDON_MISSING'
}

/** The directories of a queue are on separate mounts, and files cannot be moved from one to another. */
export class SeparateMountsError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_SEPARATE_MOUNTS'
}

/** A lock was not to be had in time. */
export class LockTimeoutError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_LOCK_TIMEOUT'
}

/** A lock has been unlocked already, or was lost while it was changed. */
export class LockNotHeldError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_LOCK_NOT_HELD'
}

/** What was to be locked cannot be, or not in this way. */
export class NotLockableError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NOT_LOCKABLE'
}

/** The queue is on a network file system, which keeps none of the promises about locks by itself. */
export class NetworkFileSystemError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_NETWORK_FS'

  /** What it is called, as 'nfs'. */
  readonly fileSystem: string

  /** @param where - The path of the queue, or of the directory for queues. */
  constructor(where: string, fileSystem: string, options?: ErrorOptions) {
    super(
      `${where} is on a network file system (${fileSystem}). There a lock may hold on this machine only, a rename that the ` +
        'network repeats may be reported as failed though it was made, and no machine hears of what another one adds',
      {
        ...options,
        advice: networkAdvice(
          fileSystem,
          "probe(), and lockKind: 'fcntl'",
          'the option allowNetwork (FSQ_ALLOW_NETWORK=1)',
        ),
        adviceKey: 'leave-network',
      },
    )
    this.fileSystem = fileSystem
  }
}

// What statfs(2) calls SMB.
const SMB = ['cifs', 'smb2', 'smbfs']

/** The advice of a {@link NetworkFileSystemError}. `see`: what tells more; `allow`: what allows it. */
export function networkAdvice(fileSystem: string, see: string, allow: string): string {
  const unless = SMB.includes(fileSystem)
    ? 'With several machines items run twice there, although their locks hold: if one machine alone works the queue'
    : 'If one machine alone works the queue, or its file system was tried with several'
  return `Put FSQ_ROOT on a local file system. ${unless} (see ${see}), allow it by ${allow}`
}

/** A system call failed. */
export class FileSystemError extends FsqError {
  static override readonly code: string = 'ERR_FSQ_FILE_SYSTEM'
}

/** The user of this process may not do it. */
export class PermissionError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_PERMISSION'
}

/** The file system is mounted read-only. */
export class ReadOnlyError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_READ_ONLY'
}

/** No space, no inodes or no quota is left. */
export class DiskFullError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_DISK_FULL'
}

/** The process or the system has no file descriptors left. */
export class TooManyFilesError extends FileSystemError {
  static override readonly code: string = 'ERR_FSQ_TOO_MANY_FILES'
}

// On the prototypes and not enumerable, as the names of the built-in errors are: util.inspect() does not print them twice. And
// keys of an object: minifiers keep them, which give classes other names.
const NAMES: Readonly<Record<string, { readonly prototype: object }>> = {
  FsqError,
  QueueMissingError,
  QueueExistsError,
  QueueDownError,
  TriggerError,
  NotAQueueError,
  QueueNotEmptyError,
  QueueNameError,
  QueueClosedError,
  EncodingError,
  MalformedNameError,
  NameTooLongError,
  SettingError,
  PayloadError,
  NotDurableError,
  EnqueueAbortedError,
  EnqueueManyError,
  FinishError,
  ItemFinishedError,
  ItemGoneError,
  ContentError,
  AddonMissingError,
  SeparateMountsError,
  LockTimeoutError,
  LockNotHeldError,
  NotLockableError,
  NetworkFileSystemError,
  FileSystemError,
  PermissionError,
  ReadOnlyError,
  DiskFullError,
  TooManyFilesError,
}
for (const [name, { prototype }] of Object.entries(NAMES))
  Object.defineProperty(prototype, 'name', { value: name, configurable: true, writable: true })
