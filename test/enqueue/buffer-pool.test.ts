import { Buffer } from 'node:buffer'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { BufferPool } from '../../src/enqueue/buffer-pool.js'
import { until } from '../support/queue.js'

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
        const copies = new BufferPool()
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
  const copies = new BufferPool()
  const first = copies.copy(filled(MEGABYTE, 1))
  copies.giveBack(first)
  const second = copies.copy(filled(MEGABYTE / 2, 2))
  expect(second.buffer).toBe(first.buffer)
  expect(second).toHaveLength(MEGABYTE / 2)
  expect(copies.copy(filled(MEGABYTE, 3)).buffer).not.toBe(first.buffer)
})

test('a text is what Buffer makes of it, whatever was in its memory before', () => {
  const copies = new BufferPool()
  const pieces = fc.constantFrom('x', 'ä', '€', '😀')
  fc.assert(
    fc.property(pieces, fc.integer({ min: 0, max: 70_000 }), (piece, count) => {
      const text = piece.repeat(count)
      const encoded = copies.encode(text)
      expect(Buffer.compare(encoded, Buffer.from(text))).toBe(0)
      copies.giveBack(encoded)
    }),
  )
})

test('only what was given out is taken back, and once', () => {
  const copies = new BufferPool()
  copies.giveBack(filled(MEGABYTE, 1))
  // Large, but not by its characters: it comes from elsewhere, perhaps from a pool.
  copies.giveBack(copies.encode('ä'.repeat(40_000)))
  expect(copies.kept).toBe(0)
  const copied = copies.copy(filled(MEGABYTE, 1))
  copies.giveBack(copied)
  copies.giveBack(copied)
  expect(copies.kept).toBe(MEGABYTE)
})

test('little is kept, and not for long', async () => {
  const copies = new BufferPool()
  const many = Array.from({ length: 80 }, (_, value) => copies.copy(filled(MEGABYTE, value)))
  for (const copied of many) copies.giveBack(copied)
  expect(copies.kept).toBe(64 * MEGABYTE)
  const again = Array.from({ length: 80 }, (_, value) => copies.copy(filled(MEGABYTE, value)))
  expect(again.filter(({ buffer }) => many.some((copied) => copied.buffer === buffer))).toHaveLength(64)
  expect(copies.kept).toBe(0)
  for (const copied of again) copies.giveBack(copied)
  await until('nothing is kept', () => copies.kept === 0)
})
