/**
 * `fsq prune`: removes finished items, by age or by count.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { codeOf, failureOf } from '../../errors/errno.js'
import { fileSystemError } from '../../errors/system-error.js'
import { type Layout, placePath } from '../../directory/layout.js'
import { type RawName, pathText, printable } from '../../name/charset.js'
import { Place } from '../../addon/native.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { SUCCESS, someOperands } from '../command.js'
import { type Entry, entriesOf, entryNamed } from '../../inspect/entries.js'
import { Lines, say } from '../output.js'
import { Progress } from '../progress.js'
import { queueNamed } from '../queues.js'
import { ageOption } from '../select.js'

export const options: OptionTable = {
  'older-than': { short: 'o', value: 'an age, as 90s, 5m, 12h or 30d' },
  keep: { short: 'k', value: 'how many' },
  done: { short: 'd' },
  failed: { short: 'f' },
  'dry-run': { short: 'n' },
  verbose: { short: 'v' },
}

export const help = `Usage: fsq prune [-dfnv] [-o age] [-k count] queue [queue ...]

Removes what is done and what has failed: what is too old, and what is too much.
Safe beside running workers; items that wait are left alone.

  -o, --older-than=AGE  those finished so long ago, as 90s, 5m, 12h or 30d
  -k, --keep=COUNT      all but the last ones, of done/ and of fail/ each
  -d, --done            only those that are done
  -f, --failed          only those that have failed
  -n, --dry-run         only print what would be removed
  -v, --verbose         say how many are removed
  -h, --help            this help

With both -o and -k, what is too old or too much.

Example:
  fsq prune -d -o 7d mail && fsq prune -f -o 90d -k 10000 mail

Exit codes: 0 success, 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const names = someOperands(given, 'the name of a queue')
  const age = ageOption(given, 'older-than')
  const keep = given.number('keep', 0)
  if (age === undefined && keep === undefined) throw new UsageError('how old, or how many? Use -o or -k')
  const isAny = !given.has('done') && !given.has('failed')
  for (const layout of names.map((name) => queueNamed(name, own))) {
    for (const place of [Place.done, Place.fail]) {
      if (!isAny && !given.has(place === Place.done ? 'done' : 'failed')) continue
      const directory = placePath(layout, place)
      const names = surplus(directory, age, keep)
      if (given.has('dry-run')) print(directory, names)
      else removeAll(layout, directory, names, given.has('verbose'))
    }
  }
  return SUCCESS
}

/** By ctime, which is when an item was moved to where it is; the oldest first. */
function surplus(directory: string, age: number | undefined, keep: number | undefined): readonly RawName[] {
  const latest = age === undefined ? Number.NEGATIVE_INFINITY : Date.now() - age
  const files: { readonly raw: RawName; readonly moved: number }[] = []
  for (const { raw, info } of entriesOf(directory)) {
    if (info.isFile() && (keep !== undefined || info.ctimeMs <= latest))
      files.push({ raw, moved: info.ctimeMs })
  }
  files.sort((a, b) => a.moved - b.moved)
  const tooMany = keep === undefined ? 0 : Math.max(0, files.length - keep)
  return files.filter(({ moved }, index) => index < tooMany || moved <= latest).map(({ raw }) => raw)
}

function print(directory: string, names: readonly RawName[]): void {
  const lines = new Lines()
  for (const raw of names) lines.add(path.join(directory, printable(raw)))
  lines.flush()
}

function removeAll(layout: Layout, directory: string, names: readonly RawName[], isVerbose: boolean): void {
  const progress = new Progress(`files removed from ${printable(Buffer.from(directory).toString('latin1'))}`)
  let removed = 0
  for (const raw of names) {
    const entry = entryNamed(directory, raw)
    if (entry === undefined) continue
    // Another name of it may be left from a move that was cut in half, and a scan would run it again.
    if (entry.info.nlink > 1 && isStillWaiting(layout, entry)) continue
    if (remove(entry)) progress.show(++removed)
  }
  progress.clear()
  if (isVerbose) say(`${directory}: ${removed} removed`)
}

function isStillWaiting(layout: Layout, { raw, info }: Entry): boolean {
  const twin = fs.lstatSync(placePath(layout, Place.queue, pathText(raw)), { throwIfNoEntry: false })
  return twin?.ino === info.ino && twin.dev === info.dev
}

function remove({ path: file }: Entry): boolean {
  try {
    fs.unlinkSync(file)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw fileSystemError(failureOf(error, 'unlink', file.toString()), 'remove a finished item')
  }
}
