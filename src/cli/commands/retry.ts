/**
 * `fsq retry`: failed items wait again.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { FsqError } from '../../errors/classes.js'
import { systemError } from '../../errors/system-error.js'
import type { Layout } from '../../directory/layout.js'
import { type RawName, fromRaw, pathText, printable } from '../../name/charset.js'
import { freeEntropies, withTries } from '../../name/item-name.js'
import { native } from '../../addon/native.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import type { Item } from '../../inspect/items.js'
import { say, write } from '../output.js'
import { Progress } from '../progress.js'
import { queueNamed } from '../queues.js'
import { SELECT_OPTIONS, Selection, checkSelection } from '../select.js'

const { EEXIST, ENOENT } = os.constants.errno

export const options: OptionTable = {
  ...SELECT_OPTIONS,
  'keep-tries': { short: 'k' },
  'dry-run': { short: 'n' },
  id: {},
  verbose: { short: 'v' },
}

export const help = `Usage: fsq retry [-knv] [--id] queue item [item ...]
       fsq retry [-knv] [--id] [-A argument] [-o age] queue
       fsq retry [-knv] [--id] -a queue

Moves failed items back to those that wait, as if they had never been tried.

  -a, --all             all that have failed
  -A, --argument=TEXT   those with this argument
  -o, --older-than=AGE  those that failed so long ago, as 90s, 5m, 12h or 30d
  -k, --keep-tries      tries stay as they are: where the limit is reached, a
                        scan fails the item again, unrun
  -n, --dry-run         only print what would be moved
      --id              print the new ids, a line each
  -v, --verbose         say what is moved
  -h, --help            this help

Example:
  fsq retry -A bob@example.org mail

Exit codes: 0 success, 100 bad usage, 111 an error, or an item is not there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name] = someOperands(given, 'the name of a queue')
  checkSelection(given)
  const layout = queueNamed(name, own)
  const selection = new Selection(given, layout, own)
  const progress = new Progress('items moved')
  let moved = 0
  let isDone = true
  for await (const item of selection.items(['failed'])) {
    const id = fromRaw(item.parsed.raw, own.charset)
    if (given.has('dry-run')) {
      write(`${printable(item.parsed.raw)}\n`)
      continue
    }
    const to = await moveBack(item, layout, own, given.has('keep-tries'))
    if (to === undefined) {
      progress.clear()
      say(`${id}: has gone meanwhile`)
      isDone = false
      continue
    }
    progress.show(++moved)
    if (given.has('verbose')) say(`${id}: waits again`)
    if (given.has('id')) write(`${fromRaw(to, own.charset)}\n`)
  }
  progress.clear()
  return isDone && selection.isWhole ? SUCCESS : FAILURE
}

/** @returns Its new name; `undefined`: it was not there any more. */
async function moveBack(
  { parsed }: Item,
  layout: Layout,
  settings: Settings,
  isKept: boolean,
): Promise<RawName | undefined> {
  const from = path.join(settings.fail, nameOf(parsed.raw))
  const first = isKept ? parsed.raw : withTries(parsed.raw, 0, settings.encode)
  for (const to of candidates(first, settings)) {
    const target = path.join(settings.queue, nameOf(to))
    // Where the file system knows no rename that never replaces, this is what keeps it from that.
    if (fs.existsSync(path.join(layout.path, target))) continue
    // Never a hard link and an unlink: a worker that sees both would take that for a move to fail/ cut in half.
    const failure = await native.relocate(layout.path, from, target)
    if (failure === undefined || failure.moved) return to
    if (failure.errno === -ENOENT) return undefined
    if (failure.errno === -EEXIST) continue
    const cause = systemError(failure)
    throw new FsqError(`Cannot retry the item ${printable(parsed.raw)} of ${layout.path}: ${cause.message}`, {
      cause,
    })
  }
  throw new FsqError(
    `Cannot retry the item ${printable(parsed.raw)} of ${layout.path}: there is no free name for it`,
  )
}

function* candidates(name: RawName, settings: Settings): Generator<RawName> {
  yield name
  yield* freeEntropies(name, settings.encode)
}

/** As text, as which native code takes it. */
function nameOf(raw: RawName): string {
  const text = pathText(raw)
  if (Buffer.from(text).toString('latin1') === raw) return text
  throw new FsqError(`The name ${printable(raw)} is not UTF-8`, { advice: 'Move it with mv' })
}
