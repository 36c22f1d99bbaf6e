/**
 * The port by which the engine tells what it does with items. The engine knows no queue: a queue has a journal that keeps
 * crash marks, the reasons of failures and the state of the worker in files; another source may have none.
 *
 * The calls for one item, in order:
 *
 *     begin ──> [progress ...] ──> [failed] ──> the item is finished ──> end
 *                                               end ──> the item is released
 *
 * No call throws, and none returns a promise: a journal that cannot write reports that by itself, and the work goes on. Where a file server
 * may keep the write of `begin` waiting, {@link Journal.written} tells when it is over.
 *
 * @module
 */

/**
 * What a worker does at the moment.
 *
 * - `running`: it claims items and runs them.
 * - `paused`: it claims nothing until it is resumed.
 * - `down`: it claims nothing, because the queue is down.
 * - `missing`: it claims nothing, because there is no queue.
 * - `unfinished`: it claims nothing until an item can be finished that could not be.
 * - `closing`: it claims nothing any more, and waits for the handlers that run.
 * - `closed`: it has ended.
 */
export type WorkerState = 'running' | 'paused' | 'down' | 'missing' | 'unfinished' | 'closing' | 'closed'

/** How many items a worker has worked on since it started, by outcome. */
export interface Counters {
  /** Handlers that have begun. */
  readonly started: number
  /** Items that are done or discarded. */
  readonly done: number
  /** Items that go back to be tried again. */
  readonly retried: number
  /** Items that have failed for good. */
  readonly failed: number
  /** Items that are given back until later, with no try counted. */
  readonly postponed: number
  /** Items that are given back as they were. */
  readonly released: number
  /** Crash marks that this worker has made for items of dead workers. */
  readonly crashed: number
}

/** The counters of a worker that has not begun, for it to raise. */
export function noCounts(): Record<keyof Counters, number> {
  return { started: 0, done: 0, retried: 0, failed: 0, postponed: 0, released: 0, crashed: 0 }
}

/**
 * What earlier deaths of workers say about an item, before it runs.
 *
 * - `none`: no worker has died with the item in hand.
 * - `alone`: some have. Run it alone, so that another death tells whether the item is the cause.
 * - `crashed`: too many have. Do not run it: it fails.
 */
export type Suspicion = 'none' | 'alone' | 'crashed'

/** One attempt that has not succeeded. */
export interface FailedAttempt {
  /** The error of the handler, or the reason for giving up. Any value can be thrown. */
  readonly error: unknown
  /** How long the attempt took, in milliseconds. */
  readonly ms: number
  /** When the item is tried again, in milliseconds since the epoch. Not set: it is not, or at once. */
  readonly due?: number
  /** Why the item fails for good, as in the event `failed`. Not set: it is tried again. */
  readonly reason?: string
}

/** Receives what a worker does with its items. */
export interface Journal<Item> {
  /**
   * Called before handlers run: one call for all items that start in one tick.
   *
   * @param ended - The items that have been finished in the same tick, as for {@link end}. So one write tells of all of them.
   * @returns One answer for each of `items`, in their order.
   */
  begin(items: readonly Item[], ended?: readonly Item[]): readonly Suspicion[]
  /**
   * Resolves when all that {@link begin} has been told so far is written, or cannot be: the handlers begin after that. Never rejects.
   * `undefined`: it is written already.
   */
  readonly written?: Promise<void> | undefined
  /**
   * Called after items have been finished, and before items are released: a worker that dies in between has not died of an item that
   * is finished, because that item has left queue/, nor of one that another worker may have by then.
   */
  end(items: readonly Item[]): void
  /** Called when an attempt has failed or the item is given up, before the item moves. */
  failed(item: Item, attempt: FailedAttempt): void
  /** Keeps the latest value for others to see, until the item ends. */
  progress(item: Item, value: unknown): void
  /** Keeps the state and the counters for others to see. */
  state(state: WorkerState, counters: Counters): void
  /** The worker has been told to close: a death from now on is no item's fault. */
  closing(): void
  /** The worker has closed. Items that it still has in hand are no longer watched over. */
  close(): void
}
