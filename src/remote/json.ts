/**
 * JSON text as the first implementation writes it: a blank after each colon and comma, and ASCII only.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

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
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value)
}
