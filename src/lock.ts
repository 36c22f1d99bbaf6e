/**
 * `fsq/lock`: the kernel's file locks, without queues. docs/locks.md explains which locks exclude each other, and
 * when each is released.
 *
 * Locks are advisory: they exclude only other users of locks. A lock ends with its holder, however suddenly that
 * process dies. No lock needs to be renewed, and none is ever stale.
 *
 * @module fsq/lock
 */
import os from 'node:os'
import { types } from 'node:util'

import { LockTimeoutError, SettingError } from './errors/classes.js'
import type { Failure } from './errors/errno.js'
import { lockError, notLockable } from './lock/failure.js'
import { FileLock } from './lock/file-lock.js'
import {
  about,
  LOCK_SYNC_OPTIONS,
  LOCK_WAIT_OPTIONS,
  type LockOptions,
  type LockRequest,
  type LockTarget,
  NO_OPTIONS,
  type UnlockOptions,
  describeTarget,
  lockDescriptor,
  lockOperation,
  lockRequest,
  tryUnlock,
  unlockDescriptor,
  unlockRequest,
} from './lock/request.js'
import {
  type TimeoutOptions,
  type WaitOptions,
  checkTimeout,
  checkWait,
  waitFor,
  waitForSync,
} from './lock/wait.js'
import { type PathLock, isFailure, native } from './addon/native.js'

export { FileLock }
export type { LockKind } from './addon/native.js'
export type { LockOptions, LockRange, LockTarget, UnlockOptions } from './lock/request.js'
export type { TimeoutOptions, WaitOptions } from './lock/wait.js'
export {
  FileSystemError,
  FsqError,
  type FsqErrorOptions,
  LockNotHeldError,
  LockTimeoutError,
  NotLockableError,
  SettingError,
} from './errors/classes.js'

const { EAGAIN } = os.constants.errno
const UNLOCK_ON_ABORT = (late: FileLock): void => {
  late.unlock()
}

/**
 * Takes a lock if it is free now.
 *
 * @param target - A path or an open descriptor. The file at a path is opened and, if it is missing, created; symbolic
 * links are followed. On success the path names the locked file. A descriptor stays the caller's and is locked before
 * this call returns, because its number might later belong to another file.
 * @returns The lock; `undefined` if another holder has it.
 * @throws {@link SettingError} for invalid options, {@link NotLockableError} if the target cannot be locked (in this
 * way), {@link FileSystemError} or a subclass if a system call fails.
 * @example
 * ```ts
 * const lock = await tryLock('/run/app.lock')
 * if (lock === undefined) throw new Error('already running')
 * ```
 */
export async function tryLock(
  target: LockTarget,
  options: LockOptions = NO_OPTIONS,
): Promise<FileLock | undefined> {
  return attempt(lockRequest('tryLock', target, options))
}

/** Synchronous {@link tryLock}; blocks the thread. */
export function tryLockSync(target: LockTarget, options: LockOptions = NO_OPTIONS): FileLock | undefined {
  return attemptSync(lockRequest('tryLockSync', target, options))
}

/**
 * Takes a lock, and waits until it is free. It is polled every 1 to 50 ms; several waiters get it in no particular
 * order.
 *
 * @param options - `timeout` in milliseconds, `signal`, and the options of {@link tryLock}.
 * @throws {@link LockTimeoutError}, the signal's reason, and the errors of {@link tryLock}.
 * @example
 * ```ts
 * const held = await lock('/run/app.lock', { timeout: 5000 })
 * try {
 *   await work()
 * } finally {
 *   held.unlock()
 * }
 * ```
 */
export async function lock(
  target: LockTarget,
  options: LockOptions & WaitOptions = NO_OPTIONS,
): Promise<FileLock> {
  return waitForLock('lock', target, options)
}

/**
 * Synchronous {@link lock}; blocks the thread until the lock is free. If this same thread holds the lock, it waits
 * forever: set a timeout.
 */
export function lockSync(target: LockTarget, options: LockOptions & TimeoutOptions = NO_OPTIONS): FileLock {
  return waitForLockSync('lockSync', target, options)
}

/**
 * Releases a lock on the caller's descriptor, at once and for all copies of the descriptor. Does nothing if there is
 * no lock. Like {@link FileLock.unlock}, for callers that keep the descriptor rather than the lock.
 *
 * @param options - The `kind`, and the range for kind `fcntl`. Default: flock and the whole file.
 * @throws {@link FileSystemError} if the descriptor is not open.
 */
export async function unlock(descriptor: number, options: UnlockOptions = NO_OPTIONS): Promise<void> {
  unlockNow(unlockRequest('unlock', descriptor, options))
}

/** Synchronous {@link unlock}. */
export function unlockSync(descriptor: number, options: UnlockOptions = NO_OPTIONS): void {
  // The fast path is enough for most calls. If it fails, the slow path finds out why.
  if (options === NO_OPTIONS && tryUnlock(descriptor)) return
  unlockNow(unlockRequest('unlockSync', descriptor, options))
}

/**
 * Runs a function while holding a lock, and returns its result.
 *
 * @throws The errors of {@link lock}, and of the function.
 * @example
 * ```ts
 * const next = await withLock('/var/lib/app/counter.lock', { timeout: 5000 }, async () => increment())
 * ```
 */
export async function withLock<Result>(
  target: LockTarget,
  run: (lock: FileLock) => Result | PromiseLike<Result>,
): Promise<Result>
export async function withLock<Result>(
  target: LockTarget,
  options: LockOptions & WaitOptions,
  run: (lock: FileLock) => Result | PromiseLike<Result>,
): Promise<Result>
export async function withLock<Result>(
  target: LockTarget,
  ...rest:
    | [run: (lock: FileLock) => Result | PromiseLike<Result>]
    | [options: LockOptions & WaitOptions, run: (lock: FileLock) => Result | PromiseLike<Result>]
): Promise<Result> {
  const [options, run] = rest.length === 1 ? [NO_OPTIONS, rest[0]] : rest
  checkFunction(run)
  const held = await waitForLock('withLock', target, options)
  let result: Result
  try {
    result = await run(held)
  } catch (error) {
    unlockQuietly(held)
    throw error
  }
  held.unlock()
  return result
}

/**
 * Synchronous {@link withLock}, with {@link lockSync}. The function must have finished when it returns: it must not
 * return a promise.
 */
export function withLockSync<Result>(target: LockTarget, run: (lock: FileLock) => Result): Result
export function withLockSync<Result>(
  target: LockTarget,
  options: LockOptions & TimeoutOptions,
  run: (lock: FileLock) => Result,
): Result
export function withLockSync<Result>(
  target: LockTarget,
  ...rest:
    | [run: (lock: FileLock) => Result]
    | [options: LockOptions & TimeoutOptions, run: (lock: FileLock) => Result]
): Result {
  const [options, run] = rest.length === 1 ? [NO_OPTIONS, rest[0]] : rest
  checkFunction(run)
  const held = waitForLockSync('withLockSync', target, options)
  let result: Result
  try {
    result = run(held)
    checkIsThrough(run, result)
  } catch (error) {
    unlockQuietly(held)
    throw error
  }
  held.unlock()
  return result
}

function checkIsThrough(run: unknown, result: unknown): void {
  const { then } = (result ?? {}) as { readonly then?: unknown }
  if (typeof then !== 'function') return
  // No one will await this promise, so its rejection must not end the process.
  if (types.isPromise(result)) result.catch(() => undefined)
  const expected = 'a function that returns no promise, because the lock is released now'
  throw new SettingError('the function', run, expected, 'Use withLock')
}

/**
 * After an error of the function, which must not be replaced: if the function has closed the descriptor, unlocking
 * fails, but there is no lock any more.
 */
function unlockQuietly(held: FileLock): void {
  try {
    held.unlock()
  } catch {
    // See above.
  }
}

async function waitForLock(
  call: string,
  target: LockTarget,
  options: LockOptions & WaitOptions,
): Promise<FileLock> {
  const request = lockRequest(call, target, options, LOCK_WAIT_OPTIONS)
  checkWait(options)
  const held = await waitFor(async () => attempt(request), options, UNLOCK_ON_ABORT)
  return held ?? timedOut(request, options)
}

function waitForLockSync(call: string, target: LockTarget, options: LockOptions & TimeoutOptions): FileLock {
  const request = lockRequest(call, target, options, LOCK_SYNC_OPTIONS)
  checkTimeout(options)
  return waitForSync(() => attemptSync(request), options) ?? timedOut(request, options)
}

async function attempt(request: LockRequest): Promise<FileLock | undefined> {
  if (request.path === undefined) return attemptSync(request)
  const { rawPath, shared, start, length, create } = request
  const operation = lockOperation(request, shared)
  return held(request, await native.lockPath(rawPath, operation, start, length, create))
}

function attemptSync(request: LockRequest): FileLock | undefined {
  return request.path === undefined ? attemptDescriptor(request) : attemptPathSync(request)
}

function attemptPathSync(request: LockRequest): FileLock | undefined {
  const { rawPath, shared, start, length, create } = request
  return held(request, native.lockPathSync(rawPath, lockOperation(request, shared), start, length, create))
}

function attemptDescriptor(request: LockRequest): FileLock | undefined {
  const errno = lockDescriptor(request, request.shared)
  if (errno === 0) return new FileLock(request)
  if (errno === -EAGAIN) return undefined
  throw lockError(request, errno, 'lock')
}

function held(request: LockRequest, result: PathLock | Failure | null): FileLock | undefined {
  if (result === null) throw notLockable(request)
  if (!isFailure(result)) {
    const [claim, descriptor] = result
    return new FileLock({ ...request, descriptor }, claim)
  }
  if (result.errno === -EAGAIN) return undefined
  throw lockError(request, result.errno, 'lock', result.syscall)
}

function unlockNow(request: LockRequest): void {
  const errno = unlockDescriptor(request)
  if (errno !== 0) throw lockError(request, errno, 'unlock')
}

function timedOut(request: LockRequest, { timeout }: TimeoutOptions): never {
  throw new LockTimeoutError(
    `The lock on ${describeTarget(request)} was not free within ${timeout ?? 0} ms`,
    { ...about(request), advice: 'Wait longer, or find the process that holds it (lslocks, /proc/locks)' },
  )
}

function checkFunction(run: unknown): void {
  if (typeof run !== 'function')
    throw new SettingError('the function', run, 'a function that runs under the lock')
}
