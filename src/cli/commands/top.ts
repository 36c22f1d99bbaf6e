/**
 * `fsq top`: what goes on in queues, live.
 *
 * @module
 */
import process from 'node:process'
import { isatty } from 'node:tty'

import { ageText } from '../../inspect/age-text.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { explain } from '../advice.js'
import { say } from '../output.js'
import { jsonName, queueNamed, tableName } from '../queues.js'
import { type Row, printTable, wholeSeconds } from '../table.js'
import { App } from '../top/app.js'
import { Model, type QueueView } from '../top/model.js'

export const options: OptionTable = { json: {}, interval: { short: 'i', value: 'seconds' } }

export const help = `Usage: fsq top [-i seconds] [--json] [queue ...]

Shows queues, all or those named, with their hosts live on a terminal: how many
items wait, are worked on and have failed, how many are done in a minute, what
each worker has in hand and since when, and failures by reason. Locks nothing.

Keys: up and down choose a row, Enter opens it, r retries the failed items of a
reason, d takes a queue down or up, ? tells more, q quits. r and d ask first.

  -i, --interval=SECONDS  time from one look to the next (1)
      --json              print one JSON object per queue, and exit
  -h, --help              this help

Elsewhere than on a terminal it prints one table.

Example:
  fsq top --json mail | jq '.failures[] | {reason, count}'

Exit codes: 0 success, 100 bad usage, 111 an error.
`

const STDIN = 0
const STDOUT = 1
const LONGEST_INTERVAL = 3600
const TITLES = ['QUEUE', 'WAITING', 'WORKING', 'DELAYED', 'OLDEST', 'DONE/MIN', 'FAILED', 'STATE']

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const interval = given.number('interval', 1, LONGEST_INTERVAL) ?? 1
  for (const name of given.operands) queueNamed(name, own)
  const model = new Model(given.operands, own)
  if (!given.has('json') && isScreen()) {
    await new App(model, own, interval * 1000).run()
    return SUCCESS
  }
  const { queues } = await model.look()
  const readable = queues.filter(({ state }) => state !== 'unreadable')
  for (const { layout, error } of queues)
    if (error !== undefined) say(`the queue '${tableName(layout)}' is skipped: ${explain(error)}`)
  await printTable(TITLES, readable.map(row), given.has('json'))
  return readable.length === queues.length ? SUCCESS : FAILURE
}

function isScreen(): boolean {
  return isatty(STDIN) && isatty(STDOUT) && process.env['TERM'] !== 'dumb'
}

function row({
  layout,
  waiting,
  working,
  delayed,
  oldestAge,
  doneByMinute,
  done,
  failed,
  state,
  workers,
  failures,
}: QueueView): Row {
  const oldest = wholeSeconds(oldestAge)
  const lastMinute = doneByMinute.at(-1) ?? 0
  return {
    json: {
      ...jsonName(layout),
      path: layout.path,
      state,
      waiting,
      working: working ?? null,
      delayed,
      oldestAge: oldest ?? null,
      done,
      doneByMinute,
      failed,
      workers: workers.map(({ id, host, pid, started, concurrency, state: activity, counters, items }) => ({
        id: id ?? null,
        host: host ?? null,
        pid: pid ?? null,
        started: started ?? null,
        concurrency: concurrency ?? null,
        state: activity ?? null,
        counters: counters ?? null,
        items: items.map(({ id: item, key, since, progress }) => ({
          id: item,
          key,
          since: since ?? null,
          progress: progress ?? null,
        })),
      })),
      failures: failures.map(({ reason, items, last }) => ({
        reason,
        count: items.length,
        last: new Date(last),
      })),
    },
    columns: [
      tableName(layout),
      waiting,
      working ?? '-',
      delayed,
      oldest === undefined ? '-' : ageText(oldest),
      lastMinute,
      failed,
      state,
    ],
  }
}
