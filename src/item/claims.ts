/**
 * What one queue handle holds: its claims, and the finishes that have failed so far.
 *
 * @module
 */
// Not the global one, which a test may have replaced by one that stands still.
import { setTimeout } from 'node:timers'
import { inspect } from 'node:util'

import type { FinishError } from '../errors/classes.js'
import { native } from '../addon/native.js'

interface Held {
  readonly claims: Claims
  readonly claim: number
  readonly id: string
}

interface Owner {
  readonly object: object
  readonly id: string
}

interface Unfinished {
  readonly error: FinishError
  /** Stops the attempts. */
  readonly cancel: () => void
}

// Most claims are let go of sooner, and a registry costs more than all else that this thread does for one.
const REGISTER_MS = 1000

// One for all: a registry an item would be a registry too many.
const abandonedItems = new FinalizationRegistry<Held>(({ claims, claim, id }) => {
  if (!claims.release(claim)) return
  process.emitWarning(
    `The claim of ${inspect(id)} was garbage-collected and has been released. Finish or release each item`,
    { type: 'FsqWarning', code: 'FSQ_ABANDONED' },
  )
})

/** The claims of one queue handle. */
export class Claims {
  /** With their owners, as long as the registry does not know of those. */
  readonly #held = new Map<number, Owner | undefined>()
  #registersSoon = false
  /** How many reads of a claim are under way. */
  readonly #reads = new Map<number, number>()
  readonly #releaseAfterRead = new Set<number>()
  readonly #unfinished = new Map<object, Unfinished>()

  /** Whether it holds none. */
  get isEmpty(): boolean {
    return this.#held.size === 0 && this.#unfinished.size === 0
  }

  /** Takes charge of a claim; released with a warning if `owner` is garbage-collected. */
  hold(claim: number, owner: object, id: string): void {
    this.#held.set(claim, { object: owner, id })
    if (this.#registersSoon) return
    this.#registersSoon = true
    setTimeout(() => {
      this.#register()
    }, REGISTER_MS).unref()
  }

  /** The claim is on its way out: whatever happens to its owner, nobody else may close the descriptor now. */
  surrender(claim: number, owner: object): void {
    this.#drop(claim, owner)
  }

  /**
   * Unlocks and closes a claim; one that is being read, after that: its number may be another file's at once.
   *
   * @returns Whether it was held.
   */
  release(claim: number, owner?: object): boolean {
    if (!this.#drop(claim, owner)) return false
    if (this.#reads.has(claim)) this.#releaseAfterRead.add(claim)
    else native.release([claim])
    return true
  }

  releaseAll(): void {
    for (const { cancel } of this.#unfinished.values()) cancel()
    this.#unfinished.clear()
    for (const claim of [...this.#held.keys()]) this.release(claim)
  }

  #drop(claim: number, owner: object | undefined): boolean {
    if (owner !== undefined && this.#held.get(claim) === undefined) abandonedItems.unregister(owner)
    return this.#held.delete(claim)
  }

  #register(): void {
    this.#registersSoon = false
    for (const [claim, owner] of this.#held) {
      if (owner === undefined) continue
      abandonedItems.register(owner.object, { claims: this, claim, id: owner.id }, owner.object)
      this.#held.set(claim, undefined)
    }
  }

  /** Runs a read of a claim, which stays open so long. */
  async reading<Result>(claim: number, read: () => Promise<Result>): Promise<Result> {
    this.#reads.set(claim, (this.#reads.get(claim) ?? 0) + 1)
    try {
      return await read()
    } finally {
      const others = (this.#reads.get(claim) ?? 1) - 1
      if (others > 0) this.#reads.set(claim, others)
      else this.#reads.delete(claim)
      if (others === 0 && this.#releaseAfterRead.delete(claim)) native.release([claim])
    }
  }

  /** The work on an item has run, but the item could not be moved: no more items until that is mended. */
  addUnfinished(owner: object, error: FinishError, cancel: () => void): void {
    this.#unfinished.set(owner, { error, cancel })
  }

  removeUnfinished(owner: object): void {
    this.#unfinished.delete(owner)
  }

  /** The first of the finishes that have failed. */
  get unfinished(): FinishError | undefined {
    if (this.#unfinished.size === 0) return undefined
    const [first] = this.#unfinished.values()
    return first?.error
  }
}
