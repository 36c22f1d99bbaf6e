/**
 * `fsq scan`: runs a program for each item that waits.
 *
 * @module
 */
import { Queue } from '../../queue.js'
import { layoutOf } from '../../directory/layout.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { someOperands, withSettings } from '../command.js'
import { CLAIM_OPTIONS, claimSettings } from '../claim-options.js'
import { Scanner, type ScannerOptions } from '../scanner.js'
import { LARGEST_NUMBER, WHOLE_NUMBER } from '../../name/limits.js'
import type { Keep } from '../../maintain/prune.js'
import type { BackoffOptions } from '../../work/backoff.js'
import { milliseconds } from '../select.js'
import { timerOption } from '../timer-option.js'

const MOST_JOBS = 1024
/** A day, in seconds. */
const LONGEST_LEASE = 86_400

export const options: OptionTable = {
  verbose: { short: 'v' },
  env: { short: 'e' },
  'no-env': { short: 'E' },
  ...CLAIM_OPTIONS,
  'empty-ok': { short: 'k' },
  'all-hosts': { short: 'a' },
  host: { short: 'A', value: 'a host' },
  'max-rate': { short: 'r', value: 'how many a second' },
  jobs: { short: 'j', value: 'how many at once' },
  follow: {},
  'exit-code': {},
  timeout: { value: 'an age, as 90s, 5m or 12h' },
  backoff: { value: 'an age, as 5s, or two, as 1s..1h' },
  'max-crashes': { value: 'how many' },
  'keep-done': { value: 'yes, no, how many, or an age as 7d' },
  lease: { value: 'seconds' },
}

export const help = `Usage: fsq scan [option ...] queue program [argument ...]

Runs a program for each waiting item: the item's arguments follow its own, the
contents are its standard input. Exit 0: done; 111: tried again; else failed.

  -j, --jobs=N, -r, --max-rate=N   at most N programs at once (1); per second
      --follow         wait for more items, until SIGTERM or SIGINT
      --exit-code      exit 100 if an item failed, else 111 if one is retried
  -m, --max-tries=N    tries until an item fails (FSQ_MAX_TRIES, 1; 0: no limit)
      --backoff=AGE    until the next try: 5s, or 1s..1h, doubled each time (0)
      --timeout=AGE    SIGTERM to the program, 5 s later SIGKILL: a failed try
      --max-crashes=N  how many scans may die with an item (3; 0: no limit)
      --keep-done=...  which done items stay: yes, no, a number, or an age as 7d
  -t, --ttl=SECONDS    fail older items, do not run them (FSQ_TTL; 0: no limit)
  -a, --all-hosts, -A, --host=HOST   scan the queues of all hosts, or of one
  -n, --no-open        leave standard input alone; still lock the item
  -k, --empty-ok       without a program: run the item's first argument
  -D, --no-done        leave items where they are, however the program ends
  -i, --ignore-down    scan a queue that is down; -v, --verbose; -h, --help
  -l, --lock, -L, --no-lock, -e, --env, -E, --no-env, --lease=SECONDS
  -S, --success-code=N, -T, --fail-tmp-code=N, -F, --fail-perm-code=N
Example:
  fsq scan -j 4 -m 5 mail sh -c 'mail -s "$0" "$1"' Hello
Exit codes: 0, also if items failed; 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const [name, ...program] = someOperands(given, 'the name of a queue')
  if (program.length === 0 && !given.has('empty-ok')) throw new UsageError('the program is missing')
  if (program[0] === '') throw new UsageError('the name of the program is empty')
  if (given.has('follow') && given.has('no-done')) {
    throw new UsageError('--follow with -D would run the same items again and again')
  }
  const own = withSettings(claimSettings(given, settings), {
    lease: given.number('lease', 0, LONGEST_LEASE),
  })
  const scanOptions: ScannerOptions = {
    program,
    jobs: given.number('jobs', 1, MOST_JOBS) ?? 1,
    rate: given.number('max-rate', -LARGEST_NUMBER) ?? 0,
    isFollowing: given.has('follow'),
    isVerbose: given.has('verbose'),
    isInputLeft: given.has('no-open'),
    isFinishing: !given.has('no-done'),
    hasEnvironment: given.last('env', 'no-env') !== 'no-env',
    hasExitCode: given.has('exit-code'),
    timeout: timerOption(given, 'timeout') ?? 0,
    backoff: backoffOption(given),
    maxCrashes: given.number('max-crashes', 0),
    keepDone: keepOption(given),
  }
  const hosts = given.has('all-hosts') ? undefined : given.texts('host')
  if (given.has('all-hosts') || hosts !== undefined) {
    const { HostScans } = await import('../host-scans.js')
    return new HostScans(layoutOf(name, resolveSettings(own)), own, scanOptions, hosts).run()
  }
  return new Scanner((onReport) => new Queue(name, { ...own, onReport }), scanOptions).run()
}

/** A delay, or two with `..` between them: from the first up to the second, doubled from try to try. 0: none. */
function backoffOption(given: Arguments): number | BackoffOptions {
  const text = given.text('backoff') ?? '0'
  const [first = '', last, ...rest] = text.split('..').map((part) => milliseconds(part) ?? '')
  if (typeof first === 'number' && last === undefined) return first
  if (
    typeof first === 'number' &&
    typeof last === 'number' &&
    rest.length === 0 &&
    0 < first &&
    first <= last
  )
    return { delay: first, max: last }
  return given.refuse('backoff', 'an age, as 5s, or two that it grows between, as 1s..1h')
}

/** Which done items are kept: a number alone counts them. */
function keepOption(given: Arguments): boolean | Keep {
  const text = given.text('keep-done') ?? 'yes'
  if (text === 'yes' || text === 'no') return text === 'yes'
  if (WHOLE_NUMBER.test(text)) return { count: Number(text) }
  const age = milliseconds(text)
  return age === undefined ? given.refuse('keep-done', 'yes, no, a number, or an age as 7d') : { age }
}
