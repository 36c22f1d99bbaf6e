/**
 * The dead workers of a queue whose claims are renames, as a scan knows them; meta/take-over.ts gives their items back.
 *
 * @module
 */
import type { QueueHandle, RawName } from '../addon/native.js'

/** An item that a dead worker had in hand. */
export interface Crash {
  readonly key: string
  readonly id: string
  /** Where the worker ran. */
  readonly host: string
  readonly pid: number
  /** How many items the worker had in hand. */
  readonly together: number
  /** How long it had had the item in hand when its death was noticed, in milliseconds. */
  readonly ms: number
}

export interface DeadWorkers {
  /** Takes dead workers over: their items are back in queue/ when this resolves. Never rejects. */
  look(queue: QueueHandle): Promise<void>
  /** {@link look}, unless the last look was less than a second ago. */
  lookLately(queue: QueueHandle): Promise<void>
  /** A loop waits from now on, until the function that this returns is called: then it looks about every second. */
  beginWaiting(): () => void
  /**
   * Reads the crash marks of items that were just claimed, before they are handed out. Where a file server may keep a call waiting, a worker
   * cannot read them at the moment when it begins with an item.
   *
   * @returns Never rejects. `undefined`: nothing is to be read.
   */
  readMarks(items: readonly { readonly name: RawName }[]): Promise<void> | undefined
  /**
   * Has the marks of claimed items read by a worker.
   *
   * @param read - Never rejects.
   * @returns A function that ends that.
   */
  onClaims(read: (names: readonly RawName[]) => Promise<void>): () => void
  /**
   * Calls back with each item that a dead worker had in hand.
   *
   * @returns A function that stops listening.
   */
  onCrash(callback: (crash: Crash) => void): () => void
}
