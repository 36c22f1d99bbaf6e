/**
 * `fsq down`: forbids scans of queues.
 *
 * @module
 */
import { makeDown } from '../../directory/down.js'
import { layoutOf } from '../../directory/layout.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { SUCCESS, withSettings } from '../command.js'
import { say } from '../output.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  user: { short: 'u', value: 'a user' },
  group: { short: 'g', value: 'a group' },
  mode: { short: 'm', value: 'mode bits in octal' },
}

export const help = `Usage: fsq down [-v] [-u user] [-g group] [-m mode] queue [queue ...]

Forbids scans of queues by any program until 'fsq up'. Workers finish the items
that they have; producers can still add items.

  -u, --user=USER     owner of the file that forbids them (FSQ_QUEUE_USER)
  -g, --group=GROUP   its group, by name or id (FSQ_QUEUE_GROUP)
  -m, --mode=MODE     its mode, octal (FSQ_ITEM_MODE, 00640)
  -v, --verbose       say what is done
  -h, --help          this help

Example:
  fsq down outgoing && systemctl stop mailer

Exit codes: 0 success, 100 bad usage, 111 an error; those before it are down.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(
    withSettings(settings, {
      queueUser: given.account('user'),
      queueGroup: given.account('group'),
      itemMode: given.mode('mode'),
    }),
  )
  // No queue is no error: scripts name queues by a pattern, which may match none. But a typing error must show.
  if (given.operands.length === 0) say('no queue is named: nothing is done')
  for (const name of given.operands) {
    await makeDown(layoutOf(name, own), own)
    if (given.has('verbose')) say(`${name}: down`)
  }
  return SUCCESS
}
