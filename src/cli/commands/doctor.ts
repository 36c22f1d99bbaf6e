/**
 * `fsq doctor`: what the file system of a directory can do, and what a queue there promises.
 *
 * @module
 */
import { checkedDirectory } from '../../probe/checked-directory.js'
import { duration } from '../../probe/peer/peer-promises.js'
import type { PeerProbe } from '../../probe/peer/probe-peer.js'
import { probe } from '../../probe/probe.js'
import type { Feature, Probe } from '../../probe/promises.js'
import type { Promised } from '../../probe/promises.js'
import type { SettingOverrides } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import { say } from '../output.js'
import { probeInChild } from '../peer-probe.js'
import { type Row, printTable } from '../table.js'

export const options: OptionTable = { json: {}, peer: {} }

export const help = `Usage: fsq doctor [--json] [--peer] directory

Tries what the file system of a directory can do, in a new directory there, and
tells which promises a queue there keeps, which it does not keep, and which one
machine alone cannot judge. Safe beside queues in use.

With --peer, run it on two machines within 10 s, with the path of the same
directory. It tells which promises a queue keeps that both machines work.

      --json   print one JSON object
      --peer   try it together with another machine
  -h, --help   this help

Example:
  fsq doctor /var/fsq

Exit codes: 0 success, 100 bad usage, 111 an error, or with --peer: two machines
cannot work a queue there.
`

// A line fits into 80 columns then.
const WHY_WIDTH = 46

type Line = readonly [what: string, result: string, why: string]

/** See `help`. */
export async function run(given: Arguments, _settings: SettingOverrides): Promise<number> {
  const [directory, ...more] = someOperands(given, 'the directory')
  if (more.length > 0) throw new UsageError('one directory at a time')
  const isJson = given.has('json')
  if (given.has('peer')) return runPeer(checkedDirectory(directory), isJson)
  const found = await probe(directory)
  await print(isJson, { ...found }, linesOf(found))
  return SUCCESS
}

async function runPeer(directory: string, isJson: boolean): Promise<number> {
  const found = await probeInChild(directory)
  if (found === undefined) return FAILURE
  await print(isJson, { ...found }, linesOfPeer(found))
  if (found.oneMachine) say('both processes run on one machine: this says nothing about two')
  const { lockClaims, renameClaims, finishedOnce } = found.promises
  const [locks, renames, once] = [lockClaims, renameClaims, finishedOnce].map(({ kept }) => kept !== 'no')
  if (locks && renames && once) return SUCCESS
  if (!renames || !once)
    say(`two machines cannot work a queue there: ${(renames ? finishedOnce : renameClaims).reason}`)
  else
    say(
      `two machines can work a queue there with claims by renames only (install --claims=rename): ${lockClaims.reason}`,
    )
  return FAILURE
}

async function print(isJson: boolean, json: Row['json'], lines: Iterable<Line>): Promise<void> {
  if (isJson) await printTable([], [{ json, columns: [] }], true)
  else await printTable(['WHAT', 'RESULT', 'WHY'], rowsOf(lines), false)
}

function* rowsOf(lines: Iterable<Line>): Generator<Row> {
  for (const [what, result, why] of lines) {
    const [first = '', ...rest] = wrapped(why)
    yield { json: {}, columns: [what, result, first] }
    for (const line of rest) yield { json: {}, columns: ['', '', line] }
  }
}

function* linesOf(found: Probe): Generator<Line> {
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

function* linesOfPeer(found: PeerProbe): Generator<Line> {
  const { clocks, locks, names, peer, renames, refusals, sight, targets } = found
  yield ['directory', '', found.path]
  yield ['other process', peer.host, `pid ${peer.pid}`]
  for (const reason of refusals) yield ['mount option', 'no', reason]
  yield ['lease', found.lease === null ? 'unknown' : duration(found.lease), '']
  yield ['clocks apart', duration(Math.abs(clocks.apart)), `to ${duration(clocks.uncertainty)}`]
  yield ['new file seen', duration(sight.median), `after ${duration(sight.most)} at most`]
  for (const [kind, { works, reason = '' }] of entriesIn<Feature>(locks))
    yield [`${kind} lock`, yesOrNo(works), reason]
  yield [
    'stale names',
    String(names.stale),
    `of ${names.looks}; ${names.staleAfterAsking} after asking the server`,
  ]
  yield ['stale renames', String(names.renamed), `of ${names.looks}`]
  yield [
    'races of renames',
    String(renames.races),
    `${renames.twice} won by both, ${renames.lost} by neither`,
  ]
  for (const [what, { works, reason = '' }] of [
    ['link refuses', targets.link],
    ['rename refuses', targets.renameNoReplace],
  ] as const)
    yield [what, yesOrNo(works), reason]
  for (const [name, { kept, reason }] of entriesIn<Promised>(found.promises))
    yield [`promise: ${words(name)}`, kept, reason]
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
