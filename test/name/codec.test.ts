import { afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { EncodingError, MalformedNameError, SettingError } from '../../src/errors/classes.js'
import { construct, deconstruct, decode, encode } from '../../src/compat/names.js'
import { type NameArgument, codecFor } from '../../src/name/codec.js'
import { setConst } from '../../src/settings.js'
import { charset, pair, text, textIn } from './generators.js'

afterEach(() => {
  setConst('FSQ_DELIMITER', undefined)
  setConst('FSQ_ENCODE', undefined)
  setConst('FSQ_CHARSET', undefined)
})

const inAnyCharset = fc.record({ charset: charset(), pair: pair() })

test('decode undoes encode, for all texts, pairs and charsets', () => {
  fc.assert(
    fc.property(
      inAnyCharset.chain((how) => fc.tuple(fc.constant(how), textIn(how.charset))),
      ([how, value]) => {
        const options = { ...how.pair, charset: how.charset }
        const encoded = encode(value, options)
        expect(decode(encoded, options)).toBe(value)
        for (const character of ['/', '\0']) {
          if (character !== how.pair.encodeseq) expect(encoded).not.toContain(character)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('an encoded text has the delimiter only as a digit of an escape', () => {
  fc.assert(
    fc.property(text(), pair(), (value, { delimiter, encodeseq }) => {
      const encoded = encode(value, { delimiter, encodeseq })
      expect(codecFor(delimiter, encodeseq, 'utf8').split(encoded)).toEqual([encoded])
    }),
  )
})

test('deconstruct undoes construct', () => {
  fc.assert(
    fc.property(
      inAnyCharset.chain((how) =>
        fc.tuple(fc.constant(how), fc.array(textIn(how.charset), { maxLength: 8 })),
      ),
      ([how, args]) => {
        const options = { ...how.pair, charset: how.charset }
        const name = construct(args, options)
        const expected = args.length === 1 && args[0] === '' ? [] : args
        expect(deconstruct(name, options)).toEqual({ delimiter: how.pair.delimiter, args: expected })
      },
    ),
    { numRuns: 1000 },
  )
})

test('no arguments and one empty argument make the same name', () => {
  expect(construct([''])).toBe(construct([]))
  expect(deconstruct('_').args).toEqual([])
})

describe('defaults', () => {
  test('are the settings of the process', () => {
    expect(encode('a_b.c')).toBe('a%5fb.c')
    setConst('FSQ_DELIMITER', '.')
    setConst('FSQ_ENCODE', '^')
    expect(encode('a_b.c')).toBe('a_b^2ec')
    expect(construct(['a', 'b.'])).toBe('.a.b^2e')
    expect(decode('a^2ec')).toBe('a.c')
    expect(deconstruct('_a^2ec')).toEqual({ delimiter: '_', args: ['a.c'] })
    setConst('FSQ_CHARSET', 'ascii')
    expect(() => encode('ü')).toThrow(EncodingError)
    expect(() => construct(['ü'])).toThrow(EncodingError)
  })
})

describe('arguments that are not strings', () => {
  test.each<[NameArgument, string]>([
    [true, 'True'],
    [false, 'False'],
    [0, '0'],
    [-0, '0'],
    [-5, '-5'],
    [1.5, '1.5'],
    [1e22, '1e+22'],
    [1e-7, '1e-07'],
    [-0.00001, '-1e-05'],
    [0.0001, '0.0001'],
    [1.5e300, '1.5e+300'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
    [12345678901234567890n, '12345678901234567890'],
  ])('%p is written as %s', (value, expected) => {
    expect(encode(value, { delimiter: '~' })).toBe(expected)
    expect(construct(['x', value], { delimiter: '~' })).toBe(`~x~${expected}`)
  })

  test('a number keeps its value', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Number(encode(value)) === value).toBe(true)
      }),
    )
  })

  test.each([
    null,
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    {},
    ['a'],
    Symbol('s'),
    () => 1,
    new Uint8Array(1),
  ])('%p is rejected, and the message says which argument it is', (value) => {
    expect(() => construct(['a', 'b', value as NameArgument])).toThrow(EncodingError)
    expect(() => construct(['a', 'b', value as NameArgument])).toThrow(/^Argument 2 is .*payload$/s)
    expect(() => encode(value as NameArgument)).toThrow(EncodingError)
  })

  test('a value that is not an array of arguments is rejected', () => {
    expect(() => construct('abc' as unknown as string[])).toThrow(EncodingError)
    expect(() => decode(5 as unknown as string)).toThrow(EncodingError)
    expect(() => deconstruct(undefined as unknown as string)).toThrow(EncodingError)
  })
})

describe('delimiter and encode character', () => {
  test.each<[unknown, unknown]>([
    ['', '%'],
    ['__', '%'],
    ['ø', '%'],
    ['😀', '%'],
    ['_', ''],
    ['_', '%%'],
    ['_', '\x80'],
    ['_%', ''],
    ['', '_%'],
    ['%', '%'],
    [5, '%'],
    [['_'], '%'],
    ['_', {}],
  ])('%p and %p are rejected', (delimiter, encodeseq) => {
    // A codec cached for a legal pair must not be used for these.
    encode('a', { delimiter: '5', encodeseq: '%' })
    encode('a', { delimiter: '_', encodeseq: '%' })
    const options = { delimiter, encodeseq } as { delimiter: string; encodeseq: string }
    expect(() => encode('a', options)).toThrow(EncodingError)
    expect(() => decode('a', options)).toThrow(EncodingError)
    expect(() => construct([], options)).toThrow(EncodingError)
  })

  test.each<unknown>(['', '%%', '\x80', 5, '_'])(
    'the encode character %p is rejected by deconstruct',
    (encodeseq) => {
      expect(() => deconstruct('_a', { encodeseq: encodeseq as string })).toThrow(EncodingError)
    },
  )

  test('are not kept from one call to the next', () => {
    for (let code = 33; code < 127; code++) {
      const delimiter = String.fromCharCode(code)
      if (delimiter === '%') continue
      expect(construct(['a', delimiter], { delimiter, encodeseq: '%' })).toBe(
        delimiter + (delimiter === 'a' ? '%61' : 'a') + delimiter + `%${code.toString(16)}`,
      )
    }
    expect(construct(['a', '_'])).toBe('_a_%5f')
  })
})

test('an unknown charset is a setting error', () => {
  expect(() => encode('a', { charset: 'utf-16' })).toThrow(SettingError)
  expect(() => deconstruct('_a', { charset: 'ebcdic' })).toThrow(SettingError)
  expect(encode('ü', { charset: 'ISO-8859-1' })).toBe('ü')
})

describe('malformed names', () => {
  test.each([
    ['', 'it is empty, so it has no delimiter'],
    ['øa', 'its first character, the delimiter, is not ASCII'],
    ['%a', 'its first character, the delimiter, is the encode character (FSQ_ENCODE)'],
    ['_a%4', "the escape '%4' is not '%' and two hex digits"],
    ['_a%4_b', "the escape '%4' is not '%' and two hex digits"],
    ['_%zz', "the escape '%zz' is not '%' and two hex digits"],
    ['_%e9', "the escape '%e9' is not a character of utf8"],
  ])('%p: %s', (name, reason) => {
    expect(() => deconstruct(name)).toThrow(MalformedNameError)
    expect(() => deconstruct(name)).toThrow(
      expect.objectContaining({
        reason,
        message: expect.stringContaining(JSON.stringify(name).slice(1, -1)),
      }),
    )
  })

  test('a malformed escape is malformed for decode too', () => {
    expect(() => decode('a%4')).toThrow(MalformedNameError)
    expect(() => decode('%80')).toThrow(MalformedNameError)
    expect(decode('%80', { charset: 'latin-1' })).toBe('\x80')
  })
})
