/**
 * Moving a claimed item to where it belongs (fsq standard, section 5).
 *
 * @module
 */
import os from 'node:os'

import { Batcher } from '../addon/batcher.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { Failure } from '../errors/errno.js'
import { type RawName } from '../name/charset.js'
import { freeEntropies } from '../name/item-name.js'
import { lookOut } from '../addon/completions.js'
import { type FinishResult, type Place, type QueueHandle, native } from '../addon/native.js'
import type { Settings } from '../settings.js'

const { EBADF, EEXIST, ESTALE } = os.constants.errno
// Of moves that are made durable together, and of others.
const BATCH_LIMIT = 256
const SMALL_BATCH = 8
const VALUES_A_MOVE = 3
const ALL_WELL: readonly FinishResult[] = []

/** Whether somebody else has moved the item, or its descriptor is not the claim's any more. */
export function isGone(failure: Failure): boolean {
  return failure.errno === -ESTALE || failure.errno === -EBADF
}

/** One move. */
export interface Move {
  /** Through which the item was claimed. */
  readonly handle: QueueHandle
  /** By its number in native code. */
  readonly claim: number
  readonly from: RawName
  readonly place: Place
  readonly to: RawName
  /** Milliseconds since the epoch; 0: at once. */
  readonly due: number
}

/** What became of a move. */
export interface Moved {
  /** The name that the item has now. */
  readonly name: RawName
  readonly failure?: Failure
  /** The item has left, whatever failed then; if not, it is still claimed. */
  readonly left: boolean
  /** The item is due at once, as its time could not be set. */
  readonly undelayed: boolean
}

/** Moves the items of one queue. */
export class Finisher {
  readonly #directory: QueueDirectory
  readonly #encode: string
  readonly #durable: boolean
  readonly #batcher: Batcher<Move, FinishResult>
  // One for all calls: native code reads it before it returns.
  readonly #values = new Float64Array(BATCH_LIMIT * VALUES_A_MOVE)

  constructor(directory: QueueDirectory, settings: Settings) {
    this.#directory = directory
    this.#encode = settings.encode
    this.#durable = settings.durability === 'full'
    this.#batcher = new Batcher(
      (moves) => this.#moveAll(moves),
      this.#durable ? BATCH_LIMIT : SMALL_BATCH,
      !this.#durable,
    )
  }

  /**
   * Moves an item. Where its name is taken, or something failed, {@link resolve} has the rest.
   *
   * @returns `undefined`: it has the name that was asked for. Rejects only if the handle is closed.
   */
  submit(move: Move): Promise<FinishResult> {
    return this.#batcher.submit(move)
  }

  /** What became of a move; one whose name was taken is made under the next free name. Never overwrites. */
  async resolve(move: Move, first: FinishResult): Promise<Moved> {
    let { to } = move
    let result = first
    const names = freeEntropies(to, this.#encode)
    for (;;) {
      if (result === undefined) return { name: to, left: true, undelayed: false }
      const { moved: left, undelayed } = result
      if (result.errno === 0) return { name: to, left, undelayed }
      const failure = this.#directory.located(result)
      if (left || result.errno !== -EEXIST) return { name: to, failure, left, undelayed }
      const next = names.next()
      if (next.done === true) return { name: to, failure, left, undelayed }
      to = next.value
      result = await this.submit({ ...move, to })
    }
  }

  async #moveAll(moves: readonly Move[]): Promise<readonly FinishResult[]> {
    const [first] = moves
    // Of one handle, unless the queue was installed anew while items of the old one were claimed.
    if (first !== undefined && moves.every(({ handle }) => handle === first.handle)) {
      return this.#moveThrough(first.handle, moves)
    }
    const results: FinishResult[] = []
    for (const move of moves) results.push((await this.#moveThrough(move.handle, [move]))[0])
    return results
  }

  async #moveThrough(handle: QueueHandle, moves: readonly Move[]): Promise<readonly FinishResult[]> {
    const values = this.#values
    let names: (RawName | undefined)[] | undefined
    let at = 0
    for (const [index, { claim, place, from, to, due }] of moves.entries()) {
      values[at++] = claim
      values[at++] = place
      values[at++] = due
      if (to !== from) (names ??= [])[index] = to
    }
    const ended = native.finish(handle, values, moves.length, names, this.#durable)
    lookOut()
    return (await ended) ?? ALL_WELL
  }
}
