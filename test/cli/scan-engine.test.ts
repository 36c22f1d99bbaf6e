// What a scan has of the engine of queue.work(): timeouts, backoff, crash marks, the log of failures, retention.
import fs from 'node:fs'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { ifRoot } from '../support/needs.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
const OLD = '_20120710213904_0_1_h'

beforeEach(async () => {
  expect((await bed.sh('fsq install q')).code).toBe(0)
})

const idOf = (directory: string, arg: string): string =>
  fs.readdirSync(bed.path('q', directory)).find((name) => name.endsWith(`_${arg}`)) ?? ''

/** The attempts of an item, as `fsq log --json` has them. */
async function attemptsOf(id: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await bed.sh(`fsq log --json q ${id}`)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function enqueue(...args: string[]): Promise<void> {
  const input = args.map((arg) => JSON.stringify([arg])).join('\n')
  expect((await bed.sh('fsq enqueue --batch q', { input })).code).toBe(0)
}

test('--timeout: the program gets SIGTERM, then SIGKILL, and how it ends decides', async () => {
  await enqueue('a-ok', 'b-permanent', 'c-code', 'd-signal', 'e-deaf')
  const script = `case $0 in
    a-ok) trap 'exit 0' TERM;;
    b-permanent) trap 'exit 100' TERM;;
    c-code) trap 'echo ended >&2; exit 143' TERM;;
    d-signal) exec sleep 100;;
    e-deaf) trap '' TERM;;
    esac
    while :; do sleep 0.05; done`
  const { code, stderr } = await bed.sh(`fsq scan -j 5 -m 2 --timeout=1s q sh -c "$SCRIPT"`, {
    env: { SCRIPT: script },
  })
  expect(code).toBe(0)
  expect(bed.state()).toEqual({
    done: ['0_a-ok'],
    fail: ['0_b-permanent'],
    queue: ['1_c-code', '1_d-signal', '1_e-deaf'],
  })
  expect(stderr).toMatch(/_d-signal: failed temporarily \(timeout of 1s: killed by SIGTERM\)/)
  expect(stderr).toMatch(/_e-deaf: failed temporarily \(timeout of 1s: killed by SIGKILL\)/)
  expect(stderr).toMatch(/_b-permanent: failed permanently \(timeout of 1s: exit code 100\)/)
  expect(await attemptsOf(idOf('queue', 'c-code'))).toMatchObject([
    {
      outcome: 'retried',
      error: { message: 'timeout of 1s: exit code 143: ended', code: 143, stack: 'ended\n' },
    },
  ])
})

describe('--backoff', () => {
  test.each([
    ['100s', 100, 100],
    ['10s..1h', 60, 80],
    ['10s..20s', 15, 20],
  ])('%s: the fourth try of an item is so late', async (backoff, least, most) => {
    bed.plant(`${OLD}_3_a`)
    const before = Date.now()
    const { stderr } = await bed.sh(`fsq scan -T 1 -m 9 --backoff=${backoff} q false`)
    expect(stderr).toMatch(/failed temporarily \(exit code 1; due again in /)
    const { mtimeMs } = fs.statSync(bed.only('q', 'queue'))
    expect(mtimeMs).toBeGreaterThan(before + least * 1000)
    expect(mtimeMs).toBeLessThan(Date.now() + most * 1000)
    const [attempt] = await attemptsOf(`${OLD}_4_a`)
    expect(Math.abs(Date.parse(String(attempt?.['due'])) - mtimeMs)).toBeLessThan(1000)
    expect((await bed.sh('fsq scan -m 9 q echo RUN')).stdout).toBe('')
  })

  ifRoot("another user's item is due at once, and no message says that it is due later", async () => {
    await bed.sh(`chmod 755 "$FSQ_ROOT"; umask 0; export FSQ_ITEM_MODE=666
      fsq install -m 2777 q2; fsq enqueue -e q2 a`)
    const { stderr } = await bed.sh('fsq scan -T 1 -m 9 --backoff=1h q2 false', { asNobody: true })
    expect(stderr).toMatch(
      /^fsq scan: \S+ is due at once: .*\nfsq scan: \S+: failed temporarily \(exit code 1\)\n$/,
    )
  })

  test('--follow tries again when the item is due', async () => {
    await enqueue('a')
    const begin = performance.now()
    const shell = bed.start(`exec fsq scan --follow -m 2 --backoff=1s q sh -c 'echo try; exit 111'`)
    await until('both tries have run', () => shell.stdout === 'try\ntry\n')
    expect(performance.now() - begin).toBeGreaterThan(1000)
    shell.process.kill('SIGTERM')
    expect((await shell.ended).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['1_a'] })
  })
})

describe('the log', () => {
  test('has why each try failed: the exit code or signal, and the end of standard error', async () => {
    await enqueue('a', 'b')
    const { stderr } = await bed.sh(
      `fsq scan -m 2 q sh -c 'echo first >&2; echo "no route to $0" >/dev/stderr; exit 111'; fsq scan -m 2 q sh -c 'kill -SEGV $$'`,
    )
    expect(stderr).toMatch(/^first\nno route to a\nfsq scan: .*_a: failed temporarily \(exit code 111\)\n/)
    expect(await attemptsOf(idOf('fail', 'a'))).toMatchObject([
      {
        try: 1,
        outcome: 'retried',
        due: null,
        error: {
          name: 'ProgramError',
          message: 'exit code 111: no route to a',
          code: 111,
          stack: 'first\nno route to a\n',
        },
      },
      {
        try: 2,
        outcome: 'failed',
        reason: 'permanent',
        error: { message: 'killed by SIGSEGV', code: 'SIGSEGV', stack: null },
      },
    ])
    const { stdout } = await bed.sh('fsq list --by-error')
    expect(stdout).toMatch(/^q +1 +\d+s +permanent +killed by SIGSEGV$/m)
  })

  test('keeps 4 KiB of it, and all of it is passed on', async () => {
    await enqueue('a')
    const { stderr } = await bed.sh(`fsq scan q sh -c 'seq 100000 >&2; exit 1'`)
    const lines = stderr.split('\n')
    expect(lines.slice(0, 100_000)).toEqual(Array.from({ length: 100_000 }, (_, index) => String(index + 1)))
    expect(lines.slice(100_000)).toEqual([expect.stringContaining('failed permanently (exit code 1)'), ''])
    const [attempt] = await attemptsOf(idOf('fail', 'a'))
    const { message, stack } = attempt?.['error'] as { message: string; stack: string }
    expect(message).toBe('exit code 1: 100000')
    expect(stack.length).toBeGreaterThan(4000)
    expect(stack.length).toBeLessThanOrEqual(4096)
    expect(stderr).toContain(`\n${stack}`)
  })

  test('of programs that run at once has for each what it wrote itself', async () => {
    const args = ['a', 'b', 'c', 'd']
    await enqueue(...args)
    expect((await bed.sh(`fsq scan -j 4 q sh -c 'echo "$0" >&2; sleep 0.1; exit 1'`)).code).toBe(0)
    for (const arg of args)
      expect(await attemptsOf(idOf('fail', arg))).toMatchObject([{ error: { stack: `${arg}\n` } }])
  })

  test('does not wait for what a program leaves in the background', async () => {
    await enqueue('a')
    const script = `sleep 100 >/dev/null & echo $! > '${bed.bed.path('pid')}'; echo bad >&2; exit 1`
    const { code, stderr } = await bed.sh(`fsq scan q sh -c "$SCRIPT"`, { env: { SCRIPT: script } })
    process.kill(Number(fs.readFileSync(bed.bed.path('pid'), 'utf8')))
    expect(code).toBe(0)
    expect(stderr).toMatch(/^bad\n.*failed permanently/)
  })
})

describe('--max-crashes', () => {
  /** Kills the scan that runs it, for this item. */
  const KILLER = `sh -c 'if [ "$0" = bad ]; then kill -KILL $PPID; fi'`

  test('an item that kills one scan after the other fails, and the others are done', async () => {
    await enqueue('bad', 'good')
    for (let death = 0; death < 3; death++) expect((await bed.sh(`fsq scan q ${KILLER}`)).code).toBe(137)
    const { code, stderr } = await bed.sh(`fsq scan --exit-code q ${KILLER}`)
    expect(code).toBe(100)
    expect(stderr).toContain('has died with this item in hand')
    expect(bed.state()).toEqual({ done: ['0_good'], fail: ['0_bad'] })
    const attempts = await attemptsOf(idOf('fail', 'bad'))
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['crashed', 'crashed', 'crashed', 'failed'])
    expect(attempts.at(-1)).toMatchObject({ reason: 'crashed' })
    expect(fs.readdirSync(bed.path('q', 'meta', 'workers'))).toEqual([])
  })

  test('1: at the first death', async () => {
    await enqueue('bad')
    expect((await bed.sh(`fsq scan q ${KILLER}`)).code).toBe(137)
    expect((await bed.sh(`fsq scan --max-crashes=1 q ${KILLER}`)).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['0_bad'] })
  })

  test('0: nothing is written beside the items, and standard error is that of the scan', async () => {
    await enqueue('a')
    const { stdout } = await bed.sh(
      `readlink /proc/self/fd/2; fsq scan --max-crashes=0 q sh -c 'readlink /proc/$$/fd/2; exit 1'`,
    )
    const [own, given] = stdout.split('\n')
    expect(given).toBe(own)
    expect(fs.existsSync(bed.path('q', 'meta'))).toBe(false)
  })

  test('a scan that was told to stop leaves no mark', async () => {
    await enqueue('a')
    const shell = bed.start(`exec fsq scan q sh -c 'echo begun; exec sleep 100'`)
    await until('the program runs', () => shell.stdout.includes('begun'))
    shell.process.kill('SIGTERM')
    await until('the scan says so', () => shell.stderr.includes('SIGTERM'))
    shell.killGroup('SIGKILL')
    await shell.ended
    expect((await bed.sh('fsq scan q true')).stderr).toBe('')
    expect(bed.state()).toEqual({ done: ['0_a'] })
  })
})

describe('what a scan writes beside the items', () => {
  test('nothing, where there is no item', async () => {
    expect((await bed.sh('fsq scan q true')).code).toBe(0)
    expect(fs.existsSync(bed.path('q', 'meta'))).toBe(false)
  })

  test('nothing, and it says nothing of that, where it cannot write', async () => {
    fs.writeFileSync(bed.path('q', 'meta'), '')
    await enqueue('a', 'b')
    expect(await bed.sh('fsq scan q true')).toEqual({ code: 0, stdout: '', stderr: '' })
    await enqueue('c')
    expect((await bed.sh('fsq scan --max-crashes=5 q true')).stderr).toContain('meta')
  })
})

describe('--keep-done', () => {
  test.each([
    ['yes', 5],
    ['no', 2],
    ['3', 3],
    ['1h', 5],
    ['0s', 0],
  ])('%s', async (keep, left) => {
    await enqueue('a', 'b')
    expect((await bed.sh('fsq scan q true')).code).toBe(0)
    await enqueue('c', 'd', 'e')
    expect(await bed.sh(`fsq scan --keep-done=${keep} q true`)).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(bed.state()['done'] ?? []).toHaveLength(left)
    expect(bed.state()['queue']).toBeUndefined()
  })
})

test('values that make no sense are bad usage', async () => {
  const values = [
    ...['--timeout=soon', '--timeout=25d', '--max-crashes=-1', '--max-crashes=few', '--keep-done=maybe'],
    ...['--backoff=soon', '--backoff=5s..1s', '--backoff=1s..', '--backoff=1s..2s..3s', '--backoff=0..1h'],
  ]
  const { stdout, stderr } = await bed.sh(
    `for option in ${values.join(' ')}; do fsq scan $option q true; echo $?; done`,
  )
  expect(stdout).toBe('100\n'.repeat(values.length))
  const said = stderr.split('\n').filter((line) => line.includes(' is '))
  expect(said).toEqual(values.map((value) => expect.stringContaining(`${value.replace('=', " is '")}'`)))
})
