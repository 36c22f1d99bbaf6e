/**
 * `fsq repair`: does what `fsq audit` proposes.
 *
 * @module
 */
import fs from 'node:fs'
import { isatty } from 'node:tty'

import { FsqError } from '../errors.js'
import { placePath } from '../layout.js'
import { Place } from '../native.js'
import { type SettingOverrides, resolveSettings } from '../settings.js'
import type { Arguments, OptionTable } from './arguments.js'
import { FAILURE, SUCCESS } from './command.js'
import { explain } from './explain.js'
import { type Finding, type Fix, auditAll } from './findings.js'
import { Lines, readSome, say } from './output.js'
import { Progress } from './progress.js'
import { underLock } from './under-lock.js'

const STDIN = 0

export const options: OptionTable = {
  'dry-run': { short: 'n' },
  yes: { short: 'y' },
  verbose: { short: 'v' },
}

export const help = `Usage: fsq repair [-nvy] [queue ...]

Does what 'fsq audit' proposes, in all queues unless some are named. Asks before it
removes anything. Safe beside running workers.

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
  const findings = auditAll(given.operands, resolveSettings(settings))
  const fixable = findings.filter((finding): finding is Fixable => finding.fix !== undefined)
  if (given.has('dry-run')) {
    const lines = new Lines()
    for (const { path: file, message, fix } of fixable) lines.add(`${fix.action}: ${file} (${message})`)
    lines.flush()
    return SUCCESS
  }
  const removals = fixable.filter(({ fix }) => isRemoval(fix))
  const mayRemove = given.has('yes') || removals.length === 0 || ask(removals)
  const progress = new Progress('repairs')
  let isWhole = true
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
      say(`${finding.path}: ${problem}`)
    } catch (error) {
      progress.clear()
      say(`${finding.path}: ${explain(error)}`)
    }
    isWhole = false
  }
  progress.clear()
  const rest = findings.length - fixable.length
  if (rest > 0) say(`${rest} findings are not for a program to mend; see fsq audit`)
  return isWhole ? SUCCESS : FAILURE
}

function isRemoval({ action }: Fix): boolean {
  return action === 'remove' || action === 'remove directory'
}

/** Nobody at a terminal means no. */
function ask(removals: readonly Fixable[]): boolean {
  for (const { path: file, message } of removals) say(`${file} ${message}`)
  if (!isatty(STDIN)) {
    say(`${removals.length} are not removed, as there is nobody to ask; use -y`)
    return false
  }
  say(`remove these ${removals.length}? [y/N]`)
  return /^y(es)?$/i.test(readSome(STDIN).toString().trim())
}

/** @returns Why it is as it was. */
function mend({ path: file, fix, entry, layout }: Fixable): string | undefined {
  switch (fix.action) {
    case 'set mode':
      change(entry?.path ?? file, (descriptor) => fs.fchmodSync(descriptor, fix.mode))
      return undefined
    case 'set owner':
      change(file, (descriptor) => fs.fchownSync(descriptor, fix.user, fix.group))
      return undefined
    case 'remove':
      if (entry !== undefined) fs.unlinkSync(entry.path)
      return undefined
    case 'remove directory':
      return underLock(file, undefined, () => fs.rmSync(file, { recursive: true, force: true }))
    case 'move to fail/': {
      if (entry === undefined || layout === undefined) return undefined
      const to = Buffer.concat([
        Buffer.from(`${placePath(layout, Place.fail)}/`),
        Buffer.from(entry.raw, 'latin1'),
      ])
      // A link never replaces; a worker that sees both completes the move.
      return underLock(entry.path, layout, () => {
        fs.linkSync(entry.path, to)
        fs.rmSync(entry.path, { force: true })
      })
    }
  }
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
