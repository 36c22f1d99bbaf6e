// fsq top with real queues: on a terminal, which Python makes, and elsewhere.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from '@jest/globals'

import { FollowedDirectory, Rates } from '../../src/cli/top/followed.js'
import { Model, type QueueView } from '../../src/cli/top/model.js'
import { Slices } from '../../src/inspect/slices.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { resolveSettings } from '../../src/settings.js'
import { useCommandBed } from '../support/command.js'
import { given, onLinux } from '../support/needs.js'
import { itemName, until } from '../support/queue.js'

const bed = useCommandBed()
// Node itself cannot make a terminal.
const ifPython = given(spawnSync('python3', ['-c', 'import pty']).status === 0)
const TERMINAL = fileURLToPath(new URL('../programs/terminal.py', import.meta.url))
const ENTER = '\u001b[?1049h'
const LEAVE = '\u001b[?1049l'
const LEFT = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const COLOUR = /\u001b\[[\d;]*m/ // eslint-disable-line no-control-regex -- the escape of a colour

type Step =
  | { readonly wait: string }
  | { readonly send: string }
  | { readonly size: readonly [number, number] }
  | { readonly kill: NodeJS.Signals }
  | { readonly run: string }
  | { readonly close: true }

interface Seen {
  readonly problem: string | null
  readonly code: number
  readonly output: string
  readonly isRestored: boolean | null
}

async function terminal(script: string, steps: readonly Step[], env: NodeJS.ProcessEnv = {}): Promise<Seen> {
  const job = JSON.stringify({ script, steps }).replaceAll("'", String.raw`'\''`)
  const { stdout, stderr } = await bed.sh(`python3 ${TERMINAL} '${job}'`, {
    env: { TERM: 'xterm', NO_COLOR: '', ...env },
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Seen
}

const model = (...names: string[]): Model => new Model(names, resolveSettings({ root: bed.root }))

async function lookAt(name = 'q', by = model(name)): Promise<QueueView> {
  const { queues } = await by.look()
  const [queue] = queues
  if (queue === undefined) throw new Error('no queue')
  return queue
}

describe('elsewhere than on a terminal', () => {
  test('it prints one table, and JSON', async () => {
    await bed.sh('fsq install a b; fsq enqueue -e a x; fsq enqueue -e a y; fsq scan a false; fsq down b')
    const { code, stdout } = await bed.sh('fsq top')
    expect(code).toBe(0)
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/))
    expect(rows).toEqual([
      ['QUEUE', 'WAITING', 'WORKING', 'DELAYED', 'OLDEST', 'DONE/MIN', 'FAILED', 'STATE'],
      ['a', '0', '0', '0', '-', '0', '2', 'up'],
      ['b', '0', '0', '0', '-', '0', '0', 'down'],
    ])
    const lines = (await bed.sh('fsq top --json a b')).stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ queue: 'a', state: 'up', waiting: 0, failed: 2 }),
      expect.objectContaining({ queue: 'b', state: 'down', failed: 0, workers: [], failures: [] }),
    ])
  })

  test('the queues of hosts follow theirs', async () => {
    await bed.sh(`fsq install -a h1 -a h2 a; fsq install b; fsq down-host h2 a
      fsq -r "$FSQ_ROOT/a/hosts" enqueue -e h1 x`)
    const names = (stdout: string): readonly unknown[] =>
      stdout
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => line.split(/ {2,}/))
        .map(([name, waiting, ...more]) => [name, waiting, more.at(-1)])
    expect(names((await bed.sh('fsq top')).stdout)).toEqual([
      ['a', '0', 'up'],
      ['a/hosts/h1', '1', 'up'],
      ['a/hosts/h2', '0', 'down'],
      ['b', '0', 'up'],
    ])
    const lines = (await bed.sh('fsq top --json a')).stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ queue: 'a', waiting: 0 }),
      expect.objectContaining({ queue: 'a', host: 'h1', waiting: 1 }),
      expect.objectContaining({ queue: 'a', host: 'h2', state: 'down' }),
    ])
  })

  test('a queue that cannot be read, or is not there, is an error', async () => {
    await bed.sh('fsq install a b')
    fs.rmdirSync(bed.path('a', 'done'))
    const { code, stdout, stderr } = await bed.sh('fsq top')
    expect(code).toBe(111)
    expect(stdout).toMatch(/^b /m)
    expect(stderr).toContain("the queue 'a' is skipped")
    expect((await bed.sh('fsq top nope')).code).toBe(111)
    expect((await bed.sh('fsq top -i 0')).code).toBe(100)
  })
})

describe('what it shows', () => {
  test('items by state, reasons of failures, and rates', async () => {
    await bed.sh('fsq install q')
    const queue = bed.bed.open({ root: bed.root, durability: 'none' })
    for (const argument of ['good', 'bad', 'worse', 'good', 'bad', 'later'])
      queue.enqueueSync('', [argument], argument === 'later' ? { delay: 60_000 } : {})
    const handler = ({ args: [argument] }: WorkItem): void => {
      if (argument === 'bad') throw new TypeError("no 'thing'")
      if (argument === 'worse') throw new Error('worse')
    }
    const worker = await queue.work(handler, { maxTries: 1 })
    await worker.idle()
    const view = await lookAt()
    expect(view).toMatchObject({ waiting: 0, delayed: 1, done: 2, failed: 3, state: 'running' })
    expect(view.doneByMinute.at(-1)).toBe(2)
    expect(view.failures.map(({ reason, items }) => [reason, items.length])).toEqual([
      ['TypeError: no …', 2],
      ['Error: worse', 1],
    ])
    expect(view.workers).toEqual([expect.objectContaining({ pid: process.pid, state: 'running', items: [] })])
    await queue.close()
    expect(await lookAt()).toMatchObject({ state: 'up', workers: [] })
  })

  onLinux('a process that holds a lock and has no file', async () => {
    await bed.sh('fsq install q; fsq enqueue -e q a; fsq enqueue -e q b')
    const [name = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
    const lock = bed.bed.lock(bed.path('q', 'queue', name))
    const by = model('q')
    const view = await lookAt('q', by)
    expect(view).toMatchObject({ waiting: 1, working: 1, state: 'running' })
    const { id, pid, items } = view.workers[0] ?? { items: [] }
    expect({ id, pid, items: items.map((item) => item.id) }).toEqual({
      id: undefined,
      pid: process.pid,
      items: [name],
    })
    lock.unlock()
    expect(await lookAt('q', by)).toMatchObject({ waiting: 2, working: 0, workers: [], state: 'up' })
  })

  onLinux('an item that is released with a delay is delayed', async () => {
    await bed.sh('fsq install q; fsq enqueue -e q a')
    const queue = bed.bed.open({ root: bed.root, durability: 'none' })
    const by = model('q')
    for await (const item of queue.scan()) {
      expect(await lookAt('q', by)).toMatchObject({ waiting: 0, working: 1, delayed: 0 })
      item.release({ delay: 60_000 })
    }
    await queue.close()
    await lookAt('q', by)
    expect(await lookAt('q', by)).toMatchObject({ waiting: 0, working: 0, delayed: 1 })
  })

  test('queues that come and go, if none is named', async () => {
    const by = model()
    expect((await by.look()).queues).toEqual([])
    await bed.sh('fsq install a')
    expect((await by.look()).queues.map(({ layout }) => layout.name)).toEqual(['a'])
    await bed.sh('fsq install b; fsq uninstall a')
    expect((await by.look()).queues.map(({ layout }) => layout.name)).toEqual(['b'])
    await bed.sh('fsq add-host b b')
    expect((await by.look()).queues.map(({ layout }) => layout.path)).toEqual([
      bed.path('b'),
      bed.path('b', 'hosts', 'b'),
    ])
  })
})

describe('a directory that is followed', () => {
  test('looks each name up once, and is listed again only after a change', async () => {
    await bed.sh('fsq install q')
    const looked: string[] = []
    const followed = new FollowedDirectory(bed.path('q', 'done'), ({ raw, info }) => {
      looked.push(raw)
      return info.isFile() ? raw : undefined
    })
    const names = Array.from({ length: 5 }, (_, entropy) => itemName({ entropy }))
    const add = (name: string): void => fs.writeFileSync(bed.path('q', 'done', name), '')
    fs.mkdirSync(bed.path('q', 'done', 'directory'))
    names.slice(0, 3).forEach(add)
    // A listing may be put off, as listings have their share of the processor.
    const seen = async (expected: readonly string[]): Promise<void> =>
      until(`${expected.length} names are seen`, async () => {
        await followed.look(new Slices())
        return [...followed.facts.keys()].sort().join() === [...expected].sort().join()
      })
    await seen(names.slice(0, 3))
    names.slice(3).forEach(add)
    await seen(names)
    fs.rmSync(bed.path('q', 'done', names[0] ?? ''))
    await seen(names.slice(1))
    expect(looked.sort()).toEqual([...names, 'directory'].sort())
    await until('nothing has changed for a while', async () => !(await followed.look(new Slices())))
    fs.rmdirSync(bed.path('q', 'done', 'directory'))
    fs.readdirSync(bed.path('q', 'done')).forEach((name) => {
      fs.rmSync(bed.path('q', 'done', name))
    })
    fs.rmdirSync(bed.path('q', 'done'))
    for (let look = 0; look < 2; look++)
      await expect(
        until('it fails', async () => {
          await followed.look(new Slices())
          return false
        }),
      ).rejects.toThrow(/ENOENT/)
  })

  test('rates are those of the last minutes', () => {
    const rates = new Rates(3)
    const now = 1_000_000_000_000
    for (const age of [0, 1000, 59_000, 61_000, 130_000, 300_000, -5000]) rates.add(now - age, now)
    expect(rates.until(now)).toEqual([1, 1, 4])
    expect(rates.until(now + 60_000)).toEqual([1, 3, 1])
    expect(rates.until(now + 600_000)).toEqual([0, 0, 0])
  })
})

ifPython.describe('on a terminal (needs python3)', () => {
  test('it shows the queues, opens a row, and quits', async () => {
    await bed.sh('fsq install mail; fsq enqueue -e mail bob')
    const { problem, code, output, isRestored } = await terminal('exec fsq top', [
      { wait: 'mail' },
      { send: '\r' },
      { wait: 'bob' },
      { send: '\u001b' },
      { wait: 'WAITING' },
      { send: '?' },
      { wait: 'choose a row' },
      { send: 'q' },
    ])
    expect({ problem, code, isRestored }).toEqual({ problem: null, code: 0, isRestored: true })
    expect(output).toContain(ENTER)
    expect(output.endsWith(LEFT)).toBe(true)
    expect(output).toMatch(COLOUR)
  })

  test('r and d ask, and do it', async () => {
    await bed.sh('fsq install q; fsq enqueue -e q a; fsq scan q false')
    const steps = [
      { wait: 'exit code 1' },
      { send: 'd' },
      { wait: 'forbid scans of q? [y/N]' },
      { send: 'y' },
      { wait: 'q is down' },
      { send: 'jr' },
      { wait: 'retry 1 item of q? [y/N]' },
      { send: 'n' },
      { send: 'r' },
      { wait: 'retry 1 item of q? [y/N]' },
      { send: 'y' },
      { wait: '1 item of q waits again' },
      { send: 'q' },
    ]
    expect(await terminal('exec fsq top q', steps)).toMatchObject({ problem: null, code: 0 })
    expect(bed.state()).toEqual({ queue: ['0_a'], down: 'file' })
  })

  test('d takes a host down, and not up while its queue is down', async () => {
    await bed.sh('fsq install -a h1 q')
    const steps = [
      { wait: 'q/hosts/h1' },
      { send: 'jd' },
      { wait: 'forbid scans of q/hosts/h1? [y/N]' },
      { send: 'y' },
      { wait: 'q/hosts/h1 is down' },
      { run: 'fsq down q' },
      { send: 'd' },
      { wait: 'choose that queue' },
      { send: 'q' },
    ]
    expect(await terminal('exec fsq top', steps)).toMatchObject({ problem: null, code: 0 })
    expect(fs.existsSync(bed.path('q', 'hosts', 'h1', 'down'))).toBe(true)
  })

  test('Ctrl-C quits, and NO_COLOR is respected', async () => {
    await bed.sh('fsq install q')
    const steps = [{ wait: 'QUEUE' }, { send: '\u0003' }]
    const { problem, code, output, isRestored } = await terminal('exec fsq top', steps, { NO_COLOR: '1' })
    expect({ problem, code, isRestored }).toEqual({ problem: null, code: 0, isRestored: true })
    expect(output).not.toMatch(COLOUR)
    expect(output).toMatch(/> q/)
  })

  test('it draws anew in another size', async () => {
    await bed.sh('fsq install q')
    const steps = [
      { wait: 'DELAYED' },
      { size: [40, 10] },
      { wait: '\u001b[2J' },
      { wait: 'WAITING' },
      { size: [120, 40] },
      { wait: 'DELAYED' },
      { send: 'q' },
    ] as const
    expect(await terminal('exec fsq top', steps)).toMatchObject({ problem: null, code: 0 })
  })

  test.each(['SIGTERM', 'SIGHUP'] as const)('%s ends it, and the terminal is restored', async (signal) => {
    await bed.sh('fsq install q')
    // The signal is for the shell, too. If the shell died first, the kernel would take the terminal away from the command.
    const script = `trap : ${signal.slice(3)}; fsq top; exit $?`
    const { problem, output, code, isRestored } = await terminal(script, [
      { wait: 'QUEUE' },
      { kill: signal },
    ])
    expect({ problem, isRestored }).toEqual({ problem: null, isRestored: true })
    expect(code).not.toBe(0)
    expect(output).toContain(LEFT)
  })

  test('Ctrl-Z gives the terminal back until it is continued', async () => {
    await bed.sh('fsq install q')
    const steps = [
      { wait: 'QUEUE' },
      { send: '\u001a' },
      { wait: LEAVE },
      { wait: 'stopped' },
      { wait: ENTER },
      { wait: 'QUEUE' },
      { send: 'q' },
      { wait: LEAVE },
      { wait: 'over' },
    ]
    const script = 'set -m; fsq top; echo stopped; fg >/dev/null; echo over'
    expect(await terminal(script, steps)).toMatchObject({ problem: null, code: 0, isRestored: true })
  })

  test('an error ends it with a message, and the terminal is restored', async () => {
    await bed.sh('fsq install q')
    const { problem, output, code, isRestored } = await terminal('exec fsq top', [
      { wait: 'QUEUE' },
      { run: 'rm -r "$FSQ_ROOT"' },
      { wait: LEFT },
      { wait: 'fsq top: ' },
    ])
    expect({ problem, code, isRestored }).toEqual({ problem: null, code: 111, isRestored: true })
    expect(output).toContain(bed.root)
  })

  test('it ends when the terminal is taken away', async () => {
    await bed.sh('fsq install q')
    const { problem, code } = await terminal('exec fsq top', [{ wait: 'QUEUE' }, { close: true }])
    expect(problem).toBe(null)
    expect(code).not.toBe(0)
  })
})
