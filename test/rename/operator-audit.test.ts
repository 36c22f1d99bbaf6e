/** What an audit finds in queues with claims by renaming, and what a repair mends. */
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import type { Queue } from '../../src/queue.js'
import { itemName, names, plant, useTestBed } from '../support/queue.js'
import { HandWorker } from './by-hand.js'

const bed = useTestBed()
const HOURS_AGO = new Date(Date.now() - 2 * 3_600_000)

const rename = async (): Promise<Queue> => bed.install({ claims: 'rename' })

async function findings(queue: Queue): Promise<[kind: string, path: string, action: string | undefined][]> {
  const found: [string, string, string | undefined][] = []
  for await (const { kind, path: file, fix } of queue.audit())
    found.push([kind, path.relative(queue.path, file), fix?.action])
  return found
}

/** Repairs all that can be, and expects that nothing is left of it. */
async function mended(queue: Queue): Promise<string[]> {
  const { mended: done } = await queue.repair()
  expect((await findings(queue)).filter(([, , action]) => action !== undefined)).toEqual([])
  return done.map(({ fix }) => fix?.action ?? '')
}

test('a queue as it was installed, with a worker, has nothing', async () => {
  const queue = await rename()
  const worker = new HandWorker(queue)
  worker.claim(await queue.enqueue('x'))
  await queue.down()
  expect(await findings(queue)).toEqual([])
})

test('the guard is missing: it is made again', async () => {
  const queue = await rename()
  const guard = path.join(queue.path, 'down')
  const text = fs.readFileSync(guard, 'utf8')
  const { mode } = fs.statSync(guard)
  fs.unlinkSync(guard)
  expect(await findings(queue)).toEqual([['missing', 'down', 'make guard']])
  expect(await mended(queue)).toEqual(['make guard'])
  expect(fs.readFileSync(guard, 'utf8')).toBe(text)
  expect(fs.statSync(guard).mode).toBe(mode)
  expect(await queue.isDown()).toBe(false)
})

test('claimed/ is missing: it is made again', async () => {
  const queue = await rename()
  const claimed = path.join(queue.path, 'claimed')
  const { mode } = fs.statSync(claimed)
  fs.rmdirSync(claimed)
  expect(await findings(queue)).toEqual([['missing', 'claimed', 'make directory']])
  expect(await mended(queue)).toEqual(['make directory'])
  expect(fs.statSync(claimed).mode).toBe(mode)
})

test('the marker of fcntl locks beside that of renames is removed', async () => {
  const queue = await rename()
  fs.writeFileSync(path.join(queue.path, 'lock-fcntl'), '')
  expect(await findings(queue)).toEqual([['foreign', 'lock-fcntl', 'remove']])
  expect(await mended(queue)).toEqual(['remove'])
  expect(fs.existsSync(path.join(queue.path, 'lock-fcntl'))).toBe(false)
})

test('entries that are no directories of workers, and no items, are left alone', async () => {
  const queue = await rename()
  const worker = new HandWorker(queue)
  fs.writeFileSync(path.join(queue.path, 'claimed', 'file'), '')
  fs.mkdirSync(path.join(queue.path, 'claimed', 'directory'))
  fs.mkdirSync(path.join(worker.path, 'inside'))
  expect((await findings(queue)).map(([kind, file]) => `${kind} ${file}`).sort()).toEqual(
    ['foreign claimed/directory', 'foreign claimed/file', `foreign claimed/${worker.name}/inside`].sort(),
  )
  expect((await queue.repair()).mended).toEqual([])
})

describe('a directory of a worker without .lock', () => {
  function unmade(queue: Queue, holds: boolean): string {
    const worker = new HandWorker(queue, { alive: false })
    fs.unlinkSync(worker.lock)
    if (holds) fs.writeFileSync(path.join(worker.path, itemName()), '')
    return worker.path
  }

  test('is left alone for an hour', async () => {
    const queue = await rename()
    unmade(queue, false)
    expect(await findings(queue)).toEqual([])
  })

  test('with items is one of a worker that has died: the next worker takes it over', async () => {
    const queue = await rename()
    const directory = unmade(queue, true)
    expect(await findings(queue)).toEqual([['abandoned', path.relative(queue.path, directory), undefined]])
  })

  test('is removed after that', async () => {
    const queue = await rename()
    const directory = unmade(queue, false)
    fs.writeFileSync(path.join(directory, '.owned'), '')
    // A ctime cannot be set: the clock of this process is.
    const now = Date.now
    Date.now = () => now() + 2 * 3_600_000
    try {
      expect((await findings(queue)).filter(([kind]) => kind !== 'clock')).toEqual([
        ['stale', path.relative(queue.path, directory), 'remove empty directory'],
      ])
      expect(await mended(queue)).toEqual(['remove empty directory'])
    } finally {
      Date.now = now
    }
    expect(fs.existsSync(directory)).toBe(false)
  })
})

test('items of a worker that has died are told, and a repair leaves them to the next worker', async () => {
  const queue = await rename()
  const worker = new HandWorker(queue, { alive: false })
  const id = await queue.enqueue('x')
  worker.claim(id)
  expect(await findings(queue)).toEqual([['abandoned', `claimed/${worker.name}`, undefined]])
  const { mended: done, unmended } = await queue.repair()
  expect(done).toEqual([])
  expect(unmended).toMatchObject([
    {
      message: 'is of a worker that has died: 1 item waits for the next worker, which puts it back',
      reason: 'The next worker does so',
    },
  ])
})

test('a malformed item in queue/ goes to fail/; one that a worker has taken stays', async () => {
  const queue = await rename()
  plant(queue, 'nonsense', 'x')
  expect(await findings(queue)).toEqual([['malformed', 'queue/nonsense', 'move to fail/']])
  expect(await mended(queue)).toEqual(['move to fail/'])
  expect([names(queue, 'queue'), names(queue, 'fail')]).toEqual([[], ['nonsense']])
})

test('in a queue whose workers lock items, remains of a conversion are told', async () => {
  const queue = await bed.install()
  fs.mkdirSync(path.join(queue.path, 'claimed'))
  fs.utimesSync(path.join(queue.path, 'claimed'), HOURS_AGO, HOURS_AGO)
  fs.writeFileSync(path.join(queue.path, 'down-rename'), '')
  expect((await findings(queue)).sort()).toEqual([
    ['half-installed', 'claimed', undefined],
    ['half-installed', 'down-rename', undefined],
  ])
})
