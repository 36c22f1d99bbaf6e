import { getEventListeners } from 'node:events'
import { setTimeout as later } from 'node:timers/promises'

import { describe, expect, test } from '@jest/globals'

import { ClosingError } from '../../src/errors/classes.js'
import { errorOf, until } from '../support/queue.js'
import { Workshop, gate } from './workshop.js'

describe('close()', () => {
  test('no more claims; waits for the handlers, and resolves with nothing left', async () => {
    const shop = new Workshop('a', 'b', 'c')
    const worker = shop.work(async () => later(20), { concurrency: 2 })
    await until('two run', () => worker.running.size === 2)
    const closing = worker.close()
    expect(worker.close()).toBe(closing)
    expect(worker.state).toBe('closing')
    expect(await closing).toEqual({ left: [] })
    expect(worker.state).toBe('closed')
    expect(shop.source.log.filter((line) => line.startsWith('done'))).toHaveLength(2)
    expect([...shop.source.items].map(({ claimed }) => claimed)).toEqual([false])
    expect(shop.states).toEqual(['closing', 'closed'])
    expect(shop.journal.calls.slice(-3)).toEqual(['end b', 'state closed', 'close'])
  })

  test('after the grace, all signals abort with a ClosingError; rejections after that are released, not counted', async () => {
    const shop = new Workshop('a')
    let reason: unknown
    const worker = shop.work(async (item) => {
      await new Promise((resolve) => item.signal.addEventListener('abort', resolve))
      reason = item.signal.reason
      throw new Error('interrupted')
    })
    await until('it runs', () => worker.running.size === 1)
    expect(await worker.close({ grace: 20 })).toEqual({ left: [] })
    expect(reason).toBeInstanceOf(ClosingError)
    expect(shop.told).toEqual(['released'])
    expect([...shop.source.items]).toMatchObject([{ tries: 0, claimed: false }])
    expect(shop.journal.attempts).toEqual([])
  })

  test('one signal closes many workers, and has no listener of each, of which Node would warn', async () => {
    const stop = new AbortController()
    const workers = Array.from({ length: 12 }, () =>
      new Workshop().work(() => undefined, { signal: stop.signal }),
    )
    expect(getEventListeners(stop.signal, 'abort').length).toBeLessThan(10)
    stop.abort()
    await Promise.all(workers.map(async ({ gone }) => gone))
    expect(workers.map(({ state }) => state)).toEqual(workers.map(() => 'closed'))
  })

  test('a throw within the grace is a try like any other', async () => {
    const shop = new Workshop('a')
    const { opened, open } = gate()
    const worker = shop.work(async () => {
      await opened
      throw new Error('no luck')
    })
    await until('it runs', () => worker.running.size === 1)
    const closing = worker.close()
    open()
    await closing
    expect(shop.told).toEqual(['retried'])
  })

  test('1 s later it resolves with what is left, which settles when its handler ends', async () => {
    const shop = new Workshop('a')
    const { opened, open } = gate()
    const worker = shop.work(async () => opened)
    await until('it runs', () => worker.running.size === 1)
    const began = performance.now()
    const { left } = await worker.close({ grace: 50 })
    expect(performance.now() - began).toBeGreaterThan(1000)
    expect(performance.now() - began).toBeLessThan(2000)
    expect(left).toMatchObject([{ key: 'a', claimed: true }])
    expect(shop.journal.calls).not.toContain('close')
    open()
    await worker.gone
    expect(shop.source.log).toEqual(['claim a 0', 'done a 0'])
    expect(shop.journal.calls.slice(-2)).toEqual(['end a', 'close'])
  })

  test('a later call may shorten the grace, and none makes it longer', async () => {
    const shop = new Workshop('a')
    const worker = shop.work(async (item) => {
      await new Promise((resolve) => item.signal.addEventListener('abort', resolve))
    })
    await until('it runs', () => worker.running.size === 1)
    const closing = worker.close({ grace: 60_000 })
    expect(worker.close({ grace: 10 })).toBe(closing)
    expect(worker.close({ grace: 60_000 })).toBe(closing)
    expect(await closing).toEqual({ left: [] })
  })

  test('the abort of the signal closes', async () => {
    const shop = new Workshop()
    const stop = new AbortController()
    const worker = shop.work(() => undefined, { signal: stop.signal })
    stop.abort()
    await worker.gone
    expect(worker.state).toBe('closed')
  })

  test('idle() rejects when the worker closes', async () => {
    const shop = new Workshop('a')
    const { opened, open } = gate()
    const worker = shop.work(async () => opened)
    const idle = errorOf(async () => worker.idle())
    await worker.close({ grace: 0 })
    // The advice to handlers is not for a caller who waits.
    for (const error of [await idle, await errorOf(async () => worker.idle())]) {
      expect(error).toBeInstanceOf(ClosingError)
      expect(error).toMatchObject({ message: 'The worker closes, so it does not become idle' })
    }
    open()
  })

  test('a suspended claim of a worker that was paused at once is released', async () => {
    const shop = new Workshop('a')
    const worker = shop.work(() => undefined)
    worker.pause()
    await later(20)
    expect([...shop.source.items]).toMatchObject([{ claimed: false }])
    expect(worker.counters.done).toBe(0)
    worker.resume()
    await worker.idle()
    expect(worker.counters.done).toBe(1)
  })
})
