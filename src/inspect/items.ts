/**
 * Items as an operator sees them: where they are, since when, and who works on them.
 *
 * @module
 */
import path from 'node:path'

import { QueueDirectory } from '../directory/open-directory.js'
import { MalformedNameError } from '../errors/classes.js'
import { type Layout, placePath } from '../directory/layout.js'
import { type ItemState, fileNames } from './lister.js'
import { type RawName, fromRaw } from '../name/charset.js'
import { type ParsedName, itemKey, parseItemName } from '../name/item-name.js'
import { DEFAULT_FORMAT, parseTimestamp } from '../name/timestamp.js'
import { Place, native } from '../addon/native.js'
import type { Settings } from '../settings.js'
import { type Entry, entriesOf, entryNamed, isDelayed, nameText } from './entries.js'
import { type Workers, workersOn } from './lock-holders.js'

/** Where the items are. */
export const PLACES: Readonly<Record<ItemState, Place>> = {
  waiting: Place.queue,
  done: Place.done,
  failed: Place.fail,
}

export const STATES = Object.keys(PLACES) as ItemState[]

const SECONDS = 2
const MOST_MINUTES = 10_000

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

/**
 * The items in a state, in FIFO order, as names were there at one moment; files whose names are no items' are left out. Locks
 * nothing.
 *
 * @param isWanted - By their names, before anything else is looked at.
 * @param onOther - Hears of each file that is left out for its name.
 */
export async function* itemsOf(
  layout: Layout,
  settings: Settings,
  state: ItemState,
  isWanted: (raw: RawName) => boolean = () => true,
  onOther: () => void = () => undefined,
): AsyncGenerator<Item, void, undefined> {
  const place = PLACES[state]
  const path = placePath(layout, place)
  const workers = workersOf(path, state)
  const now = Date.now()
  // What is only looked at may be on a network.
  const directory = new QueueDirectory(layout, { ...settings, allowNetwork: true })
  try {
    const listing = await directory.use((handle) => native.list(handle, place, 0), 'list')
    try {
      for (const raw of fileNames(listing)) {
        if (!isWanted(raw)) continue
        const parsed = parse(raw, settings)
        if (parsed === undefined) {
          onOther()
          continue
        }
        const entry = entryNamed(path, raw)
        if (entry !== undefined) yield itemOf(entry, state, parsed, settings, workers, now)
      }
    } finally {
      native.closeListing(listing)
    }
  } finally {
    directory.close()
    directory.closeDescriptors()
  }
}

/** The item with this name, without listing the others; `undefined`: it is not there. */
export function itemNamed(
  layout: Layout,
  settings: Settings,
  state: ItemState,
  raw: RawName,
): Item | undefined {
  const path = placePath(layout, PLACES[state])
  const parsed = parse(raw, settings)
  const entry = parsed === undefined ? undefined : entryNamed(path, raw)
  if (parsed === undefined || entry?.info.isFile() !== true) return undefined
  return itemOf(entry, state, parsed, settings, workersOf(path, state), Date.now())
}

/** {@link itemsOf}, in the order in which they lie there: for counting them. */
export function* unsortedItemsOf(layout: Layout, settings: Settings, state: ItemState): Generator<Item> {
  const path = placePath(layout, PLACES[state])
  const workers = workersOf(path, state)
  const now = Date.now()
  for (const entry of entriesOf(path)) {
    const parsed = entry.info.isFile() ? parse(entry.raw, settings) : undefined
    if (parsed !== undefined) yield itemOf(entry, state, parsed, settings, workers, now)
  }
}

function workersOf(directory: string, state: ItemState): Workers | undefined {
  return state === 'waiting' ? workersOn(directory) : new Map()
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
    enqueuedAt: enqueuedAt(parsed, settings),
    due: state === 'waiting' && isDelayed(info, now) ? info.mtimeMs : undefined,
    workers: workers === undefined ? undefined : (workers.get(info.ino) ?? []),
  }
}

const minutes = new Map<string, number>()

/** When an item was enqueued, in milliseconds since the epoch, by the clock of the enqueuer. */
export function enqueuedAt({ timestamp }: ParsedName, settings: Settings): number {
  if (settings.timefmt !== DEFAULT_FORMAT) return parseTimestamp(timestamp, settings) ?? 0
  // To find out which instant has these fields takes long, and clocks are changed between minutes.
  const minute = timestamp.slice(0, -SECONDS)
  let begin = minutes.get(minute)
  if (begin === undefined) {
    begin = parseTimestamp(minute.padEnd(timestamp.length, '0'), settings) ?? 0
    if (minutes.size === MOST_MINUTES) minutes.clear()
    minutes.set(minute, begin)
  }
  return begin + Number(timestamp.slice(-SECONDS)) * 1000
}

/** What the name says; `undefined`: it is no item's. */
export function parse(raw: RawName, settings: Settings): ParsedName | undefined {
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
    path: path.join(placePath(layout, PLACES[item.state]), nameText(raw)),
  }
}
