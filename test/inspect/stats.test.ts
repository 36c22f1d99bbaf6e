import fs from 'node:fs'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { QueueClosedError, QueueMissingError } from '../../src/errors/classes.js'
import { onLinux } from '../support/needs.js'
import { checkError, errorOf, itemName, plant, takeOne, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const NONE = { total: 0, lastMinute: 0, lastHour: 0, lastDay: 0 }
const MINUTE = 60_000

afterEach(() => {
  jest.restoreAllMocks()
})

describe('stats', () => {
  test('of an empty queue', async () => {
    const queue = await bed.install()
    expect(await queue.stats()).toEqual({
      waiting: 0,
      working: 0,
      delayed: 0,
      oldestAge: undefined,
      medianAge: undefined,
      nextDue: undefined,
      done: NONE,
      failed: NONE,
    })
  })

  onLinux('count each item in queue/ once, and tell when the next one is due', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ args: ['a'] }, { args: ['b'] }, { args: ['c'] }])
    const before = Date.now()
    await queue.enqueue('', ['later'], { delay: 2 * MINUTE })
    await queue.enqueue('', ['soon'], { delay: MINUTE })
    plant(queue, 'README')
    fs.mkdirSync(bed.path('q', 'queue', 'directory'))
    const item = await takeOne(queue)
    const { waiting, working, delayed, nextDue } = await queue.stats()
    expect({ waiting, working, delayed }).toEqual({ waiting: 2, working: 1, delayed: 2 })
    expect(nextDue?.getTime()).toBeGreaterThanOrEqual(before + MINUTE)
    expect(nextDue?.getTime()).toBeLessThan(before + 2 * MINUTE)
    item.release()
    expect(await queue.stats()).toMatchObject({ waiting: 3, working: 0, delayed: 2 })
  })

  test('tell the ages of the items in queue/ in milliseconds', async () => {
    const queue = await bed.install({ utc: true })
    for (const timestamp of ['20120710213904', '20120710213934', '20120710214004'])
      plant(queue, itemName({ timestamp }))
    // Ahead of this clock.
    plant(queue, itemName({ timestamp: '20990101000000' }))
    jest.spyOn(Date, 'now').mockReturnValue(Date.UTC(2012, 6, 10, 21, 41, 4))
    expect(await queue.stats()).toMatchObject({ waiting: 4, oldestAge: 120_000, medianAge: 90_000 })
  })

  test('count what has been done and has failed within the last minute, hour and day', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ entropy: 1 }), '', 'done')
    plant(queue, itemName({ entropy: 2 }), '', 'done')
    plant(queue, itemName(), '', 'fail')
    fs.mkdirSync(bed.path('q', 'done', 'directory'))
    const now = Date.now()
    const clock = jest.spyOn(Date, 'now')
    const at = async (age: number): Promise<unknown> => {
      clock.mockReturnValue(now + age)
      const { done, failed } = await queue.stats()
      expect([failed.total, failed.lastMinute]).toEqual([1, done.lastMinute / 2])
      return done
    }
    expect(await at(MINUTE / 2)).toEqual({ total: 2, lastMinute: 2, lastHour: 2, lastDay: 2 })
    expect(await at(2 * MINUTE)).toEqual({ total: 2, lastMinute: 0, lastHour: 2, lastDay: 2 })
    expect(await at(61 * MINUTE)).toEqual({ total: 2, lastMinute: 0, lastHour: 0, lastDay: 2 })
    expect(await at(25 * 60 * MINUTE)).toEqual({ total: 2, lastMinute: 0, lastHour: 0, lastDay: 0 })
  })

  test('leave open who works where the system does not tell', async () => {
    const queue = await bed.install()
    await queue.enqueue('')
    const read = fs.readFileSync.bind(fs)
    jest.spyOn(fs, 'readFileSync').mockImplementation(((file: string, ...rest: []) => {
      if (file === '/proc/locks') throw new Error('there is no such file')
      return read(file, ...rest)
    }) as typeof fs.readFileSync)
    const item = await takeOne(queue)
    expect(await queue.stats()).toMatchObject({ waiting: 1, working: undefined })
    await item.done()
  })

  test('are refused by a closed handle, also by one that is closed meanwhile', async () => {
    const queue = await bed.install()
    for (let entropy = 0; entropy < 9; entropy++) plant(queue, itemName({ entropy }))
    await queue.isEmpty()
    let now = 0
    // Each entry takes longer than a slice.
    jest.spyOn(performance, 'now').mockImplementation(() => (now += 1000))
    const begun = errorOf(async () => queue.stats())
    await queue.close()
    checkError(await begun, { type: QueueClosedError, says: /has been closed/ })
    checkError(await errorOf(async () => queue.stats()), { type: QueueClosedError, says: /has been closed/ })
  })

  test('need a queue', async () => {
    checkError(await errorOf(async () => bed.open().stats()), {
      type: QueueMissingError,
      cause: 'ENOENT',
      says: /There is no queue 'q'/,
    })
  })
})
