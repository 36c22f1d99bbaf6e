/**
 * `fsq list`: the queues, or the items of one.
 *
 * @module
 */
import fs from 'node:fs'

import { type Layout, placePath } from '../../directory/layout.js'
import type { ItemState } from '../../inspect/lister.js'
import { Place } from '../../addon/native.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { countFiles } from '../../inspect/entries.js'
import { PLACES, STATES, activityOf, itemJson, itemsOf, unsortedItemsOf } from '../../inspect/items.js'
import { QueueWalk, queueNamed, queuesIn } from '../queues.js'
import { say } from '../output.js'
import { type Row, ageText, printTable } from '../table.js'

export const options: OptionTable = { json: {}, state: { short: 's', value: `${STATES.join(', ')} or all` } }

export const help = `Usage: fsq list [--json]
       fsq list [--json] [-s state] queue [queue ...]

Lists the queues and how many items they hold, or the items of queues, in the
order in which they are worked. Locks nothing.

  -s, --state=STATE   waiting (default), done, failed or all; those that are
                      worked on (unknown outside Linux) or delayed are waiting
      --json          one JSON object a line
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
    const walk = new QueueWalk(queuesIn(own))
    await printTable(
      QUEUE_TITLES,
      walk.each((layout) => queueRow(layout, own)),
      isJson,
    )
    return walk.isWhole ? SUCCESS : FAILURE
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

function* queueRow(layout: Layout, settings: Settings): Generator<Row> {
  let waiting = 0
  let working = 0
  let delayed = 0
  let oldest = Number.POSITIVE_INFINITY
  let isKnown = true
  for (const item of unsortedItemsOf(layout, settings, 'waiting')) {
    const activity = activityOf(item)
    if (activity === 'working') working++
    else if (activity === 'delayed') delayed++
    else waiting++
    if (item.workers === undefined) isKnown = false
    oldest = Math.min(oldest, item.enqueuedAt)
  }
  const done = countFiles(placePath(layout, Place.done))
  const failed = countFiles(placePath(layout, Place.fail))
  const age =
    oldest === Number.POSITIVE_INFINITY ? null : Math.max(0, Math.floor((Date.now() - oldest) / 1000))
  const isDown = fs.lstatSync(layout.downPath, { throwIfNoEntry: false }) !== undefined
  yield {
    json: {
      queue: layout.name,
      path: layout.path,
      waiting,
      working: isKnown ? working : null,
      delayed,
      done,
      failed,
      oldestAge: age,
      down: isDown,
    },
    columns: [
      layout.name,
      waiting,
      isKnown ? working : '-',
      delayed,
      done,
      failed,
      age === null ? '-' : ageText(age),
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
      const items = itemsOf(layout, settings, state, undefined, () => others++)
      for await (const item of items) {
        const json = itemJson(item, layout, settings)
        const age = ageText((Date.now() - item.enqueuedAt) / 1000)
        yield {
          json,
          columns: [activityOf(item), age, item.parsed.tries, item.entry.info.size, String(json['id'])],
        }
      }
      // They are counted, and an operator would look for them in vain.
      if (others > 0)
        say(`not listed: ${others} in ${placePath(layout, PLACES[state])} with names that no items have`)
    }
  }
}
