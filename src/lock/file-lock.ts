/**
 * A lock that is held.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'
import { type InspectOptions, inspect } from 'node:util'

import { type FsqError, LockNotHeldError, LockTimeoutError } from '../errors/classes.js'
import { type LockKind, native } from '../addon/native.js'
import { packLock } from '../addon/packing.js'
import { checkOptions } from '../options.js'
import { inspected } from '../inspected.js'
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
 * A lock. It is held until {@link FileLock.unlock}, the end of its block (`using`, `await using`), or the end of the process or
 * worker thread, even a sudden one.
 *
 * A lock on a path has a descriptor of its own, which it closes. A lock on a descriptor also ends when the last copy of the descriptor
 * is closed.
 *
 * @example
 * ```ts
 * const held = await lock('/run/app.lock', { shared: true })
 * try {
 *   if (needsChange(await read())) {
 *     await held.upgrade({ timeout: 5000 })
 *     await change() // after reading again: with kind 'flock', others may have held it in between
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
  /** `lost`: another caller took it during an upgrade, which may still get it back. */
  #state: 'shared' | 'exclusive' | 'lost' | 'released'

  /** @internal */
  constructor(request: LockRequest, claim?: number) {
    this.#request = request
    this.#claim = claim
    this.#state = request.shared ? 'shared' : 'exclusive'
    if (claim !== undefined) abandoned.register(this, { claim, path: request.path ?? '' }, this)
  }

  /**
   * The locked descriptor. Do not close the descriptor of a path: it belongs to the lock. A child that inherits it shares the lock.
   *
   * @throws {@link LockNotHeldError} if a path was locked and the descriptor is closed: its number may belong to another file.
   */
  get fd(): number {
    if (this.path !== undefined) this.#checkHeld('use the descriptor of')
    return this.#request.descriptor
  }

  /** The absolute path that was locked; `undefined` for a descriptor. */
  get path(): string | undefined {
    return this.#request.path
  }

  /** The kind of the kernel's lock. */
  get kind(): LockKind {
    return this.#request.kind
  }

  /** The first byte that is locked. */
  get start(): number {
    return this.#request.start
  }

  /** How many bytes are locked; 0: all up to the end of the file. */
  get length(): number {
    return this.#request.length
  }

  /** Whether the lock is held and others may hold shared locks at the same time. */
  get shared(): boolean {
    return this.#state === 'shared'
  }

  /** Whether the lock is held: neither released, nor lost during an upgrade or downgrade. */
  get held(): boolean {
    return this.#state === 'shared' || this.#state === 'exclusive'
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    const { path, kind, shared, held } = this
    return inspected('FileLock', { path, kind, shared, held }, depth, options)
  }

  /**
   * Releases the lock at once, for all copies of the descriptor, including those of children. Does nothing if the lock is not held
   * any more.
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
   * Makes a shared lock exclusive if that is possible at once.
   *
   * Kind `fcntl` keeps the shared lock until it has the exclusive one. Kind `flock` cannot: others may lock and change the file in
   * between, so read it again.
   *
   * @returns Whether the lock is exclusive now; if not, it is still shared.
   * @throws {@link LockNotHeldError} if the lock is not held, or another caller took it in between (kind `flock`).
   */
  tryUpgrade(): boolean {
    this.#checkHeld('upgrade')
    const granted = this.#tryExclusive()
    if (!granted) this.#checkKept()
    return granted
  }

  /**
   * {@link FileLock.tryUpgrade}, waiting until the other holders of the shared lock have released it. With kind `fcntl`, two holders that
   * both wait for their upgrade wait for ever: set a timeout.
   *
   * @throws {@link LockTimeoutError}: the lock is still shared. {@link LockNotHeldError}: it is lost (see `tryUpgrade`). The signal's
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

  /** Synchronous {@link FileLock.upgrade}: the thread sleeps until then. */
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
   * @throws {@link LockNotHeldError} if the lock is not held, or another caller took it in between (kind `flock`).
   */
  downgrade(): void {
    this.#checkHeld('downgrade')
    if (this.#state === 'shared') return
    const errno = this.#lockAs(true)
    if (errno === 0) {
      this.#state = 'shared'
      return
    }
    // A lock taken again after another caller held it would be a different lock.
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

  /** Tries to make the lock exclusive; if that fails, to keep it shared. */
  #tryExclusive(): boolean {
    if (this.#state === 'exclusive') return true
    const errno = this.#lockAs(false)
    if (errno === 0 && this.#isInPlace()) {
      this.#state = 'exclusive'
      return true
    }
    // flock releases the shared lock before it takes the exclusive one. fcntl keeps it, as long as the descriptor is open.
    const isKept = errno !== 0 && this.#lockAs(true) === 0 && this.#isInPlace()
    this.#state = isKept ? 'shared' : 'lost'
    if (errno === 0) this.#checkKept()
    if (errno !== -EAGAIN) {
      if (!isKept) this.#forget()
      throw this.#error(errno, 'upgrade')
    }
    return false
  }

  /** While flock changed the lock, another holder may have replaced the file. */
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
      { advice: 'Take it again' },
    )
  }

  #checkKept(): void {
    if (this.#state !== 'lost') return
    this.#forget()
    throw new LockNotHeldError(
      `The lock on ${describeTarget(this.#request)} was lost while it was changed: flock gives one up before ` +
        'it takes the other, and another caller was faster',
      { advice: "Take it again and read the file again; kind: 'fcntl' does not lose it" },
    )
  }

  /** The lock is gone: only the descriptor remains to be closed. */
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
        advice: 'It is still shared; release it before you try again, as others may be waiting for that',
      },
    )
  }

  #error(errno: number, doing: string): FsqError {
    const request = { ...this.#request, shared: doing === 'downgrade' }
    return lockError(request, errno, doing)
  }
}
