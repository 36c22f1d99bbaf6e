/**
 * `fsq list`: the queues, or the items of one.
 *
 * @module
 */
import { isDownSync } from '../../directory/claim-kind.js'
import { type Layout, placePath } from '../../directory/layout.js'
import { ageText } from '../../inspect/age-text.js'
import { countFiles } from '../../inspect/entries.js'
import { activityOf, itemsOf } from '../../inspect/items.js'
import { Slices } from '../../inspect/slices.js'
import { type ItemState, PLACES, STATES } from '../../inspect/states.js'
import { waitingStats } from '../../inspect/stats.js'
import { NO_REASON, summarizeFailures } from '../../meta/failures.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { errorJson, errorLine } from '../attempts.js'
import { FAILURE, SUCCESS } from '../command.js'
import { itemJson } from '../item-json.js'
import { say } from '../output.js'
import { hostsNamed, jsonName, lookInto, surveyOf, tableName, withHosts } from '../queues.js'
import { type Row, printTable, wholeSeconds } from '../table.js'

export const options: OptionTable = {
  json: {},
  state: { short: 's', value: `${STATES.join(', ')} or all` },
  failed: { short: 'f' },
  'by-error': { short: 'e' },
  'all-hosts': { short: 'a' },
  host: { short: 'A', value: 'a host' },
}

export const help = `Usage: fsq list [--json]
       fsq list [--json] [-af] [-A host ...] [-s state] queue [queue ...]
       fsq list [--json] --by-error [-a] [-A host ...] [queue ...]

Lists the queues, with those of their hosts, and their numbers of items; or the
items of queues in the order in which workers take them. Locks nothing.

  -s, --state=STATE   waiting (default), done, failed or all; claimed items
                      (known on Linux only) and delayed items are waiting
  -f, --failed        the same as --state=failed
  -e, --by-error      failed items in groups, by the error of their last
                      attempt: how many, since when the last one, and why
  -a, --all-hosts, -A, --host=HOST   of the queues of all hosts, or of one
      --json          one JSON object per line
  -h, --help          this help

Example:
  fsq list --json | jq -r 'select(.failed > 0) | .queue'

Exit codes: 0 success, 100 bad usage, 111 an error.
`

const QUEUE_TITLES = ['QUEUE', 'WAITING', 'WORKING', 'DELAYED', 'DONE', 'FAILED', 'OLDEST', 'SCANS']
const GROUP_TITLES = ['QUEUE', 'ITEMS', 'LAST', 'REASON', 'ERROR']
const ITEM_TITLES = ['STATE', 'AGE', 'TRIES', 'BYTES', 'ID']

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const isJson = given.has('json')
  const states = statesOf(given)
  const isOfHosts = given.has('all-hosts') || given.has('host')
  if (isOfHosts && given.operands.length === 0) throw new UsageError('-a and -A go with the name of a queue')
  if (given.has('by-error')) {
    if (given.has('state') && given.text('state') !== 'failed')
      throw new UsageError('--by-error is about failed items')
    const survey = surveyOf(given.operands, own, (layouts) =>
      isOfHosts ? hostsNamed(given, own) : withHosts(layouts, own),
    )
    await printTable(
      GROUP_TITLES,
      survey.each((layout) => groupRows(layout, own)),
      isJson,
    )
    return survey.isComplete ? SUCCESS : FAILURE
  }
  if (given.operands.length === 0) {
    if (given.has('state') || given.has('failed'))
      throw new UsageError('-s and -f go with the name of a queue')
    const survey = surveyOf([], own, (layouts) => withHosts(layouts, own))
    await printTable(
      QUEUE_TITLES,
      survey.each((layout) => queueRow(layout, own)),
      isJson,
    )
    return survey.isComplete ? SUCCESS : FAILURE
  }
  const layouts = hostsNamed(given, own)
  await printTable(ITEM_TITLES, itemRows(layouts, own, states), isJson)
  return SUCCESS
}

function statesOf(given: Arguments): readonly ItemState[] {
  const wanted = given.text('state') ?? (given.has('failed') ? 'failed' : 'waiting')
  const states = STATES.filter((state) => wanted === 'all' || wanted === state)
  return states.length > 0 ? states : given.refuse('state', `${STATES.join(', ')} or all`)
}

async function* queueRow(layout: Layout, settings: Settings): AsyncGenerator<Row, void, undefined> {
  const slices = new Slices()
  const { waiting, working, delayed, oldestAge } = await waitingStats(layout, settings, slices)
  const done = await countFiles(placePath(layout, PLACES.done), slices)
  const failed = await countFiles(placePath(layout, PLACES.failed), slices)
  const age = wholeSeconds(oldestAge)
  const isDown = isDownSync(layout)
  yield {
    json: {
      ...jsonName(layout),
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
      tableName(layout),
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
      sayOthers(layout, state, others)
    }
  }
}

async function* groupRows(layout: Layout, settings: Settings): AsyncGenerator<Row, void, undefined> {
  let others = 0
  const groups = lookInto(layout, settings, (directory) =>
    summarizeFailures(directory, settings, new Slices(), () => others++),
  )
  for await (const { count, last, reason, error, id } of groups) {
    yield {
      json: {
        ...jsonName(layout),
        count,
        last: last?.toISOString() ?? null,
        reason: reason ?? null,
        error: error === undefined ? null : errorJson(error),
        id,
      },
      columns: [
        tableName(layout),
        count,
        last === undefined ? '-' : ageText((Date.now() - last.getTime()) / 1000),
        reason ?? '-',
        error === undefined ? NO_REASON : errorLine(error),
      ],
    }
  }
  sayOthers(layout, 'failed', others)
}

/** The counts of `fsq list` include them, so an operator would look for them here. */
function sayOthers(layout: Layout, state: ItemState, count: number): void {
  if (count > 0)
    say(`not listed: ${count} in ${placePath(layout, PLACES[state])} with names that no items have`)
}
