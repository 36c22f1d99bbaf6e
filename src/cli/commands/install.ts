/**
 * `fsq install`: makes queues.
 *
 * @module
 */
import { QueueExistsError, SettingError } from '../../errors/classes.js'
import type { LockKind } from '../../addon/native.js'
import type { ClaimKind } from '../../directory/claim-kind.js'
import type { InstallOptions } from '../../directory/install.js'
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { SUCCESS, someOperands, withSettings } from '../command.js'
import { explain } from '../advice.js'
import { say } from '../output.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  force: { short: 'f' },
  'ignore-exists': { short: 'i' },
  down: { short: 'd' },
  triggered: { short: 't' },
  owner: { short: 'o', value: 'a user' },
  group: { short: 'g', value: 'a group' },
  mode: { short: 'm', value: 'mode bits in octal' },
  claims: { value: 'lock or rename' },
  'lock-kind': { value: 'flock or fcntl' },
  'add-host': { short: 'a', value: 'a host' },
}

export const help = `Usage: fsq install [-fidtv] [-a host ...] [-o owner] [-g group] [-m mode]
                   [--claims kind] [--lock-kind kind] queue [queue ...]

Makes queues. Each appears complete, or not at all.

  -f, --force           replace an existing queue and all its items
  -i, --ignore-exists   leave an existing queue as it is
  -d, --down            take the queue down at once: no scans until 'fsq up'
  -t, --triggered       with triggers, FIFOs that wake scans (FSQ_USE_TRIGGER)
  -a, --add-host=HOST   with this host; may be repeated
  -o, --owner=USER      the owner, by name or id (FSQ_QUEUE_USER)
  -g, --group=GROUP     the group, by name or id (FSQ_QUEUE_GROUP)
  -m, --mode=MODE       mode of its directories, octal (FSQ_QUEUE_MODE, 02770)
      --claims=KIND     how workers claim items. lock: by locks; rename (default
                        on network file systems): workers of several machines
                        can share the queue, with this package only
      --lock-kind=KIND  flock, or fcntl, where flock holds on one machine only
                        (see 'fsq doctor'); each worker must write to items
  -v, --verbose         say what is done; -h, --help    this help

Example:
  fsq install -g mail -m 2770 outgoing incoming

Exit codes: 0 success, 100 bad usage, 111 an error; those before it are there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const names = someOperands(given, 'the name of a queue')
  const mode = given.mode('mode')
  const kinds = { claims: claimsOf(given), lockKind: lockKindOf(given) }
  const own = withSettings(settings, {
    queueUser: given.account('owner'),
    queueGroup: given.account('group'),
    queueMode: mode,
    // The mode of the file 'down'.
    itemMode: mode,
  })
  for (const name of names) await installOne(name, given, own, kinds)
  return SUCCESS
}

async function installOne(
  name: string,
  given: Arguments,
  settings: SettingOverrides,
  kinds: Pick<InstallOptions, 'claims' | 'lockKind'>,
): Promise<void> {
  const queue = new Queue(name, settings)
  if (given.has('verbose')) say(`installing ${name} to ${queue.settings.root}`)
  try {
    await Queue.install(name, {
      ...settings,
      force: given.has('force'),
      triggered: given.has('triggered') ? true : undefined,
      addHosts: given.texts('add-host'),
      ...kinds,
    })
  } catch (error) {
    if (isUnknownAccount(error, given)) throw new UsageError(explain(error, given))
    if (!(error instanceof QueueExistsError && given.has('ignore-exists'))) throw error
    // If something that is no queue has the name, this throws.
    await queue.isDown()
    if (given.has('verbose')) say(`skipping ${name}; already installed`)
    return
  }
  if (given.has('down')) await queue.down()
}

function claimsOf(given: Arguments): ClaimKind | undefined {
  const kind = given.text('claims')
  if (kind === undefined || kind === 'lock' || kind === 'rename') return kind
  return given.refuse('claims', 'lock or rename')
}

function lockKindOf(given: Arguments): LockKind | undefined {
  const kind = given.text('lock-kind')
  if (kind === undefined || kind === 'flock' || kind === 'fcntl') return kind
  return given.refuse('lock-kind', 'flock or fcntl')
}

/** Whether the unknown account is from the command line, not from the environment. */
function isUnknownAccount(error: unknown, given: Arguments): boolean {
  if (!(error instanceof SettingError)) return false
  const { setting } = error
  return (
    (setting === 'FSQ_QUEUE_USER' && given.has('owner')) ||
    (setting === 'FSQ_QUEUE_GROUP' && given.has('group'))
  )
}
