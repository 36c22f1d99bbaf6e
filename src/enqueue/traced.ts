/**
 * Enqueues whose channel has subscribers (tracing.ts).
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { inspect, types } from 'node:util'

import type { Layout } from '../directory/layout.js'
import { fromRaw, toRaw } from '../name/charset.js'
import type { NameArgument } from '../name/codec.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { type EnqueueContext, enqueueChannel } from '../tracing.js'
import type { Payload } from './payload.js'

/** The queue that items are added to. */
interface Target {
  readonly layout: Layout
  readonly settings: Settings
}

/** Adds one item by the call. */
export async function traceEnqueue(
  target: Target,
  data: Payload,
  args: readonly NameArgument[] | undefined,
  call: () => Promise<string>,
): Promise<string> {
  const context = contextOfOne(target, data, args)
  return enqueueChannel.tracePromise(async () => added(target, context, await call()), context)
}

/** {@link traceEnqueue} for a call that does not wait. */
export function traceEnqueueSync(
  target: Target,
  data: Payload,
  args: readonly NameArgument[] | undefined,
  call: () => string,
): string {
  const context = contextOfOne(target, data, args)
  return enqueueChannel.traceSync(() => added(target, context, call()), context)
}

/** Adds many items by the call. */
export async function traceEnqueueMany(
  { layout }: Target,
  entries: unknown,
  call: () => Promise<string[]>,
): Promise<string[]> {
  const count = Array.isArray(entries) ? entries.length : 0
  const context: EnqueueContext = { queue: layout.name, path: layout.path, count }
  return enqueueChannel.tracePromise(async () => {
    const ids = await call()
    context.ids = ids
    return ids
  }, context)
}

/** The call checks what it is given; this must not throw for anything. */
function contextOfOne(
  { layout }: Target,
  data: Payload,
  args: readonly NameArgument[] | undefined,
): EnqueueContext {
  const size = sizeOf(data)
  return {
    queue: layout.name,
    path: layout.path,
    args: Array.isArray(args) ? args.map(textOf) : [],
    count: 1,
    ...(size === undefined ? {} : { size }),
  }
}

function added({ settings }: Target, context: EnqueueContext, id: string): string {
  const { charset, encode } = settings
  context.ids = [id]
  context.key = fromRaw(itemKey(toRaw(id, charset), encode), charset)
  return id
}

/** Of a value that no argument may be, too. */
function textOf(arg: unknown): string {
  return typeof arg === 'string' ? arg : inspect(arg).replace(/^(\d+)n$/, '$1')
}

function sizeOf(data: Payload): number | undefined {
  if (data === null) return 0
  if (typeof data === 'string') return Buffer.byteLength(data)
  if (ArrayBuffer.isView(data) || types.isAnyArrayBuffer(data)) return data.byteLength
  return data instanceof Blob ? data.size : undefined
}
