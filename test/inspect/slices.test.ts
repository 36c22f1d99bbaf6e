import { setImmediate } from 'node:timers/promises'

import { describe, expect, test } from '@jest/globals'

import { Slices } from '../../src/inspect/slices.js'

function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

describe('a slice', () => {
  test('is over after 10 ms, and the next one begins when the event loop has had its turn', async () => {
    const slices = new Slices()
    expect(slices.isOver).toBe(false)
    spin(11)
    expect(slices.isOver).toBe(true)
    let turns = 0
    const other = setImmediate().then(() => turns++)
    await slices.next()
    expect(turns).toBe(1)
    expect(slices.isOver).toBe(false)
    await other
  })

  test('begins with a check, which may end the work', async () => {
    const slices = new Slices(() => {
      throw new Error('closed')
    })
    await expect(slices.next()).rejects.toThrow('closed')
  })
})
