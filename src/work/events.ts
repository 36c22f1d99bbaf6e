/**
 * The events of a worker.
 *
 * @module
 */
import type { RetryLimit } from '../item/outcome.js'
import type { Report } from '../report.js'
import type { WorkerState } from './journal.js'

/**
 * Why an item has failed for good.
 *
 * - `exhausted`, `expired`, `ungrowable`: it may not be tried again: it has used up its tries, is past its TTL, or its next name would be
 *   too long.
 * - `permanent`: the handler threw a {@link PermanentFailure}, or `backoff` gave `false`.
 * - `handler`: the handler called `fail()` itself.
 * - `crashed`: too many workers have died with it in hand. It was not run.
 * - `malformed`: its name is not an item name. It was not run.
 * - `invalid`: its body or its arguments do not fit the parser of the queue. It was not run.
 */
export type FailureReason = RetryLimit | 'permanent' | 'handler' | 'crashed' | 'malformed' | 'invalid'

/** The events of a worker. Each has one object. Times are in milliseconds. */
export interface WorkerEvents<Item> {
  /** A handler begins. `try` is 1 for the first try. */
  started: [{ readonly item: Item; readonly try: number }]
  /** An item is done or discarded. */
  done: [{ readonly item: Item; readonly ms: number }]
  /** A try has failed, and the item waits for the next one until `due`. Without `error`, the handler has called `retry()` itself. */
  retried: [
    {
      readonly item: Item
      readonly error: unknown
      readonly try: number
      readonly due: Date | undefined
      readonly ms: number
    },
  ]
  /** The handler threw a {@link RetryLater}: the item is given back untried. */
  postponed: [{ readonly item: Item; readonly due: Date; readonly ms: number }]
  /** An item has failed for good. Without `item`, it was not run. */
  failed: [
    {
      readonly item?: Item
      readonly id: string
      readonly reason: FailureReason
      readonly error: unknown
      readonly ms: number
    },
  ]
  /** An item is given back as it was, because the worker closes, or by its handler. */
  released: [{ readonly item: Item; readonly why: 'closing' | 'handler' }]
  /** A handler runs on, 5 s after its timeout. It keeps its item and its place among the items that run at once. */
  stuck: [{ readonly item: Item; readonly ms: number }]
  /** Another worker has died with this item in hand, and with `together` items in all. */
  crashed: [
    {
      readonly key: string
      readonly pid: number
      readonly host: string
      readonly together: number
      readonly ms: number
    },
  ]
  /** No handler runs, and a look at all items has found nothing to claim. */
  idle: []
  /** The state has changed, by `error` if there is one. */
  state: [{ readonly state: WorkerState; readonly was: WorkerState; readonly error?: unknown }]
  /** A scan has reported a file. Without a listener, reports go where those of the queue go. */
  report: [Report]
  /** Something went wrong that no other event tells. Without a listener, it is a warning of the process. */
  error: [unknown]
}
