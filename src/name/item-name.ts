/**
 * The names of items (fsq standard, section 2).
 *
 *     _20120710213904_0_13044_mss_0_args_to_enqueue
 *     | timestamp     | pid   |   | arguments
 *     |               entropy |   tries
 *     delimiter               hostname
 *
 * @module
 */
import { EncodingError, MalformedNameError } from '../errors/classes.js'
import { type Charset, type RawName, fromRaw, printable } from './charset.js'
import {
  type Codec,
  type NameArgument,
  codecFor,
  delimiterOf,
  encodeArgument,
  splitOutsideEscapes,
} from './codec.js'
import { DEFAULT_FORMAT, type TimestampSettings, isTimestamp } from './timestamp.js'
import { LONGEST_NAME, MOST_DIGITS, WHOLE_NUMBER } from './limits.js'

/** The fields of an item name. */
export interface ItemFields {
  /** The delimiter with which this name was written. */
  readonly delimiter: string
  /** When the item was enqueued, as text in `FSQ_TIMEFMT`. */
  readonly timestamp: string
  /** Makes the name unique. Opaque to readers. */
  readonly entropy: string
  /** The process that enqueued the item. Opaque to readers. */
  readonly pid: string
  /** The host of that process. */
  readonly hostname: string
  /** How many attempts have failed so far. */
  readonly tries: number
  readonly args: readonly string[]
}

/** The settings that reading a name depends on. */
export interface ReadSettings extends TimestampSettings {
  readonly charset: Charset
  readonly encode: string
}

/** The settings that writing a name depends on. */
export interface WriteSettings {
  readonly charset: Charset
  readonly delimiter: string
  readonly encode: string
}

const REQUIRED_FIELDS = 5
const ENTROPY = 1
const PID = 2
const HOSTNAME = 3
const TRIES = 4
const LAST_ASCII = 0x7f
const DIGITS = /^[0-9]+$/
const HEX_DIGIT_OR_NOTHING = /^[0-9a-fA-F]?$/

/** A valid item name. It has been checked completely; it is split into fields only when one is read. */
export class ParsedName implements ItemFields {
  readonly raw: RawName
  readonly delimiter: string
  readonly tries: number
  #fields: readonly string[] | undefined
  #args: readonly string[] | undefined

  /**
   * For callers that have checked the whole name.
   *
   * @param fields - The decoded fields. Default: none, for a name in which nothing needs decoding.
   */
  constructor(raw: RawName, delimiter: string, tries: number, fields?: readonly string[]) {
    this.raw = raw
    this.delimiter = delimiter
    this.tries = tries
    this.#fields = fields
  }

  get timestamp(): string {
    return this.#field(0)
  }

  get entropy(): string {
    return this.#field(ENTROPY)
  }

  get pid(): string {
    return this.#field(PID)
  }

  get hostname(): string {
    return this.#field(HOSTNAME)
  }

  get args(): readonly string[] {
    return (this.#args ??= Object.freeze(this.#split().slice(REQUIRED_FIELDS)))
  }

  #field(index: number): string {
    return this.#split()[index] ?? ''
  }

  #split(): readonly string[] {
    return (this.#fields ??= this.raw.slice(1).split(this.delimiter))
  }
}

/** A name that native code has found to be valid and to need no decoding. */
export function plainName(raw: RawName, tries: number): ParsedName {
  return new ParsedName(raw, raw.charAt(0), tries)
}

/**
 * The code of the encode character, which native code needs to recognise plain names. 0: native code cannot, because
 * the queue uses another timestamp format.
 */
export function plainEscape({ encode, timefmt }: ReadSettings): number {
  const code = encode.charCodeAt(0)
  return timefmt === DEFAULT_FORMAT && code <= LAST_ASCII ? code : 0
}

/**
 * Parses the name of an item.
 *
 * @param raw - The bytes of the name.
 * @throws {@link MalformedNameError} if the name is not valid; `reason` says why: the bytes are not valid in the
 * charset, the delimiter is not ASCII, there are fewer than five fields, an escape is malformed, the timestamp does
 * not match the format, or the tries are not 1 to 15 decimal digits.
 */
export function parseItemName(raw: RawName, settings: ReadSettings): ParsedName {
  try {
    return parse(raw, settings)
  } catch (error) {
    throw error instanceof MalformedNameError ? new MalformedNameError(error.reason, printable(raw)) : error
  }
}

function parse(raw: RawName, settings: ReadSettings): ParsedName {
  const name = fromRaw(raw, settings.charset)
  const codec = codecFor(delimiterOf(name, settings.encode), settings.encode, settings.charset)
  const encoded = codec.split(name.slice(1))
  if (encoded.length < REQUIRED_FIELDS) {
    throw new MalformedNameError(`it has ${encoded.length} of at least ${REQUIRED_FIELDS} fields`, name)
  }
  // Most names have no escapes.
  const fields = name.includes(settings.encode) ? encoded.map((field) => codec.decode(field)) : encoded
  if (!isTimestamp(fields[0] ?? '', settings)) {
    throw new MalformedNameError(`its timestamp does not match ${settings.timefmt} (FSQ_TIMEFMT)`, name)
  }
  if (!WHOLE_NUMBER.test(fields[TRIES] ?? '')) {
    throw new MalformedNameError(`its tries are not 1 to ${MOST_DIGITS} decimal digits`, name)
  }
  return new ParsedName(raw, codec.delimiter, Number(fields[TRIES]), fields)
}

/** Splits a name into its fields, undecoded. Works for any bytes, including malformed names. */
function rawFields(raw: RawName, encode: string): string[] {
  const delimiter = raw.charAt(0)
  if (delimiter === '') return []
  const body = raw.slice(1)
  // Only a delimiter that is a hex digit can also be part of an escape.
  return delimiter !== encode && /[0-9a-fA-F]/.test(delimiter)
    ? splitOutsideEscapes(body, delimiter, encode)
    : body.split(delimiter)
}

function requireFields(raw: RawName, encode: string): string[] {
  const fields = rawFields(raw, encode)
  if (fields.length >= REQUIRED_FIELDS) return fields
  throw new MalformedNameError(
    `it has ${fields.length} of at least ${REQUIRED_FIELDS} fields`,
    printable(raw),
  )
}

function replaceField(raw: RawName, index: number, text: string, encode: string): RawName {
  const fields = requireFields(raw, encode)
  const delimiter = raw.charAt(0)
  // If a digit is the delimiter or the encode character, it must be escaped in the text.
  fields[index] =
    delimiter === encode || (!DIGITS.test(delimiter) && !DIGITS.test(encode))
      ? text
      : codecFor(delimiter, encode, 'latin-1').encode(text)
  return delimiter + fields.join(delimiter)
}

/**
 * Replaces the tries of a name; all other bytes stay the same.
 *
 * @param tries - A whole number of at most 15 digits.
 * @param encode - `FSQ_ENCODE`; matters only if the delimiter or the encode character is a digit.
 * @throws {@link EncodingError} if `tries` is not such a number, {@link MalformedNameError} if the name has no tries.
 */
export function withTries(raw: RawName, tries: number, encode: string): RawName {
  const range = triesRange(raw, encode)
  if (range === undefined) return replaceField(raw, TRIES, triesText(tries), encode)
  return raw.slice(0, range.start) + triesText(tries) + raw.slice(range.end)
}

/**
 * Where the tries of a name stand, if neither its delimiter nor the encode character can be a part of a number or of an escape: nearly
 * always. Splitting the name takes ten times as long.
 */
function triesRange(
  raw: RawName,
  encode: string,
): { readonly start: number; readonly end: number } | undefined {
  const delimiter = raw.charAt(0)
  if (delimiter === encode || HEX_DIGIT_OR_NOTHING.test(delimiter) || DIGITS.test(encode)) return undefined
  let start = 0
  for (let field = 0; field < TRIES; field++) {
    start = raw.indexOf(delimiter, start + 1)
    if (start === -1) return undefined
  }
  const end = raw.indexOf(delimiter, start + 1)
  return { start: start + 1, end: end === -1 ? raw.length : end }
}

function triesText(tries: number): string {
  const text = String(tries)
  if (WHOLE_NUMBER.test(text)) return text
  throw new EncodingError(`The tries are ${text}, expected a whole number of at most ${MOST_DIGITS} digits`)
}

/**
 * Replaces the entropy of a name; all other bytes stay the same.
 *
 * @param encode - As for {@link withTries}.
 * @throws {@link EncodingError} if the entropy is not decimal digits, {@link MalformedNameError} if the name has
 * none.
 */
export function withEntropy(raw: RawName, entropy: string | number | bigint, encode: string): RawName {
  const text = String(entropy)
  if (!DIGITS.test(text)) throw new EncodingError(`The entropy is ${text}, expected decimal digits`)
  return replaceField(raw, ENTROPY, text, encode)
}

/**
 * The name without its tries, which stays the same from try to try. A name without tries is its own key.
 *
 * @param encode - As for {@link withTries}.
 */
export function itemKey(raw: RawName, encode: string): RawName {
  const range = triesRange(raw, encode)
  if (range !== undefined) return raw.slice(0, range.start - 1) + raw.slice(range.end)
  const fields = rawFields(raw, encode)
  if (fields.length < REQUIRED_FIELDS) return raw
  fields.splice(TRIES, 1)
  const delimiter = raw.charAt(0)
  return delimiter + fields.join(delimiter)
}

/** The fields of a new name after its entropy. */
export interface SuffixFields {
  readonly pid: string | number
  readonly hostname: string
  readonly tries: number
  readonly args: readonly NameArgument[]
}

/**
 * The part of a new name after its entropy, starting with the delimiter before the pid, encoded, as bytes.
 *
 * @throws {@link EncodingError} if an argument (the message has its position, from 0), the tries or the hostname
 * cannot be written.
 * @example
 * ```ts
 * nameSuffix({ pid: 13044, hostname: 'mss', tries: 0, args: ['a_b'] }, settings) // '_13044_mss_0_a%5fb'
 * ```
 */
export function nameSuffix(fields: SuffixFields, settings: WriteSettings): RawName {
  const codec = codecFor(settings.delimiter, settings.encode, settings.charset)
  let suffix = suffixHead(fields, codec)
  const { args } = fields
  for (let index = 0; index < args.length; index++) {
    suffix += codec.delimiter + encodeArgument(codec, args[index], index)
  }
  return suffix
}

// Cached, because all items that a process enqueues share it.
const latestHead: { codec?: Codec; pid?: string | number; hostname?: string; tries?: number; raw: RawName } =
  { raw: '' }

function suffixHead(fields: SuffixFields, codec: Codec): RawName {
  const { pid, hostname, tries } = fields
  if (
    latestHead.codec !== codec ||
    latestHead.pid !== pid ||
    latestHead.hostname !== hostname ||
    latestHead.tries !== tries
  ) {
    const encoded = [pid, hostname, triesText(tries)].map((field) => encodeArgument(codec, field, 0))
    Object.assign(latestHead, {
      codec,
      pid,
      hostname,
      tries,
      raw: codec.delimiter + encoded.join(codec.delimiter),
    })
  }
  return latestHead.raw
}

const TRIES_OF_A_WIDTH = 8
const SWEEP = 1000

/**
 * Yields names to try, one after the other, when another file already has this name. First come entropies with no
 * more digits than its own, then longer ones while the name stays within 255 bytes. The steps grow (1, 2, 4, ... plus
 * a random part each), because stepping by one would be quadratic if many names collide. The number of names is
 * bounded.
 *
 * A name with fewer than five fields has no entropy. It gets a suffix, `~1` and so on, and loses bytes at its end if
 * it would be too long: it was not readable before, and an existing file is never overwritten.
 *
 * @param encode - As for {@link withTries}.
 */
export function* freeEntropies(raw: RawName, encode: string): Generator<RawName, void, undefined> {
  const entropy = rawFields(raw, encode)[ENTROPY] ?? ''
  const seen = new Set([raw])
  for (const candidate of candidates(raw, entropy, encode)) {
    if (candidate.length > LONGEST_NAME || seen.has(candidate)) continue
    seen.add(candidate)
    yield candidate
  }
}

function* candidates(raw: RawName, entropy: string, encode: string): Generator<RawName, void, undefined> {
  const fields = rawFields(raw, encode)
  // The name has the greatest length, its entropy cannot grow, and it is not readable as an item anyway.
  const isFullAndMalformed =
    entropy === '' && raw.length === LONGEST_NAME && !WHOLE_NUMBER.test(fields[TRIES] ?? '')
  if (fields.length < REQUIRED_FIELDS || isFullAndMalformed) {
    for (let step = 1; step < 2 ** 40; step *= 2) {
      const suffix = `~${step + random(step)}`
      yield raw.slice(0, LONGEST_NAME - suffix.length) + suffix
    }
    return
  }

  const width = Math.min(Math.max(entropy.length, 1), MOST_DIGITS)
  const span = 10 ** width
  const start = WHOLE_NUMBER.test(entropy) ? Number(entropy) : 0
  const within = (offset: number): RawName => withEntropy(raw, (start + offset) % span, encode)
  // One digit has so few values that steps would miss most of them.
  if (width === 1) {
    for (let offset = 1; offset < span; offset++) yield within(offset)
  } else {
    for (let step = 1; step < span; step *= 2) yield within(step + random(step))
  }

  const room = LONGEST_NAME - raw.length + entropy.length
  for (let digits = width + 1; digits <= Math.min(room, MOST_DIGITS); digits++) {
    for (let count = 0; count < TRIES_OF_A_WIDTH; count++) {
      const least = 10 ** (digits - 1)
      yield withEntropy(raw, least + random(9 * least), encode)
    }
  }
  if (room > width) return
  for (let offset = 1; offset < Math.min(span, SWEEP); offset++) yield within(offset)
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}
