/**
 * `fsq rm`: removes items.
 *
 * @module
 */
import { STATES } from '../../inspect/states.js'
import { removeItem } from '../../maintain/remove.js'
import { printable } from '../../name/charset.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS, UNCHANGED, someOperands } from '../command.js'
import { say, write } from '../output.js'
import { Progress } from '../progress.js'
import { queueNamed } from '../queues.js'
import { SELECT_OPTIONS, Selection, checkSelection } from '../select.js'

export const options: OptionTable = {
  ...SELECT_OPTIONS,
  state: { short: 's', value: 'waiting, done or failed' },
  'dry-run': { short: 'n' },
  verbose: { short: 'v' },
}

export const help = `Usage: fsq rm [-nv] [-s state] queue item [item ...]
       fsq rm [-nv] [-s state] [-A argument] [-o age] queue
       fsq rm [-nv] [-s state] -a queue

Removes items, whatever their state. An item that a worker holds stays.

  -a, --all             remove all items
  -A, --argument=TEXT   remove the items with this argument
  -o, --older-than=AGE  remove the items that have been in their state for at
                        least AGE: 90s, 5m, 12h or 30d
  -s, --state=STATE     remove only waiting, done or failed items
  -n, --dry-run         only print what would be removed
  -v, --verbose         say which items are removed
  -h, --help            this help

Example:
  fsq rm -s failed -o 30d mail

Exit codes: 0 success, 100 bad usage, 111 an error; an item is missing or busy.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name] = someOperands(given, 'the name of a queue')
  checkSelection(given)
  const state = given.text('state')
  const states = STATES.filter((known) => state === undefined || known === state)
  if (states.length === 0) given.refuse('state', 'waiting, done or failed')
  const layout = queueNamed(name, own)
  const selection = new Selection(given, layout, own)
  const progress = new Progress('items removed')
  let removed = 0
  let isDone = true
  for await (const item of selection.items(states)) {
    const id = printable(item.parsed.raw)
    if (given.has('dry-run')) {
      write(`${id}\n`)
      continue
    }
    const problem = await removeItem(item, layout, own)
    if (problem === undefined) progress.show(++removed)
    else isDone = false
    if (problem !== undefined) {
      progress.clear()
      say(`${id}: ${UNCHANGED[problem]}`)
    } else if (given.has('verbose')) say(`${id}: removed`)
  }
  progress.clear()
  return isDone && selection.isWhole ? SUCCESS : FAILURE
}
