/**
 * `fsq install`: makes queues.
 *
 * @module
 */
import { QueueExistsError, SettingError } from '../errors.js'
import { Queue } from '../queue.js'
import type { SettingOverrides } from '../settings.js'
import { type Arguments, type OptionTable, UsageError } from './arguments.js'
import { SUCCESS, someOperands, withSettings } from './command.js'
import { say } from './output.js'
import { makeTrigger } from './trigger.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  force: { short: 'f' },
  'ignore-exists': { short: 'i' },
  down: { short: 'd' },
  triggered: { short: 't' },
  owner: { short: 'o', value: 'a user' },
  group: { short: 'g', value: 'a group' },
  mode: { short: 'm', value: 'mode bits in octal' },
  'add-host': { short: 'a', value: 'a host' },
}

export const help = `Usage: fsq install [-fidtv] [-o owner] [-g group] [-m mode] queue [queue ...]

Makes queues. Each appears complete, or not at all.

  -f, --force           replace a queue that exists, with all its items
  -i, --ignore-exists   leave a queue that exists as it is
  -d, --down            take it down at once: it is not scanned until 'fsq up'
  -t, --triggered       with a trigger, a FIFO that wakes its listeners
  -o, --owner=USER      the owner, by name or id (FSQ_QUEUE_USER)
  -g, --group=GROUP     the group, by name or id (FSQ_QUEUE_GROUP)
  -m, --mode=MODE       mode of its directories, octal (FSQ_QUEUE_MODE, 02770)
  -v, --verbose         say what is done
  -h, --help            this help

Example:
  fsq install -g mail -m 2770 outgoing incoming

Exit codes: 0 success, 100 bad usage, 111 an error; the queues before it are there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const names = someOperands(given, 'the name of a queue')
  if (given.has('add-host')) throw new UsageError('-a: host queues are not in this version')
  const mode = given.mode('mode')
  const own = withSettings(settings, {
    queueUser: given.account('owner'),
    queueGroup: given.account('group'),
    queueMode: mode,
    // Of the file 'down'.
    itemMode: mode,
  })
  for (const name of names) await installOne(name, given, own)
  return SUCCESS
}

async function installOne(name: string, given: Arguments, settings: SettingOverrides): Promise<void> {
  const queue = new Queue(name, settings)
  if (given.has('verbose')) say(`installing ${name} to ${queue.settings.root}`)
  try {
    await Queue.install(name, { ...settings, force: given.has('force') })
  } catch (error) {
    if (isUnknownAccount(error)) throw new UsageError(error.message)
    if (!(error instanceof QueueExistsError && given.has('ignore-exists'))) throw error
    // Something else that has its name is no queue that exists.
    await queue.isDown()
    if (given.has('verbose')) say(`skipping ${name}; already installed`)
    return
  }
  if (given.has('down')) await queue.down()
  if (given.has('triggered')) await makeTrigger(queue)
}

function isUnknownAccount(error: unknown): error is SettingError {
  return error instanceof SettingError && /_(USER|GROUP)$/.test(error.setting)
}
