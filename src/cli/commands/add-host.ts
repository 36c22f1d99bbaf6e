/**
 * `fsq add-host`: adds a host to queues.
 *
 * @module
 */
import { addHost } from '../../directory/hosts.js'
import { hostLayoutOf, layoutOf } from '../../directory/layout.js'
import { checkQueue } from '../../directory/presence.js'
import { QueueExistsError } from '../../errors/classes.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { withSettings } from '../command.js'
import { eachQueue } from '../host-commands.js'
import { say } from '../output.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  force: { short: 'f' },
  'ignore-exists': { short: 'i' },
  owner: { short: 'o', value: 'a user' },
  group: { short: 'g', value: 'a group' },
  mode: { short: 'm', value: 'mode bits in octal' },
}

export const help = `Usage: fsq add-host [-fiv] [-o owner] [-g group] [-m mode] host queue ...

Adds a host to queues: a queue of its own below each, which appears complete, or
not at all. 'fsq host-dist' gives it a copy of each item, and 'fsq scan -a' runs
a program for each copy. The name of a host is only a label.

  -f, --force           replace an existing host and all its items
  -i, --ignore-exists   leave an existing host as it is
  -o, --owner=USER      the owner, by name or id (FSQ_QUEUE_USER)
  -g, --group=GROUP     the group, by name or id (FSQ_QUEUE_GROUP)
  -m, --mode=MODE       mode of its directories, octal (FSQ_QUEUE_MODE, 02770)
  -v, --verbose         say what is done
  -h, --help            this help

Example:
  fsq add-host berlin orders invoices

Exit codes: 0 success, 100 bad usage, 111 an error; the other queues have it.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(
    withSettings(settings, {
      queueUser: given.account('owner'),
      queueGroup: given.account('group'),
      queueMode: given.mode('mode'),
    }),
  )
  return eachQueue(given, async (host, name) => {
    const queue = layoutOf(name, own)
    if (given.has('verbose')) say(`installing host ${host} to ${name}`)
    try {
      await addHost(queue, host, own, { force: given.has('force') })
    } catch (error) {
      if (!(error instanceof QueueExistsError && given.has('ignore-exists'))) throw error
      // If something that is no queue has the name, this throws.
      await checkQueue(hostLayoutOf(queue, host, own))
      if (given.has('verbose')) say(`skipping ${name}; already installed`)
    }
  })
}
