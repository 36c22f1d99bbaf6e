import { describe, expect, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { native } from '../../src/addon/native.js'
import {
  Taker,
  checkError,
  drain,
  errorOf,
  names,
  until,
  useTestBed,
  lockedNames,
  plantNumbered,
} from '../support/queue.js'

const bed = useTestBed()

describe('claimed ahead', () => {
  test.each([1, 2, 5])('at most %i are held', async (prefetch) => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 17)
    let most = 0
    for await (const item of queue.scan({ prefetch })) {
      const locked = lockedNames(queue)
      expect(locked).toContain(item.id)
      expect(locked.length).toBeLessThanOrEqual(prefetch)
      most = Math.max(most, locked.length)
      await item.done()
    }
    expect(most).toBe(prefetch)
    expect(names(queue, 'done')).toEqual([...all].sort())
  })

  test('without being asked, one at first and 32 at most', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 200)
    const held: number[] = []
    for await (const item of queue.scan()) {
      held.push(native.heldClaims())
      await item.done()
    }
    expect(held[0]).toBe(1)
    expect(Math.max(...held)).toBeLessThanOrEqual(32)
    expect(held).toHaveLength(200)
  })

  test('is given up while the loop is busy, and comes again', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 4 })
    const first = await taker.take()
    await until('three are claimed ahead', () => native.heldClaims() === 4)
    expect(lockedNames(queue)).toEqual(all.slice(0, 4))
    await until('the idle claims are free', () => lockedNames(queue).length === 1)
    expect(lockedNames(queue)).toEqual([all[0]])
    // Another worker takes one of them and has finished another.
    const other = new Taker(bed.open(), { prefetch: 1 })
    const second = await other.take()
    await (await other.take()).done()
    expect(second.id).toBe(all[1])

    const rest: string[] = []
    for (let item = await taker.next(); item !== undefined; item = await taker.next()) {
      rest.push(item.id)
      await item.done()
    }
    expect(rest).toEqual([all[3], all[4]])
    await first.done()
    await second.done()
    expect(names(queue, 'done')).toEqual(all)
  })

  test.each([0, -1, 1.5, 1025, Number.NaN, '3'])('cannot be %p', async (prefetch) => {
    const queue = await bed.install()
    const error = await errorOf(async () => drain(queue, { prefetch: prefetch as number }))
    checkError(error, { type: SettingError, says: /prefetch is .*expected a whole number from 1 to 1024/ })
  })

  test.each(['maxTries', 'ttl'])('%s cannot be negative, broken or text', async (option) => {
    const queue = await bed.install()
    for (const value of [-1, 1.5, Number.NaN, '5']) {
      const error = await errorOf(async () => drain(queue, { [option]: value as number }))
      checkError(error, { type: SettingError, says: /expected a whole number, 0 for no limit/ })
    }
  })
})
