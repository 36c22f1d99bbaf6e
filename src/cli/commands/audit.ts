/**
 * `fsq audit`: looks for problems in queues. Writes and locks nothing.
 *
 * @module
 */
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { Audit } from '../findings.js'
import type { LocatedFinding } from '../../inspect/finding.js'
import { type Row, printTable } from '../table.js'

export const options: OptionTable = { json: {}, 'exit-code': {} }

export const help = `Usage: fsq audit [--json] [--exit-code] [queue ...]

Checks all queues, or those named, for problems: leftovers in tmp/, invalid item
names, files of the wrong kind, wrong modes and owners, half-installed queues,
leftovers of probes, directories on other mounts, clocks that disagree, items
past their TTL (FSQ_TTL), names too long to count another try, items of workers
that have died. Changes nothing; 'fsq repair' fixes most problems.

      --json        one JSON object per line
      --exit-code   exit 111 if there is a problem
  -h, --help        this help

Example:
  fsq audit --exit-code || fsq repair --dry-run

Exit codes: 0 success, 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const audit = new Audit(given.operands, resolveSettings(settings))
  let found = 0
  async function* rows(): AsyncGenerator<Row, void, undefined> {
    for await (const finding of audit.findings()) {
      // No problem: the next worker puts these items back.
      if (finding.kind !== 'abandoned') found++
      yield rowOf(finding)
    }
  }
  await printTable(['QUEUE', 'FINDING', 'WHAT', 'REPAIR', 'PATH'], rows(), given.has('json'))
  return audit.isWhole && (found === 0 || !given.has('exit-code')) ? SUCCESS : FAILURE
}

function rowOf({ queue, kind, path, message, fix }: LocatedFinding): Row {
  return {
    json: { queue: queue ?? null, kind, path, message, fix: fix?.action ?? null },
    columns: [queue ?? '-', kind, message, fix?.action ?? '-', path],
  }
}
