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
 *
 * The kernel releases every claim of a process that dies.
 *
 * @module
 */
import { inspect } from 'node:util'

import type { QueueDirectory } from '../directory/open-directory.js'
import { type FinishError, type FsqError, ItemFinishedError, QueueClosedError } from '../errors/classes.js'
import { InFlight } from '../in-flight.js'
import { type Charset, type RawName, fromRaw } from '../name/charset.js'
import { type QueueHandle, native } from '../addon/native.js'
import type { ClaimedFile } from '../addon/packing.js'
import type { Settings } from '../settings.js'
import { Moves } from './moves.js'
import { setTimeout } from '../real-timers.js'

/** The state of a claim; the module comment shows the moves between them. */
export type ClaimState = 'claimed' | 'finishing' | 'unfinished' | 'finished' | 'released'

/** The lock on the file of one item. */
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
  /** The reads of the contents that are in flight; a finish and a release wait for them. */
  #reads: InFlight | undefined

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
    native.lendClaim(this.number)
    return this.file.descriptor
  }

  /** Whether the item is neither finished nor released. */
  get isOpen(): boolean {
    return this.state !== 'finished' && this.state !== 'released'
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
    this.#controller ??= new AbortController()
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
    const what = this.state === 'released' ? 'released' : 'finished'
    return new ItemFinishedError(`Cannot ${doing} the item ${this.#id}: it has been ${what} already`, {
      advice: 'Do so once for each item',
    })
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
    if (this.state !== 'claimed') return
    this.#claims.unlock(this)
    this.#claims.notifyReleased(this.name)
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
  /** The claims whose descriptors are open and in no finish, by their numbers. */
  readonly #open = new Map<number, Claim>()
  #registersSoon = false
  readonly #unfinished = new Map<Claim, Unfinished>()
  readonly #releaseListeners = new Set<(name: RawName) => void>()

  constructor(directory: QueueDirectory, settings: Settings) {
    this.#directory = directory
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

  /** Unlocks and closes a claim, after the reads in flight: until then its descriptor must not become another file's. */
  unlock(claim: Claim): void {
    this.#drop(claim)
    claim.state = 'released'
    const { reads } = claim
    if (reads === undefined) native.release([claim.number])
    else void reads.then(() => native.release([claim.number]))
  }

  /** The finish has succeeded: its descriptor is closed. */
  finished(claim: Claim): void {
    claim.state = 'finished'
    if (this.#unfinished.size > 0) this.#unfinished.delete(claim)
  }

  /** The finish has found the item gone: closes the descriptor, which native code has given back. */
  gone(claim: Claim): void {
    this.unlock(claim)
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
    for (const claim of [...this.#open.values()]) {
      if (claim.outlives) continue
      this.unlock(claim)
      claim.lose(this.#directory.closedError())
    }
    await this.inFlight.idle()
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
