/**
 * What the commands for hosts have in common: they take a host and queues, and go on with the next queue after an error.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import { type Arguments, UsageError } from './arguments.js'
import { FAILURE, SUCCESS } from './command.js'
import { explain } from './advice.js'
import { isOfSystem } from '../inspect/queues.js'
import { say } from './output.js'

/** The options that set the owner of what a command makes. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  FSQ_QUEUE_USER: ['owner', 'user'],
  FSQ_QUEUE_GROUP: ['group'],
}

/** Runs a command for one host in each of its queues. @returns The exit code. */
export async function eachQueue(
  given: Arguments,
  act: (host: string, queue: string) => Promise<void>,
): Promise<number> {
  const [host, ...queues] = given.operands
  if (host === undefined) throw new UsageError('the name of a host is missing')
  if (queues.length === 0) throw new UsageError('the name of a queue is missing')
  let isWhole = true
  for (const queue of queues) {
    try {
      await act(host, queue)
    } catch (error) {
      if (isUnknownAccount(error, given)) throw new UsageError(explain(error, given))
      if (!isOfSystem(error)) throw error
      say(explain(error, given))
      isWhole = false
    }
  }
  return isWhole ? SUCCESS : FAILURE
}

/** Whether the unknown account is from the command line, not from the environment. */
function isUnknownAccount(error: unknown, given: Arguments): boolean {
  if (!(error instanceof SettingError)) return false
  return OWNERS[error.setting]?.some((option) => given.has(option)) ?? false
}
