import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { numberOf } from './payloads.mjs'

const SAMPLES = 20

/** Throws unless just these items are in queue/, each once, with their payloads, and nothing is left in tmp/. */
export function checkEnqueued(folder, names, payloads) {
  assert.equal(names.length, payloads.length, 'names of new items')
  assert.equal(new Set(names).size, names.length, 'names that differ')
  assert.deepEqual(readdirSync(join(folder, 'queue')).sort(), names.toSorted(), 'items in queue/')
  assert.deepEqual(readdirSync(join(folder, 'tmp')), [], 'files left in tmp/')
  checkSample(join(folder, 'queue'), names, payloads)
}

/** Throws unless each item was handed out once, whole and in order, and is in done/. */
export function checkDrained(folder, taken, payloads) {
  assert.deepEqual(
    taken.map(({ text }) => numberOf(text)),
    payloads.map((_, index) => index),
    'items in the order they were handed out',
  )
  const names = taken.map(({ name }) => name)
  assert.deepEqual(readdirSync(join(folder, 'queue')), [], 'items left in queue/')
  assert.deepEqual(readdirSync(join(folder, 'done')).sort(), names.toSorted(), 'items in done/')
  for (const { text } of taken) assert.equal(text.length, payloads[0].length, 'length of a text')
  checkSample(join(folder, 'done'), names, payloads)
}

function checkSample(folder, names, payloads) {
  const step = Math.ceil(names.length / SAMPLES)
  for (let index = 0; index < names.length; index += step) {
    assert(readFileSync(join(folder, names[index])).equals(payloads[index]), `contents of ${names[index]}`)
  }
}
