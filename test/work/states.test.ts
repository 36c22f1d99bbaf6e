import { setTimeout as later } from 'node:timers/promises'

import { describe, expect, test } from '@jest/globals'

import { DiskFullError, FinishError } from '../../src/errors/classes.js'
import { errorOf, until } from '../support/queue.js'
import { Workshop, gate } from './workshop.js'

describe('concurrency', () => {
  test('first a place, then the item: never more claimed than places', async () => {
    const shop = new Workshop(...'abcdefghij')
    let most = 0
    const worker = shop.work(
      async () => {
        most = Math.max(most, [...shop.source.items].filter(({ claimed }) => claimed).length)
        await later(2)
      },
      { concurrency: 3 },
    )
    await worker.idle()
    expect(most).toBe(3)
    expect(worker.counters.done).toBe(10)
    // One call of the journal for all items that start in one tick.
    expect(shop.journal.calls).toContain('begin a,b,c')
  })

  test('may be set; fewer takes effect as items end', async () => {
    const shop = new Workshop(...'abcdefgh')
    const { opened, open } = gate()
    const seen: number[] = []
    const worker = shop.work(
      async () => {
        await opened
        await later(2)
        seen.push(worker.running.size)
      },
      { concurrency: 2 },
    )
    await until('two run', () => worker.running.size === 2)
    worker.concurrency = 4
    await until('four run', () => worker.running.size === 4)
    worker.concurrency = 1
    open()
    await worker.idle()
    expect(seen.slice(4)).toEqual([1, 1, 1, 1])
    expect(() => (worker.concurrency = 0)).toThrow('concurrency')
  })
})

describe('pause() and resume()', () => {
  test('a paused worker claims nothing, and running handlers go on', async () => {
    const shop = new Workshop('a')
    const worker = shop.work(() => undefined, { paused: true })
    await later(30)
    expect(worker.state).toBe('paused')
    expect(shop.source.log).toEqual([])
    worker.resume()
    await worker.idle()
    expect(shop.told).toEqual(['done'])
    expect(shop.states).toEqual(['running'])
  })
})

describe('idle()', () => {
  test('waits for items that a handler has added just before it ended', async () => {
    const shop = new Workshop('a')
    let added = 0
    const worker = shop.work(
      async () => {
        await later(20)
        if (added++ < 3) shop.source.add(`more ${added}`)
      },
      { concurrency: 4 },
    )
    await worker.idle()
    expect(worker.counters.done).toBe(4)
    await worker.idle()
    expect(await errorOf(async () => worker.idle({ signal: AbortSignal.abort('stop') }))).toBe('stop')
  })

  test('the event idle comes once each time that the work is done', async () => {
    const shop = new Workshop('a')
    const worker = shop.work(() => undefined)
    let idles = 0
    worker.on('idle', () => idles++)
    await until('it is idle', () => idles === 1)
    await later(30)
    expect(idles).toBe(1)
    shop.source.add('b')
    await until('it is idle again', () => idles === 2)
    expect(worker.counters.done).toBe(2)
  })
})

describe('down exists', () => {
  test('state down, claims nothing; running within 1 s of up', async () => {
    const shop = new Workshop()
    shop.source.outage = Object.assign(new Error('down'), { kind: 'down' as const })
    const worker = shop.work(() => undefined)
    await until('it is down', () => worker.state === 'down')
    shop.source.add('a')
    await later(20)
    expect(shop.source.log).toEqual([])
    shop.source.outage = undefined
    const up = performance.now()
    await until('it runs', () => worker.state === 'running')
    expect(performance.now() - up).toBeLessThan(1000)
    await worker.idle()
    expect(shop.events.error).toEqual([])
    expect(worker.counters.done).toBe(1)
  })
})

describe('queue removed', () => {
  test('state missing, error once, looks again; installed anew: goes on', async () => {
    const shop = new Workshop()
    shop.source.outage = new Error('gone')
    const worker = shop.work(() => undefined)
    await until('it is missing', () => worker.state === 'missing')
    await later(1500)
    expect(shop.events.error).toEqual([new Error('gone')])
    shop.source.outage = undefined
    shop.source.add('a')
    await worker.idle()
    expect(shop.states).toEqual(['missing', 'running'])
  })

  test('a worker whose source is missing closes at once', async () => {
    const shop = new Workshop()
    shop.source.outage = new Error('gone')
    const worker = shop.work(() => undefined)
    await until('it is missing', () => worker.state === 'missing')
    const began = performance.now()
    await worker.close()
    expect(performance.now() - began).toBeLessThan(500)
  })

  test('a source that was closed closes its worker', async () => {
    const shop = new Workshop()
    shop.source.outage = Object.assign(new Error('closed'), { kind: 'closed' as const })
    const worker = shop.work(() => undefined)
    await worker.gone
    expect(worker.state).toBe('closed')
  })
})

describe('a finish fails', () => {
  test('claim kept, claiming stops, error once, unfinished; running when it has succeeded', async () => {
    const shop = new Workshop('a', 'b')
    shop.source.broken = new FinishError('a', 'done', { cause: new DiskFullError('full') })
    const worker = shop.work(() => undefined)
    await until('it is unfinished', () => worker.state === 'unfinished')
    await later(300)
    expect(worker.running.size).toBe(1)
    expect(shop.source.log).toEqual(['claim a 0'])
    expect(shop.events.error).toEqual([shop.source.broken])
    shop.source.broken = undefined
    await worker.idle()
    expect(shop.states).toEqual(['unfinished', 'running'])
    expect(shop.told).toEqual(['error', 'done', 'done'])
    expect(worker.counters.done).toBe(2)
  })
})

class Odd extends Promise<void> {
  override then(): never {
    throw new Error('no then')
  }
}

test.each([
  ['a promise whose then() throws', () => Odd.resolve()],
  ['a proxy of a promise', () => new Proxy(Promise.resolve(), {})],
])('a handler that returns %s has failed, and the other items run', async (_, answer) => {
  const shop = new Workshop('a', 'b', 'c')
  const worker = shop.work((item) => (item.key === 'a' ? answer() : undefined), { concurrency: 3 })
  await worker.idle()
  expect(worker.counters).toMatchObject({ done: 2, retried: 1 })
  await worker.close()
})
