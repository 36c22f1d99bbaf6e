/**
 * `fsq rm-host`: removes a host from queues.
 *
 * @module
 */
import { hostsOf, removeHost } from '../../directory/hosts.js'
import { layoutOf } from '../../directory/layout.js'
import { QueueMissingError } from '../../errors/classes.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { eachQueue } from '../host-commands.js'
import { say } from '../output.js'

export const options: OptionTable = { force: { short: 'f' }, verbose: { short: 'v' } }

export const help = `Usage: fsq rm-host [-fv] host queue [queue ...]

Removes a host from queues, with its done and failed items. Refuses to remove a
host that has waiting items, or items that are being worked on.

  -f, --force     remove those items, too; a missing host is no error
  -v, --verbose   say what is done
  -h, --help      this help

Example:
  fsq rm-host berlin orders invoices

Exit codes: 0 success, 100 bad usage, 111 an error; the other queues lack it.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const force = given.has('force')
  return eachQueue(given, async (host, name) => {
    const queue = layoutOf(name, own)
    if (given.has('verbose')) say(`removing host ${host} for queue ${name}`)
    try {
      await removeHost(queue, host, own, { force })
    } catch (error) {
      const isGone = error instanceof QueueMissingError && !(await hostsOf(queue, own)).includes(host)
      if (!(force && isGone)) throw error
    }
  })
}
