import { Buffer } from 'node:buffer'

const DIGITS = 8

/** So many payloads of so many bytes, each beginning with its number, so that none is like another (but those of none). */
export function payloads(count, size) {
  const all = Buffer.alloc(count * size, '.')
  return Array.from({ length: count }, (_, index) => {
    const payload = all.subarray(index * size, (index + 1) * size)
    payload.write(String(index).padStart(DIGITS, '0'))
    return payload
  })
}

/** The number that a payload begins with. */
export function numberOf(text) {
  return Number(text.slice(0, DIGITS))
}
