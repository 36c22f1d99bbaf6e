// Leaving in the middle of an operation: process.exit(), an uncaught exception, a worker thread that ends.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, inParallel, isFree, makeDirectory, workOff } from '../support/child.js'
import { labelOf } from './kill.js'

interface Setting {
  readonly dir: string
  readonly root: string
}

const POINTS: Readonly<Record<string, readonly string[]>> = {
  enqueue: [
    'open.directory',
    'enqueue.open',
    'enqueue.write',
    'enqueue.fsync',
    'enqueue.stat',
    'enqueue.link',
    'enqueue.fsyncdir',
  ],
  'enqueue a path': ['enqueue.source', 'enqueue.copy'],
  'enqueue a stream': ['enqueue.open', 'enqueue.write', 'enqueue.fsync', 'enqueue.link'],
  claim: [
    'open.directory',
    'list.open',
    'list.getdents',
    'claim.down',
    'claim.open',
    'claim.lock',
    'claim.fstat',
    'claim.fstatat',
    'claim.read',
  ],
  finish: ['finish.stat', 'finish.rename', 'claim.unlock', 'finish.fsyncdir'],
  retry: ['finish.utimens', 'finish.rename'],
  install: ['install.mkdir', 'install.rename', 'install.fsyncroot'],
}

// claim.down and claim.lock are reached on the JavaScript thread, too, where a pause would hold up the program itself.
const NTH: Readonly<Record<string, number>> = { 'claim.down': 2 }

const stages = Object.entries(POINTS).flatMap(([operation, points]) =>
  points.map((point) => ({ operation, point, nth: NTH[point] ?? 1 })),
)

async function makeSetting(): Promise<Setting> {
  const dir = makeDirectory({ quick: true })
  const root = path.join(dir, 'root')
  fs.mkdirSync(root)
  const queue = await Queue.install('q', { root })
  await queue.enqueueMany(['a', 'b', 'c', 'd'].map((label) => ({ data: label.repeat(10), args: [label] })))
  await queue.close()
  fs.writeFileSync(path.join(dir, 'big'), '')
  fs.truncateSync(path.join(dir, 'big'), 150 * 1024 * 1024)
  return { dir, root }
}

/** Nothing of it stays, nothing is lost, and all that waits can be worked. */
async function verify({ root }: Setting): Promise<void> {
  const queue = path.join(root, 'q')
  expect(
    fs.readdirSync(root).filter((entry) => !['q', 'another'].includes(entry) && !entry.startsWith('.fsq-')),
  ).toEqual([])
  for (const { path: file } of filesOf(queue))
    expect({ file, free: isFree(file) }).toEqual({ file, free: true })
  expect(filesOf(queue, 'tmp')).toEqual([])
  const finished = filesOf(queue, 'done').map(({ name }) => labelOf(name))
  const { ran } = await workOff(root, 'q')
  for (const name of ran) expect(finished).not.toContain(labelOf(name))
  const all = filesOf(queue, 'done').map(({ name }) => labelOf(name))
  expect(all.filter((label) => label !== 'new').toSorted()).toEqual(['a', 'b', 'c', 'd'])
}

test('process.exit() at each stage: the exit code is the one asked for', async () => {
  await inParallel(stages, 3, async ({ operation, point, nth }) => {
    const setting = await makeSetting()
    const pause = path.join(setting.dir, 'pause')
    const job = { ...setting, operation, point, nth, pause, leave: 'exit' }
    const child = new Child('exit-midway.mjs', job, { faultBuild: true })
    await child.says('leaving')
    fs.unlinkSync(pause)
    const ending = await child.ended
    expect({ operation, point, ...ending, stderr: child.stderr }).toEqual({
      operation,
      point,
      code: 7,
      signal: null,
      stderr: '',
    })
    await verify(setting)
    // A long copy gives up.
    if (operation === 'enqueue a path') expect(filesOf(path.join(setting.root, 'q'), 'done')).toHaveLength(4)
  })
}, 120_000)

test.each([
  'enqueue',
  'enqueue a path',
  'enqueue a stream',
  'enqueue many',
  'claim',
  'walk',
  'finish',
  'hold',
  'install',
])(
  'process.exit() and an uncaught exception with an operation pending: %s',
  async (operation) => {
    for (const leave of ['exit', 'throw']) {
      const setting = await makeSetting()
      const child = new Child('exit-midway.mjs', { ...setting, operation, leave })
      const ending = await child.ended
      expect({ leave, ...ending }).toEqual({ leave, code: leave === 'exit' ? 7 : 1, signal: null })
      expect(child.stderr.includes('nobody catches this')).toBe(leave === 'throw')
      await verify(setting)
    }
  },
  60_000,
)

test.each(['terminate', 'thread-exit'])(
  'a thread that ends (%s) at each stage: the process lives, and nothing stays locked or open',
  async (leave) => {
    for (const [operation, points] of Object.entries(POINTS)) {
      if (operation === 'install') continue
      const setting = await makeSetting()
      const queue = new Queue('q', { root: setting.root })
      // Each finish takes one.
      await queue.enqueueMany(points.map((_, index) => ({ data: 'more', args: [`more${index}`] })))
      await queue.close()
      const job = {
        ...setting,
        operation,
        leave,
        points: points.map((point) => ({ point, nth: NTH[point] ?? 1 })),
      }
      const child = new Child('exit-midway.mjs', job, { faultBuild: true, node: ['--expose-gc'] })
      const ending = await child.ended
      expect({ operation, ...ending, stderr: child.stderr }).toEqual({
        operation,
        code: 0,
        signal: null,
        stderr: '',
      })
      const results = child
        .said('point')
        .map(({ point, code, locked, leaked }) => ({ point, code, locked, leaked }))
      expect(results).toEqual(
        points.map((point) => ({ point, code: leave === 'terminate' ? 1 : 7, locked: [], leaked: 0 })),
      )
      expect(filesOf(path.join(setting.root, 'q'), 'tmp')).toEqual([])
      const before = filesOf(path.join(setting.root, 'q')).length
      await workOff(setting.root, 'q')
      expect(filesOf(path.join(setting.root, 'q'), 'done')).toHaveLength(before)
    }
  },
  120_000,
)

test('many threads that hold items end, each in its way, and the process goes on', async () => {
  const setting = await makeSetting()
  const child = new Child('load-in-threads.mjs', { root: setting.root, threads: 16 })
  expect({ ...(await child.ended), stderr: child.stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  const [line] = child.said('codes')
  expect(line?.['codes']).toEqual(Array.from({ length: 16 }, (_, index) => [0, 9, 1, 1][index % 4]))
  expect(line).toMatchObject({ claimed: true })
  const files = filesOf(path.join(setting.root, 'q'))
  expect(files.map(({ where, path: file }) => [where, isFree(file)])).toEqual(
    Array.from({ length: 4 + 16 }, () => ['queue', true]),
  )
}, 60_000)
