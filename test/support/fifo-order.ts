/** The order in which items are worked off, told in TypeScript: tests compare native/names/name_order.cc with it. */
import type { RawName } from '../../src/name/charset.js'

const REQUIRED_FIELDS = 5
const DIGITS = /^[0-9]+$/

/**
 * Compares names in the order of work, first in, first out (fsq standard, section 2). Timestamps compare as bytes.
 * Entropies that are all digits compare by value, whatever their length, and come before all other entropies, which
 * compare as bytes. Then the rest after the entropy, including its delimiter, compares as bytes, and last the whole
 * name. This is a total order: 0 is returned only for equal names.
 *
 * Malformed names come last and compare as bytes. In this order, a name is malformed if it has fewer than five fields
 * when split at its own first byte; nothing else is checked, and escapes are ignored.
 *
 * @returns A negative number if `a` comes first, a positive one if `b` does.
 */
export function compareItemNames(a: RawName, b: RawName): number {
  const fieldsOfA = a.slice(1).split(a.charAt(0))
  const fieldsOfB = b.slice(1).split(b.charAt(0))
  const isMalformedA = a === '' || fieldsOfA.length < REQUIRED_FIELDS
  const isMalformedB = b === '' || fieldsOfB.length < REQUIRED_FIELDS
  if (isMalformedA !== isMalformedB) return isMalformedA ? 1 : -1
  if (isMalformedA) return compareBytes(a, b)

  const [timestampOfA = '', entropyOfA = ''] = fieldsOfA
  const [timestampOfB = '', entropyOfB = ''] = fieldsOfB
  return (
    compareBytes(timestampOfA, timestampOfB) ||
    compareEntropies(entropyOfA, entropyOfB) ||
    compareBytes(
      a.slice(1 + timestampOfA.length + 1 + entropyOfA.length),
      b.slice(1 + timestampOfB.length + 1 + entropyOfB.length),
    ) ||
    compareBytes(a, b)
  )
}

function compareEntropies(a: string, b: string): number {
  const isNumberA = DIGITS.test(a)
  const isNumberB = DIGITS.test(b)
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1
  if (!isNumberA) return compareBytes(a, b)
  const digitsOfA = a.replace(/^0+/, '')
  const digitsOfB = b.replace(/^0+/, '')
  return digitsOfA.length - digitsOfB.length || compareBytes(digitsOfA, digitsOfB)
}

// Raw names have one character per byte, so this is byte order.
function compareBytes(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
