/**
 * `fsq prune`: removes finished items, by age or by count.
 *
 * @module
 */
import path from 'node:path'

import { type Layout, placePath } from '../../directory/layout.js'
import { Slices } from '../../inspect/slices.js'
import { PLACES } from '../../inspect/states.js'
import { type FinishedState, type Surplus, removeFinished, surplusIn } from '../../maintain/prune.js'
import { printable } from '../../name/charset.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { SUCCESS, someOperands } from '../command.js'
import { Lines, say } from '../output.js'
import { Progress } from '../progress.js'
import { queueNamed } from '../queues.js'
import { ageOption } from '../select.js'

export const options: OptionTable = {
  'older-than': { short: 'o', value: 'an age, as 90s, 5m, 12h or 30d' },
  keep: { short: 'k', value: 'how many' },
  done: { short: 'd' },
  failed: { short: 'f' },
  'dry-run': { short: 'n' },
  verbose: { short: 'v' },
}

export const help = `Usage: fsq prune [-dfnv] [-o age] [-k count] queue [queue ...]

Removes done and failed items that are too old or too many. Safe beside running
workers: waiting items stay.

  -o, --older-than=AGE  remove items that finished at least AGE ago: 90s, 5m,
                        12h or 30d
  -k, --keep=COUNT      remove all but the last COUNT in each of done/ and fail/
  -d, --done            remove only done items
  -f, --failed          remove only failed items
  -n, --dry-run         only print what would be removed
  -v, --verbose         say how many are removed
  -h, --help            this help

With both -o and -k, removes the items that meet one of the two.

Example:
  fsq prune -d -o 7d mail && fsq prune -f -o 90d -k 10000 mail

Exit codes: 0 success, 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const names = someOperands(given, 'the name of a queue')
  const age = ageOption(given, 'older-than')
  const count = given.number('keep', 0)
  if (age === undefined && count === undefined) throw new UsageError('how old, or how many? Use -o or -k')
  const isAny = !given.has('done') && !given.has('failed')
  for (const layout of names.map((name) => queueNamed(name, own))) {
    for (const state of ['done', 'failed'] as const) {
      if (!isAny && !given.has(state)) continue
      const surplus = await surplusIn(layout, state, { age, count }, new Slices())
      if (given.has('dry-run')) print(placePath(layout, PLACES[state]), surplus)
      else await remove(layout, own, state, surplus, given.has('verbose'))
    }
  }
  return SUCCESS
}

/** The oldest first. */
function print(directory: string, files: readonly Surplus[]): void {
  const lines = new Lines()
  for (const { raw } of [...files].sort((a, b) => a.moved - b.moved))
    lines.add(path.join(directory, printable(raw)))
  lines.flush()
}

async function remove(
  layout: Layout,
  settings: Settings,
  state: FinishedState,
  files: readonly Surplus[],
  isVerbose: boolean,
): Promise<void> {
  const directory = placePath(layout, PLACES[state])
  const progress = new Progress(`files removed from ${printable(Buffer.from(directory).toString('latin1'))}`)
  const removed = await removeFinished(layout, settings, state, files, new Slices(), (count) => {
    progress.show(count)
  })
  progress.clear()
  if (isVerbose) say(`${directory}: ${removed} removed`)
}
