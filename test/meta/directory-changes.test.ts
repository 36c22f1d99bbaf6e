import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { CLOCK_TICK_MS, DirectoryChanges } from '../../src/meta/directory-changes.js'
import { useTestBed } from '../support/queue.js'

const bed = useTestBed()
const HOUR_S = 3600

let directory: string
let changes: DirectoryChanges
beforeEach(() => {
  directory = path.join(bed.root, 'directory')
  fs.mkdirSync(directory)
  changes = new DirectoryChanges(directory)
})

/** Later than a change that may have the same time as the one before it. */
async function afterTick(): Promise<void> {
  const begin = performance.now()
  while (performance.now() - begin <= CLOCK_TICK_MS) await later(1)
}

test('a directory is listed until no other change can have its time, and again after a change', async () => {
  expect(changes.take()).toBe(true)
  await afterTick()
  expect([changes.take(), changes.take(), changes.exists]).toEqual([true, false, true])
  fs.writeFileSync(path.join(directory, 'file'), '')
  expect(changes.take()).toBe(true)
})

// A file server has a clock of its own.
describe.each([
  ['an hour ahead', HOUR_S],
  ['the same', 0],
  ['an hour behind', -HOUR_S],
])('where the clock of the file system is %s', (_name, difference) => {
  test('a second change in the same tick counts', async () => {
    const time = Date.now() / 1000 + difference
    fs.utimesSync(directory, time, time)
    expect(changes.take()).toBe(true)
    fs.writeFileSync(path.join(directory, 'file'), '')
    fs.utimesSync(directory, time, time)
    expect(changes.take()).toBe(true)
    await afterTick()
    expect([changes.take(), changes.take()]).toEqual([true, false])
  })
})

test('a directory that is missing is listed once, and again when it is there', () => {
  fs.rmdirSync(directory)
  expect([changes.take(), changes.take(), changes.exists]).toEqual([true, false, false])
  fs.mkdirSync(directory)
  expect([changes.take(), changes.exists]).toEqual([true, true])
})

test('after forget() the directory is listed again', async () => {
  changes.take()
  await afterTick()
  expect([changes.take(), changes.take()]).toEqual([true, false])
  changes.forget()
  expect(changes.take()).toBe(true)
})
