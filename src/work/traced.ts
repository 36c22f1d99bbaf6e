/**
 * Handlers whose channel may have subscribers (tracing.ts).
 *
 * @module
 */
import type { WorkItem } from '../item/work-item.js'
import { type TracedQueue, contextOf, isTraced, processChannel } from '../tracing.js'
import type { Handler } from './run.js'

/** A handler that runs within the stores that are bound to the channel, and tells its subscribers when it begins and ends. */
export function tracedHandler(queue: TracedQueue, handler: Handler<WorkItem>): Handler<WorkItem> {
  return (item, context) => {
    if (!isTraced(processChannel)) return handler(item, context)
    return processChannel.tracePromise(async () => handler(item, context), contextOf(item, queue))
  }
}
