/**
 * The events and the numbers of a forwarder.
 *
 * @module
 */
import type { WorkItem } from '../item/work-item.js'
import type { Report } from '../report.js'
import type { FailureReason } from '../work/events.js'
import type { WorkerState } from '../work/journal.js'

/**
 * What a forwarder does at the moment: as a worker, or `away`: the last put has stored nothing, or could not be written down. It claims nothing
 * then, and puts the items that it has in hand again, after 50 ms, 100 ms ... 30 s, until the target stores one.
 */
export type ForwarderState = WorkerState | 'away'

/** The events of a forwarder. Each has one object. Times are in milliseconds. */
export interface ForwarderEvents {
  /** The target has the item, and the item is done. `duplicate`: the target had it before. `ms`: since its claim. */
  forwarded: [{ readonly item: WorkItem; readonly duplicate: boolean; readonly ms: number }]
  /** The target will never take the item, which is in fail/. `error`: the answer of the sink. */
  refused: [{ readonly item: WorkItem; readonly error: Error }]
  /** The item may have been put so long ago that the target has forgotten its id. It is in fail/, until it is removed or retried. */
  held: [{ readonly item: WorkItem; readonly since: Date; readonly error: Error }]
  /** An item has failed for another reason: its name is malformed, or it is past its TTL. It was not put. */
  failed: [{ readonly id: string; readonly reason: FailureReason; readonly error: unknown }]
  /**
   * A put has stored nothing, and the one before it had. `error`: the first of its answers. `by`: `queue` if the items were not put, because
   * the forwarder could not write down in `forwarded/` of the queue that they are; the error tells the path and what to do.
   */
  away: [{ readonly error: Error; readonly by: 'target' | 'queue' }]
  /** The target has stored an item again. `ms`: how long it was away. */
  back: [{ readonly ms: number }]
  /** No item is in hand, and a look at all items has found nothing to claim. */
  idle: []
  /** The state has changed, by `error` if there is one. */
  state: [{ readonly state: ForwarderState; readonly was: ForwarderState; readonly error?: unknown }]
  /** A scan has reported a file. Without a listener, reports go where those of the queue go. */
  report: [Report]
  /** Something went wrong that no other event tells. Without a listener, it is a warning of the process. */
  error: [unknown]
}

/** What a forwarder has done since it started. */
export interface ForwarderNumbers {
  /** Items that the target has, and that are done. */
  readonly forwarded: number
  /** Those of {@link forwarded} that the target had before. */
  readonly duplicates: number
  /** Items that the target will never take. They are in fail/. */
  readonly refused: number
  /** Items in doubt that are in fail/. */
  readonly held: number
  /** Items that failed without having been put: malformed, or past their TTL. */
  readonly failed: number
  /** Items that are claimed at the moment. */
  readonly inFlight: number
  /** When the target last took an item; `undefined`: it has not yet. */
  readonly lastSuccess: Date | undefined
  /** Whether the target can be reached; `undefined`: the sink does not know. */
  readonly connected: boolean | undefined
}
