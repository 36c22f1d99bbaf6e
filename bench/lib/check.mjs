import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { numberOf } from './payloads.mjs'

const SAMPLES = 200

/** Throws unless queue/ has exactly these items, each once and with its payload, and tmp/ is empty. */
export function checkEnqueued(folder, names, payloads) {
  checkIds(names, payloads)
  assert.deepEqual(readdirSync(join(folder, 'queue')).sort(), names.toSorted(), 'items in queue/')
  assert.deepEqual(readdirSync(join(folder, 'tmp')), [], 'files left in tmp/')
  checkSample(join(folder, 'queue'), names, payloads)
}

/** The same for items of the floor, which does not report their names. */
export function checkEnqueuedByFloor(folder, payloads) {
  const names = readdirSync(join(folder, 'queue')).sort((a, b) => entropyOf(a) - entropyOf(b))
  assert.deepEqual(
    names.map(entropyOf),
    payloads.map((_, index) => index),
    'numbers of new items',
  )
  checkEnqueued(folder, names, payloads)
}

/** Throws unless there is one id for each item. */
export function checkIds(ids, payloads) {
  assert.equal(ids.length, payloads.length, 'ids of new items')
  assert.equal(new Set(ids).size, ids.length, 'ids that differ')
}

/** Throws unless each item was handed out once, completely and in order, and is in done/. */
export function checkDrained(folder, taken, payloads) {
  checkTaken(taken, payloads)
  const numbers = taken.map(({ text }) => numberOf(text))
  assert.deepEqual(numbers, numbers.toSorted(ascending), 'items in the order they were handed out')
  checkFinished(folder, taken, payloads)
}

/**
 * The same for large items: each of `taken` has the `contents` (bytes), or the `number` and `length` of what a stream has
 * checked chunk by chunk.
 */
export function checkRead(folder, taken, payloads) {
  assert.equal(taken.length, payloads.length, 'items handed out')
  for (const [index, { contents, number, length }] of taken.entries()) {
    if (contents === undefined) {
      assert.equal(number, index, 'number of an item')
      assert.equal(length, payloads[index].length, `length of item ${index}`)
    } else {
      assert(payloads[index].equals(contents), `contents of item ${index}`)
    }
  }
  checkFinished(folder, taken, payloads)
}

/** Throws unless each item was handed out once and completely. */
export function checkTaken(taken, payloads) {
  assert.deepEqual(
    taken.map(({ text }) => numberOf(text)).sort(ascending),
    payloads.map((_, index) => index),
    'items handed out',
  )
  for (const { text } of taken) assert.equal(text.length, payloads[0].length, 'length of a text')
}

/**
 * Throws unless `count` items, numbered from 0, were handed out once each by all processes together, and are in
 * done/.
 */
export function checkTallies(folder, tallies, { count, size }) {
  const sum = (key) => tallies.reduce((all, tally) => all + tally[key], 0)
  assert.equal(sum('taken'), count, 'items handed out')
  assert.equal(sum('numbers'), (count * (count - 1)) / 2, 'sum of the numbers of the items handed out')
  assert.equal(sum('bytes'), count * size, 'bytes read')
  assert.deepEqual(readdirSync(join(folder, 'queue')), [], 'items left in queue/')
  assert.equal(readdirSync(join(folder, 'done')).length, count, 'items in done/')
}

function checkFinished(folder, taken, payloads) {
  const names = taken.map(({ name }) => name)
  assert.deepEqual(readdirSync(join(folder, 'queue')), [], 'items left in queue/')
  assert.deepEqual(readdirSync(join(folder, 'done')).sort(), names.toSorted(), 'items in done/')
  checkSample(join(folder, 'done'), names, payloads)
}

function entropyOf(name) {
  return Number(name.split('_', 3)[2])
}

function ascending(a, b) {
  return a - b
}

function checkSample(folder, names, payloads) {
  const step = Math.ceil(names.length / SAMPLES)
  for (let index = 0; index < names.length; index += step) {
    assert(readFileSync(join(folder, names[index])).equals(payloads[index]), `contents of ${names[index]}`)
  }
}
