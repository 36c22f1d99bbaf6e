/**
 * What one queue handle holds: its claims, and the finishes that have failed so far.
 *
 * @module
 */
import { inspect } from 'node:util'

import type { FinishError } from './errors.js'
import { native } from './native.js'

interface Held {
  readonly claims: Claims
  readonly claim: number
  readonly id: string
}

interface Unfinished {
  readonly error: FinishError
  /** Stops the attempts. */
  readonly cancel: () => void
}

// One for all: a registry an item would be a registry too many.
const abandoned = new FinalizationRegistry<Held>(({ claims, claim, id }) => {
  if (!claims.release(claim)) return
  process.emitWarning(
    `The claim of ${inspect(id)} was garbage-collected and has been released. Finish or release each item`,
    { type: 'FsqWarning', code: 'FSQ_ABANDONED' },
  )
})

/** The claims of one queue handle. */
export class Claims {
  readonly #held = new Set<number>()
  /** How many reads of a claim are under way. */
  readonly #reads = new Map<number, number>()
  readonly #releaseAfterRead = new Set<number>()
  readonly #unfinished = new Map<object, Unfinished>()

  /** Takes charge of a claim; released with a warning if `owner` is garbage-collected. */
  hold(claim: number, owner: object, id: string): void {
    this.#held.add(claim)
    abandoned.register(owner, { claims: this, claim, id }, owner)
  }

  /** The claim is on its way out: whatever happens to its owner, nobody else may close the descriptor now. */
  surrender(claim: number, owner: object): void {
    this.#held.delete(claim)
    abandoned.unregister(owner)
  }

  /**
   * Unlocks and closes a claim; one that is being read, after that: its number may be another file's at once.
   *
   * @returns Whether it was held.
   */
  release(claim: number, owner?: object): boolean {
    if (owner !== undefined) abandoned.unregister(owner)
    if (!this.#held.delete(claim)) return false
    if (this.#reads.has(claim)) this.#releaseAfterRead.add(claim)
    else native.release([claim])
    return true
  }

  releaseAll(): void {
    for (const { cancel } of this.#unfinished.values()) cancel()
    this.#unfinished.clear()
    for (const claim of [...this.#held]) this.release(claim)
  }

  /** Runs a read of a claim's claim, which stays open so long. */
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
    const [first] = this.#unfinished.values()
    return first?.error
  }
}
