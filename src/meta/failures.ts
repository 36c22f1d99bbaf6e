/**
 * The failed items of a queue, grouped by the error of their last attempt.
 *
 * @module
 */
import { Place } from '../addon/native.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { namesIn } from '../inspect/names.js'
import type { Slices } from '../inspect/slices.js'
import { parseIfItem } from '../inspect/states.js'
import { type RawName, fromRaw } from '../name/charset.js'
import type { Settings } from '../settings.js'
import { type AttemptError, LastAttempts, errorText } from './attempts.js'

/** Failed items whose last attempts have ended with the same error. */
export interface FailureGroup {
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
export async function* failureGroups(
  directory: QueueDirectory,
  settings: Settings,
  slices: Slices,
  onOther: () => void,
): AsyncGenerator<FailureGroup, void, undefined> {
  const groups = new Map<string, Omit<FailureGroup, 'id'> & { readonly raw: RawName }>()
  let attempts: LastAttempts | undefined
  for await (const raw of namesIn(directory, Place.fail, slices)) {
    if (parseIfItem(raw, settings) === undefined) {
      onOther()
      continue
    }
    attempts ??= new LastAttempts(directory, settings)
    const { error, reason, at } = attempts.of(raw) ?? {}
    const text = error === undefined ? '' : errorText(error)
    const group = groups.get(text)
    const count = (group?.count ?? 0) + 1
    const isLater = group?.last === undefined || (at !== undefined && at >= group.last)
    groups.set(text, isLater ? { count, error, reason, last: at, raw } : { ...group, count })
  }
  const sorted = [...groups.values()].sort((one, other) => other.count - one.count)
  for (const { raw, ...group } of sorted) yield { ...group, id: fromRaw(raw, settings.charset) }
}
