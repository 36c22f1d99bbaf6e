// The command line.
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { inspect, parseArgs } from 'node:util'

import { UsageError } from './endings.mjs'

export const USAGE = `Usage: npm run demo [-- [folder] [--files N] [--workers N]]

  folder       the files to work on (node_modules of this repository)
  --files N    at most N of them, 1 to 1,000,000 (2,000)
  --workers N  N processes, 1 to 64 (4)

Exit codes: 0 all as it should be, 1 something is off, 100 bad usage, 111 it could not be run.`

const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** @throws {UsageError} */
export function readOptions(args) {
  const { values, positionals } = parse(args)
  if (positionals.length > 1) throw new UsageError(`One folder at a time, not ${positionals.length}`)
  const [folder] = positionals
  if (folder === '') throw new UsageError('The name of the folder is empty')
  return {
    help: values.help === true,
    folder: folder === undefined ? NODE_MODULES : path.resolve(startingPoint(), folder),
    files: wholeNumber('--files', values.files, 1_000_000),
    workers: wholeNumber('--workers', values.workers, 64),
  }
}

function parse(args) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        files: { type: 'string', default: '2000' },
        workers: { type: 'string', default: '4' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    // The first sentence is enough; the rest explains the syntax at length.
    throw new UsageError(error.message.split('. ')[0])
  }
}

function wholeNumber(option, text, most) {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (number >= 1 && number <= most) return number
  throw new UsageError(
    `${option} is ${inspect(text)}, expected a whole number from 1 to ${most.toLocaleString('en-US')}`,
  )
}

/**
 * npm runs scripts in the folder of the package, but a folder on the command line is relative to where npm was
 * started.
 */
function startingPoint() {
  const { npm_lifecycle_event: script, INIT_CWD: start } = process.env
  return script === 'demo' && start ? start : process.cwd()
}
