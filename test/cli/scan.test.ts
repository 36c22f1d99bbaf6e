import fs from 'node:fs'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { ifRoot } from '../support/needs.js'

const bed = useCommandBed()
const OLD = '_20120710213904_0_1_h'

beforeEach(async () => {
  expect((await bed.sh('fsq install q')).code).toBe(0)
})

/** Runs a scan on items with these arguments. */
async function scan(
  command: string,
  items: readonly string[] = ['a', 'b'],
): Promise<{ code: number | null; stdout: string; stderr: string; state: ReturnType<typeof bed.state> }> {
  const lines = items.map((item) => JSON.stringify({ args: item.split(' '), data: `data of ${item}\n` }))
  await bed.sh('fsq enqueue --batch q', { input: lines.join('\n') })
  const outcome = await bed.sh(command)
  return { ...outcome, state: bed.state() }
}

describe('the ends of items', () => {
  test.each([
    ['fsq scan q true', 0, { done: ['0_a', '0_b'] }],
    ['fsq scan q sh -c "exit 100"', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan q sh -c "exit 1"', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan q sh -c "exit 255"', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan q sh -c "exit 111"', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan -m 3 q sh -c "exit 111"', 0, { queue: ['1_a', '1_b'] }],
    ['FSQ_MAX_TRIES=3 fsq scan q sh -c "exit 111"', 0, { queue: ['1_a', '1_b'] }],
    ['fsq scan -m -1 q sh -c "exit 111"', 0, { queue: ['1_a', '1_b'] }],
    ['fsq scan -S 7 q sh -c "exit 7"', 0, { done: ['0_a', '0_b'] }],
    ['fsq scan -S 7 q true', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan -T9 -m 2 q sh -c "exit 9"', 0, { queue: ['1_a', '1_b'] }],
    ['fsq scan --fail-tmp-code=9 -m 2 q sh -c "exit 111"', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan -F 5 q sh -c "exit 5"', 0, { fail: ['0_a', '0_b'] }],
    ['fsq scan q sh -c "kill -KILL \\$\\$"', 111, { fail: ['0_a'], queue: ['0_b'] }],
    ['fsq scan -v q sh -c "kill -TERM \\$\\$"', 111, { fail: ['0_a'], queue: ['0_b'] }],
    ['fsq scan q /nonexistent/program', 111, { queue: ['0_a', '0_b'] }],
    ['fsq scan -m 5 q nosuchprogram', 111, { queue: ['0_a', '0_b'] }],
    ['fsq scan -j 2 q /', 111, { queue: ['0_a', '0_b'] }],
    ['fsq scan -D q sh -c "exit 100"', 0, { queue: ['0_a', '0_b'] }],
    ['fsq scan -D q sh -c "kill -KILL \\$\\$"', 111, { queue: ['0_a', '0_b'] }],
    ['fsq scan -t 3600 q true', 0, { done: ['0_a', '0_b'] }],
    ['fsq scan -t -5 q true', 0, { done: ['0_a', '0_b'] }],
    ['fsq scan --no-done --no-env --no-open --ttl=0 --max-tries=2 q true', 0, { queue: ['0_a', '0_b'] }],
    ['fsq down q; fsq scan q true', 111, { queue: ['0_a', '0_b'], down: 'file' }],
    ['fsq down q; fsq scan -i q true', 0, { done: ['0_a', '0_b'], down: 'file' }],
    ['fsq scan q sh -c "fsq down q"', 111, { done: ['0_a'], queue: ['0_b'], down: 'file' }],
    ['fsq scan --exit-code q true', 0, { done: ['0_a', '0_b'] }],
    ['fsq scan --exit-code q false', 100, { fail: ['0_a', '0_b'] }],
    ['fsq scan --exit-code -m 2 q sh -c "exit 111"', 111, { queue: ['1_a', '1_b'] }],
    ['rmdir "$FSQ_ROOT"/q/done; fsq scan q true', 111, { queue: ['0_a', '0_b'] }],
  ])('%s', async (command, code, state) => {
    const outcome = await scan(command)
    expect([outcome.code, outcome.state]).toEqual([code, state])
    expect(outcome.stdout).toBe('')
  })

  test('tries go on until there are enough, from scan to scan', async () => {
    const one = 'fsq scan -m 3 q sh -c "exit 111"'
    const { code, state, stderr } = await scan(`${one}; ${one}; ${one}; ${one}`, ['a'])
    expect([code, state]).toEqual([0, { fail: ['2_a'] }])
    expect(stderr).toContain('failed permanently (exit code 111, after 3 tries)')
  })

  test('one that was tried often enough is not run', async () => {
    bed.plant(`${OLD}_1_a`)
    expect((await bed.sh('fsq scan q echo RUN')).stdout).toBe('')
    expect(bed.state()).toEqual({ fail: [`${OLD}_1_a`] })
    bed.plant(`${OLD}_1_b`)
    expect((await bed.sh('fsq scan -m 2 q echo RUN')).stdout).toBe('RUN b\n')
  })

  test('one older than the TTL is not run, and counts as failed', async () => {
    bed.plant(`${OLD}_0_a`)
    const { code, stdout } = await bed.sh('fsq scan --exit-code -t 3600 q echo RUN')
    expect({ code, stdout }).toEqual({ code: 100, stdout: '' })
    expect(bed.state()).toEqual({ fail: [`${OLD}_0_a`] })
  })

  test('files that are no items go to fail, also with -D, and the others are run', async () => {
    for (const name of ['README', '.x.swp', `${OLD}_1_a`]) bed.plant(name)
    fs.mkdirSync(bed.path('q', 'queue', 'd'))
    fs.symlinkSync('/etc/passwd', bed.path('q', 'queue', `${OLD}_0_link`))
    expect((await bed.sh(`mkfifo "$FSQ_ROOT"/q/queue/${OLD}_0_fifo`)).code).toBe(0)
    const { code, stdout, stderr } = await scan('fsq scan -D q echo', ['x ü'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'x ü\n' })
    for (const name of ['README', '.x.swp', 'd', 'link', 'fifo']) expect(stderr).toContain(name)
    expect(bed.state()['fail']).toEqual(['.x.swp', 'README', `${OLD}_1_a`])
    expect(bed.state()['queue']).toEqual([`${OLD}_0_fifo`, `${OLD}_0_link`, '0_x_ü', 'd'])
  })

  test('a NUL in an argument fails that item alone', async () => {
    bed.plant(`${OLD}_0_a%00b`)
    const { code, stdout, state } = await scan('fsq scan q echo', ['x'])
    expect([code, stdout, state]).toEqual([0, 'x\n', { done: ['0_x'], fail: [`${OLD}_0_a%00b`] }])
  })

  test('one that its program has removed', async () => {
    const script = 'rm "$FSQ_ROOT/q/queue/$FSQ_ITEM_ID"'
    const { code, stderr, state } = await scan(`fsq scan q sh -c '${script}'`)
    expect([code, state]).toEqual([111, {}])
    expect(stderr).toMatch(/moved or removed/)
  })

  test('a name that tries cannot grow', async () => {
    const name = `${OLD}_9_${'0'.repeat(255 - OLD.length - 3)}`
    bed.plant(name)
    const { code, state } = await scan('fsq scan -m 99 q sh -c "exit 111"', ['z'])
    expect([code, state]).toEqual([0, { fail: [name], queue: ['1_z'] }])
  })

  test('the delimiter of the name stays', async () => {
    bed.plant('.20120710213904.0.1.h.0.a_b')
    expect((await bed.sh('fsq scan -m 3 q sh -c "exit 111"')).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['.20120710213904.0.1.h.1.a_b'] })
  })

  test('in order, and each once: what comes during a scan, and what is to be tried again, waits for the next', async () => {
    for (const entropy of [10, 9, 2, 0]) bed.plant(`_20120710213904_${entropy}_1_h_0_e${entropy}`)
    bed.plant('_20120710213903_99_1_h_0_first')
    const { stdout } = await bed.sh('fsq scan -m 2 q sh -c "echo \\$0; fsq enqueue -e q new; exit 111"')
    expect(stdout).toBe('first\ne0\ne2\ne9\ne10\n')
    expect(bed.state()['queue']?.length).toBe(10)
  })
})

describe('the program', () => {
  test('has its arguments, then those of the item, and may look like options', async () => {
    const { stdout } = await scan('fsq scan q sh -c \'echo "<$0><$1><$2>"\' arg0', ['x y'])
    expect(stdout).toBe('<arg0><x><y>\n')
    expect((await scan('fsq scan q echo -v -n --', ['z'])).stdout).toContain('-v -n -- z')
  })

  test('has standard output and error for itself', async () => {
    const { stdout, stderr } = await scan("fsq scan q sh -c 'echo out; echo err >&2'", ['a'])
    expect([stdout, stderr]).toEqual(['out\n', 'err\n'])
    const verbose = await scan('fsq scan -v q echo out', ['b'])
    expect(verbose.stdout).toBe('out b\n')
    expect(verbose.stderr).toMatch(/working on .*_b \.\.\.\n.*_b: succeeded\n$/)
  })

  test('has the item on standard input, with the lock, and nothing else', async () => {
    // No pipe, whose ends the shell would have for a moment, and not at the end, where the shell becomes its last program.
    const { stdout } = await scan("fsq scan q sh -c 'cat; ls /proc/$$/fd; :'", ['a'])
    const [contents, ...descriptors] = stdout.trim().split('\n')
    expect(contents).toBe('data of a')
    expect(descriptors.filter((descriptor) => !/^25\d$/.test(descriptor))).toEqual(['0', '1', '2'])
    const locked = await scan(`fsq scan -D q sh -c 'fsq scan q echo INNER; ! flock -n 0.. 2>/dev/null'`, [
      'b',
    ])
    expect(locked.stdout).not.toContain('INNER')
  })

  test('that leaves something running does not keep the item', async () => {
    const { code, state } = await scan(
      `fsq scan q sh -c 'sleep 100 <&0 >/dev/null 2>&1 & echo $! > "${bed.bed.path('pid')}"'`,
      ['a'],
    )
    expect([code, state]).toEqual([0, { done: ['0_a'] }])
    expect((await bed.sh(`flock -n "${bed.only('q', 'done')}" true`)).code).toBe(0)
    process.kill(Number(fs.readFileSync(bed.bed.path('pid'), 'utf8')))
  })

  test('has the item in its environment, and nothing of another', async () => {
    bed.plant('_20120710213904_7_1_h_007_a')
    const show = "sh -c 'env | grep ^FSQ_ITEM | sort'"
    const env = { FSQ_ITEM_HOST: 'stale', FSQ_ITEM_ID: 'outer', FSQ_MAX_TRIES: '0' }
    const { stdout } = await bed.sh(`fsq scan -D q ${show}`, { env })
    expect(stdout.split('\n')).toEqual([
      'FSQ_ITEM_ENQUEUED_AT=20120710213904',
      'FSQ_ITEM_ENTROPY=7',
      'FSQ_ITEM_HOSTNAME=h',
      'FSQ_ITEM_ID=_20120710213904_7_1_h_007_a',
      'FSQ_ITEM_PID=1',
      'FSQ_ITEM_TRIES=7',
      '',
    ])
    expect((await bed.sh(`fsq scan -D -E q ${show}`, { env })).stdout).toBe(
      'FSQ_ITEM_HOST=stale\nFSQ_ITEM_ID=outer\n',
    )
    expect((await bed.sh(`fsq scan -D -E -e q ${show}`, { env })).stdout).toContain('FSQ_ITEM_PID=1')
  })

  test('does not have the global options', async () => {
    const { stdout } = await bed.sh(
      'fsq -q qq install r && fsq -q qq enqueue -e r a && fsq -q qq scan r sh -c "env | grep -c FSQ_QUEUE"',
    )
    expect(stdout).toBe('0\n')
  })

  test('-n: has the standard input of the scan, and the item is locked all the same', async () => {
    const { stdout } = await scan(`echo mine | fsq scan -n q sh -c 'cat; fsq scan q echo INNER'`, ['a'])
    expect(stdout).toBe('mine\n')
    expect(bed.state()).toEqual({ done: ['0_a'] })
  })

  test('-k: is the first argument of the item', async () => {
    const { code, stdout, state } = await scan('fsq scan -k q', ['echo hello', 'nosuchprogram', 'echo you'])
    expect([code, stdout]).toEqual([0, 'hello\nyou\n'])
    expect(state).toEqual({ done: ['0_echo_hello', '0_echo_you'], fail: ['0_nosuchprogram'] })
    expect((await scan('fsq scan -k q echo', ['x'])).stdout).toBe('x\n')
    bed.plant(OLD + '_0')
    expect((await bed.sh('fsq scan -k q')).code).toBe(0)
    expect(bed.state()['fail']).toContain(OLD + '_0')
  })
})

describe('locks', () => {
  const HELD = 'exec 9<"$(ls -d "$FSQ_ROOT"/q/queue/*_a)"; flock -n 9 || exit 9;'

  test.each([
    ['fsq scan q echo', 'b\n'],
    ['fsq scan -n q echo', 'b\n'],
    ['fsq scan -L -l q echo', 'b\n'],
    ['fsq scan -L q echo', 'a\nb\n'],
    ['FSQ_LOCK=0 fsq scan --no-lock q echo', 'a\nb\n'],
    ['FSQ_LOCK=0 fsq scan --lock q echo', 'b\n'],
  ])('an item that another worker holds: %s', async (command, stdout) => {
    expect((await scan(`${HELD} ${command}`)).stdout).toBe(stdout)
  })
})

test.each([
  ['scan -x q true', 100],
  ["scan q ''", 100],
  ['scan -t abc q true', 100],
  ['scan -r abc q true', 100],
  ['scan -S 256 q true', 100],
  ['scan -j 0 q true', 100],
  ['scan --follow -D q true', 100],
  ['scan nosuch true', 111],
  ['scan a/b true', 111],
  ['scan q true', 0],
])('an empty queue: fsq %s', async (args, code) => {
  expect((await bed.sh(`fsq ${args}`)).code).toBe(code)
  expect(bed.state()).toEqual({})
})

test('-r: so many a second', async () => {
  const begin = performance.now()
  const { state } = await scan('fsq scan -r 4 -j 4 q true', ['1', '2', '3', '4'])
  expect(performance.now() - begin).toBeGreaterThanOrEqual(740)
  expect(state).toEqual({ done: ['0_1', '0_2', '0_3', '0_4'] })
  expect((await scan('fsq scan -r 0 q true && fsq scan -r -1 q true', ['5'])).code).toBe(0)
})

test('-j: so many at once', async () => {
  // Each waits for all others to have begun.
  const wait = 'touch "$1/$2"; until [ "$(ls "$1" | wc -l)" = 4 ]; do sleep 0.01; done'
  fs.mkdirSync(bed.bed.path('begun'))
  const { code, state } = await scan(`fsq scan -j 4 q sh -c '${wait}' sh '${bed.bed.path('begun')}'`, [
    '1',
    '2',
    '3',
    '4',
  ])
  expect([code, state]).toEqual([0, { done: ['0_1', '0_2', '0_3', '0_4'] }])
})
ifRoot('an item that may not be read (gives up root)', async () => {
  const denied = (await scan('true'), await bed.sh('fsq scan q true', { asNobody: true }))
  expect(denied.code).toBe(111)
  expect(denied.stderr).toContain('EACCES')
  fs.chmodSync(bed.path('q'), 0o777)
  for (const part of ['queue', 'tmp', 'done', 'fail']) fs.chmodSync(bed.path('q', part), 0o777)
  const unread = await bed.sh('fsq scan q true', { asNobody: true })
  expect([unread.code, bed.state()]).toEqual([0, { queue: ['0_a', '0_b'] }])
  expect(unread.stderr).toContain('EACCES')
  expect((await bed.sh('fsq scan --exit-code q true', { asNobody: true })).code).toBe(111)
})

test('two scans at once: each item is run once, by one of them', async () => {
  await bed.sh('seq 60 | sed \'s/.*/["&"]/\' | fsq enqueue --batch q')
  // Neither goes on before the other has run one.
  const program = (own: number, other: number): string =>
    `echo ${own} $1; : > here-${own}; while [ ! -e here-${other} ]; do sleep 0.01; done`
  const script = `cd '${bed.bed.root}'; fsq scan q sh -c '${program(1, 2)}' run & fsq scan q sh -c '${program(2, 1)}' run & wait`
  const { code, stdout, stderr } = await bed.sh(script)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const ran = stdout.trim().split('\n')
  const items = ran.map((line) => Number(line.split(' ')[1])).sort((left, right) => left - right)
  expect(items).toEqual(Array.from({ length: 60 }, (_, index) => index + 1))
  expect(new Set(ran.map((line) => line.split(' ')[0])).size).toBe(2)
  expect(bed.state()['done']).toHaveLength(60)
})
