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

const PAGE = 4096

/**
 * Makes `count` large payloads of `size` bytes, which begin like those of {@link payloads}. Each page of 4 KiB also says at
 * which position of the payload it belongs, so that chunks in the wrong order differ, too.
 */
export function pagedPayloads(count, size) {
  return payloads(count, size).map((payload, index) => {
    for (let position = 0; position < size; position += PAGE) payload.write(stamp(index, position), position)
    return payload
  })
}

/**
 * Checks a chunk of such a payload without reading all of it, which would take as long as reading the file: the first page of
 * the chunk must be the one at this position.
 *
 * @returns The number of the payload, which the first chunk tells: `number` is undefined for it.
 */
export function checkChunk(chunk, position, number) {
  if (position % PAGE !== 0) return number
  const found = chunk.latin1Slice(0, 2 * DIGITS)
  const known = number ?? numberOf(found)
  if (found !== stamp(known, position))
    throw new Error(`'${found}' at position ${position} of payload ${known}`)
  return known
}

function stamp(number, position) {
  return String(number).padStart(DIGITS, '0') + String(position).padStart(DIGITS, '0')
}
