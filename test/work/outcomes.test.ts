import { once } from 'node:events'
import { setTimeout as later } from 'node:timers/promises'
import { inspect } from 'node:util'

import { describe, expect, jest, test } from '@jest/globals'

import { PermanentFailure, RetryLater } from '../../src/errors/classes.js'
import { NO_JOURNAL, work } from '../../src/work/work.js'
import { until } from '../support/queue.js'
import type { MemoryItem } from './memory-source.js'
import { Workshop, gate } from './workshop.js'

const fails = (): never => {
  throw new Error('no luck')
}

describe('returns', () => {
  test('the item is done, and what the handler returned is ignored', async () => {
    const shop = new Workshop('a', 'b')
    const worker = shop.work(() => 'ignored')
    await worker.idle()
    expect(shop.source.log).toEqual(['claim a 0', 'done a 0', 'claim b 0', 'done b 0'])
    expect(shop.told).toEqual(['done', 'done'])
    expect(shop.events.started.map((event) => event.try)).toEqual([1, 1])
    expect(worker.counters).toMatchObject({ started: 2, done: 2, failed: 0 })
  })

  test('with keepDone false, the item is discarded', async () => {
    const shop = new Workshop('a')
    const discard = jest.fn(async (item: MemoryItem) => item.done())
    for (const item of shop.source.items) Object.assign(item, { discard: async () => discard(item) })
    await shop.work(() => undefined, { keepDone: false }).idle()
    expect(discard).toHaveBeenCalledTimes(1)
    expect(shop.told).toEqual(['done'])
  })
})

describe('it finished the item itself', () => {
  test.each([
    ['done', 'done'],
    ['fail', 'failed'],
    ['retry', 'retried'],
    ['release', 'released'],
  ] as const)('%s stands, and no second finish follows', async (action, told) => {
    const shop = new Workshop('a')
    let runs = 0
    const worker = shop.work(async (item) => {
      if (runs++ === 0) await item[action]({ delay: 0 })
    })
    await worker.idle()
    expect(shop.told[0]).toBe(told)
    expect(shop.events.error).toEqual([])
  })

  test('a throw after that is an error event', async () => {
    const shop = new Workshop('a')
    await shop
      .work(async (item) => {
        await item.done()
        fails()
      })
      .idle()
    expect(shop.told).toEqual(['error', 'done'])
    expect(shop.events.error).toEqual([new Error('no luck')])
    expect(shop.source.log).toEqual(['claim a 0', 'done a 0'])
  })
})

describe('throws, tries left', () => {
  test('the failure is logged, and the item is retried after the backoff', async () => {
    const shop = new Workshop('a')
    const before = Date.now()
    const worker = shop.work(fails, { backoff: 60_000 })
    await worker.idle()
    expect(shop.journal.calls.slice(1, 4)).toEqual(['begin a', 'failed a 0', 'end a'])
    const [event] = shop.events.retried
    expect(event).toMatchObject({ error: new Error('no luck'), try: 1 })
    expect(event?.due?.getTime()).toBeGreaterThanOrEqual(before + 60_000)
    expect(shop.journal.attempts).toEqual([
      { id: 'a 0', error: new Error('no luck'), due: expect.any(Number), ms: expect.any(Number) },
    ])
  })

  test('an error that is no Error counts, too', async () => {
    const shop = new Workshop('a')
    await shop
      .work(
        () => {
          throw undefined as unknown as Error
        },
        { backoff: 1000 },
      )
      .idle()
    expect(shop.told).toEqual(['retried'])
  })
})

describe('throws what cannot be read', () => {
  const hostile = (): never => {
    throw new Error('a trap')
  }
  const values: [string, () => unknown][] = [
    ['a proxy', () => new Proxy(new Error('a'), { get: hostile, getPrototypeOf: hostile })],
    [
      'an error whose cause is fixed',
      () => Object.defineProperty(new Error('a'), 'cause', { value: undefined }),
    ],
    ['an object that cannot be shown', () => ({ [inspect.custom]: hostile })],
  ]

  test.each(values)('%s, after the timeout: the item is retried', async (_name, value) => {
    const shop = new Workshop('a')
    const worker = shop.work(
      async (_item, { signal }) => {
        await once(signal, 'abort')
        throw value()
      },
      { timeout: 5, backoff: 1000 },
    )
    await once(worker, 'retried')
    expect(shop.told).toEqual(['retried'])
  })

  test.each(values)('%s, after its finish, without a listener: a warning', async (_name, value) => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const worker = await work(new Workshop('a').source, async (item) => {
      await item.done()
      throw value()
    })
    await worker.idle()
    expect(warn).toHaveBeenCalledTimes(1)
    warn.mockRestore()
    expect(await worker.close()).toEqual({ left: [] })
  })

  test.each(values)('%s by backoff: the default delay, and an error event', async (_name, value) => {
    const shop = new Workshop('a')
    const backoff = (): never => {
      throw value()
    }
    await shop.work(fails, { backoff }).idle()
    expect(shop.told).toEqual(['error', 'retried'])
  })

  test('the promise of the handler, by its own then(): that is an error of the handler', async () => {
    class Hostile<T> extends Promise<T> {
      static override get [Symbol.species](): PromiseConstructor {
        return hostile()
      }
    }
    const shop = new Workshop('a')
    await shop.work(() => new Hostile<void>((resolve) => resolve()), { backoff: 1000 }).idle()
    expect(shop.told).toEqual(['retried'])
  })

  test('the source, too: the worker asks it again', async () => {
    const shop = new Workshop('a')
    const scan = jest.spyOn(shop.source, 'scan').mockImplementationOnce(() => {
      throw Object.defineProperty(new Error('a'), 'code', { get: hostile })
    })
    shop.work(() => undefined)
    await until('the item is done', () => shop.told.length === 2)
    expect(scan).toHaveBeenCalledTimes(2)
    expect(shop.told).toEqual(['error', 'done'])
  })
})

test('throws, last try: the item fails for good as exhausted', async () => {
  const shop = new Workshop('a')
  const worker = shop.work(fails, { backoff: 0 })
  await worker.idle()
  expect(shop.told).toEqual(['retried', 'retried', 'failed'])
  expect(shop.events.failed).toEqual([
    {
      item: expect.anything(),
      id: 'a 2',
      reason: 'exhausted',
      error: new Error('no luck'),
      ms: expect.any(Number),
    },
  ])
  expect(worker.counters).toMatchObject({ started: 3, retried: 2, failed: 1 })
})

describe('PermanentFailure, or backoff gives false', () => {
  test.each([
    ['PermanentFailure', new PermanentFailure('never'), undefined],
    ['backoff gives false', new Error('never'), () => false as const],
  ])('%s: the item fails as permanent', async (_name, error, backoff) => {
    const shop = new Workshop('a')
    await shop
      .work(
        () => {
          throw error
        },
        { backoff },
      )
      .idle()
    expect(shop.events.failed).toMatchObject([{ reason: 'permanent', error, id: 'a 0' }])
    expect(shop.journal.attempts).toMatchObject([{ id: 'a 0', reason: 'permanent', error }])
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('bad backoff')
      },
    ],
    ['gives no number', () => 'soon' as unknown as number],
    ['gives a negative number', () => -1],
    ['gives NaN', () => Number.NaN],
    ['gives Infinity', () => Number.POSITIVE_INFINITY],
    ['gives undefined', () => undefined as unknown as number],
  ])('a backoff that %s: the default one, and an error event', async (_name, backoff) => {
    const shop = new Workshop('a')
    const before = Date.now()
    await shop.work(fails, { backoff }).idle()
    expect(shop.told).toEqual(['error', 'retried'])
    const delay = (shop.events.retried[0]?.due?.getTime() ?? 0) - before
    expect(delay).toBeGreaterThanOrEqual(750)
    expect(delay).toBeLessThan(2000)
  })
})

describe('RetryLater', () => {
  test('the item is released until later, and no try is counted', async () => {
    const shop = new Workshop('a')
    let runs = 0
    const worker = shop.work(() => {
      if (runs++ === 0) throw new RetryLater({ after: 20 })
    })
    await until('it has run again', () => shop.events.done.length === 1)
    expect(shop.source.log).toEqual(['claim a 0', 'released a 0', 'claim a 0', 'done a 0'])
    expect(shop.told).toEqual(['postponed', 'done'])
    expect(worker.counters).toMatchObject({ postponed: 1, retried: 0 })
    expect(shop.journal.attempts).toEqual([])
  })

  test('while closing: plain release', async () => {
    const shop = new Workshop('a')
    const { opened, open } = gate()
    const worker = shop.work(async () => {
      await opened
      throw new RetryLater({ after: 60_000 })
    })
    await until('it runs', () => worker.running.size === 1)
    const closing = worker.close()
    open()
    expect(await closing).toEqual({ left: [] })
    expect(shop.events.released).toEqual([{ item: expect.anything(), why: 'closing' }])
    expect([...shop.source.items][0]?.due).toBeLessThanOrEqual(Date.now())
  })
})

describe('timeout', () => {
  test('the signal aborts with a TimeoutError; a handler that returns is done', async () => {
    const shop = new Workshop('a')
    let reason: unknown
    await shop
      .work(
        async (item, { signal }) => {
          expect(signal).toBe(item.signal)
          await later(10_000, undefined, { signal }).catch(() => undefined)
          reason = signal.reason
        },
        { timeout: 20 },
      )
      .idle()
    expect(reason).toMatchObject({ name: 'TimeoutError' })
    expect(shop.told).toEqual(['done'])
  })

  test('a handler that throws has failed a try, with the TimeoutError as cause', async () => {
    const shop = new Workshop('a')
    const handler = async (_item: MemoryItem, { signal }: { signal: AbortSignal }): Promise<void> => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw new Error('interrupted')
    }
    await shop.work(handler, { timeout: 20, backoff: 60_000 }).idle()
    expect(shop.events.retried[0]?.error).toMatchObject({
      message: 'interrupted',
      cause: { name: 'TimeoutError' },
    })
  })

  test('5 s later still running: stuck once; place and claim stay taken', async () => {
    const shop = new Workshop('a', 'b')
    const { opened, open } = gate()
    const worker = shop.work(async () => opened, { timeout: 1 })
    await until('it is stuck', () => shop.events.stuck.length === 1)
    expect(shop.events.stuck[0]?.ms).toBeGreaterThan(4900)
    expect(worker.running.size).toBe(1)
    expect(shop.source.log).toEqual(['claim a 0'])
    open()
    await worker.idle()
    expect(shop.source.log).toEqual(['claim a 0', 'done a 0', 'claim b 0', 'done b 0'])
  })
})

describe('an item with marks', () => {
  test('is run alone: the worker claims nothing more and lets the others end first', async () => {
    const shop = new Workshop('a', 'b', 'poison', 'd', 'e')
    shop.journal.suspicions.set('poison', 'alone')
    const beside: Record<string, string[]> = {}
    const worker = shop.work(
      async (item) => {
        await later(20)
        beside[item.key] = [...worker.running].map(({ key }) => key)
      },
      { concurrency: 3 },
    )
    await worker.idle()
    expect(beside['poison']).toEqual(['poison'])
    expect(worker.counters.done).toBe(5)
    // It does not stand in the journal while it waits for the others.
    expect(shop.journal.calls.filter((call) => call.includes('poison'))).toEqual([
      'begin a,b,poison',
      'end poison',
      'begin poison',
      'end poison',
    ])
  })

  test('maxCrashes reached: it fails as crashed, unrun', async () => {
    const shop = new Workshop('poison', 'b')
    shop.journal.suspicions.set('poison', 'crashed')
    const ran: string[] = []
    const worker = shop.work((item) => void ran.push(item.key))
    await worker.idle()
    expect(ran).toEqual(['b'])
    expect(shop.events.failed).toMatchObject([{ id: 'poison 0', reason: 'crashed' }])
    expect(shop.journal.attempts).toMatchObject([{ id: 'poison 0', reason: 'crashed' }])
    expect(worker.counters).toMatchObject({ started: 1, failed: 1, done: 1 })
  })

  test('a suspect that has not run is released at close', async () => {
    const shop = new Workshop('a', 'poison')
    shop.journal.suspicions.set('poison', 'alone')
    const { opened, open } = gate()
    const worker = shop.work(async () => opened, { concurrency: 2 })
    await until('both are claimed', () => shop.source.log.length === 2)
    const closing = worker.close()
    expect(shop.source.log).toContain('released poison 0')
    open()
    expect(await closing).toEqual({ left: [] })
  })
})

describe("'error' without a listener, and a listener that throws", () => {
  test('both are warnings of the process, and the item is settled all the same', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const shop = new Workshop('a', 'b')
    const worker = await work(shop.source, fails, { backoff: () => Number.NaN })
    worker.on('retried', fails)
    await worker.idle()
    expect(warn.mock.calls).toMatchObject([
      [expect.stringContaining("without a listener for 'error'"), { code: 'FSQ_WORKER' }],
      [expect.stringContaining("A listener for the event 'retried'"), { code: 'FSQ_LISTENER' }],
      [expect.stringContaining("without a listener for 'error'"), { code: 'FSQ_WORKER' }],
      [expect.stringContaining("A listener for the event 'retried'"), { code: 'FSQ_LISTENER' }],
    ])
    warn.mockRestore()
    expect(worker.counters.retried).toBe(2)
    await worker.close()
  })
})

test('progress goes to the journal', async () => {
  const shop = new Workshop('a')
  await shop.work((_item, { progress }) => progress('page 1')).idle()
  expect(shop.journal.calls).toContain('progress a page 1')
  expect(() => NO_JOURNAL.progress(undefined, 1)).not.toThrow()
})
