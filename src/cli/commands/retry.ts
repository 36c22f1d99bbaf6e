/**
 * `fsq retry`: failed items wait again.
 *
 * @module
 */
import { moveBack } from '../../maintain/redrive.js'
import { fromRaw, printable } from '../../name/charset.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import { say, write } from '../output.js'
import { Progress } from '../progress.js'
import { queueNamed } from '../queues.js'
import { SELECT_OPTIONS, Selection, checkSelection } from '../select.js'

export const options: OptionTable = {
  ...SELECT_OPTIONS,
  'keep-tries': { short: 'k' },
  'dry-run': { short: 'n' },
  id: {},
  verbose: { short: 'v' },
}

export const help = `Usage: fsq retry [-knv] [--id] queue item [item ...]
       fsq retry [-knv] [--id] [-A argument] [-o age] queue
       fsq retry [-knv] [--id] -a queue

Moves failed items back to queue/, as if they had never been tried.

  -a, --all             move all failed items
  -A, --argument=TEXT   move the items with this argument
  -o, --older-than=AGE  move the items that failed at least AGE ago: 90s, 5m,
                        12h or 30d
  -k, --keep-tries      keep the tries; a scan fails an item again if its tries
                        have reached the limit
  -n, --dry-run         only print what would be moved
      --id              print the new ids, one per line
  -v, --verbose         say which items are moved
  -h, --help            this help

Example:
  fsq retry -A bob@example.org mail

Exit codes: 0 success, 100 bad usage, 111 an error, or an item is not there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name] = someOperands(given, 'the name of a queue')
  checkSelection(given)
  const layout = queueNamed(name, own)
  const selection = new Selection(given, layout, own)
  const progress = new Progress('items moved')
  let moved = 0
  let isDone = true
  for await (const item of selection.items(['failed'])) {
    const id = fromRaw(item.parsed.raw, own.charset)
    if (given.has('dry-run')) {
      write(`${printable(item.parsed.raw)}\n`)
      continue
    }
    const to = await moveBack(item.entry, layout, own, given.has('keep-tries'))
    if (to === undefined) {
      progress.clear()
      say(`${id}: has gone meanwhile`)
      isDone = false
      continue
    }
    progress.show(++moved)
    if (given.has('verbose')) say(`${id}: waits again`)
    if (given.has('id')) write(`${fromRaw(to, own.charset)}\n`)
  }
  progress.clear()
  return isDone && selection.isWhole ? SUCCESS : FAILURE
}
