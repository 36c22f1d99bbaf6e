/**
 * The rows of the tables of `fsq top`, from a snapshot. Pure.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import { parseIfItem } from '../../inspect/states.js'
import type { FailureGroup } from '../../meta/failures.js'
import type { ItemInHand, WorkerInfo } from '../../meta/workers.js'
import type { Settings } from '../../settings.js'
import { tableName } from '../queues.js'
import { age, count, moment, sparkline } from './figures.js'
import type { Failure, QueueView, Snapshot } from './model.js'

/** What a row stands for. */
export type Subject =
  | { readonly kind: 'queue'; readonly queue: QueueView }
  | {
      readonly kind: 'worker'
      readonly queue: QueueView
      readonly worker: WorkerInfo
      readonly item: ItemInHand | undefined
    }
  | { readonly kind: 'failures'; readonly queue: QueueView; readonly group: FailureGroup<Failure> }

/** A row of a table. */
export interface Row {
  /** The same at each refresh. */
  readonly key: string
  readonly cells: readonly string[]
  readonly isBad: boolean
  readonly subject: Subject
}

/** All rows, and the facts of the header. */
export interface Rows {
  readonly root: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** How many workers live. */
  readonly workers: number
  readonly queues: readonly Row[]
  readonly inHand: readonly Row[]
  readonly failures: readonly Row[]
}

/** The rows of a snapshot. */
export function rowsOf({ root, at, queues }: Snapshot, settings: Settings): Rows {
  const workers = queues.flatMap((queue) => queue.workers.map((worker) => ({ queue, worker })))
  return {
    root,
    at,
    workers: workers.length,
    queues: queues.map(queueRow),
    inHand: workers
      .flatMap(({ queue, worker }) =>
        (worker.items.length > 0 ? worker.items : [undefined]).map((item) => ({ queue, worker, item })),
      )
      // The longest work first, then work of unknown age, then workers without work.
      .sort((one, other) => order(one.item) - order(other.item))
      .map(({ queue, worker, item }) => workerRow(queue, worker, item, at, settings)),
    failures: queues
      .flatMap((queue) => queue.failures.map((group) => ({ queue, group })))
      .sort((one, other) => other.group.items.length - one.group.items.length)
      .map(({ queue, group }) => failureRow(queue, group, at)),
  }
}

function order(item: ItemInHand | undefined): number {
  return item === undefined ? Number.POSITIVE_INFINITY : (item.since?.getTime() ?? Number.MAX_SAFE_INTEGER)
}

function queueRow(queue: QueueView): Row {
  const { layout, waiting, working, delayed, oldestAge, doneByMinute, failed, state } = queue
  const isRead = state !== 'unreadable'
  const numbers = [
    count(waiting),
    working === undefined ? '-' : count(working),
    count(delayed),
    age(oldestAge),
    sparkline(doneByMinute),
    count(doneByMinute.at(-1) ?? 0),
    count(failed),
  ]
  return {
    key: `queue ${tableName(layout)}`,
    cells: [tableName(layout), ...(isRead ? numbers : numbers.map(() => '-')), state],
    isBad: !isRead || state === 'down',
    subject: { kind: 'queue', queue },
  }
}

function workerRow(
  queue: QueueView,
  worker: WorkerInfo,
  item: ItemInHand | undefined,
  at: number,
  settings: Settings,
): Row {
  const name = workerName(worker)
  const { tries, text } = item === undefined ? idle(worker) : itemText(item.id, settings)
  const since = item?.since === undefined ? undefined : Math.max(0, at - item.since.getTime())
  return {
    key: `worker ${tableName(queue.layout)} ${worker.id ?? name} ${item?.key ?? ''}`,
    cells: [
      name,
      tableName(queue.layout),
      since === undefined ? (item === undefined ? '-' : '?') : age(since),
      tries === undefined ? '-' : String(tries + 1),
      text,
      progressText(item?.progress),
    ],
    isBad: false,
    subject: { kind: 'worker', queue, worker, item },
  }
}

function failureRow(queue: QueueView, group: FailureGroup<Failure>, at: number): Row {
  return {
    key: `failures ${tableName(queue.layout)} ${group.reason}`,
    cells: [count(group.items.length), tableName(queue.layout), group.reason, moment(group.last, at)],
    isBad: false,
    subject: { kind: 'failures', queue, group },
  }
}

/** `HOST:PID`, and `(other)` for a process of which only its locks are known. */
export function workerName({ id, host, pid }: WorkerInfo): string {
  const name = pid === undefined ? 'a process elsewhere' : `${host ?? '?'}:${pid}`
  return id === undefined ? `${name} (other)` : name
}

/** The tries of an item, and its arguments; its id if it has none. */
export function itemText(
  id: string,
  settings: Settings,
): { readonly tries: number | undefined; readonly text: string } {
  const parsed = parseIfItem(Buffer.from(id).toString('latin1'), settings)
  if (parsed === undefined) return { tries: undefined, text: id }
  const { tries, args } = parsed
  return { tries, text: args.length > 0 ? args.join(' ') : id }
}

function idle({ state }: WorkerInfo): { readonly tries: undefined; readonly text: string } {
  return { tries: undefined, text: state === undefined || state === 'running' ? '(idle)' : `(${state})` }
}

/** What a handler has told of its progress, as text. */
export function progressText(progress: unknown): string {
  if (progress === undefined) return ''
  return typeof progress === 'string' ? progress : JSON.stringify(progress)
}
