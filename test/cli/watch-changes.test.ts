// What fsq watch makes of the names that come and go.
import { beforeEach, expect, test } from '@jest/globals'

import { Place } from '../../src/addon/native.js'
import { Changes } from '../../src/cli/watch/changes.js'
import { resolveSettings } from '../../src/settings.js'

const settings = resolveSettings({ root: '/' })
const idOf = (tries: number, argument = 'a'): string => `_20261126120000_0_1_h_${tries}_${argument}`
const A = idOf(0)
const LATER = 10_000

let told: string[]
/** The names that are in each directory at the moment. */
let disk: Record<'queue' | 'done' | 'fail', string[]>

beforeEach(() => {
  told = []
  disk = { queue: [], done: [], fail: [] }
})

function watched(...present: string[]): Changes {
  const changes = new Changes(
    settings,
    present,
    (place, raw) =>
      disk[place === Place.queue ? 'queue' : place === Place.done ? 'done' : 'fail'].includes(raw),
    ({ what, raw }) => told.push(`${what} ${raw.slice(-3)}`),
  )
  changes.trust()
  return changes
}

test('an item comes, is retried, and is done', () => {
  const changes = watched()
  changes.inQueue(A, 0)
  changes.inQueue(A, 1)
  changes.inQueue(idOf(1), 1)
  changes.inQueue(idOf(1), 2)
  changes.inFinished(Place.done, idOf(1), 2)
  changes.settle(LATER)
  expect(told).toEqual(['enqueue 0_a', 'retry 1_a', 'done 1_a'])
  changes.settle(2 * LATER)
  expect(changes.isUnsettled).toBe(false)
})

test('an item that fails and is moved back', () => {
  const changes = watched(A)
  changes.inQueue(A, 0)
  changes.inFinished(Place.fail, A, 0)
  changes.inFinished(Place.fail, A, 5000)
  changes.inQueue(A, 5000)
  changes.inQueue(A, 5001)
  changes.inFinished(Place.fail, A, 5001)
  changes.settle(LATER)
  expect(told).toEqual(['fail 0_a', 'redrive 0_a', 'fail 0_a'])
})

test('an item is gone if it comes to no other place in time', () => {
  const changes = watched(A)
  changes.inQueue(A, 0)
  changes.settle(100)
  expect(told).toEqual([])
  changes.settle(LATER)
  expect(told).toEqual(['gone 0_a'])
})

test('a finished item that is pruned or removed is not told', () => {
  const changes = watched()
  changes.inFinished(Place.done, A, 0)
  changes.inFinished(Place.fail, A, 0)
  changes.settle(LATER)
  expect(told).toEqual([])
})

test('a move by a link and an unlink is told once', () => {
  const changes = watched(A, idOf(0, 'b'))
  disk.done.push(A)
  changes.inFinished(Place.done, A, 0)
  changes.inQueue(A, 1)
  changes.inQueue(idOf(1, 'b'), 2)
  changes.inQueue(idOf(0, 'b'), 3)
  changes.settle(500)
  changes.settle(LATER)
  expect(told).toEqual(['done 0_a', 'retry 1_b'])
})

test('an event from before the listing is not taken for its opposite', () => {
  const changes = new Changes(
    settings,
    [A],
    (place, raw) => place === Place.queue && raw === A,
    ({ what }) => told.push(what),
  )
  // Both were listed as they are: A has come, B has come and gone.
  changes.inQueue(A, 0)
  changes.inQueue(idOf(0, 'b'), 0)
  changes.trust()
  changes.settle(LATER)
  expect(told).toEqual([])
  changes.inQueue(A, 1)
  changes.settle(LATER)
  expect(told).toEqual(['gone'])
})

test('a listing mends what lost events have left wrong', () => {
  const [B, C, D] = [idOf(0, 'b'), idOf(0, 'c'), idOf(0, 'd')] as const
  const changes = watched(A, B, C)
  disk.queue.push(idOf(1, 'c'), D)
  disk.done.push(A)
  changes.correct(disk.queue, 0)
  changes.settle(LATER)
  expect(told.sort()).toEqual(['done 0_a', 'enqueue 0_d', 'gone 0_b', 'retry 1_c'])
})

test('a name that no item has is told, too', () => {
  const changes = watched()
  changes.inQueue('junk', 0)
  changes.inQueue('junk', 1)
  changes.inFinished(Place.fail, 'junk', 1)
  expect(told).toEqual(['enqueue unk', 'fail unk'])
})
