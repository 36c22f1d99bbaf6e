import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { native } from '../../src/addon/native.js'
import type { WorkItem } from '../../src/item/work-item.js'
import {
  EMPTY,
  Taker,
  checkError,
  contents,
  drain,
  errorOf,
  itemName,
  names,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'
import { claim } from './finishes.js'

const bed = useTestBed()
const HOUR = 3_600_000

afterEach(() => {
  jest.restoreAllMocks()
})

describe('retry', () => {
  test('counts the try in a new name, and says that the item waits', async () => {
    const queue = await bed.install({ maxTries: 3 })
    const id = await queue.enqueue('x', ['a_b', 'c'])
    const item = await takeOne(queue)
    const { key, args } = item
    expect(await item.retry()).toBe('waiting')
    expect(item.id).not.toBe(id)
    expect(item).toMatchObject({ key, args, tries: 1 })
    expect(item.path).toBe(path.join(queue.path, 'queue', item.id))
    expect(names(queue, 'queue')).toEqual([item.id])

    const again = await takeOne(queue)
    expect(again).toMatchObject({ id: item.id, key, args, tries: 1 })
    expect(await again.retry()).toBe('waiting')
    const last = await takeOne(queue)
    expect(last.tries).toBe(2)
    expect(await last.retry()).toBe('failed')
    expect(last).toMatchObject({ key, tries: 2, id: again.id })
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [again.id] })
  })

  test('once is the default: the first failure is the last', async () => {
    const queue = await bed.install()
    const item = await claim(queue)
    expect(await item.retry()).toBe('failed')
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [itemName()] })
    expect(item.id).toBe(itemName())
  })

  test('obeys the limits of the scan', async () => {
    const queue = await bed.install({ maxTries: 1, utc: true })
    plant(queue, itemName({ tries: 3 }))
    const item = await takeOne(queue, { maxTries: 5 })
    expect(await item.retry()).toBe('waiting')
    const last = await takeOne(queue, { maxTries: 5 })
    expect(await last.retry()).toBe('failed')
    expect(names(queue, 'fail')).toEqual([itemName({ tries: 4 })])
  })

  // Written by others: other delimiters, escapes of either case, padded tries, escapes that need not be.
  test.each([
    ['-20120710213904-0-13044-mss-7-%5Fx-a_b', '-20120710213904-0-13044-mss-8-%5Fx-a_b'],
    ['_20120710213904_00_%31_m%2Fs_007_x', '_20120710213904_00_%31_m%2Fs_8_x'],
    ['_20120710213904____0', '_20120710213904____1'],
    ['_20120710213904_0_1_h_9_x', '_20120710213904_0_1_h_10_x'],
    ['_20120710213904_0_1_h_%31_x', '_20120710213904_0_1_h_2_x'],
    ['5%32012071021390450515h51', '5%32012071021390450515h52'],
  ])('of %s is %s', async (name, expected) => {
    const queue = await bed.install({ maxTries: 0, utc: true, delimiter: '~', encode: '%' })
    const item = await claim(queue, name)
    const { key } = item
    expect(await item.retry()).toBe('waiting')
    expect(names(queue, 'queue')).toEqual([expected])
    expect(item).toMatchObject({ id: expected, key })
  })

  test('past the TTL fails, the name unchanged', async () => {
    const queue = await bed.install({ maxTries: 0, ttl: 60, utc: true })
    const enqueuedAt = Date.UTC(2012, 6, 10, 21, 39, 4)
    const now = jest.spyOn(Date, 'now').mockReturnValue(enqueuedAt + 59_999)
    const item = await claim(queue)
    expect(await item.retry()).toBe('waiting')
    const again = await takeOne(queue)
    now.mockReturnValue(enqueuedAt + 60_000)
    expect(await again.retry()).toBe('failed')
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [itemName({ tries: 1 })] })
  })

  const longest = (tries: number, bytes: number): string => {
    const room = bytes - itemName({ tries, args: [''] }).length
    return itemName({ tries, args: ['x'.repeat(room)] })
  }

  test.each([
    ['tries that have no more digits', itemName({ tries: 999_999_999_999_999 }), 'failed'],
    ['255 bytes that would grow', longest(9, 255), 'failed'],
    ['255 bytes that stay as many', longest(8, 255), 'waiting'],
    ['254 bytes that grow', longest(99, 254), 'waiting'],
    ['255 bytes of many digits', longest(99_999, 255), 'failed'],
  ])('of %s', async (_what, name, outcome) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue, name)
    expect(await item.retry()).toBe(outcome)
    if (outcome === 'failed') {
      expect(contents(queue)).toEqual({ ...EMPTY, fail: [name] })
      expect(item.id).toBe(name)
      expect(bed.reports).toHaveLength(1)
      expect(bed.reports[0]).toMatchObject({ type: 'ungrowable', rawName: name })
      expect(bed.reports[0]?.message).toMatch(/moved to fail\/$/)
    } else {
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [item.id] })
      expect(bed.reports).toEqual([])
    }
  })

  test('with a delay waits that long', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    const before = Date.now()
    expect(await item.retry({ delay: HOUR })).toBe('waiting')
    const { mtimeMs } = fs.statSync(item.path)
    expect(mtimeMs).toBeGreaterThanOrEqual(before + HOUR)
    expect(mtimeMs).toBeLessThanOrEqual(Date.now() + HOUR)
    expect(await drain(queue)).toEqual([])
    fs.utimesSync(item.path, new Date(), new Date(Date.now() - 1))
    expect(await drain(queue)).toEqual([item.id])
  })

  test('without one is due at once, also of an item that had been delayed', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const id = await queue.enqueue('x', [], { delay: 30 })
    let first: WorkItem | undefined
    await until('the item is due', async () => (first = await new Taker(queue).next()) !== undefined)
    expect(first?.id).toBe(id)
    await first?.retry()
    expect((await takeOne(queue)).id).toBe(first?.id)
  })

  test.each([-1, Number.NaN, 1e15])(
    'with a delay of %p is refused, and the item stays claimed',
    async (delay) => {
      const queue = await bed.install({ maxTries: 0 })
      const item = await claim(queue)
      checkError(await errorOf(async () => item.retry({ delay })), {
        type: SettingError,
        says: /delay is .*expected milli/,
      })
      expect(item.claimed).toBe(true)
      await item.done()
    },
  )
})

test('in a queue without a TTL, a retry does not parse when the item was enqueued', async () => {
  const queue = await bed.install({ maxTries: 3 })
  await queue.enqueue('x')
  const item = await takeOne(queue)
  const parseTime = jest.spyOn(native, 'parseTime')
  expect(await item.retry()).toBe('waiting')
  expect(parseTime).not.toHaveBeenCalled()
})
