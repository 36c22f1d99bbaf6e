/**
 * Counts the items of a queue, with their ages, and those that were finished lately.
 *
 * @module
 */
import { type Layout, placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { Settings } from '../settings.js'
import { entriesOf } from './entries.js'
import { activityOf, unsortedItemsOf } from './items.js'
import { Slices } from './slices.js'
import { type ItemState, PLACES } from './states.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The items in queue/. Each is counted once. */
export interface WaitingStats {
  /** Items that are due and free. Where `working` is unknown, those in work are among these or `delayed`. */
  readonly waiting: number
  /** Items that workers hold. `undefined`: this system does not list who holds locks (macOS), or not for this file system. */
  readonly working: number | undefined
  /** Items that are not due yet. */
  readonly delayed: number
  /** Milliseconds since the oldest item in queue/ was enqueued, by the clock of its producer; `undefined`: queue/ is empty. */
  readonly oldestAge: number | undefined
  /** The median of the ages of all items in queue/, in milliseconds; `undefined`: queue/ is empty. */
  readonly medianAge: number | undefined
  /** When the first of the delayed items is due; `undefined`: none is delayed. */
  readonly nextDue: Date | undefined
}

/** The items in done/ or in fail/: all, and those that came there within the last minute, hour and day. */
export interface FinishedStats {
  /** All that have not been removed. */
  readonly total: number
  /** Those of the last 60 seconds. */
  readonly lastMinute: number
  /** Those of the last 60 minutes. */
  readonly lastHour: number
  /** Those of the last 24 hours. */
  readonly lastDay: number
}

/** What a queue holds at one moment. Items that move while it is looked at may be missing or counted twice. */
export interface Stats extends WaitingStats {
  /** Items in done/. */
  readonly done: FinishedStats
  /** Items in fail/. */
  readonly failed: FinishedStats
}

/** {@link Stats} of one queue. Locks nothing. */
export async function statsOf(directory: QueueDirectory, settings: Settings): Promise<Stats> {
  const { layout } = directory
  await directory.open()
  const slices = new Slices(() => {
    directory.checkOpen()
  }, directory.calls)
  return {
    ...(await waitingStats(layout, settings, slices)),
    done: await finishedStats(layout, 'done', slices),
    failed: await finishedStats(layout, 'failed', slices),
  }
}

/** Those of queue/. */
export async function waitingStats(
  layout: Layout,
  settings: Settings,
  slices: Slices,
): Promise<WaitingStats> {
  const counts = { waiting: 0, working: 0, delayed: 0 }
  const begins: number[] = []
  let isKnown = true
  let nextDue = Number.POSITIVE_INFINITY
  for await (const item of unsortedItemsOf(layout, settings, 'waiting', slices)) {
    const activity = activityOf(item)
    if (activity === 'working' || activity === 'delayed') counts[activity]++
    else counts.waiting++
    if (activity === 'delayed') nextDue = Math.min(nextDue, item.due ?? nextDue)
    isKnown &&= item.workers !== undefined
    begins.push(item.enqueuedAt)
  }
  const now = Date.now()
  // Numbers of a typed array are sorted without a comparing function, in a tenth of the time.
  const sorted = Float64Array.from(begins, (begin) => Math.max(0, now - begin)).sort()
  return {
    ...counts,
    working: isKnown ? counts.working : undefined,
    oldestAge: sorted.at(-1),
    medianAge: sorted[Math.floor(sorted.length / 2)],
    nextDue: nextDue === Number.POSITIVE_INFINITY ? undefined : new Date(nextDue),
  }
}

/** Those of done/ or fail/, by ctime, which is when they were moved there. */
export async function finishedStats(
  layout: Layout,
  state: Exclude<ItemState, 'waiting'>,
  slices: Slices,
): Promise<FinishedStats> {
  const now = Date.now()
  const counts = { total: 0, lastMinute: 0, lastHour: 0, lastDay: 0 }
  for await (const { info } of entriesOf(placePath(layout, PLACES[state]), slices)) {
    if (!info.isFile()) continue
    const age = now - info.ctimeMs
    counts.total++
    if (age <= MINUTE) counts.lastMinute++
    if (age <= HOUR) counts.lastHour++
    if (age <= DAY) counts.lastDay++
  }
  return counts
}
