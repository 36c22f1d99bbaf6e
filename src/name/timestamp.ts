/**
 * The timestamps of item names (fsq standard, section 2): `FSQ_TIMEFMT` in local time, or in UTC with `FSQ_UTC`. A
 * timestamp is valid if and only if formatting its parsed fields gives the same text back.
 *
 * @module
 */
import { inspect } from 'node:util'

import { EncodingError, SettingError } from '../errors/classes.js'
import { native } from '../addon/native.js'
import type { Charset } from './charset.js'

/** The settings that timestamps depend on. */
export interface TimestampSettings {
  readonly timefmt: string
  readonly utc: boolean
}

export const DEFAULT_FORMAT = '%Y%m%d%H%M%S'
const FOURTEEN_DIGITS = /^[0-9]{14}$/
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const
const LAST_MICROSECOND = 999_999

/**
 * Formats an instant.
 *
 * @param date - A date, or milliseconds since the epoch, with a fraction down to microseconds.
 * @throws {@link EncodingError} if the date is not valid.
 */
export function formatTimestamp(date: Date | number, settings: TimestampSettings): string {
  const milliseconds = Number(date)
  if (!Number.isFinite(milliseconds))
    throw new EncodingError(`The date is ${inspect(date)}, expected a valid one`)
  const seconds = Math.floor(milliseconds / 1000)
  const microseconds = Math.min(Math.round((milliseconds - seconds * 1000) * 1000), LAST_MICROSECOND)
  return native.formatTime(settings.timefmt, seconds, microseconds, settings.utc)
}

/**
 * Parses a timestamp. If its hour occurs twice, the result is the later instant.
 *
 * @returns Milliseconds since the epoch, or `undefined` if the text is not a valid timestamp.
 */
export function parseTimestamp(text: string, settings: TimestampSettings): number | undefined {
  const { timefmt, utc } = settings
  const zone = utc ? undefined : process.env['TZ']
  const { last } = parsed
  if (last.text === text && last.timefmt === timefmt && last.utc === utc && last.zone === zone)
    return last.milliseconds
  // This check is stricter than native code: strptime accepts the year 0000.
  const isRefused = timefmt === DEFAULT_FORMAT && !isDefaultTimestamp(text)
  const milliseconds = isRefused ? undefined : native.parseTime(timefmt, text, utc)
  parsed.last = { text, timefmt, utc, zone, milliseconds }
  return milliseconds
}

// Consecutive items often share a second, and in local time the C library takes 50 us to parse one.
const parsed: { last: ParsedTimestamp } = {
  last: { text: '', timefmt: '', utc: false, zone: undefined, milliseconds: undefined },
}

interface ParsedTimestamp extends TimestampSettings {
  readonly text: string
  readonly zone: string | undefined
  readonly milliseconds: number | undefined
}

// A winter day and a summer day; days and hours with one digit and with two; before and after noon.
const PROBES = [Date.UTC(2026, 0, 2, 3, 4, 5), Date.UTC(2026, 6, 31, 15, 44, 55)]
const readable = new Map<string, boolean>()

/**
 * Checks that the format can parse its own output. Otherwise each item would be malformed to its own queue.
 *
 * @throws {@link SettingError}
 */
export function checkTimestampFormat(settings: TimestampSettings & { readonly charset: Charset }): void {
  const { timefmt, utc } = settings
  const key = `${timefmt}${utc ? ' UTC' : ''}`
  let isReadable = timefmt === DEFAULT_FORMAT || readable.get(key)
  if (isReadable === undefined) {
    isReadable = PROBES.every((probe) => {
      const text = formatTimestamp(probe, settings)
      return text !== '' && !text.includes('\0') && native.parseTime(timefmt, text, utc) !== undefined
    })
    readable.set(key, isReadable)
  }
  // Literal text of the format is written as UTF-8, whatever the charset of the names.
  if (isReadable && (settings.charset === 'utf8' || /^[\0-\x7f]*$/.test(timefmt))) return
  throw new SettingError(
    'FSQ_TIMEFMT',
    timefmt,
    'a format that can be parsed back, such as %Y%m%d%H%M%S, in ASCII unless FSQ_CHARSET is utf8',
    'strptime(3) must know each conversion, and must be able to tell where each one ends',
  )
}

// Cached, because consecutive items often share a second.
const latest = { text: '', timefmt: '', utc: false, valid: false }

/** Whether a text is a valid timestamp. */
export function isTimestamp(text: string, settings: TimestampSettings): boolean {
  const { timefmt, utc } = settings
  if (latest.text === text && latest.timefmt === timefmt && latest.utc === utc) return latest.valid
  latest.valid =
    timefmt === DEFAULT_FORMAT ? isDefaultTimestamp(text) : native.parseTime(timefmt, text, utc) !== undefined
  latest.text = text
  latest.timefmt = timefmt
  latest.utc = utc
  return latest.valid
}

// Seconds end at 59: a POSIX clock never shows 60, and the first implementation does not read it.
function isDefaultTimestamp(text: string): boolean {
  if (!FOURTEEN_DIGITS.test(text)) return false
  const year = Number(text.slice(0, 4))
  const month = Number(text.slice(4, 6))
  const day = Number(text.slice(6, 8))
  const isLeapDay = month === 2 && day === 29 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return (
    year >= 1 &&
    day >= 1 &&
    (day <= (DAYS_IN_MONTH[month - 1] ?? 0) || isLeapDay) &&
    text.slice(8, 10) <= '23' &&
    text.slice(10, 12) <= '59' &&
    text.slice(12, 14) <= '59'
  )
}
