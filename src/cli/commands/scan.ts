/**
 * `fsq scan`: runs a program for each item that waits.
 *
 * @module
 */
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { someOperands, withSettings } from '../command.js'
import { Scanner } from '../scanner.js'
import { LARGEST_NUMBER } from '../../name/limits.js'

const MOST_JOBS = 1024
const LARGEST_CODE = 255
// No file of a queue has this name: '.fsq-' is for queues under installation.
const NEVER_DOWN = '.fsq-never-down'

export const options: OptionTable = {
  verbose: { short: 'v' },
  env: { short: 'e' },
  'no-env': { short: 'E' },
  'no-open': { short: 'n' },
  'ignore-down': { short: 'i' },
  'empty-ok': { short: 'k' },
  'no-done': { short: 'D' },
  lock: { short: 'l' },
  'no-lock': { short: 'L' },
  ttl: { short: 't', value: 'seconds' },
  'max-tries': { short: 'm', value: 'how often' },
  'all-hosts': { short: 'a' },
  host: { short: 'A', value: 'a host' },
  'success-code': { short: 'S', value: 'an exit code' },
  'fail-tmp-code': { short: 'T', value: 'an exit code' },
  'fail-perm-code': { short: 'F', value: 'an exit code' },
  'max-rate': { short: 'r', value: 'how many a second' },
  jobs: { short: 'j', value: 'how many at once' },
  follow: {},
  'exit-code': {},
}

export const help = `Usage: fsq scan [option ...] queue program [argument ...]

Runs a program for each waiting item: the item's arguments follow its own, the
contents are its standard input. Exit 0: done; 111: tried again; else failed.

  -j, --jobs=N        run at most N programs at once (1)
      --follow        wait for more items. SIGTERM, SIGINT: running programs
                      end, then the scan; a second signal is forwarded to them
      --exit-code     exit 100 if an item failed, else 111 if one is retried
  -m, --max-tries=N   tries until an item fails (FSQ_MAX_TRIES, 1; 0: no limit)
  -t, --ttl=SECONDS   fail older items, do not run them (FSQ_TTL; 0: no limit)
  -r, --max-rate=N    start at most N programs per second
  -n, --no-open       leave standard input alone; still lock the item
  -k, --empty-ok      without a program: run the item's first argument
  -D, --no-done       leave items where they are, however the program ends
  -i, --ignore-down   scan a queue that is down
  -l, --lock, -L, --no-lock, -e, --env, -E, --no-env    whether to lock items
                      (FSQ_LOCK), and to set FSQ_ITEM_*
  -S, --success-code=N, -T, --fail-tmp-code=N, -F, --fail-perm-code=N    of the
                      program (FSQ_SUCCESS, FSQ_FAIL_TMP, FSQ_FAIL_PERM)
  -v, --verbose, -h, --help    say what begins and ends; this help
Example:
  fsq scan -j 4 -m 5 mail sh -c 'mail -s "$0" "$1"' Hello
Exit codes: 0, also if items failed; 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const [name, ...program] = someOperands(given, 'the name of a queue')
  if (program.length === 0 && !given.has('empty-ok')) throw new UsageError('the program is missing')
  if (program[0] === '') throw new UsageError('the name of the program is empty')
  if (given.has('all-hosts') || given.has('host')) {
    throw new UsageError('host queues (-a, -A) are not in this version')
  }
  if (given.has('follow') && given.has('no-done')) {
    throw new UsageError('--follow with -D would run the same items again and again')
  }
  const lock = given.last('lock', 'no-lock')
  const own = withSettings(settings, {
    ...(lock !== undefined && { lock: lock === 'lock' }),
    ...(given.has('ignore-down') && { down: NEVER_DOWN }),
    ttl: limit(given, 'ttl'),
    maxTries: limit(given, 'max-tries'),
    success: given.number('success-code', 0, LARGEST_CODE),
    failTmp: given.number('fail-tmp-code', 0, LARGEST_CODE),
    failPerm: given.number('fail-perm-code', 0, LARGEST_CODE),
  })
  const scanner = new Scanner((onReport) => new Queue(name, { ...own, onReport }), {
    program,
    jobs: given.number('jobs', 1, MOST_JOBS) ?? 1,
    rate: given.number('max-rate', -LARGEST_NUMBER) ?? 0,
    isFollowing: given.has('follow'),
    isVerbose: given.has('verbose'),
    isInputLeft: given.has('no-open'),
    isFinishing: !given.has('no-done'),
    hasEnvironment: given.last('env', 'no-env') !== 'no-env',
    hasExitCode: given.has('exit-code'),
  })
  return scanner.run()
}

/** The value of an option. Less than 0 means no limit, as 0 does. */
function limit(given: Arguments, name: string): number | undefined {
  const number = given.number(name, -LARGEST_NUMBER)
  return number === undefined ? undefined : Math.max(0, number)
}
