/**
 * Failed items by the reason of their last attempt.
 *
 * Messages that differ only in what they quote, or in long numbers, are one reason: each of a thousand missing files would be a
 * group of its own otherwise. Status codes, ports and addresses are short, and stay.
 *
 * @module
 */
import { Place } from '../addon/native.js'
import type { Layout } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { namesIn } from '../inspect/names.js'
import type { Slices } from '../inspect/slices.js'
import { parseIfItem } from '../inspect/states.js'
import { type RawName, fromRaw } from '../name/charset.js'
import type { Settings } from '../settings.js'
import { type AttemptError, LastAttempts, errorText } from './attempts.js'
import { MetaDirectory } from './directory.js'
import { type LogLine, readLog } from './log.js'

/** The reason of items whose log tells none: no worker of this package made the last attempt, or the log is gone. */
export const NO_REASON = '(no reason kept)'

/** The reason of items whose worker died with them in hand, where no later line says more. */
const CRASHED = '(the worker died)'
const LONGEST_REASON = 200
const QUOTED = /'[^']*'|"[^"]*"|`[^`]*`/g
// Ids, hashes and timestamps.
const LONG_NUMBER = /\b(?=[\da-f-]*\d[\da-f-]*\d)[\da-f][\da-f-]{5,}\b/gi

/** A failed item, as much of it as the groups need. */
export interface FailedItem {
  /** When it came to fail/, in milliseconds since the epoch. */
  readonly failedAt: number
  readonly reason: string
}

/** Failed items with one reason. */
export interface FailureGroup<Item> {
  readonly reason: string
  /** The newest first. */
  readonly items: readonly Item[]
  /** When the newest came to fail/, in milliseconds since the epoch. */
  readonly last: number
}

/** Groups failed items by their reasons: the largest group first, and of groups of one size the newest. */
export function failuresByReason<Item extends FailedItem>(
  items: Iterable<Item>,
): readonly FailureGroup<Item>[] {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const group = groups.get(item.reason)
    if (group === undefined) groups.set(item.reason, [item])
    else group.push(item)
  }
  return [...groups]
    .map(([reason, all]) => {
      const newest = all.sort((one, other) => other.failedAt - one.failedAt)
      return { reason, items: newest, last: newest[0]?.failedAt ?? 0 }
    })
    .sort((one, other) => other.items.length - one.items.length || other.last - one.last)
}

/** Why an item is in fail/, by its log. */
export function failureReason(log: readonly LogLine[]): string {
  const line = log.at(-1)
  // A redrive is the last line if a worker that keeps no log has failed the item since.
  if (line === undefined || 'redriven' in line) return NO_REASON
  if ('crashed' in line) return CRASHED
  return kindOf(line.error)
}

/** What an error has in common with others of its kind. */
function kindOf(error: AttemptError): string {
  const [first = ''] = errorText(error).split('\n')
  return first.replace(QUOTED, '…').replace(LONG_NUMBER, '…').slice(0, LONGEST_REASON).toWellFormed()
}

/** The log of an item; empty if there is none, or if this user may not read it. */
export function readableLog(layout: Layout, key: RawName): readonly LogLine[] {
  return new MetaDirectory(layout).attempt('log', () => readLog(layout, key)) ?? []
}

/** Failed items with one reason, of which only the last is known. */
export interface FailureSummary {
  readonly count: number
  /** `undefined`: no worker has written down why they failed. */
  readonly error: AttemptError | undefined
  /** Why they failed for good, as in the event `failed`, of the last of them. */
  readonly reason: string | undefined
  /** When the last of them failed; `undefined`: it was not written down. */
  readonly last: Date | undefined
  /** The id of the one that failed last. */
  readonly id: string
}

/**
 * The groups, the largest first. Locks nothing.
 *
 * @param onOther - Called for each file in fail/ that is skipped, because its name is not that of an item.
 * @throws As {@link QueueDirectory.open}, or a file system error.
 */
export async function* summarizeFailures(
  directory: QueueDirectory,
  settings: Settings,
  slices: Slices,
  onOther: () => void,
): AsyncGenerator<FailureSummary, void, undefined> {
  const groups = new Map<string, Omit<FailureSummary, 'id'> & { readonly raw: RawName }>()
  let attempts: LastAttempts | undefined
  for await (const raw of namesIn(directory, Place.fail, slices)) {
    if (parseIfItem(raw, settings) === undefined) {
      onOther()
      continue
    }
    attempts ??= await LastAttempts.list(directory, settings)
    const { error, reason, at } = (await attempts.of(raw)) ?? {}
    const text = error === undefined ? NO_REASON : kindOf(error)
    const group = groups.get(text)
    const count = (group?.count ?? 0) + 1
    const isLater = group?.last === undefined || (at !== undefined && at >= group.last)
    groups.set(text, isLater ? { count, error, reason, last: at, raw } : { ...group, count })
  }
  const sorted = [...groups.values()].sort((one, other) => other.count - one.count)
  for (const { raw, ...group } of sorted) yield { ...group, id: fromRaw(raw, settings.charset) }
}
