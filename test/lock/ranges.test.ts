import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { tryLockSync, unlockSync } from '../../src/lock.js'
import { makeDirectory } from '../support/child.js'

const BYTES = 12
const OPENS = 3

type Hold = 'shared' | 'exclusive' | undefined

/** A model of fcntl locks, byte by byte. A length of 0 goes to the end: the last entry stands for all bytes beyond. */
class Model {
  readonly #holds: Hold[][] = Array.from({ length: OPENS }, () => new Array<Hold>(BYTES + 1).fill(undefined))

  lock(open: number, bytes: readonly number[], shared: boolean): boolean {
    const isRefused = this.#holds.some(
      (holds, other) =>
        other !== open &&
        bytes.some((byte) => holds[byte] === 'exclusive' || (!shared && holds[byte] === 'shared')),
    )
    if (!isRefused) this.#set(open, bytes, shared ? 'shared' : 'exclusive')
    return !isRefused
  }

  unlock(open: number, bytes: readonly number[]): void {
    this.#set(open, bytes, undefined)
  }

  #set(open: number, bytes: readonly number[], hold: Hold): void {
    for (const byte of bytes) (this.#holds[open] ?? [])[byte] = hold
  }
}

const step = fc.record({
  open: fc.nat(OPENS - 1),
  action: fc.constantFrom('shared', 'exclusive', 'unlock'),
  start: fc.nat(BYTES - 1),
  length: fc.nat(BYTES),
})

test('ranges are locked, changed, split and joined as by a model', () => {
  const file = path.join(makeDirectory({ quick: true }), 'file')
  fs.writeFileSync(file, '')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const model = new Model()
      const descriptors = Array.from({ length: OPENS }, () => fs.openSync(file, 'r+'))
      try {
        for (const { open, action, start, length: wanted } of steps) {
          const length = Math.min(wanted, BYTES - start)
          const end = length === 0 ? BYTES + 1 : start + length
          const bytes = Array.from({ length: end - start }, (_, at) => start + at)
          const range = { kind: 'fcntl', start, length } as const
          const descriptor = descriptors[open] ?? -1
          if (action === 'unlock') {
            unlockSync(descriptor, range)
            model.unlock(open, bytes)
          } else {
            const shared = action === 'shared'
            const granted = tryLockSync(descriptor, { ...range, shared }) !== undefined
            expect(granted).toBe(model.lock(open, bytes, shared))
          }
        }
      } finally {
        descriptors.forEach((descriptor) => {
          fs.closeSync(descriptor)
        })
      }
    }),
  )
})

test('a length of 0 locks what the file grows by', () => {
  const file = path.join(makeDirectory({ quick: true }), 'file')
  const [one, two] = [fs.openSync(file, 'w+'), fs.openSync(file, 'r+')]
  expect(tryLockSync(one, { kind: 'fcntl', start: 10 })).toBeDefined()
  const far = Number.MAX_SAFE_INTEGER
  expect(tryLockSync(two, { kind: 'fcntl', start: far, length: 1 })).toBeUndefined()
  expect(tryLockSync(two, { kind: 'fcntl', start: 9, length: 1 })).toBeDefined()
  fs.closeSync(one)
  fs.closeSync(two)
})
