import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { afterEach, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'

import type { WorkItem } from '../../src/item/work-item.js'
import type { Guard } from '../../src/meta/guard.js'
import { parseWorkerLines } from '../../src/meta/worker-lines.js'
import type { Queue } from '../../src/queue.js'
import type { Suspicion } from '../../src/work/journal.js'
import { ifManyFiles } from '../support/needs.js'
import { Taker, inProgram, itemName, names, plant, until, useTestBed } from '../support/queue.js'
import { SINCE, leaveDeadWorker, logFiles, openGuard, workerFiles } from './dead-workers.js'

const bed = useTestBed({ quick: true })
const guards: Guard[] = []
const COUNTERS = { started: 1, done: 1, retried: 0, failed: 0, postponed: 0, released: 0, crashed: 0 }

afterEach(() => {
  for (const guard of guards.splice(0)) guard.close()
  jest.restoreAllMocks()
})

function guardOf(queue: Queue, maxCrashes?: number): ReturnType<typeof openGuard> {
  const opened = openGuard(queue, maxCrashes)
  guards.push(opened.guard)
  return opened
}

function fileOf(queue: Queue, name = workerFiles(queue)[0] ?? ''): ReturnType<typeof parseWorkerLines> {
  return parseWorkerLines(fs.readFileSync(path.join(queue.path, 'meta', 'workers', name)))
}

/** Claims as many items as wait. */
async function claimAll(queue: Queue): Promise<WorkItem[]> {
  const taker = new Taker(queue)
  const items: WorkItem[] = []
  for (const name of names(queue, 'queue')) if (name !== '') items.push(await taker.take())
  return items
}

async function queueWith(count: number): Promise<{ queue: Queue; items: WorkItem[] }> {
  const queue = await bed.install({ durability: 'none', maxTries: 5 })
  for (let entropy = 0; entropy < count; entropy++) plant(queue, itemName({ entropy }))
  return { queue, items: await claimAll(queue) }
}

describe('the file of a worker', () => {
  test('tells who the worker is and what it has in hand, for as long as it has it', async () => {
    const { queue, items } = await queueWith(6)
    const { guard } = guardOf(queue)
    expect(workerFiles(queue)).toEqual([`${os.hostname()}.${process.pid}.1`])
    expect(guard.begin(items)).toEqual(items.map(() => 'none'))
    expect(fileOf(queue).worker).toMatchObject({
      version: 1,
      pid: process.pid,
      concurrency: 4,
      state: 'running',
    })
    expect(
      fileOf(queue)
        .held.map(({ id }) => id)
        .sort(),
    ).toEqual(names(queue, 'queue'))
    const [first, ...others] = items as [WorkItem, ...WorkItem[]]
    await first.done()
    guard.end([first])
    expect(fileOf(queue).held).toHaveLength(5)
    guard.end(others)
    expect(fileOf(queue).held).toEqual([])
    guard.close()
    expect(workerFiles(queue)).toEqual([])
    for (const item of others) item.release()
  })

  test('is written once for all items of a call', async () => {
    const { queue, items } = await queueWith(4)
    const { guard } = guardOf(queue)
    const write = jest.spyOn(fs, 'writeSync')
    guard.begin(items)
    expect(write).toHaveBeenCalledTimes(1)
    guard.end(items)
    expect(write).toHaveBeenCalledTimes(2)
    for (const item of items) item.release()
  })

  test('tells of progress, state and counters', async () => {
    const { queue, items } = await queueWith(1)
    const [item] = items as [WorkItem]
    const { guard } = guardOf(queue)
    guard.begin(items)
    guard.progress(item, 'page 1 of 3')
    guard.progress(item, { page: 2 })
    guard.state('running', COUNTERS)
    await until('it is written', () => fileOf(queue).held[0]?.progress !== undefined)
    expect(fileOf(queue)).toMatchObject({ worker: { counters: COUNTERS }, held: [{ progress: { page: 2 } }] })
    guard.state('paused', COUNTERS)
    expect(fileOf(queue).worker?.state).toBe('paused')
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    guard.progress(item, circular)
    await until('the problem is written', () =>
      String(fileOf(queue).held[0]?.progress).startsWith('cannot be shown: '),
    )
    guard.end(items)
    guard.progress(item, 'too late')
    expect(fileOf(queue).held).toEqual([])
    item.release()
  })

  test('no longer has an item that its handler has released', async () => {
    const { queue, items } = await queueWith(2)
    const { guard } = guardOf(queue)
    guard.begin(items)
    items[0]?.release()
    expect(fileOf(queue).held).toMatchObject([{ id: items[1]?.id }])
    items[1]?.release({ delay: 1000 })
    expect(fileOf(queue).held).toEqual([])
    guard.end(items)
  })

  test('has the mode and the group of the queue', async () => {
    const { queue, items } = await queueWith(1)
    fs.chmodSync(queue.path, 0o2770)
    const { guard } = guardOf(queue)
    guard.failed(items[0] as WorkItem, { error: 'no', ms: 1 })
    await items[0]?.fail()
    const mode = (...parts: string[]): number =>
      fs.statSync(path.join(queue.path, 'meta', ...parts)).mode & 0o7777
    expect([mode(), mode('workers'), mode('log')]).toEqual([0o2770, 0o2770, 0o2770])
    expect([mode('workers', workerFiles(queue)[0] ?? ''), mode('log', logFiles(queue)[0] ?? '')]).toEqual([
      0o660, 0o660,
    ])
  })

  test('is made anew before the next item if it was removed', async () => {
    const { queue, items } = await queueWith(2)
    const { guard } = guardOf(queue)
    guard.begin(items.slice(0, 1))
    fs.rmSync(path.join(queue.path, 'meta'), { recursive: true })
    await later(5)
    guard.begin(items.slice(1))
    expect(fileOf(queue).held).toHaveLength(2)
    for (const item of items) item.release()
  })

  test('is another one for each worker of a process', async () => {
    const { queue } = await queueWith(0)
    const opened = [guardOf(queue), guardOf(queue), guardOf(queue)]
    expect(workerFiles(queue)).toHaveLength(3)
    expect(opened.flatMap(({ crashes }) => crashes)).toEqual([])
    opened[0]?.guard.begin([])
    expect(workerFiles(queue)).toHaveLength(3)
  })
})

describe('a dead worker', () => {
  test('leaves a mark for each item that it had in hand, and none for those that it had finished', async () => {
    const queue = await bed.install({ durability: 'none' })
    const [a, b, gone] = [0, 1, 2].map((entropy) => itemName({ entropy })) as [string, string, string]
    for (const name of [a, b]) plant(queue, name)
    leaveDeadWorker(queue, [a, b, gone])
    const { guard, crashes } = guardOf(queue)
    expect(crashes.map(({ id, together, host, pid }) => [id, together, host, pid])).toEqual([
      [a, 2, 'web1', 4711],
      [b, 2, 'web1', 4711],
    ])
    expect(crashes[0]?.ms).toBeGreaterThan(0)
    expect(logFiles(queue)).toHaveLength(2)
    expect(workerFiles(queue)).toHaveLength(1)
    expect(await queue.attempts(a)).toMatchObject([
      { outcome: 'crashed', together: 2, try: 1, id: a, pid: 4711 },
    ])
    const items = await claimAll(queue)
    expect(guard.begin(items)).toEqual(['alone', 'alone'])
    for (const item of items) item.release()
  })

  // So many are not listed anew at each change.
  ifManyFiles().test('of 300 items: each runs alone, also one that is marked while others end', async () => {
    const queue = await bed.install({ durability: 'none' })
    const ids = Array.from({ length: 301 }, (_, entropy) => itemName({ entropy }))
    for (const id of ids) plant(queue, id)
    leaveDeadWorker(queue, ids.slice(1))
    const { guard } = guardOf(queue)
    const [late, ...items] = (await claimAll(queue)) as [WorkItem, ...WorkItem[]]
    expect(guard.begin([late])).toEqual(['none'])
    guard.end([late])
    const seen = new Set<Suspicion>()
    for (const item of items) {
      for (const suspicion of guard.begin([item])) seen.add(suspicion)
      await item.done()
      guard.end([item])
      if (item === items[100]) leaveDeadWorker(queue, [late.id], {}, 'web1.4711.2')
    }
    expect([...seen]).toEqual(['alone'])
    expect(guard.begin([late])).toEqual(['alone'])
    late.release()
  })

  test('is noticed before the next item runs', async () => {
    const { queue, items } = await queueWith(2)
    const [first, second] = items as [WorkItem, WorkItem]
    const { guard, crashes } = guardOf(queue)
    guard.begin([first])
    leaveDeadWorker(queue, [second.id])
    await later(5)
    expect(guard.begin([second])).toEqual(['alone'])
    expect(crashes).toHaveLength(1)
    for (const item of items) item.release()
  })

  test('too many of them: the item does not run', async () => {
    const { queue, items } = await queueWith(2)
    const [item, other] = items as [WorkItem, WorkItem]
    for (let number = 1; number <= 3; number++) leaveDeadWorker(queue, [item.id], {}, `web1.4711.${number}`)
    const { guard } = guardOf(queue)
    expect(guard.begin(items)).toEqual(['crashed', 'none'])
    expect(fileOf(queue).held.map(({ id }) => id)).toEqual([other.id])
    guard.failed(item, { error: new Error('its workers died'), ms: 0, reason: 'crashed' })
    await item.fail()
    guard.end([item])
    expect((await queue.attempts(item.key)).map(({ outcome }) => outcome)).toEqual([
      'crashed',
      'crashed',
      'crashed',
      'failed',
    ])
    other.release()
  })

  test.each(['closing', 'closed'] as const)('that was %s leaves no mark', async (state) => {
    const queue = await bed.install()
    plant(queue, itemName())
    leaveDeadWorker(queue, [itemName()], { state })
    expect(guardOf(queue).crashes).toEqual([])
    expect(workerFiles(queue)).toHaveLength(1)
    expect(logFiles(queue)).toEqual([])
  })

  test('of an earlier boot leaves no mark', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    leaveDeadWorker(queue, [itemName()], { boot: 'another', host: os.hostname() })
    expect(guardOf(queue).crashes).toEqual([])
    expect(workerFiles(queue)).toHaveLength(1)
  })

  test.each([
    ['process.exit(0)', 0],
    ['process.exit(1)', 1],
    ["process.nextTick(() => { throw new Error('no') }); await new Promise(() => {})", 1],
    ["process.kill(process.pid, 'SIGKILL')", 1],
    ["guard.closing(); process.kill(process.pid, 'SIGKILL')", 0],
  ])('by %s leaves %i marks', async (death, marks) => {
    const queue = await bed.install({ durability: 'none' })
    plant(queue, itemName())
    const program = `
      const queue = new Queue('q', { root: given.root })
      const guard = queue.openGuard({ maxCrashes: 3, concurrency: () => 1, onCrashed: () => undefined })
      for await (const item of queue.scan()) { guard.begin([item]); ${death} }
    `
    await expect(inProgram(program, { given: { root: bed.root } })).rejects.toThrow(/The program ended/)
    expect(guardOf(queue).crashes).toHaveLength(marks)
    expect(workerFiles(queue)).toHaveLength(1)
  })

  test('is told from a live one by fcntl locks, too', async () => {
    const queue = await bed.install({ lockKind: 'fcntl', itemMode: 0o600, queueMode: 0o700 })
    plant(queue, itemName())
    guardOf(queue)
    leaveDeadWorker(queue, [itemName()])
    expect(guardOf(queue).crashes).toHaveLength(1)
    expect(workerFiles(queue)).toHaveLength(2)
    expect(await queue.workers()).toHaveLength(2)
  })

  test('of another machine may be alive, and is left alone for a day', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    const file = leaveDeadWorker(queue, [itemName()], { boot: 'another', host: 'elsewhere' })
    expect(guardOf(queue).crashes).toEqual([])
    expect(fs.existsSync(file)).toBe(true)
    const old = new Date(Date.now() - 25 * 3_600_000)
    fs.utimesSync(file, old, old)
    expect(guardOf(queue).crashes).toEqual([])
    expect(fs.existsSync(file)).toBe(false)
  })

  test('whose marks cannot be written is buried later', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    const file = leaveDeadWorker(queue, [itemName()])
    fs.writeFileSync(path.join(queue.path, 'meta', 'log'), '')
    expect(guardOf(queue).crashes).toEqual([])
    expect(fs.existsSync(file)).toBe(true)
    expect(bed.reportTypes()).toEqual(['meta'])
    fs.unlinkSync(path.join(queue.path, 'meta', 'log'))
    expect(guardOf(queue).crashes).toHaveLength(1)
    expect(fs.existsSync(file)).toBe(false)
  })

  test('does not keep foreign files from being left alone', async () => {
    const queue = await bed.install()
    const workers = path.join(queue.path, 'meta', 'workers')
    fs.mkdirSync(path.join(workers, 'dir.1.1'), { recursive: true })
    fs.writeFileSync(path.join(workers, 'README'), '')
    fs.symlinkSync('/etc/passwd', path.join(workers, 'link.1.1'))
    fs.writeFileSync(path.join(workers, '.half.1.1'), '')
    guardOf(queue)
    expect(bed.reportTypes()).toEqual([])
    expect(workerFiles(queue)).toEqual(expect.arrayContaining(['.half.1.1', 'README', 'dir.1.1', 'link.1.1']))
  })
})

describe('the reasons of failures', () => {
  test('are kept until the item is discarded', async () => {
    const { queue, items } = await queueWith(1)
    const [item] = items as [WorkItem]
    const { guard } = guardOf(queue)
    const { id } = item
    guard.begin([item])
    const due = Date.now() + 60_000
    guard.failed(item, { error: Object.assign(new TypeError('no'), { code: 'E_NO' }), ms: 12.4, due })
    await item.retry()
    guard.end([item])
    expect(await queue.attempts(id)).toMatchObject([
      {
        outcome: 'retried',
        try: 1,
        ms: 12,
        id,
        due: new Date(due),
        error: { name: 'TypeError', message: 'no', code: 'E_NO' },
      },
    ])
    expect(await queue.attempts(item.id)).toHaveLength(1)
    expect(await queue.attempts('_nothing')).toEqual([])
    const [again] = await claimAll(queue)
    await later(5)
    guard.begin([again as WorkItem])
    await again?.discard()
    guard.end([again as WorkItem])
    expect(logFiles(queue)).toEqual([])
  })
})

describe('without meta/', () => {
  test.each(['EROFS', 'EACCES', 'ENOSPC'])('%s: the work goes on, with one report', async (code) => {
    const { queue, items } = await queueWith(1)
    const [item] = items as [WorkItem]
    const failure = Object.assign(new Error(code), {
      code,
      errno: -os.constants.errno[code as 'EROFS'],
      syscall: 'mkdir',
    })
    jest.spyOn(fs, 'mkdirSync').mockImplementation(() => {
      throw failure
    })
    const { guard } = guardOf(queue)
    expect(guard.begin([item])).toEqual(['none'])
    guard.failed(item, { error: 'no', ms: 1 })
    guard.failed(item, { error: 'no', ms: 1 })
    guard.state('paused', COUNTERS)
    await item.done()
    guard.end([item])
    expect(bed.reports.map(({ type, name }) => [type, name])).toEqual([
      ['meta', 'meta/workers'],
      ['meta', 'meta/log'],
    ])
  })

  test('a disk that fills up while a line is written loses no item, and the next line is whole', async () => {
    const { queue, items } = await queueWith(1)
    const [item] = items as [WorkItem]
    const { guard } = guardOf(queue)
    guard.begin([item])
    const write = fs.writeSync.bind(fs)
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', errno: -28, syscall: 'write' })
    jest
      .spyOn(fs, 'writeSync')
      .mockImplementationOnce((descriptor) => write(descriptor, '{"at":"2026'))
      .mockImplementationOnce(() => {
        throw full
      })
    guard.failed(item, { error: 'first', ms: 1 })
    guard.failed(item, { error: 'second', ms: 1 })
    await item.retry()
    guard.end([item])
    expect((await queue.attempts(item.key)).map(({ error }) => error?.message)).toEqual(['second'])
    expect(bed.reportTypes()).toEqual(['meta'])
  })

  test('a queue that was removed is no report', async () => {
    const { queue, items } = await queueWith(1)
    const { guard } = guardOf(queue)
    fs.rmSync(queue.path, { recursive: true })
    await later(5)
    guard.begin(items)
    guard.failed(items[0] as WorkItem, { error: 'no', ms: 1 })
    guard.end(items)
    expect(bed.reports).toEqual([])
  })

  test('removed at any step: no item is lost, and nothing throws', async () => {
    const steps = fc.array(
      fc.constantFrom('remove', 'begin', 'finish', 'retry', 'fail', 'bury', 'look', 'wait' as const),
      { minLength: 5, maxLength: 30 },
    )
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const queue = await bed.install({ durability: 'none', maxTries: 0, force: true })
        for (let entropy = 0; entropy < 5; entropy++) plant(queue, itemName({ entropy }))
        const { guard } = guardOf(queue)
        const inHand: WorkItem[] = []
        const taker = new Taker(queue)
        for (const step of plan) {
          const item = inHand[0]
          if (step === 'remove') fs.rmSync(path.join(queue.path, 'meta'), { recursive: true, force: true })
          else if (step === 'begin' && inHand.length < names(queue, 'queue').length && inHand.length < 3) {
            const next = await taker.take().catch(() => undefined)
            if (next !== undefined) {
              guard.begin([next])
              inHand.push(next)
            }
          } else if (step === 'bury') leaveDeadWorker(queue, names(queue, 'queue').slice(0, 2))
          else if (step === 'look') guardOf(queue).guard.close()
          else if (step === 'wait') await later(2)
          else if (item !== undefined) {
            inHand.shift()
            if (step !== 'finish') guard.failed(item, { error: SINCE, ms: 1 })
            await (step === 'finish' ? item.done() : step === 'retry' ? item.retry() : item.fail())
            guard.end([item])
          }
        }
        for (const item of inHand) item.release()
        guard.close()
        const left = (['queue', 'done', 'fail'] as const).flatMap((place) => names(queue, place))
        expect(left).toHaveLength(5)
        expect(bed.reportTypes().filter((type) => type !== 'meta')).toEqual([])
      }),
      { numRuns: 40 },
    )
  })
})
