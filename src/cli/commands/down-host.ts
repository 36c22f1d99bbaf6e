/**
 * `fsq down-host`: forbids scans of the queues of a host.
 *
 * @module
 */
import { makeDown } from '../../directory/down.js'
import { hostLayoutOf, layoutOf } from '../../directory/layout.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { withSettings } from '../command.js'
import { eachQueue } from '../host-commands.js'
import { say } from '../output.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  owner: { short: 'o', value: 'a user' },
  // The first implementation had -o, and -u in its manual.
  user: { short: 'u', value: 'a user' },
  group: { short: 'g', value: 'a group' },
  mode: { short: 'm', value: 'mode bits in octal' },
}

export const help = `Usage: fsq down-host [-v] [-o owner] [-g group] [-m mode] host queue [queue ...]

Forbids scans of the host's queues until 'fsq up-host'. The host still gets its
copies of items. 'fsq down' stops the queues of all hosts. Scans of the first
implementation stop only when both the host and the queue are down.

  -o, --owner=USER, -u, --user=USER   owner of the file that forbids them
  -g, --group=GROUP                   its group, by name or id
  -m, --mode=MODE                     its mode, octal (FSQ_ITEM_MODE, 00640)
  -v, --verbose                       say what is done
  -h, --help                          this help

Example:
  fsq down-host berlin orders

Exit codes: 0 success, 100 bad usage, 111 an error; the other queues are down.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(
    withSettings(settings, {
      queueUser: given.account(given.last('owner', 'user') ?? 'owner'),
      queueGroup: given.account('group'),
      itemMode: given.mode('mode'),
    }),
  )
  return eachQueue(given, async (host, name) => {
    if (given.has('verbose')) say(`downing host ${host} for queue ${name}`)
    await makeDown(hostLayoutOf(layoutOf(name, own), host, own), own)
  })
}
