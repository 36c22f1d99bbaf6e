/** The command on queues with claims by renaming. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { Model } from '../../src/cli/top/model.js'
import type { Queue } from '../../src/queue.js'
import { resolveSettings } from '../../src/settings.js'
import { type Shell, useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { names, until } from '../support/queue.js'
import { HandWorker } from './by-hand.js'

const bed = useCommandBed()
const ODD_MOUNT = fileURLToPath(new URL('../support/odd-mount.cjs', import.meta.url))
/** The file system seems to have no rename that refuses to replace a file. */
const NO_EXCLUSIVE = { FSQ_FAULTS: 'retire.rename=errno:22', NODE_OPTIONS: `--require "${FAULT_BUILD}"` }

let queue: Queue
let worker: HandWorker
/** The path of the item `a`, which the worker has claimed. */
let claimed: string

beforeEach(async () => {
  const { code, stderr } = await bed.sh(
    'fsq install --claims=rename q; fsq enqueue q a <<X; fsq enqueue -e q b\ndata of a\nX',
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  queue = bed.bed.open({ root: bed.root, durability: 'none' })
  const [a = ''] = fs.readdirSync(queue.paths.queue).filter((name) => name.endsWith('_a'))
  worker = new HandWorker(queue)
  claimed = worker.claim(a)
})

const idOfA = (): string => path.basename(claimed)

async function json(command: string): Promise<Record<string, unknown>[]> {
  const { code, stdout, stderr } = await bed.sh(command)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('looks', () => {
  test('list, stats and top count what workers have claimed, and find the queue up', async () => {
    const counts = { waiting: 1, working: 1, delayed: 0 }
    expect(await json('fsq list --json')).toMatchObject([{ ...counts, down: false }])
    expect(await json('fsq stats --json')).toMatchObject([counts])
    expect(await json('fsq top --json')).toMatchObject([
      {
        ...counts,
        state: 'running',
        workers: [{ id: worker.name, host: os.hostname(), pid: 4242, items: [{ id: idOfA() }] }],
      },
    ])
    await bed.sh('fsq down q')
    expect(await json('fsq list --json')).toMatchObject([{ down: true }])
    expect(await json('fsq top --json')).toMatchObject([{ state: 'down' }])
    expect((await bed.sh('fsq up q; fsq list')).stdout).toMatch(/ up$/m)
  })

  test('list and show say who has an item, and where it is', async () => {
    const [item, other] = await json('fsq list --json q')
    expect(item).toMatchObject({ id: idOfA(), state: 'working', workers: [4242], path: claimed, due: null })
    expect(other).toMatchObject({ state: 'waiting', workers: [] })
    expect(await json(`fsq show --json q ${idOfA()}`)).toEqual([item])
    const elsewhere = new HandWorker(queue, { host: 'other.host', pid: 7, random: 'bb00bb00bb00bb00' })
    elsewhere.claim(String(other?.['id']))
    expect((await bed.sh(`fsq show q ${String(other?.['id'])}`)).stdout).toMatch(
      /^workers +\["other\.host:7"\]$/m,
    )
  })

  test('cat prints the contents of a claimed item', async () => {
    expect((await bed.sh(`fsq cat q ${idOfA()}`)).stdout).toBe('data of a\n')
  })

  test('wait waits for a claimed item', async () => {
    const shell = bed.start(`fsq wait q ${idOfA()}`)
    worker.move(idOfA(), 'done')
    expect(await shell.ended).toMatchObject({ code: 0, stderr: '' })
  })

  test('top sees that a claimed item has been given back with a delay, and none twice', async () => {
    const model = new Model(['q'], resolveSettings({ root: bed.root }))
    const look = async (): Promise<unknown> => {
      const { queues } = await model.look()
      const [{ waiting, working, delayed } = {}] = queues
      return [waiting, working, delayed]
    }
    expect(await look()).toEqual([1, 1, 0])
    const later = new Date(Date.now() + 3_600_000)
    fs.utimesSync(claimed, later, later)
    worker.move(idOfA(), 'queue')
    // It lists a directory only now and then.
    await until('it is seen', async () => JSON.stringify(await look()) === '[1,0,1]')
  })
})

describe('rm', () => {
  test('leaves a claimed item to its worker, and removes one that waits', async () => {
    const { code, stderr } = await bed.sh(`fsq rm q ${idOfA()}`)
    expect({ code, stderr }).toEqual({ code: 111, stderr: `fsq rm: ${idOfA()}: is being worked on\n` })
    expect(fs.existsSync(claimed)).toBe(true)
    expect((await bed.sh('fsq rm -A b q')).code).toBe(0)
    expect(fs.readdirSync(queue.paths.queue)).toEqual([])
  })
})

describe('retry', () => {
  test.each([
    ['by a rename that refuses to replace a file', {}],
    ['by a link, through a directory in claimed/', NO_EXCLUSIVE],
  ])('%s: moves failed items back', async (_how, env) => {
    worker.move(idOfA(), 'fail')
    const { code, stdout, stderr } = await bed.sh('fsq retry --id -a q', { env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(`${idOfA()}\n`)
    expect(
      names(queue, 'queue')
        .map((name) => name.slice(-3))
        .sort(),
    ).toEqual(['0_a', '0_b'])
    expect(fs.readdirSync(path.join(queue.path, 'claimed'))).toEqual([worker.name])
  })

  test.each([
    ['by a rename that refuses to replace a file', {}],
    ['by a link, through a directory in claimed/', NO_EXCLUSIVE],
  ])('%s: never replaces an item', async (_how, env) => {
    worker.move(idOfA(), 'fail')
    fs.writeFileSync(path.join(queue.paths.queue, idOfA()), 'another')
    const { code, stdout } = await bed.sh('fsq retry --id -a q', { env })
    expect(code).toBe(0)
    expect(stdout.trim()).not.toBe(idOfA())
    expect(fs.readFileSync(path.join(queue.paths.queue, idOfA()), 'utf8')).toBe('another')
    expect(fs.readFileSync(path.join(queue.paths.queue, stdout.trim()), 'utf8')).toBe('data of a\n')
    expect(fs.readdirSync(queue.paths.fail)).toEqual([])
    expect(fs.readdirSync(path.join(queue.path, 'claimed'))).toEqual([worker.name])
  })
})

describe('audit and repair', () => {
  test('items of a dead worker are told, and are no problem', async () => {
    const dead = new HandWorker(queue, { pid: 1, random: '00000000000000bb', alive: false })
    dead.claim(path.basename(bed.only('q', 'queue')))
    const { code, stdout } = await bed.sh('fsq audit --exit-code q')
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^q +abandoned +is of a worker that has died: 1 item waits .* - +\/.*claimed\/\S+$/m,
    )
    expect(await bed.sh('fsq repair q')).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('the guard is made again', async () => {
    fs.unlinkSync(bed.path('q', 'down'))
    expect((await bed.sh('fsq audit --exit-code q')).code).toBe(111)
    expect((await bed.sh('fsq repair -v q')).stderr).toBe(
      `fsq repair: make guard: ${bed.path('q', 'down')}\n`,
    )
    expect(await bed.sh('fsq audit --exit-code q')).toMatchObject({ code: 0 })
  })

  test('--claims=rename converts queues by name', async () => {
    expect((await bed.sh('fsq install l m; fsq enqueue -e l a')).code).toBe(0)
    expect(await bed.sh('fsq repair -n --claims=rename l')).toEqual({
      code: 0,
      stdout: `claim by renaming: ${bed.path('l')} (has workers that lock items)\n`,
      stderr: '',
    })
    expect(await bed.sh('fsq repair -v --claims=rename l q')).toEqual({
      code: 0,
      stdout: '',
      stderr: `fsq repair: claim by renaming: ${bed.path('l')}\nfsq repair: q: its workers claim by renaming already\n`,
    })
    expect(bed.state('l')).toEqual({ 'claims-rename': 'file', down: 'file', queue: ['0_a'] })
    expect(bed.state('m')).toEqual({})
  })

  test.each([
    ['fsq repair --claims=rename', 'the name of a queue is missing'],
    ['fsq repair --claims=lock q', "--claims is 'lock', expected rename"],
    ['fsq install --claims=no x', "--claims is 'no', expected lock or rename"],
    [
      'fsq install --claims=rename --lock-kind=fcntl x',
      "--lock-kind is 'fcntl', expected nothing together with claims",
    ],
    ['fsq scan --lease=-1 q true', "--lease is '-1', expected a whole number from 0 to 86400"],
  ])('%s is bad usage', async (command, message) => {
    const { code, stderr } = await bed.sh(command)
    expect(code).toBe(100)
    expect(stderr).toContain(message)
  })

  test.each(['-n', ''])('--claims=rename %s leaves a queue on an unfit mount as it is', async (dry) => {
    await bed.sh('fsq install l')
    const env = { NODE_OPTIONS: `--require "${ODD_MOUNT}"`, FSQ_TEST_MOUNT: 'a soft mount' }
    const { code, stderr } = await bed.sh(`fsq repair ${dry} --claims=rename l`, { env })
    expect(code).toBe(111)
    expect(stderr).toMatch(/l is left as it is: Its mount is not for several machines: .*soft mount/)
    expect(bed.state('l')).toEqual({})
  })

  test('a queue that a scan works is left as it is, and is up afterwards', async () => {
    await bed.sh('fsq install l; fsq enqueue -e l a')
    const scan = bed.start(`fsq scan l sh -c 'echo runs; sleep 60'`)
    await until('the program runs', () => scan.stdout.includes('runs'))
    const { code, stderr } = await bed.sh('fsq repair --claims=rename l')
    expect(code).toBe(111)
    expect(stderr).toMatch(
      /^fsq repair: .*\/l is left as it is: The worker .* lives\. End the workers of the queue, and try again$/m,
    )
    expect(bed.state('l')).toEqual({ queue: ['0_a'] })
  }, 30_000)
})

describe('watch', () => {
  async function watch(): Promise<Shell> {
    const shell = bed.start('fsq watch -v --json q')
    await until('the watch has begun', () => shell.stderr.includes('watching'))
    return shell
  }
  const told = (shell: Shell): string[] =>
    shell.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const { what, id } = JSON.parse(line) as { what: string; id?: string }
        return id === undefined ? what : `${what} ${id.replace(/^.*_(\d+_\w+)$/, '$1')}`
      })

  test('tells of the ends of items, not of claims and releases', async () => {
    const shell = await watch()
    const b = path.basename(bed.only('q', 'queue'))
    worker.claim(b)
    worker.move(b, 'queue')
    worker.claim(b)
    // A second later the watch has looked into claimed/, and found it there.
    expect((await bed.sh('fsq enqueue -e q c')).code).toBe(0)
    await until('c is told', () => told(shell).includes('enqueue 0_c'))
    expect((await bed.sh('fsq down q; fsq up q')).code).toBe(0)
    await until('up is told', () => told(shell).includes('up'))
    const tried = b.replace(/_0_b$/, '_1_b')
    worker.move(b, 'queue', tried)
    await until('the retry is told', () => told(shell).includes('retry 1_b'))
    worker.claim(tried)
    worker.move(tried, 'done')
    await until('its end is told', () => told(shell).includes('done 1_b'))
    expect(told(shell)).toEqual(['enqueue 0_c', 'down', 'up', 'retry 1_b', 'done 1_b'])
  })
})
