/**
 * `fsq up`: allows scans of queues again.
 *
 * @module
 */
import { removeDown } from '../../directory/down.js'
import { layoutOf } from '../../directory/layout.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { SUCCESS } from '../command.js'
import { say } from '../output.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  // The first implementation took this option and ignored it.
  d: { short: 'd', value: 'anything' },
}

export const help = `Usage: fsq up [-v] queue [queue ...]

Allows scans of queues again, after 'fsq down'. A queue that is up stays up.

  -v, --verbose   say what is done
  -h, --help      this help

Example:
  fsq up outgoing && fsq scan outgoing ./send

Exit codes: 0 success, 100 bad usage, 111 an error; those before it are up.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  // No queue is no error: scripts name queues by a pattern, which may match none. But a typing error must show.
  if (given.operands.length === 0) say('no queue is named: nothing is done')
  for (const name of given.operands) {
    await removeDown(layoutOf(name, own))
    if (given.has('verbose')) say(`${name}: up`)
  }
  return SUCCESS
}
