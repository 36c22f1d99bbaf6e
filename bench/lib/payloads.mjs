import { Buffer } from 'node:buffer'

const DIGITS = 8

/**
 * Makes `count` payloads of `size` bytes. Each begins with its number, so that all differ (unless they are empty).
 */
export function payloads(count, size) {
  const all = Buffer.alloc(count * size, '.')
  return Array.from({ length: count }, (_, index) => {
    const payload = all.subarray(index * size, (index + 1) * size)
    payload.write(String(index).padStart(DIGITS, '0'))
    return payload
  })
}

/** The number at the beginning of a payload. */
export function numberOf(text) {
  return Number(text.slice(0, DIGITS))
}
