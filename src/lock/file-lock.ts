/**
 * A lock that is held.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'
import { inspect } from 'node:util'

import { type FsqError, LockNotHeldError, LockTimeoutError } from '../errors/classes.js'
import { type LockKind, native } from '../addon/native.js'
import { packLock } from '../addon/packing.js'
import { checkOptions } from '../options.js'
import { lockError } from './failure.js'
import {
  about,
  type LockRequest,
  describeTarget,
  lockDescriptor,
  lockOperation,
  unlockDescriptor,
} from './request.js'
import {
  type TimeoutOptions,
  type WaitOptions,
  checkTimeout,
  checkWait,
  waitFor,
  waitForSync,
} from './wait.js'

const { EAGAIN } = os.constants.errno

const abandoned = new FinalizationRegistry<{ readonly claim: number; readonly path: string }>(
  ({ claim, path }) => {
    native.release([claim])
    process.emitWarning(
      `The lock on ${inspect(path)} was garbage-collected and has been unlocked. Unlock each`,
      {
        type: 'FsqWarning',
        code: 'FSQ_ABANDONED',
      },
    )
  },
)

/**
 * A lock, held until {@link FileLock.unlock}, the end of its block (`using`, `await using`), or the end of the process
 * or worker thread, however sudden.
 *
 * One that was taken on a path has a descriptor of its own, which it closes. One that was taken on a descriptor ends also when
 * the last copy of that is closed.
 *
 * @example
 * ```ts
 * const held = await lock('/run/app.lock', { shared: true })
 * try {
 *   if (needsChange(await read())) {
 *     await held.upgrade({ timeout: 5000 })
 *     await change() // after reading again: kind 'flock' lets others in between
 *   }
 * } finally {
 *   held.unlock()
 * }
 * ```
 */
export class FileLock {
  readonly #request: LockRequest
  /** `undefined`: the descriptor is the caller's. */
  readonly #claim: number | undefined
  /** `lost`: to somebody else, during an upgrade that may still get it. */
  #state: 'shared' | 'exclusive' | 'lost' | 'released'

  /** @internal */
  constructor(request: LockRequest, claim?: number) {
    this.#request = request
    this.#claim = claim
    this.#state = request.shared ? 'shared' : 'exclusive'
    if (claim !== undefined) abandoned.register(this, { claim, path: request.path ?? '' }, this)
  }

  /**
   * The locked descriptor. That of a path is lent: do not close it; a child that inherits it shares the lock.
   *
   * @throws {@link LockNotHeldError} if it was that of a path and is closed: its number may be another file's.
   */
  get fd(): number {
    if (this.path !== undefined) this.#checkHeld('use the descriptor of')
    return this.#request.descriptor
  }

  /** What was locked, absolute; `undefined` for a descriptor. */
  get path(): string | undefined {
    return this.#request.path
  }

  /** Which of the kernel's locks it is. */
  get kind(): LockKind {
    return this.#request.kind
  }

  /** The first byte that is locked. */
  get start(): number {
    return this.#request.start
  }

  /** How many bytes are locked; 0: all to the end of the file. */
  get length(): number {
    return this.#request.length
  }

  /** Whether it is held, and others may hold shared locks at the same time. */
  get shared(): boolean {
    return this.#state === 'shared'
  }

  /** Whether it is held: not unlocked, and not lost during an upgrade or downgrade. */
  get held(): boolean {
    return this.#state === 'shared' || this.#state === 'exclusive'
  }

  /**
   * Gives the lock up, at once and for all copies of the descriptor, those of children included. Does nothing if it is not
   * held any more.
   *
   * @throws {@link FsqError} if the caller's descriptor is not open any more.
   */
  unlock(): void {
    if (this.#state === 'released') return
    this.#state = 'released'
    if (this.#claim !== undefined) {
      abandoned.unregister(this)
      native.release([this.#claim])
      return
    }
    const errno = unlockDescriptor(this.#request)
    if (errno !== 0) throw this.#error(errno, 'unlock')
  }

  /**
   * Makes a shared lock exclusive, if that can be done at once.
   *
   * Kind `fcntl` keeps the shared lock until it has the exclusive one. Kind `flock` cannot: in between, others may have
   * locked and changed the file, so read it again.
   *
   * @returns Whether it is exclusive now; if not, it is still shared.
   * @throws {@link LockNotHeldError} if the lock is not held, or was lost to somebody else in between (kind `flock`).
   */
  tryUpgrade(): boolean {
    this.#checkHeld('upgrade')
    const granted = this.#tryExclusive()
    if (!granted) this.#checkKept()
    return granted
  }

  /**
   * {@link FileLock.tryUpgrade}, waiting until those who share the lock have given it up. Two that hold it and both wait for
   * this wait for ever with kind `fcntl`: set a timeout.
   *
   * @throws {@link LockTimeoutError}: it is still shared; {@link LockNotHeldError}: it is lost (see `tryUpgrade`); the signal's
   * reason: {@link FileLock.held} tells whether it is still shared.
   */
  async upgrade(options: WaitOptions = {}): Promise<void> {
    checkOptions('upgrade', options, ['timeout', 'signal'])
    checkWait(options)
    this.#checkHeld('upgrade')
    let granted: true | undefined
    try {
      granted = await waitFor(
        async () => this.#exclusiveOrNothing(),
        options,
        () => undefined,
      )
    } finally {
      if (this.#state === 'lost') this.#forget()
    }
    if (granted === undefined) this.#failUpgrade(options)
  }

  /** {@link FileLock.upgrade}, with this thread asleep meanwhile. */
  upgradeSync(options: TimeoutOptions = {}): void {
    checkOptions('upgradeSync', options, ['timeout'])
    checkTimeout(options)
    this.#checkHeld('upgrade')
    let granted: true | undefined
    try {
      granted = waitForSync(() => this.#exclusiveOrNothing(), options)
    } finally {
      if (this.#state === 'lost') this.#forget()
    }
    if (granted === undefined) this.#failUpgrade(options)
  }

  /**
   * Makes an exclusive lock shared. Never waits.
   *
   * @throws {@link LockNotHeldError} if the lock is not held, or was lost to somebody else in between (kind `flock`).
   */
  downgrade(): void {
    this.#checkHeld('downgrade')
    if (this.#state === 'shared') return
    const errno = this.#lockAs(true)
    if (errno === 0) {
      this.#state = 'shared'
      return
    }
    // What is had again after somebody else had it is another lock.
    if (errno === -EAGAIN || this.#lockAs(false) !== 0) this.#state = 'lost'
    this.#checkKept()
    throw this.#error(errno, 'downgrade')
  }

  /** {@link FileLock.unlock}, for `using`. */
  [Symbol.dispose](): void {
    this.unlock()
  }

  /** {@link FileLock.unlock}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.unlock()
  }

  #exclusiveOrNothing(): true | undefined {
    // It may have been unlocked during the wait.
    this.#checkHeld('upgrade')
    return this.#tryExclusive() ? true : undefined
  }

  /** Tries to have it exclusive; if that fails, to have it shared as before. */
  #tryExclusive(): boolean {
    if (this.#state === 'exclusive') return true
    const errno = this.#lockAs(false)
    if (errno === 0 && this.#isInPlace()) {
      this.#state = 'exclusive'
      return true
    }
    // flock lets go of the shared lock before it asks for the other; fcntl has kept it, as long as the descriptor lives.
    const isKept = errno !== 0 && this.#lockAs(true) === 0 && this.#isInPlace()
    this.#state = isKept ? 'shared' : 'lost'
    if (errno === 0) this.#checkKept()
    if (errno !== -EAGAIN) {
      if (!isKept) this.#forget()
      throw this.#error(errno, 'upgrade')
    }
    return false
  }

  /** Whoever had the lock while flock changed it may have put another file into the place of this one. */
  #isInPlace(): boolean {
    const { kind, rawPath } = this.#request
    if (kind !== 'flock' || this.#claim === undefined) return true
    try {
      const named = fs.statSync(Buffer.from(rawPath, 'latin1'), { bigint: true })
      const locked = fs.fstatSync(this.fd, { bigint: true })
      return named.ino === locked.ino && named.dev === locked.dev
    } catch {
      return false
    }
  }

  #lockAs(shared: boolean): number {
    if (this.#claim === undefined) return lockDescriptor(this.#request, shared)
    const { start, length } = this.#request
    return native.lockClaim(packLock(this.#claim, lockOperation(this.#request, shared)), start, length) ?? 0
  }

  #checkHeld(doing: string): void {
    if (this.#state !== 'released') return
    throw new LockNotHeldError(
      `Cannot ${doing} the lock on ${describeTarget(this.#request)}: it is not held any more`,
      { advice: 'Take it anew' },
    )
  }

  #checkKept(): void {
    if (this.#state !== 'lost') return
    this.#forget()
    throw new LockNotHeldError(
      `The lock on ${describeTarget(this.#request)} was lost while it was changed: flock gives one up before ` +
        'it takes the other, and somebody else was faster',
      { advice: "Take it anew and read the file again; kind: 'fcntl' does not lose it" },
    )
  }

  /** There is nothing to unlock any more. */
  #forget(): void {
    this.#state = 'released'
    if (this.#claim === undefined) return
    abandoned.unregister(this)
    native.release([this.#claim])
  }

  #failUpgrade({ timeout }: TimeoutOptions): never {
    this.#checkKept()
    throw new LockTimeoutError(
      `The lock on ${describeTarget(this.#request)} could not be made exclusive within ${timeout ?? 0} ms: ` +
        'others share it',
      {
        ...about(this.#request),
        advice: 'It is still shared; give it up before you try again, as others may be waiting for that',
      },
    )
  }

  #error(errno: number, doing: string): FsqError {
    const request = { ...this.#request, shared: doing === 'downgrade' }
    return lockError(request, errno, doing)
  }
}
