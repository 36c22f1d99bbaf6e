/**
 * The claims of one queue handle: the locks that it holds on items, and the ways by which a lock ends.
 *
 * A claim begins when native code has locked the file, and goes through these states:
 *
 *     claimed ── release() ─────────> released                (unlocked, after the reads of its contents)
 *     claimed ── handToFinish() ────> finishing ──> finished  (the item has moved, or it is gone; see finish.ts)
 *                                         │ ^
 *                                         v │                 (the move has failed, and is tried again)
 *                                      unfinished
 *     claimed, finishing, unfinished ── close() ──> released  (unless a handler still runs)
 *     claimed ── a reject moves to fail/ ─────────> finished
 *     claimed, finishing ── the fence has fallen ──> lost    (only where claims are renames)
 *
 * The kernel releases every claim of a process that dies. Where claims are renames, the kernel unlocks the directory of the worker, and
 * another worker gives the items back (meta/take-over.ts); so a release is a rename, too.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import type { QueueDirectory } from '../directory/open-directory.js'
import {
  ClaimLostError,
  type FinishError,
  type FsqError,
  ItemFinishedError,
  ItemGoneError,
  QueueClosedError,
} from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { InFlight } from '../in-flight.js'
import { type Charset, type RawName, fromRaw } from '../name/charset.js'
import { Place, type QueueHandle, isFailure, native } from '../addon/native.js'
import type { ClaimedFile } from '../addon/packing.js'
import type { Reporter } from '../report.js'
import type { Settings } from '../settings.js'
import { closeItemLater } from './descriptors.js'
import { FenceWatch } from './fence-watch.js'
import { EOWNERDEAD, Moves, isLost } from './moves.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

/** The state of a claim; the module comment shows the moves between them. */
export type ClaimState = 'claimed' | 'finishing' | 'unfinished' | 'finished' | 'released' | 'lost'

/** The lock on the file of one item, or its place in the directory of this worker. */
export class Claim {
  /** The queue through which the item was claimed. */
  readonly handle: QueueHandle
  readonly file: ClaimedFile
  /** The name that the file has now. */
  name: RawName
  /** Only {@link Claims} changes it. */
  state: ClaimState = 'claimed'
  /** The item of the claim, until the registry of abandoned items knows it. */
  item: object | undefined
  readonly #claims: Claims
  /** The claim stays when its queue handle is closed, until its item is finished or released. */
  outlives = false
  /** The item was claimed because of an event, not because it was listed: another worker may have died with it. */
  cameByEvent = false
  /** Made when it is first asked for: most items have no use for one. */
  #controller: AbortController | undefined
  /** The first attempt to move the item of a claim by rename back to queue/. Never rejects. */
  givingBack: Promise<void> | undefined
  /** The reads of the contents that are in flight; a finish and a release wait for them. */
  #reads: InFlight | undefined
  /** The descriptor of a claim by rename, once other code has asked for one. */
  #lent: number | undefined

  constructor(claims: Claims, handle: QueueHandle, file: ClaimedFile) {
    this.#claims = claims
    this.handle = handle
    this.file = file
    this.name = file.name
  }

  /** The number by which native code knows the claim. */
  get number(): number {
    return this.file.number
  }

  /** The descriptor, for code that may close it by mistake: then the lock is gone, and the finish says so. */
  lend(): number {
    if (!this.isRename) {
      native.lendClaim(this.number)
      return this.file.descriptor
    }
    this.#lent ??= this.#opened(native.openItemSync(this.number))
    return this.#lent
  }

  /** Whether the item was claimed by a rename: then nothing of it is open between calls. */
  get isRename(): boolean {
    return this.file.descriptor < 0
  }

  /** The directory in claimed/ that the item of a claim by rename is in. `undefined`: this handle has none any more. */
  get worker(): RawName | undefined {
    try {
      return native.workerName(this.handle)
    } catch {
      // The handle is closed.
      return undefined
    }
  }

  /** Opens the item of a claim by rename. The caller closes the descriptor. */
  async open(): Promise<number> {
    return this.#opened(await native.openItem(this.number))
  }

  /** {@link lend} beside this thread, which a file server may keep waiting. */
  async lendLater(): Promise<number> {
    if (this.isRename) this.#lent ??= await this.open()
    return this.lend()
  }

  /**
   * Closes the descriptor that {@link lend} has opened. A claim that is lost keeps it until the worker tries to end the claim: until then, the
   * handler may use the number, and it must not become that of another file.
   */
  takeBack(): void {
    if (this.#lent !== undefined) closeItemLater(this.#lent)
    this.#lent = undefined
  }

  #opened(result: number | Failure): number {
    if (!isFailure(result)) return result
    if (result.errno === -EOWNERDEAD) throw this.lostError('read')
    if (result.errno === -ESTALE) throw this.removedError('read')
    throw fileSystemError({ ...result, path: this.name }, `read the item ${this.#id}`)
  }

  /** Whether the item is neither finished nor released. */
  get isOpen(): boolean {
    return this.state !== 'finished' && this.state !== 'released' && this.state !== 'lost'
  }

  /** Whether the item is neither finished nor released, and its queue handle is open, too. */
  get isUsable(): boolean {
    return this.isOpen && !this.#isCutOff
  }

  /** Whether the handle of the queue has been closed, and this claim with it. */
  get #isCutOff(): boolean {
    return this.#claims.isClosed && !this.outlives
  }

  /** Aborted by {@link abort}. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.state === 'lost') this.#controller.abort(this.lostError('go on with'))
    }
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }

  /** Aborts the signal, if it has ever been asked for: the claim is lost. */
  lose(reason: unknown): void {
    this.#controller?.abort(reason)
  }

  /** @throws {@link refusal} */
  check(doing: string): void {
    const error = this.refusal(doing)
    if (error !== undefined) throw error
  }

  /**
   * Why the item cannot be read or finished: it was released or finished before, or its queue handle is closed.
   *
   * @param doing - Follows 'Cannot', as `read`.
   */
  refusal(doing: string): FsqError | undefined {
    if (this.#isCutOff) {
      return new QueueClosedError(
        `Cannot ${doing} the item ${this.#id}: the handle of its queue has been closed, which released it`,
      )
    }
    if (this.state === 'claimed' || this.state === 'unfinished') return undefined
    if (this.state === 'lost') return this.lostError(doing)
    const what = this.state === 'released' ? 'released' : 'finished'
    return new ItemFinishedError(`Cannot ${doing} the item ${this.#id}: it has been ${what} already`, {
      advice:
        doing === 'finish' ? 'Do so once for each item' : 'Read an item before it is finished or released',
    })
  }

  /** @param doing - Follows 'Cannot', as `read`. */
  lostError(doing: string): ClaimLostError {
    return new ClaimLostError(
      `Cannot ${doing} the item ${this.#id}: this worker has lost its claim, because its machine had no contact with the file server, or ` +
        'stood still, for most of the lease. Another worker has the item, or will have it',
      {
        advice:
          'Stop the work on it when item.signal is aborted, and hand item.claim on to what the work changes',
      },
    )
  }

  /**
   * Of a claim by rename: nothing is left of its queue.
   *
   * @param doing - Follows 'Cannot', as `read`.
   */
  removedError(doing: string, cause?: Error): ItemGoneError {
    return new ItemGoneError(
      `Cannot ${doing} the item ${this.#id}: its queue has been removed or replaced, and the item with it`,
      { cause, advice: 'Stop the workers of a queue before you remove or replace it' },
    )
  }

  /** {@link check} for a read in flight, which goes on when the queue handle is closed: its descriptor stays open until it has ended. */
  checkNotReleased(doing: string): void {
    if (this.state === 'released' && !this.#isCutOff) this.check(doing)
  }

  /** Runs a read of the contents; the descriptor stays open until the read has ended. */
  async read<Result>(read: () => Promise<Result>): Promise<Result> {
    this.check('read')
    this.#reads ??= new InFlight()
    this.#reads.begin()
    try {
      return await read()
    } finally {
      this.#reads.end()
    }
  }

  /** Resolves when no read is in flight; `undefined`: at once. */
  get reads(): Promise<void> | undefined {
    return this.#reads?.isIdle === false ? this.#reads.idle() : undefined
  }

  /** Gives the item back as it was: any worker can claim it at once. Without effect in another state than `claimed`. */
  release(): void {
    this.releaseUntil(0)
  }

  /** {@link release}, of an item that is due then: milliseconds since the epoch. Only a claim by rename sets the time itself. */
  releaseUntil(due: number): void {
    if (this.state === 'lost') this.takeBack()
    if (this.state !== 'claimed') return
    this.#claims.unlock(this, due)
    if (!this.isRename) this.#claims.notifyReleased(this.name)
  }

  get #id(): string {
    return inspect(fromRaw(this.name, this.#claims.charset))
  }
}

interface Unfinished {
  readonly error: FinishError
  /** Stops the attempts. */
  readonly cancel: () => void
}

const { ESTALE } = os.constants.errno
const GIVE_BACK_MS = 1000
// Most claims end sooner, and registering an item costs more than all else that this thread does for it.
const REGISTER_MS = 1000

// One for all claims: a registry costs as much as many items.
const abandonedItems = new FinalizationRegistry<Claim>((claim) => {
  if (claim.state !== 'claimed') return
  claim.release()
  process.emitWarning(
    `The claim of ${inspect(claim.name)} was garbage-collected and has been released. Finish or release each item`,
    { type: 'FsqWarning', code: 'FSQ_ABANDONED' },
  )
})

/** All claims of one queue handle, and its moves of claimed items. */
export class Claims {
  readonly moves: Moves
  /** The calls into native code that use descriptors of this handle; {@link close} waits for them. */
  readonly inFlight = new InFlight()
  readonly charset: Charset
  readonly #directory: QueueDirectory
  readonly #reporter: Reporter
  readonly #fence = new FenceWatch(() => this.#checkFence())
  /** The claims whose descriptors are open and in no finish, by their numbers. */
  readonly #open = new Map<number, Claim>()
  #registersSoon = false
  readonly #unfinished = new Map<Claim, Unfinished>()
  /** The released claims by rename whose items could not go back, and the timers of the next attempts. */
  readonly #keptBack = new Map<Claim, NodeJS.Timeout>()
  readonly #releaseListeners = new Set<(name: RawName) => void>()

  constructor(directory: QueueDirectory, settings: Settings, reporter: Reporter) {
    this.#directory = directory
    this.#reporter = reporter
    this.charset = settings.charset
    this.moves = new Moves(directory, settings)
  }

  /** Whether nothing is held, unfinished or in flight. */
  get isIdle(): boolean {
    return this.#open.size === 0 && this.#unfinished.size === 0 && this.inFlight.isIdle
  }

  get isClosed(): boolean {
    return this.#directory.closed
  }

  /** The error of the first finish that has failed and has not succeeded since. */
  get unfinished(): FinishError | undefined {
    if (this.#unfinished.size === 0) return undefined
    const [first] = this.#unfinished.values()
    return first?.error
  }

  /** Keeps a claim for an item. If the item is garbage-collected, the claim is released, with a warning. */
  keep(claim: Claim, item: object): void {
    claim.item = item
    this.#open.set(claim.number, claim)
    if (claim.isRename) this.#fence.begin(claim.handle)
    if (this.#registersSoon) return
    this.#registersSoon = true
    setTimeout(() => {
      this.#register()
    }, REGISTER_MS).unref()
  }

  /** Hands a claim over to a finish, which closes its descriptor, even if the item is garbage-collected meanwhile. */
  handToFinish(claim: Claim): void {
    this.#drop(claim)
    claim.state = 'finishing'
  }

  /**
   * Unlocks and closes a claim, after the reads in flight: until then its descriptor must not become another file's. The item of a claim by
   * rename goes back to queue/.
   *
   * @param due - When that item is due, in milliseconds since the epoch; 0: at once.
   */
  unlock(claim: Claim, due = 0): void {
    this.#drop(claim)
    claim.state = 'released'
    const { reads } = claim
    const release = (): void => {
      if (claim.isRename) this.#giveBack(claim, due)
      else native.release([claim.number])
    }
    if (reads === undefined) {
      release()
      return
    }
    // A give-back needs the handle of the queue, so its close waits for the reads before it.
    if (claim.isRename) this.inFlight.begin()
    void reads.then(() => {
      release()
      if (claim.isRename) this.inFlight.end()
    })
  }

  /** Releases files that were claimed for no item. */
  discard(handle: QueueHandle, files: readonly ClaimedFile[]): void {
    for (const file of files) this.unlock(new Claim(this, handle, file))
  }

  /** The worker has lost the claim: another one has the item, or will have it. */
  lost(claim: Claim): void {
    this.#drop(claim)
    native.release([claim.number])
    if (this.#unfinished.size > 0) {
      this.#unfinished.get(claim)?.cancel()
      this.#unfinished.delete(claim)
    }
    claim.state = 'lost'
    claim.lose(claim.lostError('go on with'))
  }

  /** The finish has succeeded: its descriptor is closed. */
  finished(claim: Claim): void {
    claim.state = 'finished'
    claim.takeBack()
    if (this.#unfinished.size > 0) this.#unfinished.delete(claim)
  }

  /** The finish has found the item gone: closes the descriptor, which native code has given back. */
  gone(claim: Claim): void {
    this.#drop(claim)
    native.release([claim.number])
    this.finished(claim)
  }

  /** The finish has failed: keeps the claim. This handle hands out no more items until that one has moved. */
  keepUnfinished(claim: Claim, item: object, error: FinishError, cancel: () => void): void {
    this.keep(claim, item)
    claim.state = 'unfinished'
    this.#unfinished.set(claim, { error, cancel })
  }

  /**
   * Calls back with the name of each item that this handle releases: a watch raises no event for those.
   *
   * @returns A function that stops listening.
   */
  onRelease(callback: (name: RawName) => void): () => void {
    this.#releaseListeners.add(callback)
    return () => {
      this.#releaseListeners.delete(callback)
    }
  }

  /** @internal Calls the listeners of {@link onRelease}. */
  notifyReleased(name: RawName): void {
    for (const callback of this.#releaseListeners) callback(name)
  }

  /**
   * Releases all claims but those that outlive the handle, and ends the attempts to finish. Resolves when no call into native code is in
   * flight.
   */
  async close(): Promise<void> {
    for (const [claim, { cancel }] of this.#unfinished) {
      if (claim.outlives) continue
      cancel()
      this.#unfinished.delete(claim)
    }
    for (const [claim, timer] of this.#keptBack) {
      clearTimeout(timer)
      native.release([claim.number])
    }
    this.#keptBack.clear()
    for (const claim of [...this.#open.values()]) {
      if (claim.outlives) continue
      this.unlock(claim)
      claim.lose(this.#directory.closedError())
    }
    await this.inFlight.idle()
    this.#fence.end()
  }

  #reportKept({ name }: Claim, failure: Failure): void {
    const error = this.#directory.error(failure, 'give back an item in')
    this.#reporter.reportBeside(
      'unmovable',
      name,
      `cannot be given back, and no other worker gets it: ${error.message}. This is tried again each second`,
      error,
    )
  }

  /** Moves the item of a claim by rename back to queue/. As long as that fails, the item stays with this worker, whose end frees it. */
  #giveBack(claim: Claim, due: number, hasFailed = false): void {
    claim.takeBack()
    this.inFlight.begin()
    const end = (): void => this.inFlight.end()
    claim.givingBack = this.moves.make({ claim, place: Place.queue, to: claim.name, due }).then(
      ({ left, name, failure }) => {
        end()
        if (left) {
          this.notifyReleased(name)
          if (hasFailed) this.#reporter.reportBeside('recovered', claim.name, 'is back in queue/')
        } else if (failure !== undefined && !isLost(failure) && !this.isClosed) {
          if (!hasFailed) this.#reportKept(claim, failure)
          this.#giveBackLater(claim, due)
        }
        // The end of this worker frees the item. It is another worker's already if the claim is lost.
        else native.release([claim.number])
      },
      // The handle of the queue is closed, and with it the lock on the directory of the worker.
      () => {
        end()
        native.release([claim.number])
      },
    )
  }

  #giveBackLater(claim: Claim, due: number): void {
    const timer = setTimeout(() => {
      this.#keptBack.delete(claim)
      this.#giveBack(claim, due, true)
    }, GIVE_BACK_MS)
    timer.unref()
    this.#keptBack.set(claim, timer)
  }

  /** @returns Whether there is anything left to look after. */
  #checkFence(): boolean {
    let isAny = false
    for (const claim of [...this.#open.values(), ...this.#unfinished.keys()]) {
      if (!claim.isRename) continue
      if (native.isLost(claim.number)) this.lost(claim)
      else isAny = true
    }
    return isAny
  }

  #drop(claim: Claim): void {
    if (this.#open.delete(claim.number) && claim.item === undefined) abandonedItems.unregister(claim)
    claim.item = undefined
  }

  #register(): void {
    this.#registersSoon = false
    for (const claim of this.#open.values()) {
      if (claim.item === undefined) continue
      abandonedItems.register(claim.item, claim, claim)
      claim.item = undefined
    }
  }
}
