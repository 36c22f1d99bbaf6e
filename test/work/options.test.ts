import { describe, expect, test } from '@jest/globals'

import { RetryLater, SettingError } from '../../src/errors/classes.js'
import { askBackoff, backoffFunction, defaultBackoff } from '../../src/work/backoff.js'
import { Worker } from '../../src/work/handle.js'
import { work } from '../../src/work/work.js'
import { checkError, errorOf, useTestBed } from '../support/queue.js'
import { MemorySource } from './memory-source.js'

const bed = useTestBed()

describe('Bad input: SettingError at the call', () => {
  test.each<[string, object]>([
    ['concurrency', { concurrency: 0 }],
    ['concurrency', { concurrency: 1.5 }],
    ['backoff', { backoff: -1 }],
    ['backoff', { backoff: 'soon' }],
    ['delay', { backoff: { delay: -1 } }],
    ['factor', { backoff: { factor: 0.5 } }],
    ['jitter', { backoff: { jitter: 2 } }],
    ['base', { backoff: { base: 2 } }],
    ['timeout', { timeout: -1 }],
    ['timeout', { timeout: 2 ** 31 }],
    ['keepDone', { keepDone: 'yes' }],
    ['grace', { grace: Number.NaN }],
    ['closeOn', { closeOn: 'SIGTERM' }],
    ['closeOn', { closeOn: ['SIGNAL'] }],
    ['closeOn', { closeOn: ['SIGKILL'] }],
    ['signal', { signal: {} }],
    ['paused', { paused: 1 }],
    ['width', { width: 1 }],
  ])('%s: %p', async (name, options) => {
    const error = await errorOf(async () => work(new MemorySource(), () => undefined, options))
    expect(error).toBeInstanceOf(SettingError)
    expect((error as Error).message).toContain(name)
  })

  test('no function', async () => {
    const error = await errorOf(async () => work(new MemorySource(), './handler.js' as never))
    checkError(error, {
      type: SettingError,
      says: /^handler is '.\/handler.js', expected a function, or the URL of/,
    })
  })

  test('the message names the option, not the options', async () => {
    const refused = async (options: object): Promise<unknown> =>
      errorOf(async () => work(new MemorySource(), () => undefined, options))
    checkError(await refused({ backoff: 'soon' }), {
      type: SettingError,
      says: /^backoff is 'soon', expected /,
    })
    const queue = await bed.install()
    const keep = await errorOf(async () => queue.work(() => undefined, { keepDone: 5 as never }))
    checkError(keep, { type: SettingError, says: /^keepDone is 5, expected limits/ })
    const ages = await errorOf(async () => queue.work(() => undefined, { keepFailed: { ages: 5 } as never }))
    checkError(ages, { type: SettingError, says: /keepFailed has no option 'ages' \(do you mean age\?\)/ })
  })

  test('new Worker(), as of other queues', () => {
    const Made = Worker as unknown as new (...args: unknown[]) => unknown
    expect(() => new Made('mail', () => undefined)).toThrow(/makes no worker\. Call queue\.work\(handler\)/)
  })

  test('work() of a queue, and of no source', async () => {
    const queue = await bed.install()
    const ofQueue = await errorOf(async () => work(queue as never, () => undefined))
    checkError(ofQueue, { type: SettingError, says: /^source is Queue .*\. Call queue\.work\(handler\)/ })
    for (const source of [undefined, null, {}, ['item'], () => undefined]) {
      const error = await errorOf(async () => work(source as never, () => undefined))
      checkError(error, {
        type: SettingError,
        says: /^source is .*, expected an object with a function scan/,
      })
    }
  })

  test('a signal that is aborted already rejects with its reason', async () => {
    const signal = AbortSignal.abort('stop')
    expect(await errorOf(async () => work(new MemorySource(), () => undefined, { signal }))).toBe('stop')
  })

  test('RetryLater without a time', () => {
    expect(() => new RetryLater({} as never)).toThrow(SettingError)
  })
})

describe('backoff', () => {
  test('by default: 1 s, doubled each time, an hour at most, a quarter of it random', () => {
    for (const [tries, full] of [
      [0, 1000],
      [1, 2000],
      [5, 32_000],
      [40, 3_600_000],
      [9999, 3_600_000],
    ] as const) {
      const delays = Array.from({ length: 100 }, () => defaultBackoff(tries))
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(full * 0.75)
      expect(Math.max(...delays)).toBeLessThanOrEqual(full)
      expect(new Set(delays).size).toBeGreaterThan(1)
    }
  })

  test('by numbers', () => {
    expect(backoffFunction(500)(3, undefined, undefined)).toBe(500)
    const shaped = backoffFunction({ delay: 10, factor: 3, max: 100, jitter: 0 })
    expect([0, 1, 2, 3].map((tries) => shaped(tries, undefined, undefined))).toEqual([10, 30, 90, 100])
  })

  test('by a function, which gets the tries, the error and the item', () => {
    const asked: unknown[] = []
    const answer = askBackoff((...args) => (asked.push(...args), 7), 2, 'error', 'item')
    expect(answer).toEqual({ delay: 7 })
    expect(asked).toEqual([2, 'error', 'item'])
    expect(askBackoff(() => false, 0, '', '')).toEqual({ delay: false })
  })
})
