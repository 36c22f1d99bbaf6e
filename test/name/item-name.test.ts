import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { EncodingError, MalformedNameError } from '../../src/errors/classes.js'
import { toRaw } from '../../src/name/charset.js'
import { construct } from '../../src/compat/names.js'
import type { NameArgument } from '../../src/name/codec.js'
import {
  type ItemFields,
  freeEntropies,
  itemKey,
  nameSuffix,
  parseItemName,
  withEntropy,
  withTries,
} from '../../src/name/item-name.js'
import { resolveSettings } from '../../src/settings.js'
import { charset, filePair, textIn } from './generators.js'

const settings = resolveSettings()
const TIMESTAMP = '20120710213904'
const NAME = '_20120710213904_0_13044_mss_0_args_to_enqueue'

const digits = fc.oneof(fc.nat(20).map(String), fc.stringMatching(/^[0-9]{1,15}$/))

/** Fields, and how they are written. */
const written = fc
  .record({ pair: filePair(), charset: charset() })
  .chain((how) =>
    fc.record({
      how: fc.constant(how),
      fields: fc.record({
        timestamp: fc.constantFrom(TIMESTAMP, '19991231235959', '00010101000000'),
        entropy: fc.oneof(digits, textIn(how.charset)),
        pid: fc.oneof(digits, textIn(how.charset)),
        hostname: textIn(how.charset),
        tries: fc.nat({ max: 999_999_999_999_999 }),
        args: fc.array(textIn(how.charset), { maxLength: 5 }),
      }),
    }),
  )
  .map(({ how, fields }) => {
    const { timestamp, entropy, pid, hostname, tries, args } = fields
    const options = { ...how.pair, charset: how.charset }
    const name = construct([timestamp, entropy, pid, hostname, tries, ...args], options)
    return {
      raw: toRaw(name, how.charset),
      fields: { delimiter: how.pair.delimiter, ...fields },
      settings: resolveSettings({
        delimiter: how.pair.delimiter,
        encode: how.pair.encodeseq,
        charset: how.charset,
      }),
    }
  })

function fieldsOf(name: ItemFields): ItemFields {
  const { delimiter, timestamp, entropy, pid, hostname, tries, args } = name
  return { delimiter, timestamp, entropy, pid, hostname, tries, args }
}

describe('parseItemName', () => {
  test('reads back all that was written', () => {
    fc.assert(
      fc.property(written, ({ raw, fields, settings }) => {
        const parsed = parseItemName(raw, settings)
        expect(fieldsOf(parsed)).toEqual(fields)
        expect(parsed.raw).toBe(raw)
      }),
      { numRuns: 1000 },
    )
  })

  test('reads the example of the standard', () => {
    const name = parseItemName(NAME, settings)
    expect(name).toMatchObject({
      raw: NAME,
      delimiter: '_',
      timestamp: TIMESTAMP,
      entropy: '0',
      pid: '13044',
      hostname: 'mss',
      tries: 0,
    })
    expect(name.args).toEqual(['args', 'to', 'enqueue'])
    expect(name.args).toBe(name.args)
  })

  test('reads the delimiter from the name, whatever the setting', () => {
    const name = parseItemName('-20120710213904-1-2-my%2dhost-3-a_b-c%2fd', settings)
    expect(name).toMatchObject({ delimiter: '-', hostname: 'my-host', tries: 3 })
    expect(name.args).toEqual(['a_b', 'c/d'])
  })

  test('reads escapes in each field', () => {
    const name = parseItemName('_%32012071021390%34_%30_%70_%68_%31%32_%61', settings)
    expect(name).toMatchObject({ timestamp: TIMESTAMP, entropy: '0', pid: 'p', hostname: 'h', tries: 12 })
    expect(name.args).toEqual(['a'])
  })

  test('reads tries of up to 15 digits', () => {
    expect(parseItemName('_20120710213904_0_1_h_007', settings).tries).toBe(7)
    expect(parseItemName('_20120710213904_0_1_h_999999999999999', settings).tries).toBe(999_999_999_999_999)
  })

  test.each([
    ['', 'it is empty, so it has no delimiter'],
    ['_', 'it has 1 of at least 5 fields'],
    ['_20120710213904_0_1_h', 'it has 4 of at least 5 fields'],
    ['.hidden', 'it has 1 of at least 5 fields'],
    ['%20120710213904%0%1%h%0', 'its first character, the delimiter, is the encode character (FSQ_ENCODE)'],
    ['_20120710213960_0_1_h_0', 'its timestamp does not match %Y%m%d%H%M%S (FSQ_TIMEFMT)'],
    ['_2012071021390_0_1_h_0', 'its timestamp does not match %Y%m%d%H%M%S (FSQ_TIMEFMT)'],
    ['_20120710213904_0_1_h_', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_+2', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_-1', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_ 3', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_1\n', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_1e3', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_1000000000000000', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_0_1_h_\xd9\xa3', 'its tries are not 1 to 15 decimal digits'],
    ['_20120710213904_%zz_1_h_0', "the escape '%zz' is not '%' and two hex digits"],
    ['_20120710213904_0_1_h_0_a_%', "the escape '%' is not '%' and two hex digits"],
    ['_20120710213904_0_1_h_0_%ff', "the escape '%ff' is not a character of utf8"],
    ['_20120710213904_0_1_h_0_\xff', 'its bytes are not valid utf8 (FSQ_CHARSET)'],
    ['\xf8', 'its bytes are not valid utf8 (FSQ_CHARSET)'],
    ['\xc3\xb820120710213904', 'its first character, the delimiter, is not ASCII'],
  ])('%p is malformed: %s', (raw, reason) => {
    expect(() => parseItemName(raw, settings)).toThrow(MalformedNameError)
    expect(() => parseItemName(raw, settings)).toThrow(expect.objectContaining({ reason }))
  })

  test('shows a malformed name whole and escaped', () => {
    expect(() => parseItemName('_20120710213904_0_1_h_0_\xff_%zz', settings)).toThrow(
      "'_20120710213904_0_1_h_0_\\\\xff_%zz' cannot be read as an item name: its bytes are not valid utf8",
    )
  })

  test('takes the bytes of other charsets where they are set', () => {
    const latin = resolveSettings({ charset: 'latin-1' })
    expect(parseItemName('_20120710213904_0_1_h_0_\xff%e9', latin).args).toEqual(['ÿé'])
    const ascii = resolveSettings({ charset: 'ascii' })
    expect(() => parseItemName('_20120710213904_0_1_h_0_\xff', ascii)).toThrow(MalformedNameError)
  })

  test('takes timestamps of other formats', () => {
    const other = resolveSettings({ timefmt: '%Y_%m', utc: true })
    expect(parseItemName('_2012%5f07_0_1_h_0', other).timestamp).toBe('2012_07')
    expect(() => parseItemName('_2012%5f7_0_1_h_0', other)).toThrow(MalformedNameError)
    expect(() => parseItemName(NAME, other)).toThrow(MalformedNameError)
  })
})

describe('withTries and withEntropy', () => {
  test('change their field and not a byte more', () => {
    fc.assert(
      fc.property(written, fc.nat(2000), ({ raw, fields, settings }, value) => {
        const { encode } = settings
        const retried = parseItemName(withTries(raw, value, encode), settings)
        expect(fieldsOf(retried)).toEqual({ ...fields, tries: value })
        expect(withTries(retried.raw, fields.tries, encode)).toBe(raw)

        const renamed = parseItemName(withEntropy(raw, value, encode), settings)
        expect(fieldsOf(renamed)).toEqual({
          ...fields,
          entropy: String(value),
        })
        if (/^[0-9]+$/.test(fields.entropy))
          expect(withEntropy(renamed.raw, fields.entropy, encode)).toBe(raw)
      }),
      { numRuns: 1000 },
    )
  })

  test('keep the escapes and the delimiter that the name was written with', () => {
    const name = '-%32012071021390%34-5-%70-my%2Dhost-0-%61-\xff'
    expect(withTries(name, 12, '%')).toBe('-%32012071021390%34-5-%70-my%2Dhost-12-%61-\xff')
    expect(withEntropy(name, 77n, '%')).toBe('-%32012071021390%34-77-%70-my%2Dhost-0-%61-\xff')
  })

  test('escape a digit that is the delimiter or the encode character', () => {
    expect(withTries('52012071021390450515h50', 15, '%')).toBe('52012071021390450515h51%35')
    expect(withTries('_2_0_1_h_0', 20, '0')).toBe('_2_0_1_h_2030')
  })

  test.each([-1, 1.5, 1e15, Number.NaN, '2 ' as unknown as number])('%p tries are an error', (tries) => {
    expect(() => withTries(NAME, tries, '%')).toThrow(EncodingError)
  })

  test('an entropy that is no number is an error', () => {
    expect(() => withEntropy(NAME, 'abc', '%')).toThrow(EncodingError)
    expect(() => withEntropy(NAME, -1, '%')).toThrow(EncodingError)
  })

  test('a name without the field is an error', () => {
    expect(() => withTries('_a_b', 1, '%')).toThrow(MalformedNameError)
    expect(() => withEntropy('', 1, '%')).toThrow(MalformedNameError)
  })
})

describe('itemKey', () => {
  test('is the name without its tries, and stays from try to try', () => {
    expect(itemKey(NAME, '%')).toBe('_20120710213904_0_13044_mss_args_to_enqueue')
    expect(itemKey('_20120710213904_0_1_h_0', '%')).toBe('_20120710213904_0_1_h')
    fc.assert(
      fc.property(written, fc.nat(), ({ raw, settings: { encode } }, tries) => {
        expect(itemKey(withTries(raw, tries, encode), encode)).toBe(itemKey(raw, encode))
        expect(itemKey(raw, encode).length).toBeLessThan(raw.length)
      }),
    )
  })

  test('of a malformed name is the name', () => {
    for (const raw of ['', '_', '.hidden', '\xff\xff']) expect(itemKey(raw, '%')).toBe(raw)
  })
})

describe('nameSuffix', () => {
  test('is what construct() writes after the entropy', () => {
    fc.assert(
      fc.property(written, ({ raw, fields, settings }) => {
        const { delimiter, timestamp, entropy } = fields
        const head = construct([timestamp, entropy], {
          delimiter,
          encodeseq: settings.encode,
          charset: settings.charset,
        })
        expect(toRaw(head, settings.charset) + nameSuffix(fields, settings)).toBe(raw)
      }),
    )
  })

  test('writes numbers, and no arguments', () => {
    expect(nameSuffix({ pid: 13044, hostname: 'mss', tries: 0, args: [] }, settings)).toBe('_13044_mss_0')
    expect(nameSuffix({ pid: 13044, hostname: 'my_host', tries: 2, args: ['ü', 3, true] }, settings)).toBe(
      '_13044_my%5fhost_2_\xc3\xbc_3_True',
    )
    expect(nameSuffix({ pid: 1, hostname: 'h', tries: 0, args: [''] }, settings)).toBe('_1_h_0_')
  })

  test('is made anew when any of its fields is another', () => {
    const fields = { pid: 1, hostname: 'h', tries: 0, args: [] }
    expect(nameSuffix(fields, settings)).toBe('_1_h_0')
    expect(nameSuffix({ ...fields, hostname: 'g' }, settings)).toBe('_1_g_0')
    expect(nameSuffix({ ...fields, hostname: 'g', tries: 1 }, settings)).toBe('_1_g_1')
    expect(nameSuffix({ ...fields, hostname: 'g', tries: 1, pid: 2 }, settings)).toBe('_2_g_1')
    expect(
      nameSuffix({ ...fields, hostname: 'g', tries: 1, pid: 2 }, resolveSettings({ delimiter: '-' })),
    ).toBe('-2-g-1')
  })

  test('says which argument cannot be written', () => {
    const fields = { pid: 1, hostname: 'h', tries: 0 }
    const args = ['a', null] as unknown as NameArgument[]
    expect(() => nameSuffix({ ...fields, args }, settings)).toThrow(/^Argument 1 is null/)
    expect(() => nameSuffix({ ...fields, args: ['\ud800'] }, settings)).toThrow(EncodingError)
    expect(() => nameSuffix({ ...fields, args: [], tries: -1 }, settings)).toThrow(EncodingError)
  })
})

describe('freeEntropies', () => {
  const entropyOf = (raw: string): string => raw.split('_')[2] ?? ''
  const nameWith = (entropy: string, length: number): string => {
    const name = `_${TIMESTAMP}_${entropy}_1_h_0_`
    return name + 'x'.repeat(length - name.length)
  }

  test('yields other valid names of the same item, none twice, none too long, and ends', () => {
    fc.assert(
      fc.property(written, ({ raw, fields, settings }) => {
        if (raw.length > 240) return
        const names = [...freeEntropies(raw, settings.encode)]
        expect(names.length).toBeGreaterThan(8)
        expect(names.length).toBeLessThan(1500)
        expect(new Set([raw, ...names]).size).toBe(names.length + 1)
        for (const name of names) {
          expect(name.length).toBeLessThanOrEqual(255)
          const parsed = parseItemName(name, settings)
          expect(fieldsOf(parsed)).toEqual({ ...fields, entropy: parsed.entropy })
        }
      }),
      { numRuns: 200 },
    )
  })

  test('starts with entropies of no more digits, then goes on with longer ones', () => {
    const lengths = [...freeEntropies(nameWith('1234', 60), '%')].map((name) => entropyOf(name).length)
    const firstLonger = lengths.findIndex((length) => length > 4)
    expect(firstLonger).toBeGreaterThan(8)
    expect(lengths.slice(firstLonger).every((length) => length > 4)).toBe(true)
    expect(lengths).toContain(15)
  })

  test('tries all entropies of one digit', () => {
    const entropies = [...freeEntropies(nameWith('7', 60), '%')].map(entropyOf)
    expect(entropies.slice(0, 9).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '8', '9'])
  })

  test('keeps within 255 bytes where there is no room for another digit', () => {
    const one = [...freeEntropies(nameWith('7', 255), '%')]
    expect(one).toHaveLength(9)
    const two = [...freeEntropies(nameWith('42', 255), '%')].map(entropyOf)
    expect(two).toHaveLength(99)
    expect(two.every((entropy) => entropy.length <= 2)).toBe(true)
    const grown = [...freeEntropies(nameWith('42', 254), '%')]
    expect(grown.some((name) => name.length === 255)).toBe(true)
  })

  test('counts the bytes of escaped digits, and ends at once where nothing fits', () => {
    const name = `1${TIMESTAMP.replaceAll('1', '%31')}15151h10`
    const full = `${name}1${'x'.repeat(254 - name.length)}`
    expect(itemKey(full, '%').length).toBe(253)
    const others = [...freeEntropies(full, '%')]
    expect(others.map((other) => other.slice(21, 23)).sort()).toEqual(
      ['0', '2', '3', '4', '6', '7', '8', '9'].map((digit) => `1${digit}`),
    )
    expect([...freeEntropies(nameWith('', 255), '%')]).toEqual([])
  })

  test('takes an entropy that is no number, or a very long one', () => {
    expect([...freeEntropies(`_${TIMESTAMP}_abc_1_h_0`, '%')].length).toBeGreaterThan(8)
    expect([...freeEntropies(`_${TIMESTAMP}__1_h_0`, '%')].length).toBeGreaterThan(8)
    expect([...freeEntropies(nameWith('9'.repeat(40), 255), '%')].length).toBeGreaterThan(8)
  })

  test('steps so far that 2,000 collisions cost few names each', () => {
    const taken = new Set<string>()
    let looked = 0
    for (let count = 0; count < 2000; count++) {
      let name: string | undefined = NAME
      if (taken.has(name)) {
        const others = freeEntropies(NAME, '%')
        do {
          looked++
          name = others.next().value ?? undefined
        } while (name !== undefined && taken.has(name))
      }
      if (name === undefined) throw new Error(`no free name after ${count}`)
      taken.add(name)
    }
    expect(looked).toBeLessThan(2000 * 60)
  })

  test('finds a name for what has no entropy at all', () => {
    for (const raw of ['_', '.hidden', `\xff${'a'.repeat(254)}`, '_a_b_c', '%%%']) {
      const names = [...freeEntropies(raw, '%')]
      expect(names.length).toBeGreaterThan(8)
      expect(new Set([raw, ...names]).size).toBe(names.length + 1)
      for (const name of names) {
        expect(name.length).toBeLessThanOrEqual(255)
        expect(name.startsWith(raw.slice(0, 200))).toBe(true)
      }
    }
  })

  test('finds a name where the name is malformed in another way', () => {
    for (const raw of ['_bad_0_1_h_x', '%1%2%3%4%5%6', '5555555555', '_%zz_0_1_h_0_\xff']) {
      expect([...freeEntropies(raw, '%')].length).toBeGreaterThan(8)
    }
  })
})
