/**
 * `fsq uninstall`: removes queues.
 *
 * @module
 */
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { SUCCESS, someOperands } from '../command.js'
import { say } from '../output.js'

export const options: OptionTable = { force: { short: 'f' }, verbose: { short: 'v' } }

export const help = `Usage: fsq uninstall [-fv] queue [queue ...]

Removes queues with all their done and failed items. Refuses to remove a queue
that has waiting items.

  -f, --force     remove waiting items, too
  -v, --verbose   say which queues are removed
  -h, --help      this help

Example:
  fsq uninstall outgoing

Exit codes: 0 success, 100 bad usage, 111 an error; those before it are gone.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  for (const name of someOperands(given, 'the name of a queue')) {
    const queue = new Queue(name, settings)
    if (given.has('verbose')) say(`removing ${queue.path}`)
    await queue.uninstall({ force: given.has('force') })
  }
  return SUCCESS
}
