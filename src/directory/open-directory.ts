/**
 * The open directory of a queue: the first use opens it, and it stays open. If the path comes to name another queue, the next use opens
 * that one.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'

import { ownerMeaning } from './owner.js'
import {
  FileSystemError,
  type FsqError,
  MountError,
  NetworkFileSystemError,
  NotAQueueError,
  QueueClosedError,
  QueueDownError,
} from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'
import { type ErrnoMeaning, fileSystemError, systemError } from '../errors/system-error.js'
import { BESIDE, type FileCalls, HERE } from './calls.js'
import { claimKindSync, downFileOf } from './claim-kind.js'
import { type Layout, shownName } from './layout.js'
import { notADirectory, queueMissing } from './presence.js'
import { pathText } from '../name/charset.js'
import {
  leaseOf,
  leaseOfSync,
  leaseToKeep,
  mountRefusals,
  mountRefusalsSync,
} from '../probe/mount-options.js'
import { type QueueHandle, Reach, isFailure, native } from '../addon/native.js'
import { CLAIMED_DIRECTORY, LOCK_MARKER, RENAME_MARKER, type Settings, downOfRename } from '../settings.js'

const { EBADF, ENOENT, ENOTDIR, ELOOP, EINVAL, ENOLCK, ENOSYS, ENOTSUP, ESTALE } = os.constants.errno
const NO_FLOCK = [EINVAL, ENOLCK, ENOSYS, ENOTSUP]
const FLOCK_ADVICE =
  "This file system offers no flock: install the queue with lockKind: 'fcntl', or put it on a local one (probe() tells what it offers)"

const NO_DELAYS =
  'This file system keeps no time in the future (CephFS is one), and an item is due at the time of its file: enqueue it without a delay'

/** How often a call opens the queue again, if each time another queue has taken its place. */
export const MOST_REOPENINGS = 5

/** Whether the path names another queue than the open one: opening it again may help. */
export function isStale(failure: Failure): boolean {
  return failure.errno === -ESTALE
}

export class QueueDirectory {
  readonly layout: Layout
  readonly #names: readonly string[]
  readonly #locking: boolean
  readonly #allowNetwork: boolean
  /** Seconds; 0: as the file system has it. */
  readonly #lease: number
  #handle: QueueHandle | undefined
  /** The last handle that was found stale. A call that began before may still use it. */
  #forgotten: QueueHandle | undefined
  /** How many loops scan a queue, by its handle. */
  readonly #scans = new Map<QueueHandle, number>()
  readonly #closeListeners = new Set<() => void>()
  #opening: Promise<QueueHandle> | undefined
  #closed = false
  #isLocal = false
  #claimsByRename = false

  constructor(layout: Layout, settings: Settings) {
    this.layout = layout
    this.#names = [
      ...layout.directories,
      settings.down,
      LOCK_MARKER,
      RENAME_MARKER,
      CLAIMED_DIRECTORY,
      downOfRename(settings.down),
      ...(layout.parent === undefined ? [] : [layout.parent.path]),
    ]
    this.#locking = settings.lock
    this.#allowNetwork = settings.allowNetwork
    this.#lease = settings.lease
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Whether calls on the {@link opened} queue wait for the kernel of this machine alone. A network or FUSE file system can keep a call for
   * minutes, so no thread that has anything else to do may make one there.
   */
  get isLocal(): boolean {
    return this.#isLocal
  }

  /** The calls on files of the {@link opened} queue. */
  get calls(): FileCalls {
    return this.#isLocal ? HERE : BESIDE
  }

  /** {@link calls} for a queue that may lack a part, and so cannot be opened. */
  async findCalls(): Promise<FileCalls> {
    if (this.#handle !== undefined) return this.calls
    const fileSystem = await native.findFileSystem(this.layout.path)
    return isFailure(fileSystem) || fileSystem.reach !== Reach.local ? BESIDE : HERE
  }

  /** Whether workers claim items of the {@link opened} queue by renaming them. */
  get claimsByRename(): boolean {
    return this.#claimsByRename
  }

  /** The handle, if no call has to wait for it. */
  get opened(): QueueHandle | undefined {
    return this.#opening === undefined && !this.#closed ? this.#handle : undefined
  }

  /**
   * The handle. Opens the queue if it is not open yet.
   *
   * @throws {@link QueueMissingError}, {@link NotAQueueError}, {@link NetworkFileSystemError}, {@link MountError},
   * {@link QueueClosedError} or a file system error.
   */
  async open(): Promise<QueueHandle> {
    this.checkOpen()
    // A call stays behind earlier ones that still wait, even if a synchronous call has opened the queue meanwhile.
    if (this.#handle !== undefined) return this.#opening ?? this.#handle
    this.#opening ??= this.#openNow().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** Synchronous {@link open}. */
  openSync(): QueueHandle {
    this.checkOpen()
    if (this.#handle !== undefined) return this.#handle
    const handle = this.#opened(native.openQueueSync(this.layout.path, this.#names, this.#locking))
    if (!this.#isLocal) this.#checkMount(handle, mountRefusalsSync(this.layout.path))
    if (this.#claimsByRename) this.#setLease(handle, this.#isLocal ? 0 : leaseOfSync(this.layout.path))
    this.#handle = handle
    return handle
  }

  /**
   * Forgets a stale handle, so that the next use opens the queue that the path names now. Items claimed through the stale handle are
   * finished through it. The handle that was forgotten before this one is closed when no loop scans it and it has no claim.
   */
  forget(handle: QueueHandle): void {
    if (this.#handle !== handle) return
    this.#handle = undefined
    const earlier = this.#forgotten
    this.#forgotten = handle
    if (earlier !== undefined) this.#retireUnused(earlier)
  }

  /** A loop scans the queue of a handle, which stays open until {@link endScan}. */
  beginScan(handle: QueueHandle): void {
    this.#scans.set(handle, (this.#scans.get(handle) ?? 0) + 1)
  }

  endScan(handle: QueueHandle): void {
    const others = (this.#scans.get(handle) ?? 0) - 1
    if (others > 0) this.#scans.set(handle, others)
    else if (this.#scans.delete(handle)) this.#retireUnused(handle)
  }

  /**
   * Looks whether a queue is up.
   *
   * @param lately - A look that is less than 10 ms old will do.
   * @throws {@link QueueDownError} or a file system error.
   */
  checkUp(handle: QueueHandle, lately = false): void {
    this.#checkUp(native.isDownSync(handle, lately))
  }

  /** {@link checkUp} beside this thread. */
  async checkUpLater(handle: QueueHandle, lately = false): Promise<void> {
    const isDown = await native.isDown(handle, lately)
    this.checkOpen()
    this.#checkUp(isDown)
  }

  #checkUp(isDown: boolean | Failure): void {
    if (isFailure(isDown)) throw this.error(isDown, 'scan')
    if (isDown) throw this.downError()
  }

  /** {@link checkUp} of the queue that the path names now. Nothing where the look may wait for a server: the scan looks by itself. */
  checkUpByPath(): void {
    if (this.#isLocal && existsSync(this.#downPath)) throw this.downError()
    if (this.#isLocal && this.#parentDown !== undefined) throw this.downError()
  }

  get #downPath(): string {
    return downFileOf(this.layout, this.#claimsByRename ? 'rename' : 'lock')
  }

  /** Of a host queue whose queue is down: that queue, and its down file. */
  get #parentDown(): { readonly layout: Layout; readonly downPath: string } | undefined {
    const { parent } = this.layout
    if (parent === undefined) return undefined
    try {
      const downPath = downFileOf(parent, claimKindSync(parent))
      return existsSync(downPath) ? { layout: parent, downPath } : undefined
    } catch {
      // The scan looks by itself, and tells what is wrong.
      return undefined
    }
  }

  downError(): QueueDownError {
    const own = { layout: this.layout, downPath: this.#downPath }
    const { layout, downPath } = this.#parentDown ?? own
    return new QueueDownError(`The ${shownName(layout)} is down (${downPath} exists), so it is not scanned`, {
      path: downPath,
      advice: 'Take it up again with queue.up()',
      adviceKey: layout.parent === undefined ? 'take-up' : 'take-up-host',
    })
  }

  /**
   * Runs an operation. If it finds the directory stale, opens the queue again and runs the operation once more.
   *
   * @throws As {@link open}, and the error for the failure.
   */
  async use<Result>(
    operation: (handle: QueueHandle) => Promise<Result | Failure>,
    doing: string,
  ): Promise<Result> {
    for (let attempt = 0; ; attempt++) {
      const handle = await this.open()
      this.checkOpen()
      const result = await operation(handle)
      if (!isFailure(result)) return result
      if (!isStale(result) || attempt === MOST_REOPENINGS) throw this.error(result, doing)
      this.forget(handle)
    }
  }

  /** No use begins after this. {@link closeDescriptors} closes the descriptors. */
  close(): void {
    this.#closed = true
    for (const callback of this.#closeListeners) callback()
  }

  /**
   * Calls back when this handle is closed.
   *
   * @returns A function that stops listening.
   */
  onClose(callback: () => void): () => void {
    this.#closeListeners.add(callback)
    return () => {
      this.#closeListeners.delete(callback)
    }
  }

  /**
   * In a queue whose claims are renames, makes the directory of this handle in claimed/, so that others see the worker.
   *
   * @throws As {@link use}.
   */
  async makeWorker(): Promise<void> {
    if (!this.#claimsByRename) return
    await this.use(async (handle) => (await native.makeWorker(handle)) ?? true, 'work')
  }

  /** Removes the directories of this handle in claimed/, unless there are items in them: the lock on those ends with the descriptors. */
  async retireWorkers(): Promise<void> {
    for (const handle of this.#handles()) if (native.claimsByRename(handle)) await native.retireWorker(handle)
  }

  #handles(): readonly QueueHandle[] {
    const all = new Set([this.#handle, this.#forgotten, ...this.#scans.keys()])
    return [...all].filter((handle) => handle !== undefined)
  }

  closeDescriptors(): void {
    for (const handle of this.#handles()) native.closeQueue(handle)
    this.#handle = undefined
    this.#forgotten = undefined
    this.#scans.clear()
  }

  #retireUnused(handle: QueueHandle): void {
    if (handle === this.#handle || handle === this.#forgotten || this.#scans.has(handle)) return
    native.retireQueue(handle)
  }

  /** The error for a failure on this queue. `doing` follows 'Cannot', as `scan`. */
  error(failure: Failure, doing: string): FsqError {
    return fileSystemError(
      this.located(failure),
      `${doing} the ${shownName(this.layout)}`,
      this.#lockMeaning(failure) ?? delayMeaning(failure) ?? ownerMeaning(failure, 'item'),
    )
  }

  #lockMeaning({ errno, syscall }: Failure): ErrnoMeaning | undefined {
    if (syscall !== 'flock') return undefined
    if (errno === -EBADF) {
      const marker = path.join(this.layout.path, LOCK_MARKER)
      return [
        FileSystemError,
        'Over NFS, flock needs files that are open for writing, but items are opened for reading. Make an empty file ' +
          `${inspect(marker)}: with it, the workers of the queue lock by fcntl`,
      ]
    }
    return NO_FLOCK.includes(-errno) ? [FileSystemError, FLOCK_ADVICE] : undefined
  }

  /** The failure with absolute paths, as text. */
  located(failure: Failure): Failure {
    const { errno, syscall } = failure
    return {
      errno,
      syscall,
      ...(failure.path === undefined ? {} : { path: this.#locate(failure.path) }),
      ...(failure.dest === undefined ? {} : { dest: this.#locate(failure.dest) }),
    }
  }

  #locate(raw: string): string {
    return path.resolve(this.layout.path, pathText(raw))
  }

  /** @throws {@link QueueClosedError} */
  checkOpen(): void {
    if (this.#closed) throw this.closedError()
  }

  closedError(): QueueClosedError {
    return new QueueClosedError(`The handle of the ${shownName(this.layout)} has been closed`, {
      advice: 'Make another with new Queue()',
    })
  }

  async #openNow(): Promise<QueueHandle> {
    const handle = this.#opened(await native.openQueue(this.layout.path, this.#names, this.#locking))
    if (!this.#isLocal) this.#checkMount(handle, await mountRefusals(this.layout.path))
    if (this.#claimsByRename) this.#setLease(handle, this.#isLocal ? 0 : await leaseOf(this.layout.path))
    if (this.#closed) {
      native.closeQueue(handle)
      this.checkOpen()
    }
    // A synchronous call may have been faster.
    if (this.#handle === undefined) this.#handle = handle
    else native.closeQueue(handle)
    return this.#handle
  }

  #opened(result: QueueHandle | Failure): QueueHandle {
    if (isFailure(result)) throw this.#openError(this.located(result))
    const fileSystem = native.fileSystemOf(result)
    if (fileSystem.reach === Reach.network && !this.#allowNetwork) {
      native.closeQueue(result)
      throw new NetworkFileSystemError(this.layout.path, fileSystem.name)
    }
    this.#isLocal = fileSystem.reach === Reach.local
    this.#claimsByRename = native.claimsByRename(result)
    return result
  }

  /**
   * The worker has to know when its own lock may be lost.
   *
   * @param known - The lease as the system tells it, in milliseconds; 0: locks end with their processes only; `undefined`: it is not known.
   */
  #setLease(handle: QueueHandle, known: number | undefined): void {
    native.setLease(handle, leaseToKeep(this.#lease * 1000, known))
  }

  /** @param reasons - Why several machines cannot work a queue on the mount. */
  #checkMount(handle: QueueHandle, reasons: readonly string[]): void {
    const byRename = native.claimsByRename(handle)
    if (byRename && reasons.length > 0) {
      native.closeQueue(handle)
      throw new MountError(this.layout.path, reasons)
    }
    const { name, reach } = native.fileSystemOf(handle)
    if (reach === Reach.network && this.#locking && !byRename) warnOfLocks(this.layout, name, reasons)
  }

  #openError(failure: Failure): FsqError {
    const { path: queuePath } = this.layout
    const cause = systemError(failure)
    const isQueueItself = failure.path === queuePath
    if (isQueueItself && failure.errno === -ENOENT) return queueMissing(this.layout, failure.syscall)
    if (isQueueItself && failure.errno === -ENOTDIR) return notADirectory(this.layout, { cause })
    if (isQueueItself && failure.errno === -ELOOP) {
      return new NotAQueueError(`${queuePath} is not a queue: it is a symbolic link that leads in a circle`, {
        cause,
        advice: 'Make the link lead to the queue',
      })
    }
    if (!isQueueItself && [ENOENT, ENOTDIR, ELOOP, EINVAL].includes(-failure.errno)) {
      return new NotAQueueError(
        `${queuePath} is not a queue: ${failure.path ?? ''} ${notDirectory(failure.errno)}`,
        {
          cause,
          advice: 'Put the directory back with the owner and mode of the others, or install the queue again',
        },
      )
    }
    return fileSystemError(failure, `open the ${shownName(this.layout)}`)
  }
}

/** The queues about which {@link warnOfLocks} has warned. */
const warned = new Set<string>()

/** Warns once for each queue. */
function warnOfLocks(layout: Layout, fileSystem: string, reasons: readonly string[]): void {
  const { name, path: queue } = layout
  if (warned.has(queue)) return
  warned.add(queue)
  const instead =
    reasons.length === 0
      ? `Convert it with queue.repair({ claims: 'rename' }), 'fsq repair --claims=rename ${name}', or let one machine alone work it`
      : `Let one machine alone work it, as its mount is not for several: ${reasons.join('; ')}`
  process.emitWarning(
    `The ${shownName(layout)} (${queue}) is on a network file system (${fileSystem}), and its workers lock items: with workers on several ` +
      `machines, items can run twice there, although the locks hold. ${instead}`,
    { type: 'FsqWarning', code: 'FSQ_NETWORK_LOCKS' },
  )
}

function delayMeaning({ errno, syscall }: Failure): ErrnoMeaning | undefined {
  return syscall === 'futimens' && errno === -ENOTSUP ? [FileSystemError, NO_DELAYS] : undefined
}

function notDirectory(errno: number): string {
  switch (-errno) {
    case ENOENT:
      return 'is missing'
    case EINVAL:
      return 'is the same directory as another part of the queue'
    default:
      return 'is not a directory (symbolic links are not followed)'
  }
}
