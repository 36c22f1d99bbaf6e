// Why items have failed: log, wait, list --by-error, and retry by error.
import fs from 'node:fs'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { PermanentFailure } from '../../src/errors/classes.js'
import { Queue } from '../../src/queue.js'
import { useCommandBed } from '../support/command.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
const OLD = '_20120710213904_0_1_h'

beforeEach(async () => {
  expect((await bed.sh('fsq install q')).code).toBe(0)
})

/** Works all items: those named `ok` are done, `bad` fails at once, the others fail at their second try. */
async function workOff(...args: string[]): Promise<void> {
  await using queue = new Queue('q', { root: bed.root, durability: 'none' })
  for (const arg of args) await queue.enqueue(null, [arg])
  const worker = await queue.work(
    (item) => {
      if (item.args[0] === 'ok') return
      if (item.args[0] === 'bad') throw new PermanentFailure('bad address')
      throw new TypeError(`cannot connect\nto ${item.args[0] === 'c' ? 'c' : 'a'}`)
    },
    { maxTries: 2, backoff: 0 },
  )
  await worker.idle()
  await worker.close()
}

async function json(command: string): Promise<Record<string, unknown>[]> {
  const { code, stdout } = await bed.sh(command)
  expect(code).toBe(0)
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** The id of the item with this argument. */
const idOf = (directory: string, arg: string): string =>
  fs.readdirSync(bed.path('q', directory)).find((name) => name.endsWith(`_${arg}`)) ?? ''

describe('log', () => {
  test('has each attempt, and the stack of the last error', async () => {
    await workOff('a')
    const id = idOf('fail', 'a')
    const { code, stdout, stderr } = await bed.sh(`fsq log q ${id}`)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [head, titles, first, second, ...stack] = stdout.split('\n')
    expect(head).toBe(`${id}: failed`)
    expect(titles).toMatch(/^TRY +WHEN +OUTCOME +TOOK +WORKER +ERROR$/)
    expect(first).toMatch(
      /^ +1 +\d{4}-\d\d-\d\dT[\d:]{8}Z +retried +\d+\.\ds +\S+:\d+ +TypeError: cannot connect$/,
    )
    expect(second).toMatch(/^ +2 .* failed \(exhausted\) .* TypeError: cannot connect$/)
    expect(stack[0]).toBe('    TypeError: cannot connect')
    expect(stack[1]).toBe('    to a')
    expect(stdout.match(/to a$/gm)).toHaveLength(1)
    expect((await bed.sh(`fsq log -v q ${id}`)).stdout.match(/to a$/gm)).toHaveLength(2)
  })

  test('is JSON: an object per attempt; an item is found by its key, too', async () => {
    await workOff('a', 'bad')
    const key = idOf('fail', 'a').replace(/_1_a$/, '_a')
    const attempts = await json(`fsq log --json q ${key} ${idOf('fail', 'bad')}`)
    expect(attempts.map((attempt) => [attempt['try'], attempt['outcome'], attempt['reason']])).toEqual([
      [1, 'retried', null],
      [2, 'failed', 'exhausted'],
      [1, 'failed', 'permanent'],
    ])
    expect(attempts[2]).toMatchObject({
      queue: 'q',
      id: idOf('fail', 'bad'),
      due: null,
      together: null,
      error: {
        name: 'PermanentFailure',
        message: 'bad address',
        stack: expect.stringContaining('bad address'),
      },
    })
  })

  test('has crash marks', async () => {
    bed.plant(`${OLD}_0_a`)
    fs.mkdirSync(bed.path('q', 'meta', 'log'), { recursive: true })
    const mark = {
      at: '2026-01-01T00:00:00.000Z',
      crashed: true,
      try: 1,
      host: 'h',
      pid: 7,
      id: `${OLD}_0_a`,
    }
    const marks = [
      { ...mark, together: 3, worker: 'h.7.1', since: '2026-01-01T00:00:00.000Z' },
      { ...mark, together: 1, worker: 'h.8.1', since: '2026-01-01T00:00:01.000Z' },
    ]
    fs.writeFileSync(
      bed.path('q', 'meta', 'log', `${OLD}_a`),
      marks.map((one) => JSON.stringify(one)).join('\n'),
    )
    const { stdout } = await bed.sh(`fsq log q ${OLD}_0_a`)
    expect(stdout).toMatch(/crashed +- +h:7 +its worker died with 3 items in hand$/m)
    expect(stdout).toMatch(/crashed +- +h:7 +its worker died with this item alone in hand$/m)
    expect(await json(`fsq log --json q ${OLD}_0_a`)).toMatchObject([
      { outcome: 'crashed', together: 3, error: null },
      { outcome: 'crashed', together: 1, ms: null },
    ])
  })

  test('of an item without failed attempts, and of one that is not there', async () => {
    bed.plant(`${OLD}_0_a`)
    const none = await bed.sh(`fsq log q ${OLD}_0_a`)
    expect([none.code, none.stdout]).toEqual([0, `${OLD}_0_a: waiting\n`])
    expect(none.stderr).toContain('no failed attempt')
    const missing = await bed.sh('fsq log q nosuch')
    expect([missing.code, missing.stdout]).toEqual([111, ''])
    expect(missing.stderr).toContain('no such item')
    expect((await bed.sh('fsq log q')).code).toBe(100)
  })
})

describe('wait', () => {
  test('says how items have ended, and its exit code says whether all are done', async () => {
    await workOff('ok', 'a')
    const [ok, failed] = [idOf('done', 'ok'), idOf('fail', 'a')]
    expect(await bed.sh(`fsq wait q ${ok} ${ok}`)).toEqual({
      code: 0,
      stdout: `done     ${ok}\n`,
      stderr: '',
    })
    const { code, stdout } = await bed.sh(`fsq wait q nosuch ${failed} ${ok}`)
    expect(code).toBe(1)
    expect(stdout.trimEnd().split('\n').sort()).toEqual([
      `done     ${ok}`,
      `failed   ${failed}  TypeError: cannot connect`,
      'gone     nosuch',
    ])
    expect(await bed.sh(`fsq wait q nosuch ${ok}`)).toMatchObject({ code: 2, stderr: '' })
    expect(JSON.parse((await bed.sh(`fsq wait --json q ${failed}`)).stdout)).toEqual({
      queue: 'q',
      named: failed,
      id: failed,
      state: 'failed',
      error: { name: 'TypeError', message: 'cannot connect\nto a', code: null },
    })
  })

  test('waits until another process has worked an item, under whatever name', async () => {
    bed.plant(`${OLD}_0_a`)
    bed.plant(`${OLD}_0_b`)
    const shell = bed.start(`exec fsq wait q ${OLD}_0_a ${OLD}_b`)
    expect((await bed.sh(`fsq scan -m 2 q sh -c '[ "$0" = b ]'`)).code).toBe(0)
    await until('it has seen one end', () => shell.stdout.includes(`done     ${OLD}_b`))
    expect((await shell.ended).code).toBe(1)
    expect(shell.stdout).toContain(`failed   ${OLD}_0_a`)
  })

  test('gives up at its timeout, and says which items have not ended', async () => {
    bed.plant(`${OLD}_0_b`)
    const { code, stdout, stderr } = await bed.sh(`fsq wait --timeout=0 q ${OLD}_0_b`)
    expect({ code, stdout }).toEqual({ code: 124, stdout: `waiting  ${OLD}_0_b\n` })
    expect(stderr).toContain('1 item has not ended')
  })

  test.each([
    ['fsq wait q', 100],
    ['fsq wait -t soon q x', 100],
    ['fsq wait -t 25d q x', 100],
    ['fsq wait nosuch x', 111],
  ])('%s', async (command, code) => {
    expect((await bed.sh(command)).code).toBe(code)
  })
})

describe('list --by-error', () => {
  test('has failed items in groups, the largest first', async () => {
    await workOff('bad', 'a', 'b', 'c')
    bed.plant(`${OLD}_0_x`)
    fs.renameSync(bed.path('q', 'queue', `${OLD}_0_x`), bed.path('q', 'fail', `${OLD}_0_x`))
    fs.writeFileSync(bed.path('q', 'fail', 'README'), '')
    const { code, stdout, stderr } = await bed.sh('fsq install other; fsq list --failed --by-error')
    expect(code).toBe(0)
    expect(stderr).toContain('not listed: 1')
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/))
    expect(rows.slice(0, 2)).toEqual([
      ['QUEUE', 'ITEMS', 'LAST', 'REASON', 'ERROR'],
      ['q', '3', expect.stringMatching(/^\d+s$/), 'exhausted', 'TypeError: cannot connect'],
    ])
    expect(rows.slice(2).map(([, count, , reason, error]) => [count, reason, error])).toEqual(
      expect.arrayContaining([
        ['1', 'permanent', 'PermanentFailure: bad address'],
        ['1', '-', '(no reason kept)'],
      ]),
    )
    const groups = await json('fsq list --json -e -s failed q')
    expect(groups[0]).toEqual({
      queue: 'q',
      count: 3,
      last: expect.stringMatching(/Z$/),
      reason: 'exhausted',
      error: { name: 'TypeError', message: 'cannot connect\nto c', code: null },
      id: idOf('fail', 'c'),
    })
    expect(groups.find(({ error }) => error === null)).toMatchObject({
      count: 1,
      last: null,
      id: `${OLD}_0_x`,
    })
  })

  test('has those of hosts, too, or those alone', async () => {
    await bed.sh(`fsq install -a h1 -a h2 hosted; fsq enqueue -e hosted x; fsq host-dist -D hosted
      fsq scan hosted false; fsq scan -a hosted false`)
    const places = async (options: string): Promise<readonly unknown[]> =>
      (await json(`fsq list --json -e ${options} hosted`)).map(({ queue, host }) => [queue, host])
    expect(await places('')).toEqual([
      ['hosted', undefined],
      ['hosted', 'h1'],
      ['hosted', 'h2'],
    ])
    expect(await places('-A h2')).toEqual([['hosted', 'h2']])
    expect((await bed.sh('fsq list -e')).stdout).toMatch(/^hosted\/hosts\/h1 +1 /m)
  })

  test.each(['fsq list -e -s done q', 'fsq list --failed', 'fsq list -e -a', 'fsq list -A h1'])(
    'bad usage: %s',
    async (command) => {
      expect((await bed.sh(command)).code).toBe(100)
    },
  )
})

describe('retry', () => {
  test('by error: a part of it as it is listed, in the same case', async () => {
    await workOff('bad', 'a', 'b')
    bed.plant(`${OLD}_0_x`)
    fs.renameSync(bed.path('q', 'queue', `${OLD}_0_x`), bed.path('q', 'fail', `${OLD}_0_x`))
    for (const text of ['bad Address', 'exhausted', 'nosuch'])
      expect((await bed.sh(`fsq retry --error='${text}' q`)).code).toBe(0)
    expect(bed.state()['queue']).toBeUndefined()
    const dry = await bed.sh(`fsq retry -n -e 'TypeError: cannot' q`)
    expect(dry.stdout).toBe(`${idOf('fail', 'a')}\n${idOf('fail', 'b')}\n`)
    expect(
      (await bed.sh(`fsq retry -e 'TypeError: cannot' q && fsq retry -e address -A nosuch q`)).code,
    ).toBe(0)
    expect(bed.state()['queue']).toEqual(['0_a', '0_b'])
    expect((await bed.sh('fsq retry -e address q')).code).toBe(0)
    expect(bed.state()['fail']).toEqual([`${OLD}_0_x`])
  })

  test('at most so many, the oldest first', async () => {
    await workOff('a', 'b', 'c')
    expect((await bed.sh('fsq retry -n --limit=2 q')).stdout.trimEnd().split('\n')).toHaveLength(2)
    expect((await bed.sh('fsq retry --limit=2 q')).code).toBe(0)
    expect(bed.state()).toMatchObject({ queue: ['0_a', '0_b'], fail: ['1_c'] })
    expect((await bed.sh(`fsq retry -l 1 q ${idOf('fail', 'c')} nosuch`)).code).toBe(0)
    expect(bed.state()['fail']).toBeUndefined()
  })

  test.each(['fsq retry -l 0 q', 'fsq retry -a -l 2 q', "fsq retry -e '' q"])(
    'bad usage: %s',
    async (command) => {
      expect((await bed.sh(command)).code).toBe(100)
    },
  )
})
