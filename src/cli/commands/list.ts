/**
 * `fsq list`: the queues, or the items of one.
 *
 * @module
 */
import fs from 'node:fs'

import { type Layout, placePath } from '../../directory/layout.js'
import { ageText } from '../../inspect/age-text.js'
import { countFiles } from '../../inspect/entries.js'
import { activityOf, itemsOf } from '../../inspect/items.js'
import { Slices } from '../../inspect/slices.js'
import { type ItemState, PLACES, STATES } from '../../inspect/states.js'
import { waitingStats } from '../../inspect/stats.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { itemJson } from '../item-json.js'
import { say } from '../output.js'
import { lookInto, queueNamed, surveyOf } from '../queues.js'
import { type Row, printTable, wholeSeconds } from '../table.js'

export const options: OptionTable = { json: {}, state: { short: 's', value: `${STATES.join(', ')} or all` } }

export const help = `Usage: fsq list [--json]
       fsq list [--json] [-s state] queue [queue ...]

Lists the queues and their numbers of items, or the items of queues in the order
in which workers take them. Locks nothing.

  -s, --state=STATE   waiting (default), done, failed or all; claimed items
                      (known on Linux only) and delayed items are waiting
      --json          one JSON object per line
  -h, --help          this help

Example:
  fsq list --json | jq -r 'select(.failed > 0) | .queue'

Exit codes: 0 success, 100 bad usage, 111 an error.
`

const QUEUE_TITLES = ['QUEUE', 'WAITING', 'WORKING', 'DELAYED', 'DONE', 'FAILED', 'OLDEST', 'SCANS']
const ITEM_TITLES = ['STATE', 'AGE', 'TRIES', 'BYTES', 'ID']

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const isJson = given.has('json')
  const states = statesOf(given)
  if (given.operands.length === 0) {
    if (given.has('state')) throw new UsageError('-s goes with the name of a queue')
    const survey = surveyOf([], own)
    await printTable(
      QUEUE_TITLES,
      survey.each((layout) => queueRow(layout, own)),
      isJson,
    )
    return survey.isComplete ? SUCCESS : FAILURE
  }
  const layouts = given.operands.map((name) => queueNamed(name, own))
  await printTable(ITEM_TITLES, itemRows(layouts, own, states), isJson)
  return SUCCESS
}

function statesOf(given: Arguments): readonly ItemState[] {
  const wanted = given.text('state') ?? 'waiting'
  const states = STATES.filter((state) => wanted === 'all' || wanted === state)
  return states.length > 0 ? states : given.refuse('state', `${STATES.join(', ')} or all`)
}

async function* queueRow(layout: Layout, settings: Settings): AsyncGenerator<Row, void, undefined> {
  const slices = new Slices()
  const { waiting, working, delayed, oldestAge } = await waitingStats(layout, settings, slices)
  const done = await countFiles(placePath(layout, PLACES.done), slices)
  const failed = await countFiles(placePath(layout, PLACES.failed), slices)
  const age = wholeSeconds(oldestAge)
  const isDown = fs.lstatSync(layout.downPath, { throwIfNoEntry: false }) !== undefined
  yield {
    json: {
      queue: layout.name,
      path: layout.path,
      waiting,
      working: working ?? null,
      delayed,
      done,
      failed,
      oldestAge: age ?? null,
      down: isDown,
    },
    columns: [
      layout.name,
      waiting,
      working ?? '-',
      delayed,
      done,
      failed,
      age === undefined ? '-' : ageText(age),
      isDown ? 'down' : 'up',
    ],
  }
}

async function* itemRows(
  layouts: readonly Layout[],
  settings: Settings,
  states: readonly ItemState[],
): AsyncGenerator<Row, void, undefined> {
  for (const layout of layouts) {
    for (const state of states) {
      let others = 0
      const items = lookInto(layout, settings, (directory) =>
        itemsOf(directory, settings, state, new Slices(), () => others++),
      )
      for await (const item of items) {
        const json = itemJson(item, layout, settings)
        const age = ageText((Date.now() - item.enqueuedAt) / 1000)
        yield {
          json,
          columns: [activityOf(item), age, item.parsed.tries, item.entry.info.size, String(json['id'])],
        }
      }
      // The counts of `fsq list` include them, so an operator would look for them here.
      if (others > 0)
        say(`not listed: ${others} in ${placePath(layout, PLACES[state])} with names that no items have`)
    }
  }
}
