/**
 * Items as an operator sees them: where they are, since when, and who works on them.
 *
 * @module
 */
import type { QueueDirectory } from '../directory/open-directory.js'
import { type Layout, placePath } from '../directory/layout.js'
import type { ParsedName } from '../name/item-name.js'
import { DEFAULT_FORMAT, parseTimestamp } from '../name/timestamp.js'
import type { Settings } from '../settings.js'
import { type Entry, entriesOf, entryNamed, isDelayed } from './entries.js'
import type { FoundItem } from './find.js'
import { type Workers, workersOn } from './lock-holders.js'
import { namesIn } from './names.js'
import type { Slices } from './slices.js'
import { type ItemState, PLACES, parseIfItem } from './states.js'

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
 * @param onOther - Hears of each file that is left out for its name.
 */
export async function* itemsOf(
  directory: QueueDirectory,
  settings: Settings,
  state: ItemState,
  slices: Slices,
  onOther: () => void = () => undefined,
): AsyncGenerator<Item, void, undefined> {
  const path = placePath(directory.layout, PLACES[state])
  const workers = workersOf(path, state)
  const now = Date.now()
  for await (const raw of namesIn(directory, PLACES[state], slices)) {
    const parsed = parseIfItem(raw, settings)
    if (parsed === undefined) {
      onOther()
      continue
    }
    const entry = entryNamed(path, raw)
    if (entry !== undefined) yield itemOf(entry, state, parsed, settings, workers, now)
  }
}

/** An item that was found; `undefined`: it has gone. */
export function itemFound(
  { state, parsed }: FoundItem,
  layout: Layout,
  settings: Settings,
): Item | undefined {
  const path = placePath(layout, PLACES[state])
  const entry = entryNamed(path, parsed.raw)
  if (entry?.info.isFile() !== true) return undefined
  return itemOf(entry, state, parsed, settings, workersOf(path, state), Date.now())
}

/** {@link itemsOf}, in the order in which they lie there: for counting them. */
export async function* unsortedItemsOf(
  layout: Layout,
  settings: Settings,
  state: ItemState,
  slices: Slices,
): AsyncGenerator<Item, void, undefined> {
  const path = placePath(layout, PLACES[state])
  const workers = workersOf(path, state)
  const now = Date.now()
  for await (const entry of entriesOf(path, slices)) {
    const parsed = entry.info.isFile() ? parseIfItem(entry.raw, settings) : undefined
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

/** What an item is doing. */
export type Activity = ItemState | 'working' | 'delayed'

/** What an item is doing: `working` and `delayed` are kinds of waiting. */
export function activityOf({ state, workers, due }: Item): Activity {
  if (state !== 'waiting') return state
  if (workers !== undefined && workers.length > 0) return 'working'
  return due === undefined ? 'waiting' : 'delayed'
}
