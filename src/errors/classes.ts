/**
 * All errors of this package: each situation has its own class and `code`.
 *
 * @module
 */
import { inspect, types } from 'node:util'

import { type SystemError, adviceOn, describeErrno, describePaths, errnoOf } from './errno.js'

/**
 * Identifies advice that names calls and options of this package. A program with other ones, such as the command,
 * replaces the advice with its own.
 */
export type AdviceKey =
  | 'install-queue'
  | 'make-root'
  | 'name-queue'
  | 'take-up'
  | 'take-up-host'
  | 'add-host'
  | 'use-or-replace-host'
  | 'empty-host'
  | 'use-or-replace-queue'
  | 'empty-queue'
  | 'leave-network'
  | 'mount-otherwise'
  | 'make-trigger'
  | 'replace-trigger'
  | 'wait-for-finish'
  | 'leave-out-setting'

/** All values of {@link FsqError.code}. Further ones may come with further errors. */
export type FsqErrorCode =
  | 'ERR_FSQ'
  | 'ERR_FSQ_ADDON_MISSING'
  | 'ERR_FSQ_CLAIM_LOST'
  | 'ERR_FSQ_CLOSING'
  | 'ERR_FSQ_CONTENT'
  | 'ERR_FSQ_DISK_FULL'
  | 'ERR_FSQ_ENCODING'
  | 'ERR_FSQ_ENQUEUE_ABORTED'
  | 'ERR_FSQ_ENQUEUE_MANY'
  | 'ERR_FSQ_FILE_SYSTEM'
  | 'ERR_FSQ_FINISH'
  | 'ERR_FSQ_IN_DOUBT'
  | 'ERR_FSQ_ITEM_FINISHED'
  | 'ERR_FSQ_ITEM_GONE'
  | 'ERR_FSQ_LOCK_NOT_HELD'
  | 'ERR_FSQ_LOCK_TIMEOUT'
  | 'ERR_FSQ_MALFORMED_NAME'
  | 'ERR_FSQ_MISSING_PEER'
  | 'ERR_FSQ_MOUNT'
  | 'ERR_FSQ_NAME_TOO_LONG'
  | 'ERR_FSQ_NATS'
  | 'ERR_FSQ_NETWORK_FS'
  | 'ERR_FSQ_NOT_A_QUEUE'
  | 'ERR_FSQ_NOT_DURABLE'
  | 'ERR_FSQ_NOT_LOCKABLE'
  | 'ERR_FSQ_PAYLOAD'
  | 'ERR_FSQ_PEER'
  | 'ERR_FSQ_PERMANENT_FAILURE'
  | 'ERR_FSQ_PERMISSION'
  | 'ERR_FSQ_PUSH'
  | 'ERR_FSQ_QUEUE_CLOSED'
  | 'ERR_FSQ_QUEUE_DOWN'
  | 'ERR_FSQ_QUEUE_EXISTS'
  | 'ERR_FSQ_QUEUE_MISSING'
  | 'ERR_FSQ_QUEUE_NAME'
  | 'ERR_FSQ_QUEUE_NOT_EMPTY'
  | 'ERR_FSQ_READ_ONLY'
  | 'ERR_FSQ_RECEIVING'
  | 'ERR_FSQ_RETRY_LATER'
  | 'ERR_FSQ_SEPARATE_MOUNTS'
  | 'ERR_FSQ_SETTING'
  | 'ERR_FSQ_TOO_LARGE'
  | 'ERR_FSQ_TOO_MANY_FILES'
  | 'ERR_FSQ_TRIGGER'
  | 'ERR_FSQ_WORKER_PROCESS'

/** Details of an error, besides its cause. */
export interface FsqErrorOptions extends ErrorOptions {
  /** The path that the error is about, if no failed system call has it. */
  readonly path?: string
  /** What to do next, as a sentence without its full stop. The message ends with it. */
  readonly advice?: string | undefined
  /** @internal Identifies the advice. */
  readonly adviceKey?: AdviceKey
}

/**
 * Joins a problem and the advice into a message. After a problem that ends with a line break, the advice gets its own
 * line.
 */
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
 * The base class of all errors of this package. `code` identifies the situation, and `advice` says what to do next.
 * If a system call failed, `cause` is Node's error for it, and its `errno`, `syscall`, `path` and `dest` are copied
 * to this error.
 */
export class FsqError extends Error {
  /** The code of all errors of this class. */
  static readonly code: FsqErrorCode = 'ERR_FSQ'

  /** `ERR_FSQ_…`: stable across releases, unlike messages. */
  readonly code: FsqErrorCode
  /**
   * What to do next, as a sentence without its full stop; `undefined` if there is no advice. The message ends with
   * it.
   */
  declare readonly advice: string | undefined
  /** @internal Identifies the advice, if it names calls and options of this package. */
  declare readonly adviceKey: AdviceKey | undefined
  /** The negative error number of the system call that failed, if one did. */
  declare readonly errno?: number
  /** The system call that failed, if one did. */
  declare readonly syscall?: string
  /** The path of the system call, or the path that the error is about. */
  declare readonly path?: string
  /** The second path of the system call. */
  declare readonly dest?: string

  /** @param message - What happened. The message of the error adds the `advice` of the options. */
  constructor(message: string, options?: FsqErrorOptions) {
    super(messageOf(message, options?.advice), options)
    this.code = new.target.code
    // Not enumerable, because the message includes it and util.inspect() would print it twice.
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

/** The queue does not exist. Install it, or correct its name or root (`FSQ_ROOT`). */
export class QueueMissingError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_QUEUE_MISSING'
}

/**
 * The queue exists already, or something else has its name. Use the existing queue, replace it with the option
 * `force`, or choose another name.
 */
export class QueueExistsError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_QUEUE_EXISTS'
}

/** The queue is down and must not be scanned. Call `queue.up()` to take it up again. */
export class QueueDownError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_QUEUE_DOWN'
}

/**
 * The trigger could not be created or pulled: it is missing, it has no listener, or something else has its name.
 * Create it with `queue.trigger()`, start a listener, or move the other file away.
 */
export class TriggerError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_TRIGGER'
}

/**
 * The path exists but is not a queue: a directory is missing, or one of its files is of the wrong kind. Restore the
 * missing part, or move what is there away and install the queue.
 */
export class NotAQueueError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_NOT_A_QUEUE'
}

/**
 * Items are waiting in the queue, so it was not uninstalled. Let workers finish them, or uninstall with the option
 * `force`.
 */
export class QueueNotEmptyError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_QUEUE_NOT_EMPTY'
}

/**
 * The text cannot be the name of a queue (fsq standard, section 1). Use a name such as 'a_queue', without the path.
 */
export class QueueNameError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_QUEUE_NAME'
}

/** The queue handle has been closed. Open the queue again with a new handle. */
export class QueueClosedError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_QUEUE_CLOSED'
}

/**
 * A value cannot be written into an item name, or the delimiter or the encode character is not valid. Correct the
 * value, or put it into the payload.
 */
export class EncodingError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_ENCODING'
}

/**
 * A name, or a part of a name, that cannot be parsed (fsq standard, section 2). `reason` says why: correct the name,
 * or the settings that it was written with.
 */
export class MalformedNameError extends EncodingError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_MALFORMED_NAME'

  /** What is wrong with the name, without the name. */
  readonly reason: string

  /**
   * @param reason - What is wrong with the name.
   * @param name - The name, safe to show.
   */
  constructor(reason: string, name: string, options?: ErrorOptions) {
    super(`${inspect(name)} cannot be read as an item name: ${reason}`, options)
    this.reason = reason
  }
}

/**
 * The name of the item would be longer than the file system allows. Shorten the arguments, and put long values into
 * the payload.
 */
export class NameTooLongError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_NAME_TOO_LONG'

  /** The length that the name would have, in bytes. */
  readonly bytes: number
  /** The greatest length that is allowed, in bytes. */
  readonly limit: number

  constructor(bytes: number, limit: number, options?: ErrorOptions) {
    super(`The name of the item would have ${bytes} bytes, and ${limit} are allowed`, {
      ...options,
      advice: 'Put long values into the payload and keep the arguments short',
    })
    this.bytes = bytes
    this.limit = limit
  }
}

/**
 * A setting or an option has an invalid value (fsq standard, section 8), or does not exist. `setting`, `value` and
 * `expected` say what to correct.
 */
export class SettingError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_SETTING'

  /** The environment variable or the option with the value. */
  readonly setting: string
  /** The value as it was given. */
  readonly value: unknown
  /** Which values are valid. */
  readonly expected: string

  /**
   * @param next - What to do about it, as a sentence without its full stop.
   * @param message - Replaces the message that is made from the other parameters.
   */
  constructor(setting: string, value: unknown, expected: string, next?: string, message?: string) {
    const shown = inspect(value, { depth: 0, maxStringLength: 80 })
    super(message ?? `${setting} is ${shown}, expected ${expected}`, { advice: next })
    this.setting = setting
    this.value = value
    this.expected = expected
  }
}

/** The error for an option that overrides a setting and has an invalid value. */
export function overrideError(
  option: string,
  value: unknown,
  expected: string,
  variable: string,
): SettingError {
  const next = `It overrides ${variable}; leave it out to use that`
  const error = new SettingError(option, value, expected, next)
  const adviceKey: AdviceKey = 'leave-out-setting'
  return Object.defineProperty(error, 'adviceKey', { value: adviceKey })
}

/** The error for a setting or an option that does not exist. */
export function unknownSetting(setting: string, value: unknown, message: string): SettingError {
  return new SettingError(setting, value, 'an existing setting', undefined, message)
}

/** One reason why the body or the arguments of an item do not fit the parser of the queue. */
export interface PayloadIssue {
  /** The keys that lead to the part that does not fit; none if it is the whole. */
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** Details of a {@link PayloadError}. */
export interface PayloadErrorOptions extends FsqErrorOptions {
  /** See {@link PayloadError.issues}. */
  readonly issues?: readonly PayloadIssue[]
}

/**
 * The value cannot be the contents of an item: it is of the wrong type, cannot be read, is in use elsewhere, or does not fit
 * the schema of the queue. Pass another value, or a stream that nothing else reads.
 */
export class PayloadError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_PAYLOAD'

  /** Why the body or the arguments do not fit the parser of the queue; not set if the error is of another kind. */
  declare readonly issues?: readonly PayloadIssue[]

  constructor(message: string, options?: PayloadErrorOptions) {
    super(message, options)
    if (options?.issues !== undefined) this.issues = options.issues
  }
}

/**
 * The operation succeeded, but it may not survive a power cut (fsq standard, sections 3 and 5): an enqueued item is
 * in the queue and may run at any moment, and a finished item has left the queue. Do not repeat the operation; check
 * the disk.
 */
export class NotDurableError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_NOT_DURABLE'

  /** The item, or the name of the queue. */
  readonly id: string

  /**
   * @param action - What was done: to an item 'enqueue', 'done', 'fail', 'retry' or 'discard', to a queue 'install'
   * or 'uninstall'.
   */
  constructor(id: string, options?: ErrorOptions, action = 'enqueue') {
    super(
      `${describeOutcome(id, action)}, but a power cut may undo that: making the directory durable failed`,
      { ...options, advice: 'Do not repeat it; check the disk (see the cause)' },
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

/**
 * An item of a bulk enqueue was not enqueued, because the signal was aborted first; `cause` is the reason of the
 * signal. Enqueue the item again if it is still wanted.
 */
export class EnqueueAbortedError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_ENQUEUE_ABORTED'

  constructor(cause: unknown) {
    super('The item was not enqueued: the signal was aborted first', {
      cause,
      advice: 'Enqueue it again if it is still wanted',
    })
  }
}

/** The outcome of one entry of a bulk enqueue. */
export type EnqueueOutcome = { readonly id: string } | { readonly error: FsqError }

/**
 * Some entries of a bulk enqueue failed; the others are in the queue. An entry whose outcome is a
 * {@link NotDurableError} is in the queue, too, and must not be enqueued again.
 */
export class EnqueueManyError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_ENQUEUE_MANY'

  /** One outcome for each entry, in the order of the entries. */
  readonly outcomes: readonly EnqueueOutcome[]

  constructor(outcomes: readonly EnqueueOutcome[]) {
    const errors = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error] : []))
    const failed = errors.filter((error) => !(error instanceof NotDurableError))
    const undurable = errors.length - failed.length
    const first = failed[0] ?? errors[0]
    const parts = [
      failed.length > 0 ? `${failed.length} of ${outcomes.length} items failed to be enqueued` : undefined,
      undurable > 0
        ? `${undurable} of ${outcomes.length} are in the queue, but may not survive a power cut`
        : undefined,
    ]
    super(
      `${parts.filter((part) => part !== undefined).join(', and ')}; the first error: ${first?.message ?? 'unknown'}`,
      { cause: first, advice: "'outcomes' has the result of each entry, in the order of the entries" },
    )
    this.outcomes = outcomes
  }
}

/**
 * The work on an item is done, but the item could not be moved to done/, to fail/ or to its next try. It stays
 * claimed and the move is retried until the queue is closed; fix the cause.
 */
export class FinishError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_FINISH'

  /** The item, which stays claimed. */
  readonly id: string
  /** The action that failed: 'done', 'fail', 'retry' or 'discard'. */
  readonly action: string

  constructor(id: string, action: string, options?: ErrorOptions) {
    const { cause } = options ?? {}
    super(
      `The item ${inspect(id)} could not be finished (${action})${cause instanceof Error ? `: ${describeCause(cause)}` : ''}`,
      {
        ...options,
        advice: finishAdvice(cause, ', and the finish is retried until the queue is closed'),
        adviceKey: 'wait-for-finish',
      },
    )
    this.id = id
    this.action = action
  }
}

/** Like the message of Node's error, but safe to show. */
function describeCause(cause: Error): string {
  const { errno, syscall } = cause as SystemError
  if (errno === undefined || syscall === undefined) return cause.message
  const [code, text] = describeErrno(errno)
  return `${code}: ${text}, ${syscall}${describePaths(cause as SystemError)}`
}

/**
 * The advice of a {@link FinishError}.
 *
 * @param then - How it continues, to follow the advice.
 */
export function finishAdvice(cause: unknown, then: string): string {
  const first = cause instanceof Error ? `${adviceOn(errnoOf(cause))}. ` : ''
  return `${first}It stays claimed, so that no other worker runs it${then}`
}

/** The item has already been finished or released. Finish an item only once. */
export class ItemFinishedError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_ITEM_FINISHED'
}

/**
 * Another process has moved or removed the file of a claimed item. The item is out of this worker's hands: go on with
 * the next one, and find out what else changes files in the queue.
 */
export class ItemGoneError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_ITEM_GONE'
}

/**
 * This worker has lost its claims in a queue that several machines share: for most of the file system's lease, its machine was cut off from
 * the server or stood still, or the server says that the lock is gone. Or it has lost a delivery of a message: see `jetstreamSource()` of
 * `fsq/nats`. Another worker has the item, or will have it. `item.signal` is aborted with this error. Stop the work on the item, and undo
 * what only one worker may do. If the answer to its finish was lost together with the lock, a worker gets this error although it has
 * finished the item: never do two workers believe that they have.
 */
export class ClaimLostError extends ItemGoneError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_CLAIM_LOST'
}

/**
 * Thrown by the handler of a worker: the item fails for good, however many tries it has left. Give the error behind it as `cause`.
 *
 * @example
 * ```ts
 * if (!isAddress(to)) throw new PermanentFailure(`not an address: ${to}`)
 * ```
 */
export class PermanentFailure extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_PERMANENT_FAILURE'
}

/** Options of {@link RetryLater}. */
export interface RetryLaterOptions extends ErrorOptions {
  /** Milliseconds until the item is due again. */
  readonly after: number
}

/**
 * Thrown by the handler of a worker: not now. The worker gives the item back untried, and the item is due after the given time. Its
 * TTL still limits how long that can go on.
 *
 * @example
 * ```ts
 * if (response.status === 429) throw new RetryLater({ after: 30_000 })
 * ```
 */
export class RetryLater extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_RETRY_LATER'

  /** Milliseconds until the item is due again. */
  readonly after: number

  /** @throws {@link SettingError} if `after` is not a number of 0 or more. */
  constructor(options: RetryLaterOptions) {
    // A handler that is not type-checked may leave it out.
    const { after, ...rest } = (options as RetryLaterOptions | null | undefined) ?? ({} as RetryLaterOptions)
    if (typeof after !== 'number' || !Number.isFinite(after) || after < 0)
      throw new SettingError('after', after, 'milliseconds, a number of 0 or more')
    super(`The item is to be tried again in ${after} ms`, rest)
    this.after = after
  }
}

/**
 * The worker closes, and the time that it gives its handlers has passed. This is the reason with which it aborts the signal of each
 * handler that still runs. The item of a handler that throws then goes back to the queue, with no try counted.
 *
 * `worker.idle()` rejects with it, too, and `queue.work(url, { processes })` if a signal closes the worker while the module loads.
 */
export class ClosingError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_CLOSING'
}

/**
 * A forwarder may have put the item before, longer ago than the target remembers ids. Put again, it may arrive twice. So it is in fail/. Find
 * out whether the target has it: remove it then. Otherwise retry it; a retry ends the doubt.
 */
export class InDoubtError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_IN_DOUBT'

  /** Since when the target may have the item, by the clock of the forwarder that put it. */
  readonly since: Date

  /**
   * @param id - The item.
   * @param sink - The name of the target.
   */
  constructor(id: string, sink: string, since: Date, options?: ErrorOptions) {
    const at = Number.isNaN(since.getTime()) ? 'before' : `at ${since.toISOString()}`
    super(
      `The item ${inspect(id)} may have been put into ${sink} ${at}, without an answer, and ${sink} may have forgotten its id since`,
      {
        ...options,
        advice: 'Remove it if it has arrived there; otherwise put it again, by fsq retry or queue.redrive()',
      },
    )
    this.since = since
  }
}

/**
 * Another receiver of this source fills the queue already. Two of them would need one ledger. Close the other one first, or give each
 * source a name of its own.
 */
export class ReceivingError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_RECEIVING'
}

/** Details of a {@link WorkerProcessError}. */
export interface WorkerProcessErrorOptions extends FsqErrorOptions {
  readonly pid?: number | undefined
  readonly exitCode?: number | null | undefined
  readonly signal?: NodeJS.Signals | null | undefined
}

/**
 * A child process of a worker cannot work: it cannot import the module of the handler, has ended unexpectedly, or was killed because its
 * handler did not end in time. The worker replaces it. Find out from the message, the `cause` and the output of the process why it ends.
 */
export class WorkerProcessError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_WORKER_PROCESS'

  /** The process; `undefined`: it was not started. */
  readonly pid: number | undefined
  /** Its exit code, if it has ended by itself. */
  readonly exitCode: number | undefined
  /** The signal that has ended it, if one has. */
  readonly signal: NodeJS.Signals | undefined

  constructor(message: string, { pid, exitCode, signal, ...options }: WorkerProcessErrorOptions = {}) {
    super(message, options)
    this.pid = pid
    this.exitCode = exitCode ?? undefined
    this.signal = signal ?? undefined
  }
}

/**
 * The contents of a claimed item are too large for one value, its file was truncated after the claim, or no parser has read
 * them yet. Read large contents with `stream()`, and call `queue.parse(item)` before `item.body` in a scan.
 */
export class ContentError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_CONTENT'
}

/** The native addon of this package cannot be loaded here. The message says why, and what to install or to allow. */
export class AddonMissingError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_ADDON_MISSING'
}

/**
 * The directories of a queue are on separate mounts, so files cannot be moved between them. Mount the whole queue as
 * one.
 */
export class SeparateMountsError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_SEPARATE_MOUNTS'
}

/**
 * The lock did not become free within the timeout. Wait longer, or find out which process holds it (lslocks,
 * /proc/locks).
 */
export class LockTimeoutError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_LOCK_TIMEOUT'
}

/**
 * The lock has already been unlocked, or was lost while it was being changed. Take it again before you rely on it.
 */
export class LockNotHeldError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_LOCK_NOT_HELD'
}

/**
 * The target cannot be locked, or not in this way. Lock a regular file or a directory, with another `kind` or opened
 * for writing if the message says so.
 */
export class NotLockableError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_NOT_LOCKABLE'
}

/**
 * The queue is on a network file system, which does not guarantee on its own that locks and renames work. Use a local file
 * system, or check it with `probePeer()` (`fsq doctor --peer`), and set the option `allowNetwork`. A queue that is installed then has claims
 * by rename, which several machines may work.
 */
export class NetworkFileSystemError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_NETWORK_FS'

  /** The name of the file system, such as 'nfs'. */
  readonly fileSystem: string

  /** @param where - The path of the queue, or of the directory with the queues. */
  constructor(where: string, fileSystem: string, options?: ErrorOptions) {
    super(
      `${where} is on a network file system (${fileSystem}). There a lock may hold on this machine only, a rename that the ` +
        'network repeats may be reported as failed although it succeeded, and no machine is notified of items that another one adds',
      {
        ...options,
        advice: networkAdvice(
          'probePeer() (fsq doctor --peer)',
          'the option allowNetwork (FSQ_ALLOW_NETWORK=1)',
        ),
        adviceKey: 'leave-network',
      },
    )
    this.fileSystem = fileSystem
  }
}

/**
 * The advice of a {@link NetworkFileSystemError}.
 *
 * @param check - What tells whether two machines can work a queue there.
 * @param allow - How to allow it.
 */
export function networkAdvice(check: string, allow: string): string {
  return (
    `Put FSQ_ROOT on a local file system. Or run ${check} on two machines, and set ${allow}: a queue that is installed then has claims by ` +
    'rename, which several machines may work, and fsq repair --claims=rename converts an older one. One machine alone may work a queue ' +
    'whose claims are locks'
  )
}

/**
 * Workers of the queue claim items by renaming them, which is for several machines, and several machines cannot work a queue on this mount:
 * its options allow lost locks or lost answers. Mount the file system as the message says.
 */
export class MountError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_MOUNT'

  /** The reasons, each with what to mount instead. */
  readonly reasons: readonly string[]

  /** @param where - The path of the queue, or of the directory with the queues. */
  constructor(where: string, reasons: readonly string[]) {
    super(`Several machines cannot work a queue in ${where}, because of its mount: ${reasons.join('; ')}`, {
      advice: "If one machine alone works the queue, install it with claims: 'lock'",
      adviceKey: 'mount-otherwise',
    })
    this.reasons = reasons
  }
}

/**
 * `probePeer()` could not compare two machines: no process on the other machine answered, it ended before the end, or the server of the
 * file system did not answer in time. The message says which.
 */
export class PeerError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_PEER'
}

/** A package that a part of this package needs is not installed. The message has the command that installs it. */
export class MissingPeerError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_MISSING_PEER'

  /** The name of the missing package. */
  readonly peer: string

  /**
   * @param user - The part that needs it: `fsq/nats`.
   * @param all - All packages that this part may need.
   */
  constructor(peer: string, user: string, all: readonly string[], options?: ErrorOptions) {
    super(`${user} needs the package ${peer}, which is not installed`, {
      ...options,
      advice: `Install it: npm install ${all.join(' ')}`,
    })
    this.peer = peer
  }
}

/** The contents of an item are larger than its target takes. The item is not forwarded. */
export class TooLargeError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_TOO_LARGE'

  /** The size of the contents, in bytes. */
  readonly bytes: number
  /** The greatest size that the target takes, in bytes. */
  readonly limit: number

  /** @param target - Names the target in the message. */
  constructor(target: string, bytes: number, limit: number, options?: FsqErrorOptions) {
    super(`The item has ${bytes} bytes, and ${target} takes at most ${limit}`, options)
    this.bytes = bytes
    this.limit = limit
  }
}

/**
 * Why a {@link NatsError} has happened.
 *
 * - `away`: no server can be reached.
 * - `timeout`: the server has not answered in time. It may have done what was asked.
 * - `missing`: the stream, the consumer or the object does not exist, or no stream takes the subject.
 * - `denied`: the server refuses the credentials, or they lack a right; or TLS has failed, for example because of a certificate.
 * - `full`: a limit of the stream or of the server is reached.
 * - `other`: as the message says.
 */
export type NatsReason = 'away' | 'timeout' | 'missing' | 'denied' | 'full' | 'other'

/** A NATS server cannot be reached, or has refused a request. `reason` says which, and `cause` has the error of the client, if there is one. */
export class NatsError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_NATS'

  readonly reason: NatsReason

  constructor(message: string, reason: NatsReason, options?: FsqErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/**
 * Why a {@link PushError} has happened.
 *
 * - `away`: the receiver cannot be reached. It has not got the item.
 * - `timeout`: the receiver has not answered in time. It may have the item.
 * - `denied`: the receiver refuses the credentials, or its certificate is not good.
 * - `missing`: there is no receiver at the URL: another service answers, or none at this path.
 * - `refused`: the receiver will never take the item, for example because it has another one of this name.
 * - `failed`: the receiver has answered with an error that may pass. The message has its text.
 * - `unable`: the receiver is one of the first implementation, and such an item cannot be sent to it.
 * - `other`: as the message says, for example that the connection broke. The receiver may have the item.
 */
export type PushReason = 'away' | 'timeout' | 'denied' | 'missing' | 'refused' | 'failed' | 'unable' | 'other'

/** An item could not be pushed to another machine. `reason` says why. */
export class PushError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_PUSH'

  readonly reason: PushReason

  constructor(message: string, reason: PushReason, options?: FsqErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** A system call failed. `errno`, `syscall` and `path` say which, and `advice` what to do. */
export class FileSystemError extends FsqError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_FILE_SYSTEM'
}

/** The user of this process lacks the permission. Give it to the user, or run as the owner. */
export class PermissionError extends FileSystemError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_PERMISSION'
}

/** The file system is mounted read-only. Mount it for writing, or put the queue on another one. */
export class ReadOnlyError extends FileSystemError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_READ_ONLY'
}

/** The disk is full: no space, inodes or quota are left. Make room, for example in done/ and fail/, and try again. */
export class DiskFullError extends FileSystemError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_DISK_FULL'
}

/**
 * The process or the system has no file descriptors left. Hold fewer items and files at a time, or raise the limit.
 */
export class TooManyFilesError extends FileSystemError {
  static override readonly code: FsqErrorCode = 'ERR_FSQ_TOO_MANY_FILES'
}

// On the prototypes and not enumerable, like the names of built-in errors, so that util.inspect() does not print them
// twice. The names are keys of an object because minifiers rename classes but keep keys.
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
  ClaimLostError,
  PermanentFailure,
  RetryLater,
  ClosingError,
  InDoubtError,
  ReceivingError,
  WorkerProcessError,
  ContentError,
  AddonMissingError,
  SeparateMountsError,
  LockTimeoutError,
  LockNotHeldError,
  NotLockableError,
  NetworkFileSystemError,
  MountError,
  PeerError,
  PushError,
  MissingPeerError,
  TooLargeError,
  NatsError,
  FileSystemError,
  PermissionError,
  ReadOnlyError,
  DiskFullError,
  TooManyFilesError,
}
for (const [name, { prototype }] of Object.entries(NAMES))
  Object.defineProperty(prototype, 'name', { value: name, configurable: true, writable: true })
