/**
 * `fsq stats`: how many, how old, how fast.
 *
 * @module
 */
import { type Layout, placePath } from '../../directory/layout.js'
import { Place } from '../../addon/native.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { entriesOf } from '../../inspect/entries.js'
import { activityOf, unsortedItemsOf } from '../../inspect/items.js'
import { QueueWalk, queueNamed, queuesIn } from '../queues.js'
import { type Row, ageText, printTable } from '../table.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const options: OptionTable = { json: {} }

export const help = `Usage: fsq stats [--json] [queue ...]

Tells how many items the queues hold, how old those are that wait (AGE is their
median), and how many have been done and have failed: all, and those of the last
minute, hour and day, as far as they are still there. Locks nothing.

      --json   one JSON object a line; ages are in seconds
  -h, --help   this help

Example:
  fsq stats --json mail | jq .doneLastMinute

Exit codes: 0 success, 100 bad usage, 111 an error.
`

const TITLES = [
  'QUEUE',
  'WAITING',
  'WORKING',
  'DELAYED',
  'AGE',
  'OLDEST',
  'DONE',
  '1M',
  '1H',
  '1D',
  'FAILED',
  '1M',
  '1H',
  '1D',
]

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const { operands } = given
  const walk = new QueueWalk(
    operands.length > 0 ? operands.map((name) => queueNamed(name, own)) : queuesIn(own),
  )
  await printTable(
    TITLES,
    walk.each((layout) => row(layout, own)),
    given.has('json'),
  )
  return walk.isWhole ? SUCCESS : FAILURE
}

function* row(layout: Layout, settings: Settings): Generator<Row> {
  const activities: Record<string, number> = { waiting: 0, working: 0, delayed: 0 }
  const ages: number[] = []
  let isKnown = true
  for (const item of unsortedItemsOf(layout, settings, 'waiting')) {
    const activity = activityOf(item)
    activities[activity] = (activities[activity] ?? 0) + 1
    if (item.workers === undefined) isKnown = false
    ages.push(Math.max(0, Math.floor((Date.now() - item.enqueuedAt) / 1000)))
  }
  ages.sort((a, b) => a - b)
  const median = ages[Math.floor(ages.length / 2)]
  const oldest = ages.at(-1)
  const done = recent(layout, Place.done)
  const failed = recent(layout, Place.fail)
  const { waiting = 0, working = 0, delayed = 0 } = activities
  yield {
    json: {
      queue: layout.name,
      waiting,
      working: isKnown ? working : null,
      delayed,
      medianAge: median ?? null,
      oldestAge: oldest ?? null,
      done: done.all,
      doneLastMinute: done.minute,
      doneLastHour: done.hour,
      doneLastDay: done.day,
      failed: failed.all,
      failedLastMinute: failed.minute,
      failedLastHour: failed.hour,
      failedLastDay: failed.day,
    },
    columns: [
      layout.name,
      waiting,
      isKnown ? working : '-',
      delayed,
      median === undefined ? '-' : ageText(median),
      oldest === undefined ? '-' : ageText(oldest),
      done.all,
      done.minute,
      done.hour,
      done.day,
      failed.all,
      failed.minute,
      failed.hour,
      failed.day,
    ],
  }
}

interface Recent {
  readonly all: number
  readonly minute: number
  readonly hour: number
  readonly day: number
}

/** By ctime, which is when they were moved there. */
function recent(layout: Layout, place: Place): Recent {
  const now = Date.now()
  const counts = { all: 0, minute: 0, hour: 0, day: 0 }
  for (const { info } of entriesOf(placePath(layout, place))) {
    if (!info.isFile()) continue
    const age = now - info.ctimeMs
    counts.all++
    if (age <= MINUTE) counts.minute++
    if (age <= HOUR) counts.hour++
    if (age <= DAY) counts.day++
  }
  return counts
}
