/**
 * `fsq up-host`: allows scans of the queues of a host again.
 *
 * @module
 */
import { removeDown } from '../../directory/down.js'
import { hostLayoutOf, layoutOf } from '../../directory/layout.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { eachQueue } from '../host-commands.js'
import { say } from '../output.js'

export const options: OptionTable = { verbose: { short: 'v' } }

export const help = `Usage: fsq up-host [-v] host queue [queue ...]

Allows scans of the host's queues again, after 'fsq down-host'. A host that is
up stays up. While a queue itself is down, its hosts are not scanned either.

  -v, --verbose   say what is done
  -h, --help      this help

Example:
  fsq up-host berlin orders && fsq scan -A berlin orders ./send

Exit codes: 0 success, 100 bad usage, 111 an error; the other queues are up.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  return eachQueue(given, async (host, name) => {
    await removeDown(hostLayoutOf(layoutOf(name, own), host, own))
    if (given.has('verbose')) say(`upping host ${host} for queue ${name}`)
  })
}
