import { Buffer } from 'node:buffer'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { EncodingError, MalformedNameError } from '../../src/errors/classes.js'
import { fromRaw, parseCharset, printable, toRaw } from '../../src/name/charset.js'
import { charset, textIn } from './generators.js'

const raw = (...bytes: number[]): string => String.fromCharCode(...bytes)

test('text to bytes and back, in each charset', () => {
  fc.assert(
    fc.property(
      charset().chain((name) => fc.tuple(fc.constant(name), textIn(name))),
      ([name, value]) => {
        const bytes = toRaw(value, name)
        expect(Buffer.from(bytes, 'latin1')).toEqual(Buffer.from(value, name === 'utf8' ? 'utf8' : 'latin1'))
        expect(fromRaw(bytes, name)).toBe(value)
      },
    ),
  )
})

test('bytes are read as UTF-8 if and only if writing the text gives them back', () => {
  const byte = fc.oneof(
    fc.nat(0xff),
    fc.constantFrom(0x80, 0xbf, 0xc0, 0xc3, 0xe0, 0xed, 0xa0, 0xef, 0xf0, 0xf4),
  )
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 6 }), (bytes) => {
      const lax = Buffer.from(bytes).toString('utf8')
      const isValid = Buffer.from(lax, 'utf8').equals(Buffer.from(bytes))
      if (isValid) expect(fromRaw(raw(...bytes), 'utf8')).toBe(lax)
      else expect(() => fromRaw(raw(...bytes), 'utf8')).toThrow(MalformedNameError)
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['an overlong slash', raw(0xc0, 0xaf)],
  ['a surrogate', raw(0xed, 0xa0, 0x80)],
  ['a pair of surrogates', raw(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80)],
  ['a character cut short', raw(0x61, 0xe4, 0xb8)],
  ['a byte beyond the last character', raw(0xf5, 0x80, 0x80, 0x80)],
  ['a continuation alone', raw(0x80)],
])('%s is not UTF-8', (_what, bytes) => {
  expect(() => fromRaw(bytes, 'utf8')).toThrow(MalformedNameError)
})

test('a byte order mark is kept', () => {
  expect(fromRaw(raw(0xef, 0xbb, 0xbf, 0x61), 'utf8')).toBe('\ufeffa')
  expect(toRaw('\ufeffa', 'utf8')).toBe(raw(0xef, 0xbb, 0xbf, 0x61))
})

test('bytes beyond ASCII are not ascii, and are latin-1', () => {
  expect(() => fromRaw(raw(0x80), 'ascii')).toThrow(MalformedNameError)
  expect(fromRaw(raw(0x80, 0xff), 'latin-1')).toBe('\x80\xff')
})

test.each(['utf8', 'ascii', 'latin-1'] as const)('a lone surrogate cannot be written in %s', (name) => {
  for (const lone of ['\ud800', 'a\udfffb', '\ude00\ud83d', '😀\ud83d']) {
    expect(() => toRaw(lone, name)).toThrow(EncodingError)
    expect(() => toRaw(lone, name)).toThrow(/lone surrogate.*payload/)
  }
})

test('a character that the charset lacks is named', () => {
  expect(() => toRaw('a€', 'latin-1')).toThrow(
    "'a€' has '€', which the charset latin-1 lacks. Set FSQ_CHARSET to utf8",
  )
  expect(() => toRaw('ü', 'ascii')).toThrow(EncodingError)
  expect(toRaw('ü', 'latin-1')).toBe('\xfc')
})

describe('parseCharset', () => {
  test.each([
    ['utf8', 'utf8'],
    ['UTF-8', 'utf8'],
    ['ascii', 'ascii'],
    ['US-ASCII', 'ascii'],
    ['latin-1', 'latin-1'],
    ['Latin1', 'latin-1'],
    ['ISO-8859-1', 'latin-1'],
    ['utf-16', undefined],
    ['', undefined],
    ['constructor', undefined],
  ])('%s is %s', (given, expected) => expect(parseCharset(given)).toBe(expected))
})

describe('printable', () => {
  test('shows text as it is', () => {
    expect(printable(toRaw('_a b_é中😀', 'utf8'))).toBe('_a b_é中😀')
  })

  test('escapes what would act on a terminal or hide', () => {
    expect(printable(toRaw('\x1b[31m\n\x7f\x9b\u202e\u2028\ufeff\u{e0041}', 'utf8'))).toBe(
      '\\x1b[31m\\x0a\\x7f\\x9b\\u202e\\u2028\\ufeff\\u{e0041}',
    )
  })

  test('shows bytes that are not UTF-8 one by one', () => {
    expect(printable(raw(0x61, 0xff, 0x0a, 0xc3))).toBe('a\\xff\\x0a\\xc3')
  })
})
