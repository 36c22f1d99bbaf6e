// What fsq watch makes of the names that come and go in a queue with claims by renaming.
import { beforeEach, expect, test } from '@jest/globals'

import { Place } from '../../src/addon/native.js'
import { Changes } from '../../src/cli/watch/changes.js'
import { resolveSettings } from '../../src/settings.js'

const settings = resolveSettings({ root: '/' })
const idOf = (tries: number): string => `_20261126120000_0_1_h_${tries}_a`
const A = idOf(0)
const HELD = new Set([A])
const NONE = new Set<string>()
const LATER = 10_000

let told: string[]
let done: string[]

beforeEach(() => {
  told = []
  done = []
})

function watched(...present: string[]): Changes {
  const changes = new Changes(
    settings,
    present,
    (place, raw) => place === Place.done && done.includes(raw),
    ({ what, raw }) => told.push(`${what} ${raw.slice(-3)}`),
    true,
  )
  changes.trust()
  return changes
}

test('an item that a worker holds for long is told at its end', () => {
  const changes = watched(A)
  changes.inQueue(A, 0)
  for (let now = LATER; now < 5 * LATER; now += LATER) changes.settle(now, HELD)
  expect(told).toEqual([])
  expect([changes.isUnsettled, changes.isHolding]).toEqual([false, true])
  done = [A]
  changes.inFinished(Place.done, A, 5 * LATER)
  changes.settle(6 * LATER, NONE)
  expect(told).toEqual(['done 0_a'])
  expect(changes.isHolding).toBe(false)
})

test('an end whose event is lost is found when the item has left claimed/', () => {
  const changes = watched(A)
  changes.inQueue(A, 0)
  changes.settle(LATER, HELD)
  done = [A]
  changes.settle(2 * LATER, NONE)
  changes.settle(3 * LATER, NONE)
  expect(told).toEqual(['done 0_a'])
})

test('a discarded item is gone', () => {
  const changes = watched(A)
  changes.inQueue(A, 0)
  changes.settle(LATER, HELD)
  changes.settle(2 * LATER, NONE)
  expect(told).toEqual([])
  changes.settle(3 * LATER, NONE)
  expect(told).toEqual(['gone 0_a'])
})

test('a release is not told, be it at once or later; a retry is', () => {
  const changes = watched(A)
  changes.inQueue(A, 0)
  changes.inQueue(A, 1)
  changes.inQueue(A, 2)
  changes.settle(LATER, HELD)
  changes.inQueue(A, LATER)
  changes.inQueue(A, LATER + 1)
  changes.settle(2 * LATER, HELD)
  expect(told).toEqual([])
  changes.inQueue(idOf(1), 2 * LATER)
  expect(told).toEqual(['retry 1_a'])
  expect(changes.isHolding).toBe(false)
})
