/**
 * Failed items by the reason of their last attempt.
 *
 * Messages that differ only in what they quote, or in long numbers, are one reason: each of a thousand missing files would be a
 * group of its own otherwise. Status codes, ports and addresses are short, and stay.
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
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
  const [first = ''] = errorText(line.error).split('\n')
  return first.replace(QUOTED, '…').replace(LONG_NUMBER, '…').slice(0, LONGEST_REASON).toWellFormed()
}

/** The name and the message of an error of a log. Another user may have written the log, so its parts can be anything. */
export function errorText({ name, message }: { readonly name?: unknown; readonly message: unknown }): string {
  const text = String(message)
  // A value that is no error has its type as the name, which begins with a small letter.
  return /^[a-z]/.test(String(name)) ? text : `${String(name)}: ${text}`
}

/** The log of an item; empty if there is none, or if this user may not read it. */
export function readableLog(layout: Layout, key: RawName): readonly LogLine[] {
  return new MetaDirectory(layout).attempt('log', () => readLog(layout, key)) ?? []
}
