import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { withEntropy } from '../../src/name/item-name.js'
import { compareItemNames } from '../support/fifo-order.js'

const TIMESTAMP = '20120710213904'
const NAME = '_20120710213904_0_13044_mss_0_args_to_enqueue'

const digits = fc.oneof(fc.nat(20).map(String), fc.stringMatching(/^[0-9]{1,15}$/))

describe('compareItemNames', () => {
  const few = (...values: string[]): fc.Arbitrary<string> => fc.constantFrom(...values)
  const similar = fc.oneof(
    fc
      .tuple(
        few('_', '-', '.'),
        few(TIMESTAMP, '20120710213905', '2012', ''),
        fc.oneof(few('', '0', '00', '7', '07', '10', '9', 'a', '1a', '-1', '9'.repeat(20)), digits),
        few('1', '2', ''),
        few('h', 'g'),
        few('0', '1'),
        fc.array(few('x', '', '\xff'), { maxLength: 2 }),
      )
      .map(([delimiter, ...fields]) => delimiter + fields.flat().join(delimiter)),
    few('', '_', '__', '____', '_____', '.hidden', '\xff', 'aaaaaaaa'),
    fc.string({ unit: few('_', '0', '1', 'a', '\xff'), maxLength: 12 }),
  )
  const sign = (a: string, b: string): number => Math.sign(compareItemNames(a, b))

  test('is a total order', () => {
    fc.assert(
      fc.property(similar, similar, similar, (a, b, c) => {
        expect(sign(a, a)).toBe(0)
        expect(sign(a, b) === 0).toBe(a === b)
        expect(sign(a, b) + sign(b, a)).toBe(0)
        if (sign(a, b) <= 0 && sign(b, c) <= 0) expect(sign(a, c)).toBeLessThanOrEqual(0)
      }),
      { numRuns: 5000 },
    )
  })

  test('sorts the entropies of one second as numbers', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 10n ** 30n })), (entropies) => {
        const sorted = entropies.map((entropy) => withEntropy(NAME, entropy, '%')).sort(compareItemNames)
        const numbers = sorted.map((name) => BigInt(name.split('_')[2] ?? ''))
        expect(numbers).toEqual([...entropies].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)))
      }),
    )
  })

  test('puts names in the order of work', () => {
    const ordered = [
      '_2011_9_1_h_0',
      '_2012_0_1_h_0',
      '_2012_2_1_h_0',
      '_2012_2_1_h_0_a',
      '_2012_02_1_h_0_b',
      '_2012_2_1_h_0_b',
      '-2012-3-1-h-0',
      '_2012_3_1_h_0',
      '_2012_003_2_h_0',
      '_2012_10_1_h_0',
      `_2012_${'9'.repeat(30)}_1_h_0`,
      `_2012_1${'0'.repeat(30)}_1_h_0`,
      '_2012__1_h_0',
      '_2012_-1_1_h_0',
      '_2012_1a_1_h_0',
      '_2012_a_1_h_0',
      '_20120_0_1_h_0',
      '',
      '.hidden',
      '_2010_0_1_h',
      '\xff',
    ]
    expect([...ordered].reverse().sort(compareItemNames)).toEqual(ordered)
  })
})
