/**
 * The tracing channels of this package, for node:diagnostics_channel: one for each kind of call that a trace may show.
 *
 * Without subscribers a call costs one look at them.
 *
 * @module
 */
import diagnostics, { type TracingChannel } from 'node:diagnostics_channel'

/** What the events of a call have in common. Node adds `result` or `error` as the call ends. */
interface CallContext {
  /** The name of the queue. */
  readonly queue: string
  /** The path of the queue. */
  readonly path: string
  /** Set when the call has failed. Any value can be thrown. */
  readonly error?: unknown
}

/** The context of the channel `fsq.enqueue`: a call of `enqueue`, `enqueueSync` or `enqueueMany`. */
export interface EnqueueContext extends CallContext {
  /** The arguments of the item. Not set for `enqueueMany`. */
  readonly args?: readonly string[]
  /** The size of the contents in bytes. Not set if that is not known before they are written, and for `enqueueMany`. */
  readonly size?: number
  /** How many items are added: 1, unless the call is `enqueueMany`. */
  readonly count: number
  /** The ids of the items, set when they are in the queue. */
  ids?: readonly string[]
  /** The key of the item, set when it is in the queue. Not set for `enqueueMany`. */
  key?: string
}

/** The context of the channel `fsq.process`: a worker runs the handler for an item. */
export interface ProcessContext extends CallContext {
  readonly id: string
  readonly key: string
  readonly args: readonly (string | undefined)[]
  readonly size: number
  /** 1 for the first try. */
  readonly try: number
}

/** The context of the channel `fsq.finish`: a claimed item is finished or released. */
export interface FinishContext extends ProcessContext {
  readonly action: 'done' | 'fail' | 'retry' | 'discard' | 'release'
  /** Set when the item has left the worker's hands: how. A `retry` without tries left ends as `failed`. */
  outcome?: 'done' | 'failed' | 'waiting' | 'released' | 'gone'
}

/** The item of a context. */
export interface TracedItem {
  readonly id: string
  readonly key: string
  readonly args: readonly (string | undefined)[]
  readonly tries: number
  readonly size: number
}

type Channel<Context extends object> = TracingChannel<unknown, Context>

export const enqueueChannel: Channel<EnqueueContext> = diagnostics.tracingChannel('fsq.enqueue')
export const processChannel: Channel<ProcessContext> = diagnostics.tracingChannel('fsq.process')
export const finishChannel: Channel<FinishContext> = diagnostics.tracingChannel('fsq.finish')

/** Whether the channel has subscribers, or a store is bound to it. */
export function isTraced<Context extends object>(channel: Channel<Context>): boolean {
  const { hasSubscribers } = channel as { readonly hasSubscribers?: boolean }
  if (hasSubscribers !== undefined) return hasSubscribers
  // Bun.
  const { start, end, asyncStart, asyncEnd, error } = channel
  return [start, end, asyncStart, asyncEnd, error].some((each) => each.hasSubscribers)
}

/** The context of an item before its call. */
export function contextOf(item: TracedItem, { name, path }: TracedQueue): ProcessContext {
  const { id, key, args, tries, size } = item
  return { queue: name, path, id, key, args, size, try: tries + 1 }
}

/** The queue of a context. */
export interface TracedQueue {
  readonly name: string
  readonly path: string
}
