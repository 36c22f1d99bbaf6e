/**
 * `fsq retry`: failed items wait again.
 *
 * @module
 */
import { HERE } from '../../directory/calls.js'
import { Slices } from '../../inspect/slices.js'
import { BackMoves } from '../../maintain/back-moves.js'
import { type FailedFilter, selectFailed } from '../../maintain/redrive.js'
import { fromRaw, printable } from '../../name/charset.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS, UNCHANGED, someOperands } from '../command.js'
import { say, write } from '../output.js'
import { Progress } from '../progress.js'
import { lookInto, queueNamed } from '../queues.js'
import { SELECT_OPTIONS, ageOption, checkSelection, sayMissing } from '../select.js'

const MOST = 1_000_000_000

export const options: OptionTable = {
  ...SELECT_OPTIONS,
  error: { short: 'e', value: 'a part of an error' },
  limit: { short: 'l', value: 'how many' },
  done: { short: 'd' },
  'keep-tries': { short: 'k' },
  'dry-run': { short: 'n' },
  id: {},
  verbose: { short: 'v' },
}

export const help = `Usage: fsq retry [-dknv] [--id] [-l limit] queue item [item ...]
       fsq retry [-dknv] [--id] [-A text] [-o age] [-e text] [-l limit] queue
       fsq retry [-dknv] [--id] -a queue

Moves failed items back to queue/, as if they had never been tried.

  -a, --all             move all failed items
  -A, --argument=TEXT   move the items with this argument
  -o, --older-than=AGE  move the items that failed at least AGE ago: 90s, 5m,
                        12h or 30d
  -e, --error=TEXT      move the items whose last error has TEXT in it, as
                        'fsq list --by-error' shows it
  -l, --limit=N         move at most N items, the oldest first
  -d, --done            move done items instead: to run or to forward them again
  -k, --keep-tries      keep the tries; a scan fails an item again if its tries
                        have reached the limit
  -n, --dry-run         only print what would be moved
      --id              print the new ids, one per line
  -v, --verbose         say which items are moved; -h, --help    this help
Example:
  fsq retry --error='connection refused' --limit=10 mail
Exit codes: 0 success, 100 bad usage, 111 an error, or an item is not there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name, ...ids] = someOperands(given, 'the name of a queue')
  checkSelection(given, { error: 'e', limit: 'l' })
  if (given.text('error') === '') given.refuse('error', 'a part of an error')
  const filter: FailedFilter = {
    ...(ids.length > 0 && { ids }),
    argument: given.text('argument'),
    olderThan: ageOption(given, 'older-than'),
    error: given.text('error'),
    limit: given.number('limit', 1, MOST),
  }
  const layout = queueNamed(name, own)
  const from = given.has('done') ? 'done' : 'failed'
  const selected = lookInto(layout, own, (directory) =>
    selectFailed(directory, own, filter, new Slices(), from),
  )
  const progress = new Progress('items moved')
  const isDry = given.has('dry-run')
  let moved = 0
  let isWhole = true
  const moves = new BackMoves(layout, own, given.has('keep-tries'), HERE, from)
  try {
    for await (const { named, entry } of selected) {
      if (entry === undefined) {
        if (named === undefined) continue
        progress.clear()
        sayMissing(named, layout)
        isWhole = false
        continue
      }
      const id = fromRaw(entry.raw, own.charset)
      if (isDry) write(`${printable(entry.raw)}\n`)
      else {
        const to = await moves.move(entry)
        if (to === undefined) {
          progress.clear()
          say(`${id}: ${UNCHANGED.gone}`)
          isWhole = false
          continue
        }
        progress.show(moved + 1)
        if (given.has('verbose')) say(`${id}: waits again`)
        if (given.has('id')) write(`${fromRaw(to, own.charset)}\n`)
      }
      if (++moved === filter.limit) break
    }
  } finally {
    await moves.close()
  }
  progress.clear()
  return isWhole ? SUCCESS : FAILURE
}
