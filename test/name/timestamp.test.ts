import { afterEach, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'

import { EncodingError } from '../../src/errors/classes.js'
import { formatTimestamp, isTimestamp, parseTimestamp } from '../../src/name/timestamp.js'
import { native } from '../../src/addon/native.js'

const utc = { timefmt: '%Y%m%d%H%M%S', utc: true }
const local = { timefmt: '%Y%m%d%H%M%S', utc: false }
const precise = { timefmt: '%Y-%m-%dT%H:%M:%S.%f', utc: true }

afterEach(() => {
  jest.restoreAllMocks()
})

const wholeSeconds = fc
  .date({ noInvalidDate: true, min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z') })
  .map((date) => Math.floor(date.getTime() / 1000) * 1000)

test('formats in UTC and in local time', () => {
  const date = new Date(Date.UTC(2012, 6, 10, 21, 39, 4, 567))
  expect(formatTimestamp(date, utc)).toBe('20120710213904')
  expect(formatTimestamp(date.getTime(), utc)).toBe('20120710213904')
  const two = (number: number): string => String(number).padStart(2, '0')
  expect(formatTimestamp(date, local)).toBe(
    `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}` +
      `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`,
  )
})

test('formats microseconds, also before the epoch', () => {
  expect(formatTimestamp(Date.UTC(2012, 6, 10, 21, 39, 4, 567), precise)).toBe('2012-07-10T21:39:04.567000')
  expect(formatTimestamp(1.25, precise)).toBe('1970-01-01T00:00:00.001250')
  expect(formatTimestamp(-0.25, precise)).toBe('1969-12-31T23:59:59.999750')
  // Less than a microsecond before a second: the second is not over yet.
  expect(formatTimestamp(999.9999, precise)).toBe('1970-01-01T00:00:00.999999')
})

test.each([new Date(Number.NaN), Number.NaN, Number.POSITIVE_INFINITY])('%p is no date', (date) => {
  expect(() => formatTimestamp(date, utc)).toThrow(EncodingError)
})

test('a formatted time is valid and means the same instant', () => {
  fc.assert(
    fc.property(wholeSeconds, (instant) => {
      const text = formatTimestamp(instant, utc)
      expect(isTimestamp(text, utc)).toBe(true)
      expect(parseTimestamp(text, utc)).toBe(instant)
    }),
  )
})

test('a time formatted in local time means the same instant, or a later one of the same text', () => {
  fc.assert(
    fc.property(wholeSeconds, (instant) => {
      const text = formatTimestamp(instant, local)
      expect(isTimestamp(text, local)).toBe(true)
      const parsed = parseTimestamp(text, local) ?? Number.NaN
      expect(parsed).toBeGreaterThanOrEqual(instant)
      expect(formatTimestamp(parsed, local)).toBe(text)
    }),
  )
})

test('microseconds come back', () => {
  const at = Date.UTC(2012, 6, 10, 21, 39, 4)
  expect(parseTimestamp('2012-07-10T21:39:04.567891', precise)).toBeCloseTo(at + 567.891, 3)
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999 }), (microseconds) => {
      const text = `2012-07-10T21:39:04.${String(microseconds).padStart(6, '0')}`
      expect(formatTimestamp(parseTimestamp(text, precise) ?? Number.NaN, precise)).toBe(text)
    }),
  )
})

describe('the default format', () => {
  const valid = [
    '00010101000000',
    '20000229000000',
    '20120229235959',
    '20120710213904',
    '20121231235959',
    '99991231235959',
  ]
  const invalid = [
    '',
    '2012071021390',
    '201207102139040',
    '00000101000000',
    '20120010000000',
    '20121310000000',
    '20120700000000',
    '20120732000000',
    '20120431000000',
    '20110229000000',
    '19000229000000',
    '20120230000000',
    '20120710240000',
    '20120710216000',
    '20120710213960',
    '20120710213961',
    ' 2012071021390',
    '2012071021390 ',
    '-2012071021390',
    '20120710213904\n',
    '2012-07-10T21:3',
    '٢٠١٢٠٧١٠٢١٣٩٠٤',
  ]

  test.each(valid)('%s is valid', (text) => {
    expect(isTimestamp(text, utc)).toBe(true)
    expect(parseTimestamp(text, utc)).toEqual(expect.any(Number))
    expect(parseTimestamp(text, local)).toEqual(expect.any(Number))
  })

  test.each(invalid)('%p is not', (text) => {
    expect(isTimestamp(text, utc)).toBe(false)
    expect(parseTimestamp(text, utc)).toBeUndefined()
    expect(parseTimestamp(text, local)).toBeUndefined()
  })

  test('is checked as Date does it', () => {
    const number = (most: number, width: number): fc.Arbitrary<string> =>
      fc.nat(most).map((value) => String(value).padStart(width, '0'))
    fc.assert(
      fc.property(
        fc.tuple(number(9999, 4), number(14, 2), number(33, 2), number(25, 2), number(62, 2), number(62, 2)),
        ([year, month, day, hour, minute, second]) => {
          const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
          const date = new Date(iso)
          const isReal = year !== '0000' && !Number.isNaN(date.getTime()) && date.toISOString() === iso
          expect(isTimestamp(`${year}${month}${day}${hour}${minute}${second}`, utc)).toBe(isReal)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('is checked without native code', () => {
    const parseTime = jest.spyOn(native, 'parseTime')
    expect(isTimestamp('20120710213905', utc)).toBe(true)
    expect(isTimestamp('20120710213965', utc)).toBe(false)
    expect(parseTime).not.toHaveBeenCalled()
  })
})

describe('another format', () => {
  test.each(['2012-07-10T21:39:04.000001', '2012-02-29T00:00:00.999999'])('%s is valid', (text) => {
    expect(isTimestamp(text, precise)).toBe(true)
  })

  test.each([
    '2012-07-10T21:39:04',
    '2012-07-10T21:39:04.1',
    '2011-02-29T00:00:00.000000',
    '20120710213904',
    '',
  ])('%p is not', (text) => {
    expect(isTimestamp(text, precise)).toBe(false)
    expect(parseTimestamp(text, precise)).toBeUndefined()
  })

  test('is told from the default one for the same text', () => {
    const year = { timefmt: '%Y', utc: true }
    expect(isTimestamp('2012', year)).toBe(true)
    expect(isTimestamp('2012', utc)).toBe(false)
    expect(isTimestamp('2012', year)).toBe(true)
    expect(isTimestamp('20120710213904', year)).toBe(false)
    expect(isTimestamp('20120710213904', utc)).toBe(true)
  })

  test('asks native code once for items of one time', () => {
    const parseTime = jest.spyOn(native, 'parseTime')
    for (let count = 0; count < 3; count++) isTimestamp('2012-07-10T21:39:07.000000', precise)
    expect(parseTime).toHaveBeenCalledTimes(1)
  })
})
