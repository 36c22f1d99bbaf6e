/**
 * Makes names of arguments and takes them apart: the grammar of item names without the meaning of their first fields
 * (fsq standard, section 2).
 *
 * @module
 */
import { inspect } from 'node:util'

import { EncodingError, MalformedNameError, SettingError } from '../errors/classes.js'
import { getConst } from '../settings.js'
import { type Charset, parseCharset, toRaw } from '../name/charset.js'
import { type Codec, type NameArgument, argumentText, codecFor, delimiterOf } from '../name/codec.js'

/** How names are written and read. Defaults: the settings of the process. */
export interface EncodeOptions {
  /** One ASCII character; `FSQ_DELIMITER`. */
  readonly delimiter?: string | undefined
  /** One ASCII character other than the delimiter; `FSQ_ENCODE`. */
  readonly encodeseq?: string | undefined
  /** utf8, ascii or latin-1; `FSQ_CHARSET`. */
  readonly charset?: string | undefined
}

/** A name taken apart. */
export interface Deconstructed {
  /** The delimiter the name was written with: its first character. */
  readonly delimiter: string
  /** The fields, decoded. */
  readonly args: string[]
}

/**
 * Makes a name of arguments: each argument is encoded and has a delimiter before it. No arguments and one empty argument
 * make the same name, the delimiter alone.
 *
 * @throws {@link EncodingError} if an argument cannot be written (the message tells which, from 0), or if the delimiter
 * and the encode character are not two ASCII characters that differ.
 * @throws {@link SettingError} if there is no such charset.
 * @example
 * ```ts
 * construct(['a_b', 'c/d', 3]) // '_a%5fb_c%2fd_3'
 * ```
 */
export function construct(args: readonly NameArgument[], options?: EncodeOptions): string {
  const codec = codecOf(options)
  if (!Array.isArray(args))
    throw new EncodingError(`The arguments are ${inspect(args)}, expected an array of them`)
  const encoded = args.map((arg: NameArgument, index) => codec.encode(argumentText(arg, index)))
  const name = codec.delimiter + encoded.join(codec.delimiter)
  toRaw(name, codec.charset)
  return name
}

/**
 * Takes a name apart. Its first character is the delimiter.
 *
 * @throws {@link MalformedNameError} if the name is empty, if its first character is not ASCII or is the encode
 * character, or if an escape in it is malformed.
 * @throws {@link EncodingError} if the encode character is not one ASCII character.
 * @throws {@link SettingError} if there is no such charset.
 * @example
 * ```ts
 * deconstruct('_a%5fb_c%2fd') // { delimiter: '_', args: ['a_b', 'c/d'] }
 * ```
 */
export function deconstruct(
  name: string,
  options?: Pick<EncodeOptions, 'encodeseq' | 'charset'>,
): Deconstructed {
  if (typeof name !== 'string')
    throw new EncodingError(`Cannot deconstruct ${inspect(name)}, expected a string`)
  const encode = options?.encodeseq ?? getConst('FSQ_ENCODE')
  const delimiter = delimiterOf(name, encode)
  const codec = codecFor(delimiter, encode, charsetOf(options))
  if (name.length === 1) return { delimiter, args: [] }
  try {
    return { delimiter, args: codec.split(name.slice(1)).map((field) => codec.decode(field)) }
  } catch (error) {
    throw error instanceof MalformedNameError ? new MalformedNameError(error.reason, name) : error
  }
}

/**
 * Encodes one argument, as it stands in an item name (fsq standard, section 2): the delimiter, the encode character and
 * `/` become the encode character and two lower-case hex digits, and so does NUL.
 *
 * @throws {@link EncodingError} if the argument has no plain text, has a lone surrogate or a character that the charset
 * lacks, or if the delimiter and the encode character are not two ASCII characters that differ.
 * @throws {@link SettingError} if there is no such charset.
 * @example
 * ```ts
 * encode('a_b/c') // 'a%5fb%2fc'
 * encode('a.b', { delimiter: '.', encodeseq: '^' }) // 'a^2eb'
 * ```
 */
export function encode(arg: NameArgument, options?: EncodeOptions): string {
  const codec = codecOf(options)
  const encoded = codec.encode(argumentText(arg, 0))
  toRaw(encoded, codec.charset)
  return encoded
}

/**
 * Decodes one argument as it stands in an item name; the hex digits may be of either case (fsq standard, section 2).
 *
 * @throws {@link MalformedNameError} if an escape is cut short, is not two hex digits, or is not a character of the
 * charset when taken alone: in utf8, `%80` to `%ff` are not.
 * @throws {@link EncodingError} if the delimiter and the encode character are not two ASCII characters that differ.
 * @throws {@link SettingError} if there is no such charset.
 * @example
 * ```ts
 * decode('a%5fb%2Fc') // 'a_b/c'
 * ```
 */
export function decode(arg: string, options?: EncodeOptions): string {
  if (typeof arg !== 'string') throw new EncodingError(`Cannot decode ${inspect(arg)}, expected a string`)
  return codecOf(options).decode(arg)
}

/** The charset of the options, or that of the process. */
function charsetOf(options: EncodeOptions | undefined): Charset {
  const given = options?.charset
  if (given === undefined) return getConst('FSQ_CHARSET')
  const charset = parseCharset(given)
  if (charset === undefined) throw new SettingError('charset', given, 'one of utf8, ascii and latin-1')
  return charset
}

/** The codec of the options, or of the settings of the process. */
function codecOf(options: EncodeOptions | undefined): Codec {
  return codecFor(
    options?.delimiter ?? getConst('FSQ_DELIMITER'),
    options?.encodeseq ?? getConst('FSQ_ENCODE'),
    charsetOf(options),
  )
}
