/**
 * The items that the engine works, and where it gets them.
 *
 * The engine knows no queue: it works any source whose items can be finished, retried and released. A queue of files is one
 * (`local.ts`); a queue behind HTTP or in memory can be another.
 *
 * @module
 */
import type { Outcome, RetryLimit } from '../item/outcome.js'

/**
 * What a worker needs of an item, which is claimed, and no other worker's until it is finished or released. The handler gets the item
 * itself, with all that it has besides, such as its contents: see {@link SourceItem}.
 */
export interface WorkableItem {
  readonly id: string
  /** The same from try to try. */
  readonly key: string
  /** How many attempts have failed. */
  readonly tries: number
  /** Aborted when the claim is lost, and by {@link abort}. */
  readonly signal: AbortSignal
  /**
   * Whether the item is neither finished nor released. Not set: the source does not know. Then a handler must not finish items itself, and
   * a finish that fails is an `error` event and is not repeated.
   */
  readonly claimed?: boolean | undefined
  /** The finish in flight, if the handler has begun one without awaiting it. */
  readonly finishing?: Promise<unknown> | undefined
  /** How the item has left this worker's hands. Not set: it has not, or the source does not know. */
  readonly outcome?: Outcome | undefined
  /** Why the next {@link retry} would fail the item for good. Not set: it would not, or the source does not know. */
  readonly retryLimit?: RetryLimit | undefined
  /**
   * Aborts {@link signal}, and does nothing else. A worker calls it at a timeout, and when it closes. Not set: only the `signal` of the
   * handler's context is aborted then.
   */
  abort?(reason: unknown): void
  done(): Promise<void>
  /** Finishes the item without a trace. Not set: a worker with `keepDone: false` calls {@link done}. */
  discard?(): Promise<void>
  fail(): Promise<void>
  /**
   * Gives the item back with one try more.
   *
   * @param options - `delay`: milliseconds until the item is due.
   * @returns `failed`: it had no tries left, and has failed for good.
   */
  retry(options?: { delay?: number }): Promise<'waiting' | 'failed'>
  /**
   * Gives the item back as it was.
   *
   * @param options - `delay`: milliseconds until the item is due.
   */
  release(options?: { delay?: number }): void | Promise<void>
}

/**
 * An item as handlers expect it of any source: a handler that uses only this can move from one source to another. A {@link WorkItem} is one,
 * and has more: a descriptor, a path and a stream.
 */
export interface SourceItem extends WorkableItem {
  /** Texts. A source whose items are parsed may leave out optional ones. */
  readonly args: readonly (string | undefined)[]
  readonly enqueuedAt: Date
  /** The size of the contents in bytes. */
  readonly size: number
  text(): Promise<string>
  bytes(): Promise<Uint8Array>
  json<T = unknown>(): Promise<T>
}

/** Why a source hands out nothing for now: the state that the worker takes. */
export type Outage = 'down' | 'missing' | 'unfinished'

/** Options of {@link Source.scan}. */
export interface SourceScanOptions {
  /** Its abort ends the scan. */
  readonly signal: AbortSignal
  /**
   * To be called each time that the scan has looked at all items, found none to claim, and begins to wait. A source that never calls
   * it has workers whose `idle()` never resolves.
   */
  readonly onIdle: () => void
  /**
   * How many items the worker could start at the moment. For a source that asks a server for several at a time: items that wait for a place
   * here could run elsewhere. Not set: 1.
   */
  readonly demand?: (() => number) | undefined
}

/** The items of a scan, as they come. */
export interface SourceScan<Item> extends AsyncIterable<Item> {
  /** The next item, if it can be had without waiting. Not set: the worker awaits each. Throws as the scan would. */
  tryNext?(): Item | undefined
}

/** Where a worker gets its items. */
export interface Source<Item extends WorkableItem = SourceItem> {
  /** Called once, before the first scan. Its rejection is that of `work()`. */
  open?(): Promise<void>
  /**
   * Hands out items as they come, until the signal is aborted or the caller calls `return()`. The end of a scan must not release the
   * items that it has handed out, because their handlers run on. The scan is asked for an item only when a handler is free for it.
   */
  scan(options: SourceScanOptions): SourceScan<Item>
  /**
   * What an error of a scan means. The worker scans again later: every half second while the source is `down`, and after 1, 2, 4 … 30 s
   * otherwise. `closed`: the worker closes. Default: `missing`.
   */
  outageOf?(error: unknown): Outage | 'closed'
  /** Called once, when the worker has closed and no handler runs any more. A source with a connection ends it, so that the process can end. */
  close?(): Promise<void>
}
