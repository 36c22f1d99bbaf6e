/**
 * `fsq stats`: how many, how old, how fast.
 *
 * @module
 */
import type { Layout } from '../../directory/layout.js'
import { ageText } from '../../inspect/age-text.js'
import { Slices } from '../../inspect/slices.js'
import { finishedStats, waitingStats } from '../../inspect/stats.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { jsonName, surveyOf, tableName, withHosts } from '../queues.js'
import { type Row, printTable, wholeSeconds } from '../table.js'

export const options: OptionTable = { json: {} }

export const help = `Usage: fsq stats [--json] [queue ...]

Tells how many items the queues hold, how old the waiting ones are (AGE is their
median), and how many are in done/ and in fail/: all, and those that came there
within the last minute, hour and day. The queues of hosts follow theirs. Locks
nothing.

      --json   one JSON object per line; ages are in seconds
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
  const survey = surveyOf(given.operands, own, (layouts) => withHosts(layouts, own))
  await printTable(
    TITLES,
    survey.each((layout) => row(layout, own)),
    given.has('json'),
  )
  return survey.isComplete ? SUCCESS : FAILURE
}

async function* row(layout: Layout, settings: Settings): AsyncGenerator<Row, void, undefined> {
  const slices = new Slices()
  const { waiting, working, delayed, medianAge, oldestAge } = await waitingStats(layout, settings, slices)
  const done = await finishedStats(layout, 'done', slices)
  const failed = await finishedStats(layout, 'failed', slices)
  const median = wholeSeconds(medianAge)
  const oldest = wholeSeconds(oldestAge)
  yield {
    json: {
      ...jsonName(layout),
      waiting,
      working: working ?? null,
      delayed,
      medianAge: median ?? null,
      oldestAge: oldest ?? null,
      done: done.total,
      doneLastMinute: done.lastMinute,
      doneLastHour: done.lastHour,
      doneLastDay: done.lastDay,
      failed: failed.total,
      failedLastMinute: failed.lastMinute,
      failedLastHour: failed.lastHour,
      failedLastDay: failed.lastDay,
    },
    columns: [
      tableName(layout),
      waiting,
      working ?? '-',
      delayed,
      median === undefined ? '-' : ageText(median),
      oldest === undefined ? '-' : ageText(oldest),
      done.total,
      done.lastMinute,
      done.lastHour,
      done.lastDay,
      failed.total,
      failed.lastMinute,
      failed.lastHour,
      failed.lastDay,
    ],
  }
}
