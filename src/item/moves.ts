/**
 * Moving a claimed item to where it belongs (fsq standard, section 5).
 *
 * @module
 */
import os from 'node:os'

import { Batcher } from '../addon/batcher.js'
import { CallThread, FEW_ITEMS } from '../addon/call-thread.js'
import { MOST_MOVES, finish, finishHere } from '../addon/lane.js'
import type { LogEntry } from '../addon/packing.js'
import { type FinishResult, Place, type QueueHandle } from '../addon/native.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { Failure } from '../errors/errno.js'
import type { RawName } from '../name/charset.js'
import { freeEntropies } from '../name/item-name.js'
import type { Settings } from '../settings.js'

const { EBADF, EEXIST, ESTALE } = os.constants.errno
/** The error of a claim that the worker has lost; Node has no name for it. */
export const EOWNERDEAD = process.platform === 'darwin' ? 105 : 130
// Moves that are made durable together share an fsync, so their batches are large.
const DURABLE_BATCH = MOST_MOVES
const SMALL_BATCH = 8

/** Whether another process has moved the item, or another part of this one has closed the descriptor of the claim. */
export function isGone(failure: Failure): boolean {
  return failure.errno === -ESTALE || failure.errno === -EBADF
}

/** Whether the worker has lost the claim: its machine was cut off or stood still for too long, or another worker has taken the item over. */
export function isLost(failure: Failure): boolean {
  return failure.errno === -EOWNERDEAD
}

/** One move of a claimed item. */
export interface Move {
  readonly claim: { readonly handle: QueueHandle; readonly number: number; readonly name: RawName }
  readonly place: Place
  /** The name that the item gets there. */
  readonly to: RawName
  /** Milliseconds since the epoch; 0: the item is due at once. */
  readonly due: number
  /** A line for the log of the item, ahead of the move. */
  readonly log?: LogEntry | undefined
}

/** The outcome of a move. */
export interface Moved {
  /** The name that the item has now. */
  readonly name: RawName
  readonly failure?: Failure
  /** Whether the item has moved, even if a call after the move has failed. If not, its claim is still held. */
  readonly left: boolean
  /** The item is due at once, because its time could not be set. */
  readonly undelayed: boolean
}

/** Moves the claimed items of one queue, in batches. */
export class Moves {
  readonly #directory: QueueDirectory
  readonly #encode: string
  readonly #durable: boolean
  readonly #batcher: Batcher<Move, FinishResult>
  readonly #thread = new CallThread(FEW_ITEMS)

  constructor(directory: QueueDirectory, settings: Settings) {
    this.#directory = directory
    this.#encode = settings.encode
    this.#durable = settings.durability === 'full'
    this.#batcher = this.#durable
      ? new Batcher((moves) => this.#moveAll(moves), DURABLE_BATCH, false)
      : new Batcher(
          (moves, mayRunHere) => (mayRunHere ? this.#moveHere(moves) : this.#moveAll(moves)),
          SMALL_BATCH,
          true,
          // Claims by renaming are made in the pool, and renames between directories exclude each other. So a third thread for the moves
          // would gain nothing, and a wake-up costs as much as some moves.
          { thread: this.#thread, isForAll: () => directory.claimsByRename && directory.isLocal },
        )
  }

  /**
   * Makes a move. Hot path: no promises. Calls one of the two functions once, and not before it returns. Neither may throw.
   *
   * @param settle - Called with `undefined`: the move has succeeded. Else {@link resolve} does the rest.
   * @param fail - Called only if the handle of the queue is closed.
   */
  submit(move: Move, settle: (result: FinishResult) => void, fail: (error: unknown) => void): void {
    this.#batcher.submit(move, settle, fail)
  }

  /** The outcome of a move, made now. */
  async make(move: Move): Promise<Moved> {
    return this.resolve(move, await this.#submitted(move))
  }

  /** The outcome of a move. If the name was taken, makes the move again with the next free name; never overwrites a file. */
  async resolve(move: Move, first: FinishResult): Promise<Moved> {
    let { to } = move
    let result = first
    if (result?.log !== undefined) move.log?.settle(result.log)
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
      result = await this.#submitted({ ...move, to, log: undefined })
    }
  }

  #submitted(move: Move): Promise<FinishResult> {
    return new Promise((resolve, reject) => this.submit(move, resolve, reject))
  }

  /** Makes moves on this thread, while that is quick. */
  #moveHere(moves: readonly Move[]): readonly FinishResult[] | Promise<readonly FinishResult[]> {
    const handle = this.#directory.opened
    const isFit =
      this.#thread.isQuick && this.#directory.isLocal && moves.every((move) => this.#isForHere(move))
    return isFit && handle !== undefined ? finishHere(handle, moves, this.#thread) : this.#moveAll(moves)
  }

  #isForHere({ claim, log, place }: Move): boolean {
    if (claim.handle !== this.#directory.opened) return false
    // A log is locked, and another process may hold that lock.
    if (log !== undefined) return false
    // An item that goes back to queue/ may have to wait for the clock of the file system.
    return place !== Place.queue || !this.#directory.claimsByRename
  }

  #moveAll(moves: readonly Move[]): Promise<readonly FinishResult[]> {
    const handle = moves[0]?.claim.handle
    // The moves have one handle, unless the queue was installed anew while items of the old one were claimed.
    if (handle !== undefined && moves.every(({ claim }) => claim.handle === handle)) {
      return finish(handle, moves, this.#durable, this.#thread)
    }
    return this.#moveEach(moves)
  }

  async #moveEach(moves: readonly Move[]): Promise<readonly FinishResult[]> {
    const results: FinishResult[] = []
    for (const move of moves) {
      results.push((await finish(move.claim.handle, [move], this.#durable, this.#thread))[0])
    }
    return results
  }
}
