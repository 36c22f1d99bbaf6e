import fs from 'node:fs'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { describe, expect, jest, test } from '@jest/globals'

import {
  FinishError,
  type FsqError,
  QueueClosedError,
  QueueMissingError,
  RetryLater,
  SettingError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { setConst } from '../../src/settings.js'
import {
  EMPTY,
  contents,
  drain,
  errorOf,
  isLocked,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'
import { gate } from './workshop.js'

const bed = useTestBed()

const fails = (): never => {
  throw new Error('no luck')
}

describe('queue.work()', () => {
  test('works what waits and what comes, and leaves done/ behind', async () => {
    const queue = await bed.install()
    await queue.enqueueMany(Array.from({ length: 100 }, (_, number) => ({ data: String(number) })))
    const seen = new Set<string>()
    const worker = await queue.work(async (item) => void seen.add(await item.text()), { concurrency: 16 })
    await worker.idle()
    expect(seen.size).toBe(100)
    await queue.enqueue('late')
    await until('it has come', () => seen.has('late'))
    await worker.idle()
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: 101 })
  })

  test('keepDone false: nothing stays', async () => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const worker = await queue.work(() => undefined, { keepDone: false })
    await worker.idle()
    expect(contents(queue)).toEqual(EMPTY)
  })

  test('throws, last try: fail/; the retry before it is delayed by the backoff', async () => {
    const queue = await bed.install({ maxTries: 2 })
    await queue.enqueue('a', ['x'])
    const tries: number[] = []
    const failed: unknown[] = []
    const worker = await queue.work(
      (item) => {
        tries.push(item.tries)
        fails()
      },
      { backoff: 50 },
    )
    worker.on('failed', ({ reason, error }) => failed.push([reason, error]))
    await until('it has failed', () => failed.length === 1)
    expect(tries).toEqual([0, 1])
    expect(failed).toEqual([['exhausted', new Error('no luck')]])
    expect(names(queue, 'fail')).toHaveLength(1)
  })

  test('RetryLater: released until later by its time, and TTL still bounds it', async () => {
    // The time in a name has whole seconds, so that the item lives at least one.
    const queue = await bed.install({ maxTries: 2, ttl: 2 })
    const id = await queue.enqueue('a', ['x'])
    const runs: number[] = []
    const failed: unknown[] = []
    const worker = await queue.work(() => {
      runs.push(Date.now())
      throw new RetryLater({ after: 300 })
    })
    worker.on('failed', ({ id: name, item, reason }) => failed.push([name, item, reason]))
    await until('it has expired', () => failed.length === 1)
    expect(runs.length).toBeGreaterThan(1)
    expect((runs[1] ?? 0) - (runs[0] ?? 0)).toBeGreaterThanOrEqual(295)
    expect(failed).toEqual([[id, undefined, 'expired']])
    expect(worker.counters).toMatchObject({ postponed: runs.length, failed: 1, retried: 0 })
  })

  test('expired, malformed: fail/, event without running', async () => {
    const queue = await bed.install()
    plant(queue, 'no item')
    plant(queue, itemName())
    const ran: string[] = []
    const failed: unknown[] = []
    const worker = await queue.work((item) => void ran.push(item.id), { ttl: 60, paused: true })
    worker.on('failed', ({ id, reason, item }) => failed.push([id, reason, item]))
    worker.on('report', ({ type }) => failed.push(type))
    worker.resume()
    await worker.idle()
    expect(ran).toEqual([])
    expect(failed).toEqual(
      expect.arrayContaining([
        ['no item', 'malformed', undefined],
        [itemName(), 'expired', undefined],
        'malformed',
        'expired',
      ]),
    )
    expect(bed.reports).toEqual([])
  })

  test('expired again after a redrive: that is told and counted again', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    const failed: unknown[] = []
    const worker = await queue.work(() => undefined, { ttl: 60 })
    worker.on('failed', ({ reason }) => failed.push(reason))
    await until('it has failed', () => worker.counters.failed === 1)
    await queue.redrive('all')
    await until('it has failed again', () => names(queue, 'fail').length === 1 && failed.length === 2)
    expect(failed).toEqual(['expired', 'expired'])
    expect(worker.counters.failed).toBe(2)
  })

  test('without a listener for reports, they go where those of the queue go', async () => {
    const queue = await bed.install()
    plant(queue, 'no item')
    await (await queue.work(() => undefined)).idle()
    expect(bed.reportTypes()).toEqual(['malformed'])
  })

  test('it finished the item itself, without awaiting: that stands', async () => {
    const queue = await bed.install({ maxTries: 3 })
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const told: string[] = []
    const worker = await queue.work(
      async (item) => {
        if ((await item.text()) === 'a') void item.fail()
        else {
          void item.done()
          fails()
        }
      },
      { paused: true },
    )
    worker.on('failed', ({ reason }) => told.push(`failed ${reason}`))
    worker.on('done', () => told.push('done'))
    worker.on('error', (error) => told.push((error as Error).message))
    worker.resume()
    await worker.idle()
    expect(told).toEqual(['failed handler', 'no luck', 'done'])
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: 1, failed: 1 })
  })

  test('Bad input: SettingError at the call', async () => {
    const queue = await bed.install()
    const work = queue.work.bind(queue) as (...args: unknown[]) => Promise<unknown>
    for (const options of [
      { concurrency: 0 },
      { maxTries: -1 },
      { ttl: 1.5 },
      { prefetch: 0 },
      { order: 'lifo' },
      { keepDone: {} },
      { keepFailed: false },
      { keepFailed: { age: -1 } },
      { onReport: () => undefined },
      { closeOn: ['SIGKILL'] },
    ])
      expect(await errorOf(async () => work(() => undefined, options))).toBeInstanceOf(SettingError)
    expect(await errorOf(async () => work(undefined))).toBeInstanceOf(SettingError)
  })
})

describe('down exists', () => {
  test('state down, claims nothing, running ones end; running within 1 s of up', async () => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const { opened, open } = gate()
    const worker = await queue.work(async () => opened)
    await until('it runs', () => worker.running.size === 1)
    await queue.down()
    await queue.enqueue('b')
    open()
    await until('it is down', () => worker.state === 'down')
    expect(worker.counters).toMatchObject({ done: 1 })
    await later(600)
    expect(worker.counters).toMatchObject({ started: 1 })
    await queue.up()
    const up = performance.now()
    await until('it runs again', () => worker.state === 'running')
    expect(performance.now() - up).toBeLessThan(1000)
    await worker.idle()
    expect(worker.counters).toMatchObject({ done: 2 })
  })

  test('work() resolves in a queue that is down', async () => {
    const queue = await bed.install()
    await queue.down()
    const worker = await queue.work(() => undefined)
    await until('it is down', () => worker.state === 'down')
  })
})

describe('queue removed', () => {
  test('state missing, error once, looks again; installed anew: goes on', async () => {
    const queue = await bed.install()
    const worker = await queue.work(() => undefined)
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error))
    await bed.open().uninstall()
    await until('it is missing', () => worker.state === 'missing')
    await later(1200)
    const again = await bed.install()
    await again.enqueue('a')
    await until('it has worked', () => worker.counters.done === 1)
    expect(worker.state).toBe('running')
    expect(errors).toEqual([expect.any(QueueMissingError)])
  })

  test('missing at work(): rejects, also when the handle was used before', async () => {
    expect(await errorOf(async () => bed.open().work(() => undefined))).toBeInstanceOf(QueueMissingError)
    const queue = await bed.install()
    await queue.counts()
    await bed.open().uninstall()
    expect(await errorOf(async () => queue.work(() => undefined))).toBeInstanceOf(QueueMissingError)
  })
})

describe('a finish fails', () => {
  test('claim kept, claiming stops, error once with FinishError, unfinished; running when it has succeeded', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const states: string[] = []
    const errors: unknown[] = []
    const { opened, open } = gate()
    const worker = await queue.work(async () => opened)
    worker.on('state', ({ state }) => states.push(state))
    worker.on('error', (error) => errors.push(error))
    await until('it runs', () => worker.running.size === 1)
    fs.rmdirSync(`${queue.path}/done`)
    open()
    await until('it is unfinished', () => worker.state === 'unfinished')
    await later(500)
    expect(worker.running.size).toBe(1)
    expect(names(queue, 'queue').map((name) => isLocked(pathOf(queue, 'queue', name)))).toEqual([true, false])
    expect(errors).toEqual([expect.any(FinishError)])
    fs.mkdirSync(`${queue.path}/done`)
    await worker.idle()
    expect(names(queue, 'done')).toHaveLength(2)
    expect(errors.filter((error) => error instanceof FinishError)).toHaveLength(1)
    expect(states.at(0)).toBe('unfinished')
    expect(states.at(-1)).toBe('running')
    expect(worker.counters).toMatchObject({ done: 2 })
  })
})

test('a finish of the handler itself fails: the item is done when it has succeeded, and was never retried', async () => {
  const queue = await bed.install({ maxTries: 3 })
  await queue.enqueue('a')
  const { opened, open } = gate()
  const told: string[] = []
  const worker = await queue.work(async (item) => {
    await opened
    await item.done()
  })
  worker.on('retried', () => told.push('retried'))
  worker.on('done', () => told.push('done'))
  worker.on('error', (error) => told.push((error as Error).name))
  await until('it runs', () => worker.running.size === 1)
  fs.rmdirSync(`${queue.path}/done`)
  open()
  await until('it is unfinished', () => worker.state === 'unfinished')
  fs.mkdirSync(`${queue.path}/done`)
  await worker.idle()
  expect(told.filter((what) => what !== 'NotAQueueError')).toEqual(['FinishError', 'done'])
  expect(names(queue, 'done')).toHaveLength(1)
  const [id] = names(queue, 'done')
  expect(await queue.attempts(id ?? '')).toEqual([])
})

describe('queue.close()', () => {
  test('closes its workers first, and releases all but items whose handlers still run', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const { opened, open } = gate()
    const worker = await queue.work(async () => opened, { grace: 0 })
    await until('it runs', () => worker.running.size === 1)
    const loop = await takeOne(queue)
    await queue.close()
    expect(worker.state).toBe('closed')
    const [item] = worker.running
    expect(item?.claimed).toBe(true)
    expect(loop.claimed).toBe(false)
    expect(names(queue, 'queue').map((name) => isLocked(pathOf(queue, 'queue', name)))).toEqual([true, false])
    open()
    await worker.gone
    expect(names(queue, 'done')).toEqual([item?.id])
    expect(await errorOf(async () => queue.work(() => undefined))).toBeInstanceOf(QueueClosedError)
  })

  test('force: these, too', async () => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const { opened, open } = gate()
    const worker = await queue.work(async () => opened, { grace: 0 })
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error))
    await until('it runs', () => worker.running.size === 1)
    const [item] = worker.running
    await queue.close({ force: true })
    expect(item?.claimed).toBe(false)
    expect(item?.signal.aborted).toBe(true)
    open()
    await worker.gone
    expect(errors).toEqual([])
    expect(names(queue, 'queue')).toHaveLength(1)
  })

  test('an item whose handler has ended, and that cannot be finished, is released, and keeps no process alive', async () => {
    const releaseOf = async (claims?: 'rename'): Promise<void> => {
      const queue = await bed.install(claims === undefined ? {} : { claims }, `q-${claims}`)
      await queue.enqueue('a')
      const worker = await queue.work(() => fs.rmdirSync(`${queue.path}/done`), { grace: 0 })
      worker.on('error', () => undefined)
      await until('it is unfinished', () => worker.state === 'unfinished')
      const [item] = worker.running
      await queue.close()
      expect(item?.claimed).toBe(false)
      await worker.gone
      fs.mkdirSync(`${queue.path}/done`)
      expect(await drain(bed.open({}, queue.name))).toEqual([item?.id])
    }
    await Promise.all([releaseOf(), releaseOf('rename')])
  })

  test('an item that cannot be finished by the worker or by its handler: the last event is an error', async () => {
    const lastOf = async (place: 'done' | 'fail', end: Handler, claims?: 'rename'): Promise<void> => {
      const queue = await bed.install(claims === undefined ? {} : { claims }, `q-${++queues}`)
      await queue.enqueue('a')
      const handler = (item: WorkItem): unknown => {
        fs.rmdirSync(`${queue.path}/${place}`)
        return end(item)
      }
      const worker = await queue.work(handler, { grace: 0 })
      const told: unknown[] = []
      worker.on('released', ({ why }) => told.push(why))
      worker.on('error', (error) => told.push((error as FsqError).code))
      await until('it is unfinished', () => worker.state === 'unfinished')
      told.length = 0
      await queue.close()
      await worker.gone
      expect(told).toEqual([expect.stringMatching(/^ERR_FSQ_(QUEUE_CLOSED|FINISH)$/)])
      expect(worker.counters).toMatchObject({ released: 0 })
    }
    type Handler = (item: WorkItem) => unknown
    const itself: readonly Handler[] = [
      async (item) => item.fail(),
      async (item) => item.fail().catch(() => undefined),
    ]
    let queues = 0
    await Promise.all([
      lastOf('done', () => undefined),
      lastOf('done', () => undefined, 'rename'),
      ...itself.flatMap((end) => [lastOf('fail', end), lastOf('fail', end, 'rename')]),
    ])
  })

  test('work() while it closes rejects', async () => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const { opened, open } = gate()
    const worker = await queue.work(async () => opened)
    await until('it runs', () => worker.running.size === 1)
    const closing = queue.close()
    const late = errorOf(async () => queue.work(() => undefined))
    open()
    await closing
    expect(await late).toBeInstanceOf(QueueClosedError)
  })
})

describe('item.release({ delay })', () => {
  test('gives back untried, due later', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('a')
    const item = await takeOne(queue)
    const before = Date.now()
    item.release({ delay: 60_000 })
    expect(item.outcome).toBe('released')
    expect(names(queue, 'queue')).toEqual([id])
    expect(await queue.counts()).toMatchObject({ waiting: 1 })
    const stats = await queue.stats()
    // Node sets times as floating-point seconds, which are a little short of the millisecond.
    expect(stats.nextDue?.getTime()).toBeGreaterThanOrEqual(before + 60_000 - 1)
    expect(() => item.release({ delay: -1 })).toThrow(SettingError)
  })
})

describe('item.signal', () => {
  test('is aborted when the handle is closed', async () => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const { signal } = await takeOne(queue)
    await queue.close()
    expect(signal.reason).toBeInstanceOf(QueueClosedError)
  })

  test('is aborted by abort(), also if it is asked for later', async () => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const item = await takeOne(queue)
    item.abort('reason')
    expect(item.signal.reason).toBe('reason')
    expect(item.claimed).toBe(true)
  })
})

describe('warnings', () => {
  test('FSQ_FIRST_FAILURE: once, in a fleet that never set maxTries', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    await (await queue.work(fails)).idle()
    expect(warn.mock.calls).toEqual([[expect.stringContaining('maxTries'), expect.anything()]])
    expect(warn.mock.calls[0]?.[1]).toMatchObject({ code: 'FSQ_FIRST_FAILURE' })
    warn.mockRestore()
  })

  test('none where maxTries is set', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const queue = await bed.install({ maxTries: 1 })
    await queue.enqueue('a')
    await (await queue.work(fails)).idle()
    setConst('FSQ_MAX_TRIES', 1)
    try {
      const other = await bed.install({}, 'other')
      await other.enqueue('a')
      await (await other.work(fails)).idle()
    } finally {
      setConst('FSQ_MAX_TRIES', undefined)
    }
    expect(warn.mock.calls).toEqual([])
    warn.mockRestore()
  })

  test('FSQ_MIXED_TRIES: maxTries of work() differs from FSQ_MAX_TRIES', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    setConst('FSQ_MAX_TRIES', 3)
    try {
      const queue = await bed.install()
      await queue.work(() => undefined, { maxTries: 3 })
      expect(warn.mock.calls).toEqual([])
      await queue.work(() => undefined, { maxTries: 5 })
      await queue.work(() => undefined, { maxTries: 6 })
      expect(warn.mock.calls.map(([, options]) => options)).toMatchObject([{ code: 'FSQ_MIXED_TRIES' }])
    } finally {
      setConst('FSQ_MAX_TRIES', undefined)
      warn.mockRestore()
    }
  })
})

describe('keepDone and keepFailed', () => {
  test('after a thousand finishes, those above the limits are removed in steps', async () => {
    const queue = await bed.install({ durability: 'none' })
    await queue.enqueueMany(Array.from({ length: 1000 }, () => ({ data: null })))
    await queue.work(() => undefined, { concurrency: 32, keepDone: { count: 10 } })
    await until('they are gone', () => names(queue, 'done').length === 10)
  })
})
