import fs from 'node:fs'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'

import { CLOCK_TICK_MS, DirectoryChanges } from '../../src/meta/directory-changes.js'
import { useTestBed } from '../support/queue.js'

const bed = useTestBed()
const HOUR_S = 3600

let directory: string
let changes: DirectoryChanges
// What is the same tick is not left to the speed of the machine.
let now = 0
beforeEach(() => {
  jest.spyOn(performance, 'now').mockImplementation(() => now)
  directory = path.join(bed.root, 'directory')
  fs.mkdirSync(directory)
  changes = new DirectoryChanges(directory)
})
afterEach(() => {
  jest.restoreAllMocks()
})

/** Later than a change that may have the same time as the one before it. */
function afterTick(): void {
  now += CLOCK_TICK_MS + 1
}

test('a directory is listed until no other change can have its time, and again after a change', () => {
  fs.utimesSync(directory, 1, 1)
  expect(changes.take()).toBe(true)
  afterTick()
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
  test('a second change in the same tick counts', () => {
    const time = Date.now() / 1000 + difference
    fs.utimesSync(directory, time, time)
    expect(changes.take()).toBe(true)
    fs.writeFileSync(path.join(directory, 'file'), '')
    fs.utimesSync(directory, time, time)
    expect(changes.take()).toBe(true)
    afterTick()
    expect([changes.take(), changes.take()]).toEqual([true, false])
  })
})

test('a directory that is missing is listed once, and again when it is there', () => {
  fs.rmdirSync(directory)
  expect([changes.take(), changes.take(), changes.exists]).toEqual([true, false, false])
  fs.mkdirSync(directory)
  expect([changes.take(), changes.exists]).toEqual([true, true])
})

test('after forget() the directory is listed again', () => {
  changes.take()
  afterTick()
  expect([changes.take(), changes.take()]).toEqual([true, false])
  changes.forget()
  expect(changes.take()).toBe(true)
})
