/**
 * Items as an operator sees them: where they are, since when, and who works on them.
 *
 * @module
 */
import os from 'node:os'

import { type FileCalls, HERE } from '../directory/calls.js'
import { claimKindOf } from '../directory/claim-kind.js'
import { hostInNames, parseWorkerName, workersIn } from '../directory/claimed.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
import type { ParsedName } from '../name/item-name.js'
import { DEFAULT_FORMAT, parseTimestamp } from '../name/timestamp.js'
import type { Settings } from '../settings.js'
import { type Entry, entriesOf, entryNamed, isDelayed } from './entries.js'
import type { FoundItem } from './find.js'
import { type Workers, workersOn } from './lock-holders.js'
import { namesOf, pathOf } from './names.js'
import type { Slices } from './slices.js'
import { type ItemState, parseIfItem } from './states.js'

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
  /** The workers that hold it: process ids, or `HOST:PID` of another host; `undefined`: the system does not list them. */
  readonly workers: readonly (number | string)[] | undefined
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
  const { layout } = directory
  const workers = await holdersOf(layout, state, slices.calls)
  const now = Date.now()
  for await (const { raw, worker } of namesOf(directory, state, slices)) {
    const parsed = parseIfItem(raw, settings)
    if (parsed === undefined) {
      onOther()
      continue
    }
    const entry = entryNamed(pathOf(layout, state, worker), raw)
    if (entry !== undefined) yield itemOf(entry, state, parsed, settings, worker ?? workers, now)
  }
}

/** An item that was found by its id or key; `undefined`: it has moved meanwhile. */
export async function itemFound(
  { state, parsed, worker }: FoundItem,
  layout: Layout,
  settings: Settings,
): Promise<Item | undefined> {
  const holder = worker ?? (await holdersOf(layout, state, HERE))
  const entry = entryNamed(pathOf(layout, state, worker), parsed.raw)
  if (entry?.info.isFile() !== true) return undefined
  return itemOf(entry, state, parsed, settings, holder, Date.now())
}

/** {@link itemsOf} in any order, for counting. */
export async function* unsortedItemsOf(
  layout: Layout,
  settings: Settings,
  state: ItemState,
  slices: Slices,
): AsyncGenerator<Item, void, undefined> {
  const workers = await holdersOf(layout, state, slices.calls)
  const now = Date.now()
  const claimers = state === 'waiting' ? await claimersIn(layout) : []
  for (const worker of [...claimers, undefined]) {
    for await (const entry of entriesOf(pathOf(layout, state, worker), slices, worker !== undefined)) {
      const parsed = entry.info.isFile() ? parseIfItem(entry.raw, settings) : undefined
      if (parsed !== undefined) yield itemOf(entry, state, parsed, settings, worker ?? workers, now)
    }
  }
}

/** The names of the directories in claimed/; none in a queue whose workers lock items. */
async function claimersIn(layout: Layout): Promise<readonly RawName[]> {
  return (await claimKindOf(layout)) === 'rename' ? workersIn(layout.claimedPath) : []
}

/** Who holds the items that are in the directory of a state. In a queue with claims by renaming, held items are elsewhere. */
async function holdersOf(layout: Layout, state: ItemState, calls: FileCalls): Promise<Workers | undefined> {
  if (state !== 'waiting' || (await claimKindOf(layout)) === 'rename') return new Map()
  return workersOn(pathOf(layout, state, undefined), calls)
}

/** A worker, by the name of its directory: its process id, or `HOST:PID` of another host. */
function workerIn(name: RawName): number | string {
  const { host = '', pid = 0 } = parseWorkerName(name) ?? {}
  return host === hostInNames(os.hostname()) ? pid : `${host}:${pid}`
}

/** @param holders - Of the files in the directory; or the name of the directory in claimed/ that the item is in. */
function itemOf(
  entry: Entry,
  state: ItemState,
  parsed: ParsedName,
  settings: Settings,
  holders: Workers | RawName | undefined,
  now: number,
): Item {
  const { info } = entry
  const isClaimed = typeof holders === 'string'
  return {
    entry,
    state,
    parsed,
    enqueuedAt: enqueuedAt(parsed, settings),
    due: state === 'waiting' && !isClaimed && isDelayed(info, now) ? info.mtimeMs : undefined,
    workers: isClaimed ? [workerIn(holders)] : holders && (holders.get(info.ino) ?? []),
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
