/**
 * `fsq repair`: does what `fsq audit` proposes.
 *
 * @module
 */
import fs from 'node:fs'
import { isatty } from 'node:tty'

import { FsqError } from '../../errors/classes.js'
import { codeOf } from '../../errors/errno.js'
import { placePath } from '../../directory/layout.js'
import { type RawName, printableText } from '../../name/charset.js'
import { freeEntropies } from '../../name/item-name.js'
import { Place } from '../../addon/native.js'
import { type SettingOverrides, getConst, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { explain } from '../advice.js'
import { Audit, type Finding, type Fix, type FoundFile } from '../findings.js'
import { Lines, prompt, readSome, say } from '../output.js'
import { Progress } from '../progress.js'
import { underLock } from '../under-lock.js'

const STDIN = 0
// What fits on a screen; the question is below.
const MOST_SHOWN = 20

export const options: OptionTable = {
  'dry-run': { short: 'n' },
  yes: { short: 'y' },
  verbose: { short: 'v' },
}

export const help = `Usage: fsq repair [-nvy] [queue ...]

Does what 'fsq audit' proposes, in all queues unless some are named. Asks before
it removes anything. Safe beside running workers.

  -n, --dry-run   only print what would be done
  -y, --yes       remove without asking
  -v, --verbose   say what is done
  -h, --help      this help

Example:
  fsq repair --dry-run && fsq repair

Exit codes: 0 success, 100 bad usage, 111 an error, or something was not mended.
`

type Fixable = Finding & { readonly fix: Fix }

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const audit = new Audit(given.operands, resolveSettings(settings))
  const fixable: Fixable[] = []
  let rest = 0
  // All of them first: directories that change while they are listed may show a file twice or not at all.
  for (const finding of audit.findings()) {
    if (isFixable(finding)) fixable.push(finding)
    else rest++
  }
  if (given.has('dry-run')) {
    const lines = new Lines()
    for (const { path: file, message, fix } of fixable)
      lines.add(printableText(`${fix.action}: ${file} (${message})`))
    lines.flush()
    return audit.isWhole ? SUCCESS : FAILURE
  }
  const removals = fixable.filter(({ fix }) => isRemoval(fix))
  const mayRemove = given.has('yes') || removals.length === 0 || ask(removals)
  const progress = new Progress('repairs')
  let isWhole = audit.isWhole
  let done = 0
  for (const finding of fixable) {
    if (isRemoval(finding.fix) && !mayRemove) {
      isWhole = false
      continue
    }
    try {
      const problem = mend(finding)
      if (problem === undefined) {
        progress.show(++done)
        if (given.has('verbose')) say(`${finding.fix.action}: ${finding.path}`)
        continue
      }
      progress.clear()
      say(`${finding.path}: ${problem}`)
    } catch (error) {
      progress.clear()
      say(`${finding.path}: ${explain(error)}`)
    }
    isWhole = false
  }
  progress.clear()
  if (rest > 0)
    say(`${rest} ${rest === 1 ? 'finding is' : 'findings are'} not for a program to mend; see fsq audit`)
  return isWhole ? SUCCESS : FAILURE
}

function isFixable(finding: Finding): finding is Fixable {
  return finding.fix !== undefined
}

function isRemoval({ action }: Fix): boolean {
  return action === 'remove' || action === 'remove directory'
}

/** Nobody at a terminal means no. */
function ask(removals: readonly Fixable[]): boolean {
  for (const { path: file, message } of removals.slice(0, MOST_SHOWN)) say(`${file} ${message}`)
  if (removals.length > MOST_SHOWN) say(`and ${removals.length - MOST_SHOWN} more; 'fsq repair -n' shows all`)
  const these = removals.length === 1 ? 'it' : `these ${removals.length}`
  if (!isatty(STDIN)) {
    say(`nobody is there to be asked whether to remove ${these}, so nothing is removed; use -y`)
    return false
  }
  prompt(`remove ${these}? [y/N]`)
  return /^y(es)?$/i.test(readSome(STDIN).toString().trim())
}

/** @returns Why it is as it was. */
function mend({ path: file, fix, file: found, layout }: Fixable): string | undefined {
  switch (fix.action) {
    case 'set mode':
      change(found?.path ?? file, (descriptor) => fs.fchmodSync(descriptor, fix.mode))
      return undefined
    case 'set owner':
      change(file, (descriptor) => fs.fchownSync(descriptor, fix.user, fix.group))
      return undefined
    case 'remove':
      if (found !== undefined) fs.unlinkSync(found.path)
      return undefined
    case 'remove directory':
      return underLock(file, undefined, () => fs.rmSync(file, { recursive: true, force: true }))
    case 'move to fail/': {
      if (found === undefined || layout === undefined) return undefined
      const fail = placePath(layout, Place.fail)
      return underLock(found.path, layout, () => moveInto(fail, found))
    }
  }
}

/** What is there already is never replaced. */
function moveInto(directory: string, { raw, path: from }: FoundFile): void {
  for (const name of namesFor(raw)) {
    const to = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')])
    if (move(from, to)) return
  }
  throw new FsqError(`There is no free name for it in ${directory}`, { advice: 'Move it by hand' })
}

function* namesFor(raw: RawName): Generator<RawName> {
  yield raw
  yield* freeEntropies(raw, getConst('FSQ_ENCODE'))
}

/** @returns Whether it has been moved; otherwise there is another. */
function move(from: Buffer, to: Buffer): boolean {
  try {
    // A link never replaces; a worker that sees both completes the move.
    fs.linkSync(from, to)
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'EEXIST' && code !== 'EPERM') throw error
    const there = fs.lstatSync(to, { throwIfNoEntry: false })
    const isItself = there !== undefined && there.ino === fs.lstatSync(from).ino
    if (there !== undefined && !isItself) return false
    // Linux links nobody's files but one's own, and those that one may write to.
    if (there === undefined) {
      fs.renameSync(from, to)
      return true
    }
  }
  fs.rmSync(from, { force: true })
  return true
}

/** By descriptor: in a queue that a group may write to, a planted link must not lead root elsewhere. */
function change(file: string | Buffer, call: (descriptor: number) => void): void {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const info = fs.fstatSync(descriptor)
    if (info.isFile() && info.nlink > 1)
      throw new FsqError('has more than one name, perhaps planted; look at it')
    call(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
