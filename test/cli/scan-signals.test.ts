import fs from 'node:fs'
import process from 'node:process'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { type Shell, useCommandBed } from '../support/command.js'
import { isLocked, until } from '../support/queue.js'

const bed = useCommandBed()

beforeEach(async () => {
  expect((await bed.sh('fsq install q && fsq enqueue -e q a && fsq enqueue -e q b')).code).toBe(0)
})

/** A program that says that it runs, and goes on until the file is there. */
const PROGRAM = `echo $$; until [ -e "$FSQ_ROOT/go" ]; do sleep 0.01; done`

/** A scan that has begun to work. */
async function begin(flags = '', program = PROGRAM): Promise<Shell> {
  const shell = bed.start(`exec fsq scan ${flags} q sh -c '${program}'`)
  await until('the program runs', () => shell.stdout.includes('\n'))
  return shell
}

describe('a scan that a signal stops', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    '%s: what runs ends, and nothing else begins',
    async (signal) => {
      const shell = await begin()
      shell.process.kill(signal)
      await until('it says so', () => shell.stderr.includes(signal))
      fs.writeFileSync(bed.path('go'), '')
      expect((await shell.ended).code).toBe(0)
      expect(bed.state()).toEqual({ done: ['0_a'], queue: ['0_b'] })
    },
  )

  test('once more: running programs get the signal, and their items are released', async () => {
    const shell = await begin('-j 2 -m 5')
    await until('both run', () => shell.stdout.trim().split('\n').length === 2)
    shell.process.kill('SIGTERM')
    await until('it says so', () => shell.stderr.includes('SIGTERM'))
    shell.process.kill('SIGTERM')
    expect((await shell.ended).code).toBe(111)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
  })

  test('once more: also those of programs that end in their own way', async () => {
    const shell = await begin('', `trap "exit 7" TERM; ${PROGRAM}`)
    shell.process.kill('SIGTERM')
    await until('it says so', () => shell.stderr.includes('SIGTERM'))
    shell.process.kill('SIGTERM')
    expect((await shell.ended).code).toBe(111)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
  })

  test('Ctrl-C reaches the programs, too, and releases their items', async () => {
    const shell = await begin()
    shell.killGroup('SIGINT')
    expect((await shell.ended).code).toBe(111)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
  })

  test('while it waits for its rate', async () => {
    const shell = bed.start('exec fsq scan -r 1 -v q true')
    await until('one is done', () => shell.stderr.includes('succeeded'))
    shell.process.kill('SIGTERM')
    expect((await shell.ended).code).toBe(0)
    expect(bed.state()).toEqual({ done: ['0_a'], queue: ['0_b'] })
  })
})

test('a program that another process kills fails its item, and the scan stops', async () => {
  const shell = await begin()
  process.kill(Number(shell.stdout), 'SIGTERM')
  expect((await shell.ended).code).toBe(111)
  expect(bed.state()).toEqual({ fail: ['0_a'], queue: ['0_b'] })
})

test('an item stays locked while its program lives, also when the scan is killed', async () => {
  const shell = await begin('-E')
  const [name = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
  process.kill(shell.process.pid ?? 0, 'SIGKILL')
  await until('the scan is dead', () => shell.process.signalCode !== null)
  expect(isLocked(bed.path('q', 'queue', name))).toBe(true)
  fs.writeFileSync(bed.path('go'), '')
  await until('it is free', () => !isLocked(bed.path('q', 'queue', name)))
  expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
})

describe('--follow', () => {
  test('runs the items that come, until a signal stops it', async () => {
    const shell = bed.start('exec fsq scan --follow q echo')
    await until('both have run', () => shell.stdout === 'a\nb\n')
    for (const name of ['c', 'd']) {
      expect((await bed.sh(`fsq enqueue -e q ${name}`)).code).toBe(0)
      await until('it has run', () => shell.stdout.endsWith(`${name}\n`))
    }
    shell.process.kill('SIGTERM')
    const { code, stdout } = await shell.ended
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'a\nb\nc\nd\n' })
    expect(bed.state()).toEqual({ done: ['0_a', '0_b', '0_c', '0_d'] })
  })

  test('tries again what was to be tried again', async () => {
    const shell = bed.start('exec fsq scan --follow -m 3 q sh -c "echo x; exit 111"')
    await until('all tries have run', () => shell.stdout === 'x\n'.repeat(6))
    shell.process.kill('SIGINT')
    expect((await shell.ended).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['2_a', '2_b'] })
  })

  test('ends when the queue goes down', async () => {
    const shell = bed.start('exec fsq scan --follow q echo')
    await until('both have run', () => shell.stdout === 'a\nb\n')
    expect((await bed.sh('fsq down q')).code).toBe(0)
    const { code, stderr } = await shell.ended
    expect(code).toBe(111)
    expect(stderr).toContain("'fsq up'")
  })

  test('with a long program beside short ones', async () => {
    const shell = bed.start(
      `exec fsq scan --follow -j 2 q sh -c 'if [ "$1" = a ]; then ${PROGRAM.replace('echo $$;', '')} fi; echo "$1"' sh`,
    )
    await until('the short one has run', () => shell.stdout === 'b\n')
    expect((await bed.sh('fsq enqueue -e q c')).code).toBe(0)
    await until('the next has run', () => shell.stdout === 'b\nc\n')
    shell.process.kill('SIGTERM')
    await until('it says so', () => shell.stderr.includes('SIGTERM'))
    fs.writeFileSync(bed.path('go'), '')
    expect((await shell.ended).code).toBe(0)
    expect(bed.state()).toEqual({ done: ['0_a', '0_b', '0_c'] })
  })
})
