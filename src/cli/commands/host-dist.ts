/**
 * `fsq host-dist`: gives the items of a queue to its hosts.
 *
 * @module
 */
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import { explain } from '../advice.js'
import { CLAIM_OPTIONS, claimSettings } from '../claim-options.js'
import { say } from '../output.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  link: { short: 'I' },
  trigger: { short: 'g' },
  ...CLAIM_OPTIONS,
}

export const help = `Usage: fsq host-dist [-DgIiv] [option ...] queue [host ...]

Gives each waiting item to all hosts of the queue, or to those named: a copy for
each, under the same name. An item is done when every host has it. Otherwise it
stays, and the next run gives it to the hosts that lack it. Hosts that are down
get their copies, too.

  -I, --link           hard links instead of copies: all hosts share one file,
                       and one lock
  -g, --trigger        pull the trigger of the hosts (FSQ_HOSTS_TRIGGER)
  -D, --no-done        leave the items in queue/
  -i, --ignore-down    distribute a queue that is down
  -t, --ttl=SECONDS, -m, --max-tries=N   fail older or exhausted items
  -l, --lock, -L, --no-lock    lock items (default), or not
  -n, --no-open, -S, --success-code=N, -T, --fail-tmp-code=N,
  -F, --fail-perm-code=N       accepted, for scripts of the first implementation
  -v, --verbose, -h, --help    say what is done; this help
Example:
  fsq enqueue -e orders a && fsq host-dist -g orders
Exit codes: 0 success, 100 bad usage, 111 an error, or an item stays.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const [name, ...hosts] = someOperands(given, 'the name of a queue')
  const queue = new Queue(name, {
    ...claimSettings(given, settings),
    onReport: ({ name: item, message }) => {
      say(`${item} ${message}`)
    },
  })
  try {
    const { distributed, left, errors, triggerError } = await queue.distributeFor(
      {
        hosts: hosts.length === 0 ? undefined : hosts,
        link: given.has('link'),
        keep: given.has('no-done'),
        trigger: given.has('trigger'),
      },
      {
        onSkipped: (file) => {
          say(`${file} is no directory, and so no host: it is skipped`)
        },
        onDistributed: ({ id }) => {
          if (given.has('verbose')) say(`${id}: succeeded`)
        },
      },
    )
    for (const [host, error] of errors) say(`the host '${host}': ${explain(error)}`)
    if (left > 0)
      say(
        `${left === 1 ? '1 item stays' : `${left} items stay`} in queue/ (${distributed} distributed); run it again`,
      )
    if (triggerError !== undefined) say(explain(triggerError))
    return left > 0 || triggerError !== undefined ? FAILURE : SUCCESS
  } finally {
    await queue.close()
  }
}
