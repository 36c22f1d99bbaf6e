/**
 * File names are bytes. The names of items are handled as {@link RawName}s, which keep every byte even if it is not
 * valid in the charset. The charset of the queue turns them into text.
 *
 * @module
 */
import { Buffer, isUtf8 } from 'node:buffer'

import type { RawName } from '../addon/native.js'
import { EncodingError, MalformedNameError } from '../errors/classes.js'

export type { RawName }

/** The charsets for names (fsq standard, section 2). */
export type Charset = 'utf8' | 'ascii' | 'latin-1'

const CHARSETS: Readonly<Record<string, Charset>> = {
  utf8: 'utf8',
  'utf-8': 'utf8',
  ascii: 'ascii',
  'us-ascii': 'ascii',
  latin1: 'latin-1',
  'latin-1': 'latin-1',
  'iso-8859-1': 'latin-1',
}

const ASCII_ONLY = /^[^\u0080-\uffff]*$/
// With the flag u, a surrogate that belongs to a pair does not match.
const LONE_SURROGATE = /[\ud800-\udfff]/u
// Control characters, line breaks, and characters that reorder or hide text on a terminal.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu
const UNPRINTABLE_BYTE = /[^ -~]/g

/**
 * Parses the name of a charset, in any case: `UTF-8` and `utf8`, `us-ascii`, `latin1`, `iso-8859-1` and so on.
 *
 * @returns `undefined` for a charset that names cannot use.
 */
export function parseCharset(text: string): Charset | undefined {
  const name = text.toLowerCase()
  return Object.hasOwn(CHARSETS, name) ? CHARSETS[name] : undefined
}

/**
 * Encodes a text as bytes.
 *
 * @throws {@link EncodingError} if the text has a lone surrogate, or a character that the charset lacks: text that
 * could not be read back is never written.
 */
export function toRaw(text: string, charset: Charset): RawName {
  if (ASCII_ONLY.test(text)) return text
  if (LONE_SURROGATE.test(text)) {
    throw new EncodingError(`${show(text)} has a lone surrogate, half of a character`, {
      advice: 'Cut strings between characters, or put the text into the payload',
    })
  }
  if (charset === 'utf8') return Buffer.from(text, 'utf8').toString('latin1')
  const highest = charset === 'ascii' ? 0x7f : 0xff
  for (const character of text) {
    if ((character.codePointAt(0) ?? 0) <= highest) continue
    throw new EncodingError(`${show(text)} has ${show(character)}, which the charset ${charset} lacks`, {
      advice: 'Set FSQ_CHARSET to utf8, or put the text into the payload',
    })
  }
  return text
}

/**
 * Decodes bytes as text. Strict: overlong forms and surrogates are not valid UTF-8. A byte order mark is kept.
 *
 * @throws {@link MalformedNameError} if the bytes are not valid in the charset.
 */
export function fromRaw(raw: RawName, charset: Charset): string {
  if (ASCII_ONLY.test(raw) || charset === 'latin-1') return raw
  if (charset === 'utf8') {
    const bytes = Buffer.from(raw, 'latin1')
    if (isUtf8(bytes)) return bytes.toString('utf8')
  }
  throw new MalformedNameError(`its bytes are not valid ${charset} (FSQ_CHARSET)`, printable(raw))
}

/**
 * The text of a name in a path for Node, which encodes paths as UTF-8. A name that is not valid UTF-8 has no such
 * text; the result then names no existing file.
 */
export function pathText(raw: RawName): string {
  return ASCII_ONLY.test(raw) ? raw : Buffer.from(raw, 'latin1').toString('utf8')
}

/** The path of a file in a directory, with its name byte for byte. */
export function bytePath(directory: string, raw: RawName): Buffer {
  return Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(raw, 'latin1')])
}

/**
 * A name that is safe to show in a message or on a terminal. Valid UTF-8 becomes text with control and similar
 * characters escaped; otherwise each byte outside printable ASCII becomes `\xNN`. Cannot be turned back into a name.
 */
export function printable(raw: RawName): string {
  const bytes = Buffer.from(raw, 'latin1')
  if (isUtf8(bytes)) return printableText(bytes.toString('utf8'))
  return raw.replace(UNPRINTABLE_BYTE, escapeCharacter)
}

/** A text that is safe to show in a message or on a terminal: control and similar characters are escaped. */
export function printableText(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter)
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const hex = code.toString(16)
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`
}

function show(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 80)}…` : text
  return `'${printableText(short)}'`
}
