import { beforeEach, expect, test } from '@jest/globals'

import { CallThread } from '../../src/addon/call-thread.js'
import { onLinux } from '../support/needs.js'

const newThread = (): CallThread => new CallThread({ quick: 10, slow: 20, run: 16, turn: 8 })
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function makeHere(thread: CallThread, items: number, spent: number): void {
  thread.beginHere()
  thread.noteHere(items, spent)
}

function sleep(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
}

beforeEach(turn)

test('another thread makes the first calls, until a run of them was quick', () => {
  const thread = newThread()
  expect(thread.isQuick).toBe(false)
  thread.noteInPool(16, 16 * 11)
  expect(thread.isQuick).toBe(false)
  thread.noteInPool(15, 15 * 9)
  expect(thread.isQuick).toBe(false)
  thread.noteInPool(1, 9)
  expect(thread.isQuick).toBe(true)
})

test('a call in the pool that is not quick begins the run anew', () => {
  const thread = newThread()
  thread.noteInPool(15, 15 * 9)
  thread.noteInPool(1, 11)
  thread.noteInPool(15, 15 * 9)
  expect(thread.isQuick).toBe(false)
})

test('it stays on this thread while they are not slow, and leaves it at the first slow one for a hundred items', async () => {
  const thread = newThread()
  thread.noteInPool(16, 16)
  makeHere(thread, 8, 8 * 19)
  await turn()
  expect(thread.isQuick).toBe(true)
  thread.beginHere()
  sleep()
  thread.noteHere(8, 8 * 21)
  await turn()
  expect(thread.isQuick).toBe(false)
  thread.noteInPool(99, 99)
  expect(thread.isQuick).toBe(false)
  thread.noteInPool(1, 1)
  expect(thread.isQuick).toBe(true)
})

test('after a call that took longer than a millisecond, the pool has a fifth of a second', async () => {
  const thread = newThread()
  thread.noteInPool(16, 16)
  thread.beginHere()
  sleep()
  thread.noteHere(1, 1001)
  const since = performance.now()
  do {
    await turn()
    thread.noteInPool(1000, 1000)
  } while (!thread.isQuick)
  expect(performance.now() - since).toBeGreaterThan(190)
})

test('a call of a millisecond is slow however many items it has', async () => {
  const thread = newThread()
  thread.noteInPool(16, 16)
  thread.beginHere()
  sleep()
  thread.noteHere(100, 1001)
  await turn()
  expect(thread.isQuick).toBe(false)
})

// Elsewhere, the kernel counts the sleeps of the process alone.
onLinux('a call that was slow because this process was preempted ends no run', async () => {
  const thread = newThread()
  thread.noteInPool(16, 16)
  makeHere(thread, 8, 8 * 21)
  await turn()
  expect(thread.isQuick).toBe(true)
})

test('after a call that was not fit for this thread, another one makes the next', () => {
  const thread = newThread()
  thread.noteInPool(16, 16)
  thread.leave()
  expect(thread.isQuick).toBe(false)
})

test('all users together make a few calls in a turn of the event loop', async () => {
  const thread = newThread()
  const other = newThread()
  thread.noteInPool(16, 16)
  other.noteInPool(16, 16)
  for (let call = 0; call < 4; call++) {
    expect([thread.isQuick, other.isQuick]).toEqual([true, true])
    makeHere(thread, 1, 1)
    makeHere(other, 1, 1)
  }
  for (const each of [thread, other]) expect([each.isQuick, each.isTurnOver]).toEqual([false, true])
  await turn()
  for (const each of [thread, other]) expect([each.isQuick, each.isTurnOver]).toEqual([true, false])
})
