import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { itemKey } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import { Taker, itemName, names, plant, useTestBed } from '../support/queue.js'
import { SINCE, leaveDeadWorker, logFiles, openGuard, workerFiles } from './dead-workers.js'

const bed = useTestBed({ quick: true })
const HOUR = 3_600_000
const NAME = itemName()
const KEY = itemKey(NAME, '%')

function metaFile(queue: Queue, ...parts: string[]): string {
  return path.join(queue.path, 'meta', ...parts)
}

function writeLog(queue: Queue, lines: readonly unknown[], key = KEY): string {
  fs.mkdirSync(metaFile(queue, 'log'), { recursive: true })
  fs.writeFileSync(metaFile(queue, 'log', key), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  return metaFile(queue, 'log', key)
}

function mark(number: number): unknown {
  const worker = `web1.1.${number}`
  return {
    at: SINCE,
    crashed: true,
    together: 1,
    try: 1,
    host: 'web1',
    pid: 1,
    id: NAME,
    worker,
    since: SINCE,
  }
}

function age(file: string, ms: number): void {
  const then = new Date(Date.now() - ms)
  fs.utimesSync(file, then, then)
}

/** What an audit finds below meta/. */
async function findings(queue: Queue): Promise<string[]> {
  const found: string[] = []
  for await (const { kind, path: at, fix } of queue.audit())
    found.push(`${kind} ${path.relative(queue.path, at)}${fix === undefined ? '' : `: ${fix.action}`}`)
  return found.sort()
}

/** Makes meta/ as a worker does. */
async function queueWithMeta(): Promise<Queue> {
  const queue = await bed.install({ durability: 'none' })
  plant(queue, NAME)
  const item = await new Taker(queue).take()
  const { guard } = openGuard(queue)
  guard.failed(item, { error: 'no', ms: 1 })
  await item.fail()
  guard.close()
  return queue
}

describe('a log goes with its item', () => {
  test('that is pruned', async () => {
    const queue = await bed.install()
    for (const entropy of [1, 2]) {
      plant(queue, itemName({ entropy }), '', 'done')
      writeLog(queue, [mark(1)], itemKey(itemName({ entropy }), '%'))
    }
    await queue.prune({ done: { count: 1 } })
    expect(logFiles(queue)).toEqual(names(queue, 'done').map((name) => itemKey(name, '%')))
    await queue.prune({ done: { count: 0 } })
    expect(logFiles(queue)).toEqual([])
  })

  test('not with one that is redriven: its marks are forgotten, its history is not', async () => {
    const queue = await bed.install()
    plant(queue, NAME, '', 'fail')
    writeLog(queue, [mark(1), mark(2), mark(3)])
    expect(await queue.redrive('all')).toEqual({ moved: 1, gone: 0 })
    expect(await queue.attempts(NAME)).toHaveLength(3)
    const item = await new Taker(queue).take()
    const { guard } = openGuard(queue)
    expect(guard.begin([item])).toEqual(['none'])
    guard.close()
    item.release()
  })
})

describe('an audit', () => {
  test('finds nothing wrong with what workers leave, dead or alive', async () => {
    const queue = await queueWithMeta()
    leaveDeadWorker(queue, [NAME])
    age(metaFile(queue, 'log', KEY), 100 * HOUR)
    expect(await findings(queue)).toEqual([])
  })

  test('finds foreign files, leftovers, wrong modes and the logs of items that are gone, and repair mends them', async () => {
    const queue = await queueWithMeta()
    fs.writeFileSync(metaFile(queue, 'workers', '.web1.1.1'), '')
    age(metaFile(queue, 'workers', '.web1.1.1'), 2 * HOUR)
    fs.writeFileSync(metaFile(queue, 'workers', '.web1.1.2'), '')
    age(writeLog(queue, [mark(1)], '_gone'), 37 * HOUR)
    writeLog(queue, [mark(1)], '_new')
    fs.writeFileSync(metaFile(queue, 'notes'), '')
    fs.writeFileSync(metaFile(queue, 'workers', 'README'), '')
    fs.mkdirSync(metaFile(queue, 'log', 'dir'))
    fs.chmodSync(metaFile(queue), 0o700)
    expect(await findings(queue)).toEqual([
      'foreign meta/log/dir',
      'foreign meta/notes',
      'foreign meta/workers/README',
      'mode meta: set mode',
      'stale meta/log/_gone: remove',
      'stale meta/workers/.web1.1.1: remove',
    ])
    const { mended } = await queue.repair()
    expect(mended).toHaveLength(3)
    expect(await findings(queue)).toEqual([
      'foreign meta/log/dir',
      'foreign meta/notes',
      'foreign meta/workers/README',
    ])
    expect(logFiles(queue)).toEqual([KEY, '_new', 'dir'].sort())
  })

  test('finds a meta that is no directory', async () => {
    const queue = await bed.install()
    fs.writeFileSync(metaFile(queue), '')
    expect(await findings(queue)).toEqual(['foreign meta'])
    openGuard(queue).guard.close()
    expect(bed.reports.map(({ name }) => name).sort()).toEqual(['meta/log', 'meta/workers'])
  })
})

test('uninstall removes meta/, also beside a worker', async () => {
  const queue = await bed.install()
  const { guard } = openGuard(queue)
  expect(workerFiles(queue)).toHaveLength(1)
  await queue.uninstall()
  expect(fs.existsSync(queue.path)).toBe(false)
  guard.close()
  expect(bed.reports).toEqual([])
})

test('no entry of a queue can be named meta', () => {
  expect(() => bed.open({ done: 'meta' })).toThrow(/meta/)
})
