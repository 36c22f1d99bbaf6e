/**
 * Claiming the next names of a pass: on which thread, and which of the claimed files become items.
 *
 * @module
 */
import { CallThread } from '../addon/call-thread.js'
import { type QueueHandle, native } from '../addon/native.js'
import { type ClaimBatch, type ClaimedFile, unpackClaims } from '../addon/packing.js'
import type { Cancellation } from '../cancellation.js'
import { Claim } from '../item/claims.js'
import type { ItemContext } from '../item/context.js'
import { type Limits, judge } from '../item/limits.js'
import { WorkItem } from '../item/work-item.js'
import { plainEscape } from '../name/item-name.js'
import type { RawName } from '../name/charset.js'
import { type Pass, type PassHandles, SHORT_LISTING } from './pass.js'
import type { Rejects } from './rejects.js'

// The call that claims a file reads contents of up to this size, which spares a call.
const READ_LIMIT = 4096
const ALL_NAMES = 2 ** 31
// The most names of one call on this thread, where the listing is long.
const FEW_NAMES = 8
// Four calls a turn: while this thread claims, another one makes the moves of finished items.
const CLAIMS = { quick: 10, slow: 20, run: 1, turn: 32 }

export interface ClaimerOptions {
  readonly limits: Limits
  readonly waits: boolean
  /** Ends the calls into native code. */
  readonly cancellation: Cancellation
  readonly pass: Pass
  readonly rejects: Rejects
}

/** Claims the names of one pass. */
export class Claimer {
  readonly #context: ItemContext
  readonly #limits: Limits
  readonly #pass: Pass
  readonly #rejects: Rejects
  readonly #cancellation: Cancellation
  readonly #thread = new CallThread(CLAIMS)
  readonly #escape: number
  /**
   * The items that this scan has handed out, of a scan that waits in a queue without locks: only this keeps the next pass from handing
   * one out again while it is worked on.
   */
  readonly #unlocked: Map<RawName, WeakRef<Claim>> | undefined

  constructor(context: ItemContext, { limits, waits, cancellation, pass, rejects }: ClaimerOptions) {
    this.#context = context
    this.#limits = limits
    this.#cancellation = cancellation
    this.#pass = pass
    this.#rejects = rejects
    this.#escape = plainEscape(context.settings)
    if (waits && !context.settings.lock) this.#unlocked = new Map()
  }

  /** A pass begins. */
  restart(): void {
    for (const [name, claim] of this.#unlocked ?? []) {
      if (claim.deref()?.isOpen !== true) this.#unlocked?.delete(name)
    }
  }

  /** Claims at most `count` items on this thread; `undefined`: another thread is better suited, see {@link claimInPool}. */
  claimHere(handles: PassHandles, count: number): ClaimBatch | undefined {
    if (!this.#context.directory.isLocal) return undefined
    if (this.#pass.isShort) return this.#claimSync(handles, count, SHORT_LISTING)
    if (!this.#thread.isQuick) return undefined
    return this.#claimSync(handles, Math.min(count, FEW_NAMES), FEW_NAMES)
  }

  /** Claims at most `count` items on a thread of the pool, and resolves as `receive` does. */
  claimInPool(
    { handle, listing, skipped }: PassHandles,
    count: number,
    receive: (batch: ClaimBatch) => Promise<void> | undefined,
  ): Promise<void> {
    const { handle: stop } = this.#cancellation
    return native
      .claim(handle, listing, count, ALL_NAMES, READ_LIMIT, this.#escape, skipped, stop)
      .then((packed) => {
        const batch = unpackClaims(packed)
        this.#thread.noteInPool(batch.looked, batch.spent)
        // Where this finds none, many names are to be skipped.
        if (batch.files.length === 0) this.#thread.leave()
        const reading = this.#context.deadWorkers.readMarks(batch.files)
        return reading === undefined ? receive(batch) : reading.then(() => receive(batch))
      })
  }

  #claimSync({ handle, listing, skipped }: PassHandles, count: number, looks: number): ClaimBatch {
    this.#thread.beginHere()
    const batch = unpackClaims(
      native.claimSync(handle, listing, count, looks, READ_LIMIT, this.#escape, skipped),
    )
    this.#thread.noteHere(batch.looked, batch.spent)
    if (batch.files.length === 0) this.#thread.leave()
    return batch
  }

  /**
   * Makes an item of a claimed file. A file whose name says that it must not be run goes to fail/.
   *
   * @param rejecting - Receives the move to fail/.
   * @returns `undefined`: the file goes to fail/, or this scan has handed it out before, in a queue without locks.
   */
  accept(handle: QueueHandle, file: ClaimedFile, rejecting: Promise<void>[]): WorkItem | undefined {
    const { claims, settings } = this.#context
    if (this.#unlocked?.get(file.name)?.deref()?.isOpen === true) {
      claims.discard(handle, [file])
      // If its worker forgets it, no event tells that it can be claimed.
      this.#pass.countSkipped()
      return undefined
    }
    const claim = new Claim(claims, handle, file)
    claim.cameByEvent = this.#pass.isByEvent
    const judged = judge(file.name, file.tries, settings, this.#limits)
    if (!('parsed' in judged)) {
      rejecting.push(this.#rejects.fail(claim, judged))
      return undefined
    }
    this.#unlocked?.set(file.name, new WeakRef(claim))
    this.#pass.countHandedOut()
    return new WorkItem(this.#context, claim, judged.parsed, this.#limits)
  }
}
