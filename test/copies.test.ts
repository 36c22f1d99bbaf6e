import { Buffer } from 'node:buffer'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { Copies } from '../src/copies.js'

const MEGABYTE = 1024 * 1024

function filled(size: number, value: number): Uint8Array {
  return Buffer.alloc(size, value)
}

test('a copy is what the bytes were, whatever was in its memory before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ size: fc.integer({ min: 0, max: 300_000 }), back: fc.boolean() }), {
        maxLength: 30,
      }),
      (steps) => {
        const copies = new Copies()
        const held: { copied: Uint8Array; expected: Uint8Array }[] = []
        for (const [index, { size, back }] of steps.entries()) {
          const bytes = filled(size, index)
          const copied = copies.copy(bytes)
          held.push({ copied, expected: filled(size, index) })
          bytes.fill(255)
          if (back) copies.giveBack(held.shift()?.copied)
        }
        for (const { copied, expected } of held) expect(Buffer.compare(copied, expected)).toBe(0)
      },
    ),
  )
})

test('memory that was given back is used for the next copy, and never for two at once', () => {
  const copies = new Copies()
  const first = copies.copy(filled(MEGABYTE, 1))
  copies.giveBack(first)
  const second = copies.copy(filled(MEGABYTE / 2, 2))
  expect(second.buffer).toBe(first.buffer)
  expect(second).toHaveLength(MEGABYTE / 2)
  expect(copies.copy(filled(MEGABYTE, 3)).buffer).not.toBe(first.buffer)
})

test('little is kept', () => {
  const copies = new Copies()
  const many = Array.from({ length: 20 }, (_, value) => copies.copy(filled(MEGABYTE, value)))
  for (const copied of many) copies.giveBack(copied)
  const again = Array.from({ length: 20 }, (_, value) => copies.copy(filled(MEGABYTE, value)))
  expect(again.filter(({ buffer }) => many.some((copied) => copied.buffer === buffer))).toHaveLength(8)
})
