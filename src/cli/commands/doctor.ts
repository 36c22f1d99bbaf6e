/**
 * `fsq doctor`: what the file system of a directory can do, and what a queue there promises.
 *
 * @module
 */
import { probe } from '../../probe/probe.js'
import type { Feature, Probe } from '../../probe/promises.js'
import type { Promised } from '../../probe/promises.js'
import type { SettingOverrides } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { SUCCESS, someOperands } from '../command.js'
import { type Row, printTable } from '../table.js'

export const options: OptionTable = { json: {} }

export const help = `Usage: fsq doctor [--json] directory

Tries what the file system of a directory can do, in a new directory there, and
tells which promises a queue there keeps, which it does not keep, and which one
machine alone cannot judge. Safe beside queues in use.

      --json   print one JSON object
  -h, --help   this help

Example:
  fsq doctor /var/fsq

Exit codes: 0 success, 100 bad usage, 111 an error.
`

// A line fits into 80 columns then.
const WHY_WIDTH = 46

/** See `help`. */
export async function run(given: Arguments, _settings: SettingOverrides): Promise<number> {
  const [directory, ...more] = someOperands(given, 'the directory')
  if (more.length > 0) throw new UsageError('one directory at a time')
  const found = await probe(directory)
  if (given.has('json')) await printTable([], [{ json: { ...found }, columns: [] }], true)
  else await printTable(['WHAT', 'RESULT', 'WHY'], rowsOf(found), false)
  return SUCCESS
}

function* rowsOf(found: Probe): Generator<Row> {
  for (const [what, result, why] of linesOf(found)) {
    const [first = '', ...rest] = wrapped(why)
    yield { json: {}, columns: [what, result, first] }
    for (const line of rest) yield { json: {}, columns: ['', '', line] }
  }
}

function* linesOf(found: Probe): Generator<readonly [what: string, result: string, why: string]> {
  const { path, fileSystem, source = '', network, lockKind, nameMax, timestampStep } = found
  yield ['directory', '', path]
  yield ['file system', fileSystem, source]
  yield ['network', network === 'unknown' ? network : yesOrNo(network), '']
  yield ['longest name', nameMax === 0 ? 'unknown' : String(nameMax), 'bytes']
  yield ['step of times', timestampStep === 0 ? 'unknown' : String(timestampStep), 'nanoseconds']
  yield ['lock kind', lockKind ?? 'none', lockKind === 'fcntl' ? 'install queues with --lock-kind=fcntl' : '']
  for (const [name, { works, reason = '' }] of entriesIn<Feature>(found.features))
    yield [words(name), yesOrNo(works), reason]
  for (const [name, { kept, reason }] of entriesIn<Promised>(found.promises))
    yield [`promise: ${words(name)}`, kept, reason.replace("lockKind 'fcntl'", '--lock-kind=fcntl')]
}

// Object.entries() loses the types of an interface.
function entriesIn<Value>(values: object): readonly [string, Value][] {
  return Object.entries(values) as [string, Value][]
}

function yesOrNo(is: boolean): string {
  return is ? 'yes' : 'no'
}

/** `hardLinks` as `hard links`. */
function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

function wrapped(text: string): readonly string[] {
  return text.match(new RegExp(`.{1,${WHY_WIDTH}}(?= |$)|[^ ]+`, 'g'))?.map((line) => line.trim()) ?? []
}
