import { expect, test } from '@jest/globals'

import { ClaimThread } from '../../src/scan/claim-thread.js'

test('another thread claims first, and until claims are seen to be quick', () => {
  const pace = new ClaimThread()
  expect(pace.isQuick).toBe(false)
  pace.note(16, 16, 16 * 11)
  expect(pace.isQuick).toBe(false)
  pace.note(16, 16, 16 * 9)
  expect(pace.isQuick).toBe(true)
})

test('it stays on this thread while they are not slow, and leaves it at the first slow ones', () => {
  const pace = new ClaimThread()
  pace.note(8, 8, 8)
  pace.note(8, 8, 8 * 19)
  expect(pace.isQuick).toBe(true)
  pace.note(8, 8, 8 * 21)
  expect(pace.isQuick).toBe(false)
})

test('where nothing can be claimed, another thread looks on, however quick that is', () => {
  const pace = new ClaimThread()
  pace.note(8, 8, 8)
  pace.note(0, 8, 8)
  expect(pace.isQuick).toBe(false)
})

test('a few calls on this thread are followed by a turn of everything else', async () => {
  const pace = new ClaimThread()
  pace.note(8, 8, 8)
  for (let call = 0; call < 4; call++) {
    expect(pace.isQuick).toBe(true)
    pace.take()
    pace.note(8, 8, 8)
  }
  expect(pace.isQuick).toBe(false)
  await new Promise((resolve) => setImmediate(resolve))
  expect(pace.isQuick).toBe(true)
})
