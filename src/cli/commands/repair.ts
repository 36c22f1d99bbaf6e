/**
 * `fsq repair`: does what `fsq audit` proposes.
 *
 * @module
 */
import { isatty } from 'node:tty'

import { HERE } from '../../directory/calls.js'
import type { Fix } from '../../inspect/finding.js'
import { type Mendable, convert, isMendable, mend } from '../../maintain/repair.js'
import { printableText } from '../../name/charset.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS, UNCHANGED, someOperands } from '../command.js'
import { explain } from '../advice.js'
import { Audit } from '../findings.js'
import { Lines, prompt, readSome, say, write } from '../output.js'
import { Progress } from '../progress.js'
import { queueNamed, tableName, withHosts } from '../queues.js'

const STDIN = 0
// As many as fit on a screen, with the question below.
const MOST_SHOWN = 20

export const options: OptionTable = {
  'dry-run': { short: 'n' },
  yes: { short: 'y' },
  claims: { value: 'rename' },
  verbose: { short: 'v' },
}

export const help = `Usage: fsq repair [-nvy] [queue ...]
       fsq repair [-nvy] --claims=rename queue [queue ...]

Makes the fixes that 'fsq audit' proposes, in all queues or in those named. Asks
before it removes files. Safe beside running workers.

      --claims=rename  convert queues, so that workers of several machines can
                       share them (see 'fsq install'): end their workers first;
                       a queue is down meanwhile
  -n, --dry-run        only print what would be done
  -y, --yes            remove without asking
  -v, --verbose        say which fixes are made
  -h, --help           this help

Example:
  fsq repair --dry-run && fsq repair

Exit codes: 0 success, 100 bad usage, 111 an error, or something was not mended.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const areConverted = !given.has('claims') || (await convertAll(given, own))
  const audit = new Audit(given.operands, own)
  const fixable: Mendable[] = []
  let rest = 0
  // All findings first: a directory that changes while it is listed may show a file twice or not at all.
  for await (const finding of audit.findings()) {
    if (isMendable(finding)) fixable.push(finding)
    else if (finding.kind !== 'abandoned') rest++
  }
  if (given.has('dry-run')) {
    const lines = new Lines()
    for (const { path: file, message, fix } of fixable)
      lines.add(printableText(`${fix.action}: ${file} (${message})`))
    lines.flush()
    return audit.isWhole && areConverted ? SUCCESS : FAILURE
  }
  const removals = fixable.filter(({ fix }) => isRemoval(fix))
  const mayRemove = given.has('yes') || removals.length === 0 || ask(removals)
  const progress = new Progress('repairs')
  let isWhole = audit.isWhole && areConverted
  let done = 0
  for (const finding of fixable) {
    if (isRemoval(finding.fix) && !mayRemove) {
      isWhole = false
      continue
    }
    try {
      const problem = await mend(finding, own, HERE)
      if (problem === undefined) {
        progress.show(++done)
        if (given.has('verbose')) say(`${finding.fix.action}: ${finding.path}`)
        continue
      }
      progress.clear()
      say(`${finding.path}: ${UNCHANGED[problem]}`)
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

/** Converts the queues to claims by renaming. @returns Whether all of them claim so now. */
async function convertAll(given: Arguments, settings: Settings): Promise<boolean> {
  if (given.text('claims') !== 'rename') given.refuse('claims', 'rename')
  let areConverted = true
  const queues = someOperands(given, 'the name of a queue').map((name) => queueNamed(name, settings))
  for (const layout of withHosts(queues, settings)) {
    const name = tableName(layout)
    const found = await convert(layout, settings, given.has('dry-run'), HERE)
    if (found === undefined) {
      if (given.has('verbose')) say(`${name}: its workers claim by renaming already`)
    } else if (found.reason !== undefined) {
      say(`${found.path} is left as it is: ${found.reason}`)
      areConverted = false
    } else if (given.has('dry-run'))
      write(`${printableText(`claim by renaming: ${found.path} (${found.message})`)}\n`)
    else if (given.has('verbose')) say(`claim by renaming: ${found.path}`)
  }
  return areConverted
}

function isRemoval({ action }: Fix): boolean {
  return action === 'remove' || action === 'remove directory'
}

/** Asks the user. Without a terminal the answer is no. */
function ask(removals: readonly Mendable[]): boolean {
  for (const { path: file, message } of removals.slice(0, MOST_SHOWN)) say(`${file} ${message}`)
  if (removals.length > MOST_SHOWN) say(`and ${removals.length - MOST_SHOWN} more; 'fsq repair -n' shows all`)
  const these = removals.length === 1 ? 'it' : `these ${removals.length}`
  if (!isatty(STDIN)) {
    say(
      `standard input is not a terminal, so fsq cannot ask whether to remove ${these}: nothing is removed; use -y`,
    )
    return false
  }
  prompt(`remove ${these}? [y/N]`)
  return /^y(es)?$/i.test(readSome(STDIN).toString().trim())
}
