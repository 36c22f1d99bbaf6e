/**
 * The escapes in item names (fsq standard, section 2): a character that would break a name apart is written as the
 * encode character and two hex digits.
 *
 * @module
 */
import { inspect } from 'node:util'

import { EncodingError, MalformedNameError, problemOf } from '../errors/classes.js'
import { type Charset, type RawName, toRaw } from './charset.js'

/** A value that can be an argument of an item: a text, or a value with exactly one plain text. */
export type NameArgument = string | number | bigint | boolean

const HEX_DIGIT = /^[0-9a-fA-F]$/
const SMALLEST_PLAIN = 1e-4

function literal(character: string): string {
  return `\\x${hex(character)}`
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0')
}

/**
 * Writes and reads names with one combination of delimiter, encode character and charset. Everything that can be
 * prepared for it is prepared once.
 */
export class Codec {
  readonly delimiter: string
  readonly charset: Charset
  readonly #encode: string
  readonly #special: RegExp
  readonly #specials: RegExp
  readonly #escape: RegExp
  readonly #escapes: ReadonlyMap<string, string>
  readonly #highest: number
  readonly #delimiterInEscapes: boolean

  constructor(delimiter: string, encode: string, charset: Charset) {
    this.delimiter = delimiter
    this.charset = charset
    this.#encode = encode
    // No file name can contain NUL, so it is escaped, too.
    const specials = [delimiter, encode, '/', '\0']
    const anySpecial = `[${specials.map(literal).join('')}]`
    this.#special = new RegExp(anySpecial)
    this.#specials = new RegExp(anySpecial, 'g')
    this.#escapes = new Map(specials.map((character) => [character, encode + hex(character)]))
    this.#escape = new RegExp(`${literal(encode)}([0-9a-fA-F]{2})?`, 'g')
    // An escape stands for one byte, decoded alone. In UTF-8 only ASCII characters are one byte long.
    this.#highest = charset === 'latin-1' ? 0xff : 0x7f
    this.#delimiterInEscapes = HEX_DIGIT.test(delimiter)
  }

  /** Whether this is the codec for these settings. */
  fits(delimiter: string, encode: string, charset: Charset): boolean {
    return this.delimiter === delimiter && this.#encode === encode && this.charset === charset
  }

  /** Encodes the text of a field. The text must be valid in the charset. */
  encode(text: string): string {
    if (!this.#special.test(text)) return text
    return text.replace(this.#specials, (character) => this.#escapes.get(character) ?? character)
  }

  /**
   * Decodes a field.
   *
   * @throws {@link MalformedNameError} if an escape is cut short, has other characters than hex digits, or is not a
   * character.
   */
  decode(field: string): string {
    if (!field.includes(this.#encode)) return field
    return field.replace(this.#escape, (_escape, digits: string | undefined, offset: number) => {
      const code = digits === undefined ? Number.NaN : Number.parseInt(digits, 16)
      if (code <= this.#highest) return String.fromCharCode(code)
      const escape = inspect(field.slice(offset, offset + 3))
      throw new MalformedNameError(
        digits === undefined
          ? `the escape ${escape} is not ${inspect(this.#encode)} and two hex digits`
          : `the escape ${escape} is not a character of ${this.charset}`,
        field,
      )
    })
  }

  /** Splits the part of a name after its first delimiter into fields, which stay encoded. */
  split(body: string): string[] {
    // Only a delimiter that is a hex digit can be part of an escape: with the delimiter 'f', 'a%5fb' is one field.
    return this.#delimiterInEscapes
      ? splitOutsideEscapes(body, this.delimiter, this.#encode)
      : body.split(this.delimiter)
  }
}

/** Splits at each delimiter that is not one of the two hex digits of an escape. */
export function splitOutsideEscapes(body: string, delimiter: string, encode: string): string[] {
  const fields: string[] = []
  let start = 0
  for (let at = 0; at < body.length; at++) {
    if (body[at] === encode) {
      at += 2
    } else if (body[at] === delimiter) {
      fields.push(body.slice(start, at))
      start = at + 1
    }
  }
  fields.push(body.slice(start))
  return fields
}

// A process uses one or two pairs; the limit is for a process that tries them all.
const CACHED = 32
const codecs = new Map<string, Codec>()
let latest: Codec | undefined

/**
 * Returns the codec for a delimiter and an encode character.
 *
 * @throws {@link EncodingError} if either is not a single ASCII character, or if they are the same.
 */
export function codecFor(delimiter: string, encode: string, charset: Charset): Codec {
  if (latest?.fits(delimiter, encode, charset) === true) return latest
  requireCharacter('delimiter', delimiter)
  requireCharacter('encode character', encode)
  const key = `${delimiter}${encode}${charset}`
  const cached = codecs.get(key)
  if (cached !== undefined) return (latest = cached)
  if (delimiter === encode) {
    throw new EncodingError(`The delimiter and the encode character are both ${inspect(encode)}`, {
      advice: 'Choose two that differ',
    })
  }
  if (codecs.size === CACHED) codecs.clear()
  const codec = new Codec(delimiter, encode, charset)
  codecs.set(key, codec)
  return (latest = codec)
}

function requireCharacter(what: string, value: unknown): void {
  if (typeof value === 'string' && value.length === 1 && value <= '\x7f') return
  throw new EncodingError(`The ${what} is ${inspect(value)}, expected one ASCII character`)
}

/**
 * The text of an argument, in the format of the first implementation of the standard: `true` is `True`, 1e22 is
 * `1e+22`. A number keeps all its digits. A whole number gets no fraction, because JavaScript does not distinguish
 * 2.0 from 2.
 *
 * @param index - The position of the argument, from 0, for the error message.
 * @throws {@link EncodingError} if the value has no plain text: `null`, `undefined`, an object, NaN, Infinity.
 */
export function argumentText(value: unknown, index: number): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' && Number.isFinite(value)) return numberText(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  throw new EncodingError(
    `Argument ${index} is ${inspect(value, { depth: 0, maxStringLength: 80 })}, expected a string, a finite ` +
      'number, a bigint or a boolean',
    { advice: 'Convert it to a string first, or put it into the payload' },
  )
}

function numberText(value: number): string {
  const isSmall = value !== 0 && Math.abs(value) < SMALLEST_PLAIN
  const text = isSmall ? value.toExponential() : String(value)
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

/** Encodes an argument for a name, as bytes. */
export function encodeArgument(codec: Codec, value: unknown, index: number): RawName {
  const text = codec.encode(argumentText(value, index))
  try {
    return toRaw(text, codec.charset)
  } catch (error) {
    throw error instanceof EncodingError
      ? new EncodingError(`Argument ${index}: ${problemOf(error)}`, { advice: error.advice })
      : error
  }
}

/**
 * The delimiter with which a name was written.
 *
 * @throws {@link MalformedNameError} if the first character cannot be a delimiter.
 */
export function delimiterOf(name: string, encode: string): string {
  const delimiter = name.charAt(0)
  if (delimiter === '') throw new MalformedNameError('it is empty, so it has no delimiter', name)
  if (delimiter > '\x7f')
    throw new MalformedNameError('its first character, the delimiter, is not ASCII', name)
  if (delimiter === encode) {
    throw new MalformedNameError(
      'its first character, the delimiter, is the encode character (FSQ_ENCODE)',
      name,
    )
  }
  return delimiter
}
