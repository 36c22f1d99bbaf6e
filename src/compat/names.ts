/**
 * Names made of arguments, and back: the grammar of item names without the meaning of their first fields
 * (fsq standard, section 2).
 *
 * @module
 */
import { inspect } from 'node:util'

import { EncodingError, MalformedNameError } from '../errors/classes.js'
import { getConst } from '../settings.js'
import { toRaw } from '../name/charset.js'
import {
  type EncodeOptions,
  type NameArgument,
  argumentText,
  charsetOf,
  codecFor,
  codecOf,
} from '../name/codec.js'

/** A name taken apart. */
export interface Deconstructed {
  /** The delimiter the name was written with: its first character. */
  readonly delimiter: string
  /** The fields, decoded. */
  readonly args: string[]
}

/**
 * Makes a name of arguments: each one encoded, with a delimiter before it. No arguments and one empty argument make
 * the same name, the delimiter alone.
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
 * The delimiter that a name was written with.
 *
 * @throws {@link MalformedNameError} if its first character cannot be one.
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
