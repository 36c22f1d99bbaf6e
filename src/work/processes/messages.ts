/**
 * The messages between a worker and its child processes, as JSON:
 *
 *     parent                              child
 *       │ ── start ───────────────────────> │ imports the module, opens the queue
 *       │ <─────────────── ready, or failed │
 *       │ ── go ──────────────────────────> │ claims and works
 *       │ <──────────────── events, closing │
 *       │ ── pause, resume, concurrency ──> │
 *       │ ── ping, idle ──────────────────> │ answers with pong and idle
 *       │ ── close ───────────────────────> │ closes its worker
 *       │ <────────────────────────  closed │ ends when no handler runs any more
 *
 * @module
 */
import { inspect } from 'node:util'

import type { SettingOverrides } from '../../settings.js'
import type { WorkerEvents } from '../events.js'

/** An item that a child process works on, as its parent sees it. Only the handler in the child process can finish it. */
export interface RemoteItem {
  /** The name of the item. After a retry it is the next one. */
  readonly id: string
  /** The same from try to try. */
  readonly key: string
  /** The arguments as the name of the item has them, even if the queue has a parser for them. */
  readonly args: readonly string[]
  /** How many attempts have failed. */
  readonly tries: number
  readonly enqueuedAt: Date
  /** The size of the contents in bytes. */
  readonly size: number
}

/** What a child process is to do. */
export interface Job {
  /** The process that has started the child. */
  readonly parent: number
  /** The module whose default export is the handler. */
  readonly module: string
  readonly queue: string
  /** The host of the queue whose queue it works. Not set: the queue itself. */
  readonly host: string | undefined
  readonly settings: SettingOverrides
  /** The parsers that the queue of the parent has. A schema cannot be passed to another process, so the module exports them. */
  readonly parsers: readonly ('body' | 'args')[]
  /** Options of {@link Queue.work}, without functions. */
  readonly options: Readonly<Record<string, unknown>>
  readonly timeout: number
  /** Milliseconds after the timeout until a handler that still runs is killed. */
  readonly killAfter: number
}

/** A message to a child process. */
export type ToChild =
  | { readonly type: 'start'; readonly job: Job }
  | { readonly type: 'go'; readonly paused: boolean; readonly concurrency: number }
  | { readonly type: 'pause' | 'resume' | 'ping' }
  | { readonly type: 'concurrency'; readonly concurrency: number }
  | { readonly type: 'idle'; readonly round: number }
  | { readonly type: 'close'; readonly grace: number }

/** A message from a child process. */
export type FromChild =
  | { readonly type: 'ready' | 'pong' }
  /** The child cannot work, and ends. `what`: the module has failed, it exports no handler, or the queue has failed. */
  | { readonly type: 'failed'; readonly what: Failing; readonly error: SentValue }
  | { readonly type: 'events'; readonly events: readonly SentEvent[] }
  /** No handler runs and nothing is to be claimed; `started`: how many handlers have ever begun. */
  | { readonly type: 'idle'; readonly round: number; readonly started: number }
  /** The child closes: by a signal of the process, if the parent has not asked for it. */
  | { readonly type: 'closing' }
  /** Its worker has closed. Handlers may still run. */
  | { readonly type: 'closed' }

/**
 * A message from a child process, as it is sent. The module in the child may send messages of its own to the parent of its process, such as
 * `process.send('ready')`, and those are not for the seat.
 */
export interface Envelope {
  readonly fsq: FromChild
}

export type Failing = 'import' | 'export' | 'work'

/** A value that was thrown: an error, or any other one. */
export type SentValue = { readonly value?: string | number | boolean | null } | { readonly error: SentError }

interface SentError {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly stack?: string
  readonly cause?: SentValue
}

/** The item of an event. `run`: a number of the child for this claim of the item. */
export interface SentItem extends Omit<RemoteItem, 'enqueuedAt'> {
  readonly run: number
  readonly enqueuedAt: number
}

/** An event and its object, whose fields `item`, `error` and `due` are replaced by what JSON can hold. */
export interface SentEvent {
  readonly name: keyof WorkerEvents<unknown>
  readonly fields: Readonly<Record<string, unknown>>
}

// A chain of causes may be a circle.
const MOST_CAUSES = 8

/** Describes a value that was thrown. Any value can be, and so can each part of an error. Never throws. */
export function sendValue(thrown: unknown, causes = 0): SentValue {
  if (thrown === undefined) return {}
  if (thrown === null || ['string', 'number', 'boolean'].includes(typeof thrown))
    return { value: thrown as string | number | boolean | null }
  try {
    if (thrown instanceof Error) return { error: partsOf(thrown, causes) }
    return { error: { name: 'Error', message: inspect(thrown) } }
  } catch {
    return { error: { name: 'Error', message: 'an error that cannot be read' } }
  }
}

/** Unlike the log of an item, this shortens nothing and keeps the causes. */
function partsOf(error: Error, causes: number): SentError {
  const { name, message, stack, cause, code } = error as Partial<
    Record<'name' | 'message' | 'stack' | 'cause' | 'code', unknown>
  >
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: String(message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(cause === undefined || causes === MOST_CAUSES ? {} : { cause: sendValue(cause, causes + 1) }),
  }
}

/** Makes an error of its description. It is an Error with the name and the code of the original, but not of its class. */
export function receiveValue(sent: SentValue): unknown {
  if (!('error' in sent)) return sent.value
  const { name, message, code, stack, cause } = sent.error
  const error = new Error(message, cause === undefined ? {} : { cause: receiveValue(cause) })
  const fields = { name, stack: stack ?? `${name}: ${message}` }
  for (const [key, value] of Object.entries(fields))
    Object.defineProperty(error, key, { value, configurable: true, writable: true })
  return code === undefined ? error : Object.assign(error, { code })
}

/**
 * Describes an event.
 *
 * @param sendItem - Describes its item.
 */
export function sendEvent(
  name: keyof WorkerEvents<unknown>,
  event: unknown,
  sendItem: (item: unknown) => SentItem,
): SentEvent {
  if (name === 'error') return { name, fields: { error: sendValue(event) } }
  const fields = Object.entries(event as object).map(([key, value]: [string, unknown]) => {
    if (key === 'item' && value !== undefined) return [key, sendItem(value)]
    if (key === 'error') return [key, sendValue(value)]
    return [key, value instanceof Date ? value.getTime() : value]
  })
  return { name, fields: Object.fromEntries(fields) as Record<string, unknown> }
}

/**
 * Makes the object of an event.
 *
 * @param receiveItem - Finds or makes its item.
 */
export function receiveEvent(
  { name, fields }: SentEvent,
  receiveItem: (item: SentItem) => RemoteItem,
): unknown {
  if (name === 'error') return receiveValue(fields['error'] as SentValue)
  const event = Object.entries(fields).map(([key, value]) => {
    if (key === 'item' && value !== undefined) return [key, receiveItem(value as SentItem)]
    if (key === 'error') return [key, receiveValue(value as SentValue)]
    return [key, key === 'due' ? new Date(value as number) : value]
  })
  // JSON drops the field of an item that is due at once.
  const due = name === 'retried' ? { due: undefined } : {}
  return { ...due, ...(Object.fromEntries(event) as object) }
}
