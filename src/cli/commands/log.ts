/**
 * `fsq log`: why the attempts of an item have failed.
 *
 * @module
 */
import type { QueueDirectory } from '../../directory/open-directory.js'
import { Finder } from '../../inspect/find.js'
import { type Item, activityOf, itemFound } from '../../inspect/items.js'
import { Slices } from '../../inspect/slices.js'
import { STATES } from '../../inspect/states.js'
import { type Attempt, attemptsOf } from '../../meta/attempts.js'
import { fromRaw, printableText } from '../../name/charset.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { attemptJson, attemptLine } from '../attempts.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import { Lines, say } from '../output.js'
import { lookInto, queueNamed } from '../queues.js'
import { sayMissing } from '../select.js'
import { type Row, printTable } from '../table.js'

export const options: OptionTable = { json: {}, verbose: { short: 'v' } }

export const help = `Usage: fsq log [-v] [--json] queue item [item ...]

Tells why the attempts of items have failed, and which workers died with an item
in hand: one line per attempt, the oldest first, and the details of the last one
(a stack, or the end of what the program wrote to standard error). Workers of
this package and 'fsq scan' write them down. Locks nothing.

  -v, --verbose  the details of all attempts
      --json     one JSON object per attempt
  -h, --help     this help

Name an item by its id or its key. 'fsq list -s failed QUEUE' lists the ids.

Example:
  fsq log mail _20120710213904_0_13044_mss_0_bob

Exit codes: 0 success, 100 bad usage, 111 an error, or an item is not there.
`

const TITLES = ['TRY', 'WHEN', 'OUTCOME', 'TOOK', 'WORKER', 'ERROR']

/** An item and its attempts. */
interface Logged {
  /** As the user has named it. */
  readonly named: string
  /** `undefined`: it is gone. */
  readonly item: Item | undefined
  readonly attempts: readonly Attempt[]
}

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name, ...ids] = someOperands(given, 'the name of a queue')
  if (ids.length === 0) throw new UsageError('the id of an item is missing')
  const layout = queueNamed(name, own)
  let isWhole = true
  let isFirst = true
  for await (const logged of lookInto(layout, own, (directory) => look(directory, own, new Set(ids)))) {
    const { named, item, attempts } = logged
    if (item === undefined && attempts.length === 0) {
      sayMissing(named, layout)
      isWhole = false
    } else if (given.has('json')) {
      const rows = attempts.map((attempt) => ({
        json: { queue: layout.name, ...attemptJson(attempt) },
        columns: [],
      }))
      await printTable([], rows, true)
    } else {
      await print(logged, own, given.has('verbose'), isFirst)
      isFirst = false
    }
  }
  return isWhole ? SUCCESS : FAILURE
}

async function* look(
  directory: QueueDirectory,
  settings: Settings,
  ids: ReadonlySet<string>,
): AsyncGenerator<Logged, void, undefined> {
  const finder = new Finder(directory, settings, new Slices())
  for (const named of ids) {
    const found = await finder.find(named, STATES)
    const item = found === undefined ? undefined : await itemFound(found, directory.layout, settings)
    yield { named, item, attempts: await attemptsOf(directory, settings, named) }
  }
}

async function print(
  { named, item, attempts }: Logged,
  { charset }: Settings,
  isVerbose: boolean,
  isFirst: boolean,
): Promise<void> {
  const id = item === undefined ? named : fromRaw(item.parsed.raw, charset)
  const state = item === undefined ? 'gone' : stateText(item)
  const lines = new Lines()
  if (!isFirst) lines.add('')
  lines.add(printableText(`${id}: ${state}`))
  lines.flush()
  if (attempts.length === 0) {
    say(`${id}: no failed attempt is written down; only fsq scan and queue.work() write them down`)
    return
  }
  if (!isVerbose) {
    await printTable(TITLES, attempts.map(attemptRow), false)
    printDetails(attempts.at(-1))
    return
  }
  for (const attempt of attempts) {
    await printTable(TITLES, [attemptRow(attempt)], false)
    printDetails(attempt)
  }
}

function stateText(item: Item): string {
  const state = activityOf(item)
  return item.due === undefined ? state : `${state}, due ${timeText(new Date(item.due))}`
}

function attemptRow(attempt: Attempt): Row {
  const { at, outcome, reason, ms, host, pid } = attempt
  return {
    json: {},
    columns: [
      attempt.try,
      timeText(at),
      reason === undefined ? outcome : `${outcome} (${reason})`,
      ms === undefined ? '-' : `${(ms / 1000).toFixed(1)}s`,
      `${host}:${pid}`,
      attemptLine(attempt),
    ],
  }
}

/** The stack of an error, or the end of what a program wrote to standard error. */
function printDetails(attempt: Attempt | undefined): void {
  const stack = attempt?.error?.stack?.trimEnd() ?? ''
  if (stack === '') return
  const lines = new Lines()
  for (const line of stack.split('\n')) lines.add(`    ${printableText(line)}`)
  lines.flush()
}

/** To the second: `2026-11-26T20:12:03Z`. */
function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
