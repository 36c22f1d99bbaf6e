import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  EMPTY,
  contentOf,
  contents,
  drain,
  itemName,
  names,
  plant,
  takeOne,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

describe('age', () => {
  const enqueuedAt = Date.UTC(2012, 6, 10, 21, 39, 4)
  const at = (milliseconds: number): void => {
    jest.spyOn(Date, 'now').mockReturnValue(enqueuedAt + milliseconds)
  }

  test.each([
    [60, 59_999, true],
    [60, 60_000, false],
    [60, 60_001, false],
    [1, 999, true],
    [1, 1000, false],
    [60, -5000, true],
    [0, 1e12, true],
  ])('with a TTL of %i s, %i ms old: handed out is %p', async (ttl, age, isFit) => {
    const queue = await bed.install({ utc: true, ttl })
    const name = itemName()
    plant(queue, name, 'x')
    at(age)
    expect(await drain(queue)).toEqual(isFit ? [name] : [])
    expect(contents(queue)).toEqual({ ...EMPTY, [isFit ? 'done' : 'fail']: [name] })
    expect(bed.reportTypes()).toEqual(isFit ? [] : ['expired'])
    if (!isFit)
      expect(bed.reports[0]?.message).toBe(
        `is ${Math.floor(age / 1000)} s old, and ${ttl} s are allowed: moved to fail/`,
      )
  })

  test('of a scan overrides that of the queue', async () => {
    const queue = await bed.install({ utc: true, ttl: 60 })
    plant(queue, itemName())
    at(100_000)
    const item = await takeOne(queue, { ttl: 0 })
    item.release()
    expect(await drain(queue, { ttl: 101 })).toEqual([itemName()])
  })
})

describe('tries', () => {
  test.each([
    [1, 0, true],
    [1, 1, false],
    [3, 2, true],
    [3, 3, false],
    [3, 999_999_999_999_999, false],
    [0, 999_999_999_999_999, true],
    [999_999_999_999_999, 999_999_999_999_998, true],
    [999_999_999_999_999, 999_999_999_999_999, false],
  ])('with %i allowed, %i made: handed out is %p', async (maxTries, tries, isFit) => {
    const queue = await bed.install({ maxTries })
    const name = itemName({ tries })
    plant(queue, name, 'x')
    expect(await drain(queue)).toEqual(isFit ? [name] : [])
    expect(contents(queue)).toEqual({ ...EMPTY, [isFit ? 'done' : 'fail']: [name] })
    expect(bed.reportTypes()).toEqual(isFit ? [] : ['exhausted'])
  })

  test('one is allowed by default', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ entropy: 1, tries: 0 }))
    plant(queue, itemName({ entropy: 2, tries: 1 }))
    expect(await drain(queue)).toEqual([itemName({ entropy: 1 })])
    expect(names(queue, 'fail')).toEqual([itemName({ entropy: 2, tries: 1 })])
  })

  test('of a scan override those of the queue', async () => {
    const queue = await bed.install({ maxTries: 1 })
    plant(queue, itemName({ tries: 4 }))
    expect(await drain(queue, { maxTries: 5 })).toEqual([itemName({ tries: 4 })])
  })

  test('an exhausted item never takes the place of another in fail/', async () => {
    const queue = await bed.install()
    const name = itemName({ entropy: 17, tries: 1 })
    plant(queue, name, 'first', 'fail')
    plant(queue, name, 'second')
    expect(await drain(queue)).toEqual([])
    expect(contentOf(queue, 'fail', name)).toBe('first')
    const [other = ''] = names(queue, 'fail').filter((each) => each !== name)
    expect(contentOf(queue, 'fail', other)).toBe('second')
    expect(other.length).toBe(name.length)
    expect(bed.reports[0]?.message).toContain(other)
  })
})
