/**
 * `fsq cat`: the contents of items.
 *
 * @module
 */
import fs from 'node:fs'

import { failureOf } from '../../errors/errno.js'
import { fileSystemError } from '../../errors/system-error.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import type { Item } from '../../inspect/items.js'
import { STATES } from '../../inspect/states.js'
import { readSome, write } from '../output.js'
import { queueNamed } from '../queues.js'
import { Selection } from '../select.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants

export const options: OptionTable = {}

export const help = `Usage: fsq cat queue item [item ...]

Prints the contents of items byte for byte, whatever their state. Name the items
as for 'fsq show'. Locks nothing.

  -h, --help   this help

Example:
  fsq cat mail _20120710213904_0_13044_mss_0_bob | less

Exit codes: 0 success, 100 bad usage, 111 an error, or an item is not there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name, ...ids] = someOperands(given, 'the name of a queue')
  if (ids.length === 0) throw new UsageError('the id of an item is missing')
  const selection = new Selection(given, queueNamed(name, own), own)
  for await (const item of selection.items(STATES)) writeContents(item)
  return selection.isWhole ? SUCCESS : FAILURE
}

function writeContents({ entry }: Item): void {
  let descriptor: number | undefined
  try {
    descriptor = fs.openSync(entry.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    throw fileSystemError(failureOf(error, 'open', entry.path.toString()), 'read an item')
  }
  try {
    for (let chunk = readSome(descriptor); chunk.length > 0; chunk = readSome(descriptor)) write(chunk)
  } finally {
    fs.closeSync(descriptor)
  }
}
