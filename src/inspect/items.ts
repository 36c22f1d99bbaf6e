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

/** One item, as it was when it was looked at. */
export interface Item {
  readonly entry: Entry
  readonly state: ItemState
  readonly parsed: ParsedName
  /** Milliseconds since the epoch, by the clock of the enqueuer. */
  readonly enqueuedAt: number
  /** When the item is due, in milliseconds since the epoch; `undefined`: it is due already. */
  readonly due: number | undefined
  /** The processes that hold its lock; `undefined`: the system does not list them. */
  readonly workers: readonly number[] | undefined
}

/**
 * The items in a state, in FIFO order, by the names at one moment. Files with names that no items have are skipped. Locks
 * nothing.
 *
 * @param onOther - Called for each file that is skipped for its name.
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

/** An item that was found by its id or key; `undefined`: it has moved meanwhile. */
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

/** {@link itemsOf} in any order, for counting. */
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
  // Converting fields to an instant takes long. Offsets of time zones change between minutes only, so each minute is
  // converted once.
  const minute = timestamp.slice(0, -SECONDS)
  let begin = minutes.get(minute)
  if (begin === undefined) {
    begin = parseTimestamp(minute.padEnd(timestamp.length, '0'), settings) ?? 0
    if (minutes.size === MOST_MINUTES) minutes.clear()
    minutes.set(minute, begin)
  }
  return begin + Number(timestamp.slice(-SECONDS)) * 1000
}

/** The state of an item, with that of queue/ told apart. */
export type Activity = ItemState | 'working' | 'delayed'

/** The activity of an item: `working` and `delayed` are kinds of waiting. */
export function activityOf({ state, workers, due }: Item): Activity {
  if (state !== 'waiting') return state
  if (workers !== undefined && workers.length > 0) return 'working'
  return due === undefined ? 'waiting' : 'delayed'
}
