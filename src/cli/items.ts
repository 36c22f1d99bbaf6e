/**
 * Items as an operator sees them: where they are, since when, and who works on them.
 *
 * @module
 */
import path from 'node:path'

import { MalformedNameError } from '../errors.js'
import { type Layout, placePath } from '../layout.js'
import type { ItemState } from '../lister.js'
import { fromRaw, printable } from '../name/charset.js'
import { type ParsedName, compareItemNames, itemKey, parseItemName } from '../name/item-name.js'
import { parseTimestamp } from '../name/timestamp.js'
import { Place } from '../native.js'
import type { Settings } from '../settings.js'
import { type Entry, entriesOf, isDelayed } from './directory-entries.js'
import { type Workers, workersOn } from './workers.js'

/** Where the items are. */
export const PLACES: Readonly<Record<ItemState, Place>> = {
  waiting: Place.queue,
  done: Place.done,
  failed: Place.fail,
}

export const STATES = Object.keys(PLACES) as ItemState[]

/** One item, as it was seen. */
export interface Item {
  readonly entry: Entry
  readonly state: ItemState
  readonly parsed: ParsedName
  /** Milliseconds since the epoch, by the clock of the enqueuer. */
  readonly enqueuedAt: number
  /** Milliseconds since the epoch: when a worker may have it, if that is yet to come. */
  readonly due: number | undefined
  /** The processes that hold its lock; `undefined`: unknown. */
  readonly workers: readonly number[] | undefined
}

/** The items in a state, in FIFO order; files whose names are no items' are left out. Locks nothing. */
export function* itemsOf(layout: Layout, settings: Settings, state: ItemState): Generator<Item> {
  const directory = placePath(layout, PLACES[state])
  const workers = state === 'waiting' ? workersOn(directory) : new Map()
  const now = Date.now()
  const entries = [...entriesOf(directory)].filter(({ info }) => info.isFile())
  entries.sort((a, b) => compareItemNames(a.raw, b.raw))
  for (const entry of entries) {
    const parsed = parse(entry, settings)
    if (parsed !== undefined) yield itemOf(entry, state, parsed, settings, workers, now)
  }
}

function itemOf(
  entry: Entry,
  state: ItemState,
  parsed: ParsedName,
  settings: Settings,
  workers: Workers | undefined,
  now: number,
): Item {
  const { info } = entry
  return {
    entry,
    state,
    parsed,
    enqueuedAt: parseTimestamp(parsed.timestamp, settings) ?? 0,
    due: state === 'waiting' && isDelayed(info, now) ? info.mtimeMs : undefined,
    workers: workers === undefined ? undefined : (workers.get(info.ino) ?? []),
  }
}

/** What the name says; `undefined`: it is no item's. */
export function parse({ raw }: Entry, settings: Settings): ParsedName | undefined {
  try {
    return parseItemName(raw, settings)
  } catch (error) {
    if (error instanceof MalformedNameError) return undefined
    throw error
  }
}

/** What an item is doing: `working` and `delayed` are kinds of waiting. */
export function activityOf({ state, workers, due }: Item): string {
  if (state !== 'waiting') return state
  if (workers !== undefined && workers.length > 0) return 'working'
  return due === undefined ? 'waiting' : 'delayed'
}

/** For `--json`. */
export function itemJson(item: Item, layout: Layout, settings: Settings): Readonly<Record<string, unknown>> {
  const { entry, parsed, enqueuedAt, due, workers } = item
  const { raw, args, tries, hostname, pid, entropy } = parsed
  return {
    queue: layout.name,
    id: fromRaw(raw, settings.charset),
    key: fromRaw(itemKey(raw, settings.encode), settings.charset),
    state: activityOf(item),
    args,
    tries,
    enqueuedAt: new Date(enqueuedAt).toISOString(),
    due: due === undefined ? null : new Date(due).toISOString(),
    changedAt: entry.info.ctime.toISOString(),
    size: entry.info.size,
    hostname,
    pid,
    entropy,
    workers: workers ?? null,
    path: path.join(placePath(layout, PLACES[item.state]), printable(raw)),
  }
}
