/**
 * JSON text as the first implementation writes it: a blank after each colon and comma, and ASCII only.
 *
 * @module
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'

/** A value that JSON can have. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** Writes a value of few levels. */
export function jsonText(value: Json): string {
  if (typeof value === 'string')
    return JSON.stringify(value).replace(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(jsonText).join(', ')}]`
  return `{${Object.entries(value)
    .map(([key, member]) => `${jsonText(key)}: ${jsonText(member)}`)
    .join(', ')}}`
}

/** Reads JSON in UTF-8. @throws If it is not that. */
export function parsedJson(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const FIRST_PRINTABLE = 0x20
/** No id and no name has as many bytes, even if it is all escapes: six for each of 1,000 characters. */
const LONG_STRING = 8192
/** The letters behind a backslash, and their bytes. */
const ESCAPES = new Map(
  Array.from('"\\/bfnrt', (letter, at) => [letter.charCodeAt(0), '"\\/\b\f\n\r\t'.charCodeAt(at)]),
)
const UNICODE_ESCAPE = 0x75
/** As long and as bad as the string that it stands for. */
const HALF = '\ud800'.repeat(LONG_STRING)
const HEX_DIGITS = Buffer.from('0123456789abcdefABCDEF')

/**
 * Reads JSON as {@link parsedJson}, but gives long strings as their bytes in UTF-8, for which it needs no memory: it decodes them where they
 * are, and so overwrites the text. `JSON.parse` would take three times the text. A long string with half of a surrogate pair is {@link HALF}.
 *
 * @param long - Strings with more bytes than this are long.
 * @throws If it is no JSON in UTF-8.
 */
export function parsedInPlace(bytes: Uint8Array, long = LONG_STRING): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (text.length <= long) return parsedJson(text)
  if (!isUtf8(text)) throw new SyntaxError('The text is not UTF-8')
  // No string of the sender can be equal to that of a place.
  const mark = randomUUID()
  const found: (Buffer | string)[] = []
  const parts: Buffer[] = []
  let begin = 0
  for (let at = text.indexOf(QUOTE); at !== -1; at = text.indexOf(QUOTE, at + 1)) {
    const end = endOfString(text, at)
    if (end === -1) break
    if (end - at > long) {
      parts.push(text.subarray(begin, at), Buffer.from(`"${mark}${found.length}"`))
      found.push(decoded(text, at + 1, end))
      begin = end + 1
    }
    at = end
  }
  parts.push(text.subarray(begin))
  return JSON.parse(Buffer.concat(parts).toString(), (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? found[Number(value.slice(mark.length))] : value,
  )
}

/** Decodes a string of JSON where it is. @throws `SyntaxError` */
function decoded(text: Buffer, from: number, to: number): Buffer | string {
  let write = from
  let isWellFormed = true
  for (let read = from; read < to; read++) {
    const byte = text[read] ?? 0
    if (byte < FIRST_PRINTABLE) throw new SyntaxError('A string has a control character')
    if (byte !== BACKSLASH) {
      text[write++] = byte
      continue
    }
    const letter = text[++read] ?? 0
    if (letter !== UNICODE_ESCAPE) {
      const meant = ESCAPES.get(letter)
      if (meant === undefined) throw new SyntaxError('A string has a bad escape')
      text[write++] = meant
      continue
    }
    let unit = codeUnitAt(text, read + 1, to)
    read += 4
    if (unit >= 0xd800 && unit < 0xe000) {
      const isPair = unit < 0xdc00 && text[read + 1] === BACKSLASH && text[read + 2] === UNICODE_ESCAPE
      const low = isPair ? codeUnitAt(text, read + 3, to) : 0
      if (low >= 0xdc00 && low < 0xe000) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
        read += 6
      } else isWellFormed = false
    }
    if (isWellFormed) write += writeUtf8(text, write, unit)
  }
  return isWellFormed ? text.subarray(from, write) : HALF
}

function codeUnitAt(text: Buffer, at: number, end: number): number {
  let unit = 0
  for (let digit = at; digit < at + 4; digit++) {
    const value = digit < end ? HEX_DIGITS.indexOf(text[digit] ?? 0) : -1
    if (value === -1) throw new SyntaxError('A string has a bad escape')
    unit = unit * 16 + (value < 16 ? value : value - 6)
  }
  return unit
}

/** An escape is longer than the bytes of its character. */
function writeUtf8(text: Buffer, at: number, point: number): number {
  if (point < 0x80) {
    text[at] = point
    return 1
  }
  const length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
  for (let index = length - 1, rest = point; index >= 0; index--, rest >>= 6)
    text[at + index] = index > 0 ? 0x80 | (rest & 0x3f) : ((0xf00 >> length) & 0xff) | rest
  return length
}
const MARKS = new Set(Buffer.from('[{,:'))

/**
 * Whether JSON has more marks outside of its strings than a limit. A value in memory takes thirty times its text: 64 MiB of `{},` would take two
 * gigabytes, and keep the process busy for seconds.
 */
export function hasMoreMarks(bytes: Uint8Array, most: number): boolean {
  if (bytes.byteLength <= most) return false
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let marks = 0
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] ?? 0
    if (byte === QUOTE) {
      at = endOfString(text, at)
      if (at === -1) return false
    } else if (MARKS.has(byte) && ++marks > most) return true
  }
  return false
}

/** Where the string that begins at a quote has its last quote; -1: nowhere. */
function endOfString(text: Buffer, begin: number): number {
  for (let end = text.indexOf(QUOTE, begin + 1); end !== -1; end = text.indexOf(QUOTE, end + 1)) {
    let first = end
    while (text[first - 1] === BACKSLASH) first--
    if ((end - first) % 2 === 0) return end
  }
  return -1
}

/** Whether a value is an object with keys. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value)
}
