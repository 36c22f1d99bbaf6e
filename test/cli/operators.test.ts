import fs from 'node:fs'
import path from 'node:path'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { isLocked, until } from '../support/queue.js'

const bed = useCommandBed()
const ALL = ['a', 'b', 'c']

beforeEach(async () => {
  const { code } = await bed.sh('fsq install q && fsq enqueue --batch q', {
    input: ALL.map((name) => JSON.stringify({ args: [name], data: `data of ${name}` })).join('\n'),
  })
  expect(code).toBe(0)
})

/** a is done, b has failed, c waits. */
async function workOff(): Promise<void> {
  const script = 'case $0 in a) exit 0;; b) exit 1;; *) exit 111; esac'
  expect((await bed.sh(`fsq scan -m 9 q sh -c '${script}'`)).code).toBe(0)
  expect(bed.state()).toEqual({ done: ['0_a'], fail: ['0_b'], queue: ['1_c'] })
}

async function json(command: string): Promise<Record<string, unknown>[]> {
  const { code, stdout } = await bed.sh(command)
  expect(code).toBe(0)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

const id = (directory: string): string => path.basename(bed.only('q', directory))

describe('list', () => {
  test('has the queues', async () => {
    await workOff()
    await bed.sh(
      'fsq install empty; fsq down empty; mkdir "$FSQ_ROOT"/.hidden "$FSQ_ROOT"/none; touch "$FSQ_ROOT"/file',
    )
    const counts = { working: 0, delayed: 0 }
    expect(await json('fsq list --json')).toEqual([
      {
        queue: 'empty',
        path: bed.path('empty'),
        waiting: 0,
        ...counts,
        done: 0,
        failed: 0,
        oldestAge: null,
        down: true,
      },
      {
        queue: 'q',
        path: bed.path('q'),
        waiting: 1,
        ...counts,
        done: 1,
        failed: 1,
        oldestAge: expect.any(Number),
        down: false,
      },
    ])
    const { stdout } = await bed.sh('fsq list')
    expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['QUEUE', 'WAITING', 'WORKING', 'DELAYED', 'DONE', 'FAILED', 'OLDEST', 'SCANS'],
      ['empty', '0', '0', '0', '0', '0', '-', 'down'],
      ['q', '1', '0', '0', '1', '1', expect.stringMatching(/^\d+s$/), 'up'],
      [''],
    ])
  })

  test('has who works, and what is delayed, and locks nothing', async () => {
    const [first = '', second = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
    const late = Date.now() / 1000 + 1000
    fs.utimesSync(bed.path('q', 'queue', second), late, late)
    expect((await bed.sh('mkfifo "$FSQ_ROOT"/wait')).code).toBe(0)
    const shell = bed.start(
      `exec 9<"$FSQ_ROOT/q/queue/${first}"; flock 9; echo $$; read line <"$FSQ_ROOT/wait"`,
    )
    await until('it is locked', () => isLocked(bed.path('q', 'queue', first)))
    const items = await json('fsq list --json q')
    expect(items.map(({ state }) => state)).toEqual(['working', 'delayed', 'waiting'])
    expect(items.map(({ workers }) => (workers as unknown[]).length)).toEqual([1, 0, 0])
    expect(Date.parse(String(items[1]?.['due'])) / 1000).toBeCloseTo(late, 0)
    expect(await json('fsq list --json')).toMatchObject([{ waiting: 1, working: 1, delayed: 1 }])
    shell.killGroup('SIGKILL')
  })

  test('has the items of a state, with control characters escaped', async () => {
    await workOff()
    await bed.sh('fsq enqueue -e q "$(printf \'x\\033[31m\')"')
    const { stdout } = await bed.sh('fsq list -s all q')
    expect(stdout).toContain('x\\x1b[31m\n')
    expect(stdout).toMatch(/\ndone .*_a\nfailed .*_b\n$/)
    expect((await json('fsq list --json --state=done q')).map(({ args }) => args)).toEqual([['a']])
    expect((await json('fsq list --json -s failed q')).map(({ args }) => args)).toEqual([['b']])
    expect((await json('fsq list --json q')).map(({ args, tries }) => [args, tries])).toContainEqual([
      ['c'],
      1,
    ])
  })

  test.each([
    ['fsq list nosuch', 111],
    ['fsq list a/b', 111],
    ['FSQ_ROOT=/nonexistent fsq list', 111],
    ['fsq list -s some q', 100],
    ['fsq list -s done', 100],
  ])('%s', async (command, code) => {
    const outcome = await bed.sh(command)
    expect([outcome.code, outcome.stdout]).toEqual([code, ''])
  })

  test('of more than decide how wide columns are is whole, and in order', async () => {
    const names = Array.from({ length: 2500 }, (_, number) => `_20120710213904_${number}_1_h_0_x`)
    for (const name of names) fs.writeFileSync(bed.path('q', 'done', name), '')
    const { stdout } = await bed.sh('fsq list -s done q')
    const [head = '', ...lines] = stdout.trimEnd().split('\n')
    expect(lines.map((line) => line.slice(head.indexOf('ID')))).toEqual(names)
    expect((await json('fsq list --json -s done q')).map(({ id: listed }) => listed)).toEqual(names)
    expect(await json('fsq stats --json')).toMatchObject([{ done: 2500, doneLastMinute: 2500 }])
  })

  test('ends without a message where the reader has gone', async () => {
    const shell = bed.start('fsq list --json q')
    shell.process.stdout?.destroy()
    expect(await shell.ended).toMatchObject({ code: 111, stderr: '' })
  })
})

describe('show and cat', () => {
  test('find items wherever they are, by id, by an earlier id and by key', async () => {
    const before = fs.readdirSync(bed.path('q', 'queue')).find((name) => name.endsWith('_c')) ?? ''
    await workOff()
    for (const name of [before, id('queue'), id('queue').replace(/_1_c$/, '_c')]) {
      expect(await json(`fsq show --json q ${name}`)).toMatchObject([
        { id: id('queue'), tries: 1, args: ['c'] },
      ])
      expect((await bed.sh(`fsq cat q ${name}`)).stdout).toBe('data of c')
    }
    expect((await bed.sh(`fsq cat q ${id('done')} ${id('fail')}`)).stdout).toBe('data of adata of b')
    expect((await bed.sh(`fsq show q ${id('done')}`)).stdout).toMatch(/^state +done$/m)
  })

  test('miss items', async () => {
    const { code, stderr } = await bed.sh('fsq show q nosuch; fsq cat q nosuch')
    expect(code).toBe(111)
    expect(stderr).toContain('nosuch')
    expect((await bed.sh('fsq show q')).code).toBe(100)
  })

  test('bytes come as they are, and many of them', async () => {
    const bytes = Buffer.alloc(1_000_001, Buffer.from([0, 255, 10, 13]))
    const { stdout } = await bed.sh('i=$(fsq enqueue --id q big); fsq cat q $i | cksum; cksum', {
      input: bytes,
    })
    const [cat] = stdout.split('\n')
    fs.writeFileSync(bed.bed.path('bytes'), bytes)
    expect(cat).toBe((await bed.sh(`cksum < '${bed.bed.path('bytes')}'`)).stdout.trim())
  })
})

describe('retry', () => {
  test('by id, with tries as if there had been none', async () => {
    bed.plant('_20120710213904_0_1_h_7_old')
    fs.renameSync(
      bed.path('q', 'queue', '_20120710213904_0_1_h_7_old'),
      bed.path('q', 'fail', '_20120710213904_0_1_h_7_old'),
    )
    const { code, stdout } = await bed.sh('fsq retry --id q _20120710213904_0_1_h_7_old')
    expect({ code, stdout }).toEqual({ code: 0, stdout: '_20120710213904_0_1_h_0_old\n' })
    expect(bed.state()['queue']).toContain('_20120710213904_0_1_h_0_old')
    expect(bed.state()['fail']).toBeUndefined()
  })

  test('all, with their tries; what is printed with -n is not done', async () => {
    expect((await bed.sh('fsq scan q false')).code).toBe(0)
    for (const [index, name] of fs.readdirSync(bed.path('q', 'fail')).entries()) {
      fs.renameSync(
        bed.path('q', 'fail', name),
        bed.path('q', 'fail', name.replace(/_0_(.)$/, `_${index}_$1`)),
      )
    }
    const dry = await bed.sh('fsq retry -n -k -a q')
    expect(dry.stdout.split('\n').length).toBe(4)
    expect(bed.state()).toEqual({ fail: ['0_a', '1_b', '2_c'] })
    expect((await bed.sh('fsq retry --keep-tries --all q')).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_a', '1_b', '2_c'] })
  })

  test('by argument and age', async () => {
    expect((await bed.sh('fsq scan q false')).code).toBe(0)
    expect((await bed.sh('fsq retry -o 1h q && fsq retry -A nosuch q')).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['0_a', '0_b', '0_c'] })
    expect((await bed.sh('fsq retry -o 0s -A b q')).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['0_a', '0_c'], queue: ['0_b'] })
  })

  test('never takes the place of an item', async () => {
    const name = '_20120710213904_0_1_h_0_same'
    bed.plant(name, 'waiting')
    fs.writeFileSync(bed.path('q', 'fail', name), 'failed')
    expect((await bed.sh(`fsq retry -A same q`)).code).toBe(0)
    const same = fs.readdirSync(bed.path('q', 'queue')).filter((file) => file.endsWith('same'))
    expect(same.map((file) => fs.readFileSync(bed.path('q', 'queue', file), 'utf8')).sort()).toEqual([
      'failed',
      'waiting',
    ])
  })

  test.each([
    ['fsq retry q', 100],
    ['fsq retry -a q x', 100],
    ['fsq retry -o soon q', 100],
    ['fsq retry q nosuch', 111],
  ])('%s', async (command, code) => {
    expect((await bed.sh(command)).code).toBe(code)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b', '0_c'] })
  })
})

describe('rm', () => {
  test('by id, argument and state', async () => {
    await workOff()
    expect((await bed.sh(`fsq rm q ${id('done')} && fsq rm -A b q && fsq rm -s failed -A c q`)).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['1_c'] })
    expect((await bed.sh('fsq rm -n -a q')).stdout).toMatch(/_1_c\n$/)
    expect((await bed.sh('fsq rm -a q')).code).toBe(0)
    expect(bed.state()).toEqual({})
  })

  test.each(['done', 'fail'])(
    'leaves what a move to %s/ cut in half has left in both places',
    async (place) => {
      const [name = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
      fs.linkSync(bed.path('q', 'queue', name), bed.path('q', place, name))
      const { code, stderr } = await bed.sh(`fsq rm -a -s ${place === 'done' ? 'done' : 'failed'} q`)
      expect([code, stderr]).toEqual([111, `fsq rm: ${name}: is being worked on\n`])
      expect((await bed.sh('fsq scan q echo RUN')).stdout).toBe('RUN b\nRUN c\n')
      expect((await bed.sh('fsq rm -a q')).code).toBe(0)
      expect(bed.state()).toEqual({})
    },
  )

  test('leaves what is worked on', async () => {
    const { code, stderr } = await bed.sh(`fsq scan -n q sh -c 'fsq rm -a q; exit $?'`)
    expect(code).toBe(0)
    expect(stderr).toContain('is being worked on')
    expect(bed.state()).toEqual({ fail: ['0_a'] })
  })

  test.each([
    ['fsq rm q', 100],
    ['fsq rm -s some -a q', 100],
    ['fsq rm q nosuch', 111],
  ])('%s', async (command, code) => {
    expect((await bed.sh(command)).code).toBe(code)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b', '0_c'] })
  })
})

describe('prune', () => {
  test('by age', async () => {
    await workOff()
    expect((await bed.sh('fsq prune -o 1h q && fsq prune -n -o 0 q')).stdout.split('\n').length).toBe(3)
    expect(bed.state()).toEqual({ done: ['0_a'], fail: ['0_b'], queue: ['1_c'] })
    expect((await bed.sh('fsq prune -d -o 0s q')).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['0_b'], queue: ['1_c'] })
    expect((await bed.sh('fsq prune --failed -o 0s -v q')).stderr).toContain('1 removed')
    expect(bed.state()).toEqual({ queue: ['1_c'] })
  })

  test('by count, the last ones finished stay', async () => {
    const names = Array.from({ length: 5 }, (_, number) => `_2012071021390${number}_0_1_h_0_x`)
    // Finished in another order than that of the names.
    for (const name of [...names].reverse()) {
      bed.plant(name)
      fs.renameSync(bed.path('q', 'queue', name), bed.path('q', 'done', name))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect((await bed.sh('fsq prune -k 2 q')).code).toBe(0)
    expect(bed.state()['done']).toEqual(names.slice(0, 2))
    expect(bed.state()['queue']).toEqual(['0_a', '0_b', '0_c'])
  })

  test('spares what a move cut in half has left in both places', async () => {
    const [name = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
    fs.linkSync(bed.path('q', 'queue', name), bed.path('q', 'done', name))
    expect((await bed.sh('fsq prune -o 0s q')).code).toBe(0)
    expect((await bed.sh('fsq scan q echo RUN')).stdout).toBe('RUN b\nRUN c\n')
    expect(bed.state()).toEqual({ done: ['0_a', '0_b', '0_c'] })
  })

  test('beside running workers', async () => {
    const input = Array.from({ length: 60 }, (_, number) => `["n${number}"]\n`).join('')
    expect((await bed.sh('fsq enqueue --batch q', { input })).code).toBe(0)
    const scan = bed.start('exec fsq scan -j 2 q echo')
    let isOver = false
    void scan.ended.then(() => (isOver = true))
    while (!isOver) expect((await bed.sh('fsq prune -o 0s q')).code).toBe(0)
    const { code, stdout, stderr } = await scan.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(new Set(stdout.trim().split('\n')).size).toBe(63)
  })

  test.each(['fsq prune q', 'fsq prune -k -1 q', 'fsq prune -o never q', 'fsq prune -k 1'])(
    'bad usage: %s',
    async (command) => {
      expect((await bed.sh(command)).code).toBe(100)
    },
  )
})

describe('items that are named', () => {
  test('come as they are named, each once', async () => {
    const ids = fs.readdirSync(bed.path('q', 'queue')).sort().reverse()
    const key = ids[2]?.replace(/_0_(?=.$)/, '_')
    expect((await bed.sh(`fsq cat q ${ids.join(' ')} ${ids[0]}`)).stdout).toBe('data of cdata of bdata of a')
    expect((await bed.sh(`fsq cat q ${ids[1]} ${key} ${ids[0]}`)).stdout).toBe('data of bdata of adata of c')
  })

  test('are those, and no others with the same key', async () => {
    for (const tries of [3, 4]) bed.plant(`_20120710213904_0_1_h_${tries}_a`)
    expect((await bed.sh('fsq rm q _20120710213904_0_1_h_4_a')).code).toBe(0)
    expect(bed.state()['queue']).toContain('_20120710213904_0_1_h_3_a')
    expect((await bed.sh('fsq rm q _20120710213904_0_1_h_4_a')).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b', '0_c'] })
  })

  test('may be keys that look like ids', async () => {
    bed.plant('_20120710213904_0_1_h_3_7_a')
    const { code, stdout } = await bed.sh('fsq show --json q _20120710213904_0_1_h_7_a')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ tries: 3, args: ['7', 'a'] })
  })

  test('are names, not paths', async () => {
    bed.plant('_20120710213904_0_1_h_3_a')
    const { code, stdout, stderr } = await bed.sh(
      "fsq cat q ../queue/_20120710213904_0_1_h_3_a '' ../../q/queue/_20120710213904_0_1_h_3_a",
    )
    expect({ code, stdout }).toEqual({ code: 111, stdout: '' })
    expect(stderr.match(/no such item/g)?.length).toBe(3)
  })
})
