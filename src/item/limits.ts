/**
 * The limits of an item: how often it may be tried, how old it may be, and how far its name may grow. Pure.
 *
 * @module
 */
import { type FsqError, MalformedNameError } from '../errors/classes.js'
import type { RawName } from '../name/charset.js'
import { type ParsedName, parseItemName, plainName, withTries } from '../name/item-name.js'
import { LARGEST_NUMBER, LONGEST_NAME } from '../name/limits.js'
import { parseTimestamp } from '../name/timestamp.js'
import type { ReportType } from '../report.js'
import type { Settings } from '../settings.js'

/** How often and how long an item may be tried. */
export interface Limits {
  /** 0: without limit. */
  readonly maxTries: number
  /** Seconds; 0: without limit. */
  readonly ttl: number
}

/** Whether an item that has been tried `tries` times may not be tried again. `maxTries` 0: without limit. */
export function isExhausted(tries: number, maxTries: number): boolean {
  return maxTries > 0 && tries >= maxTries
}

/**
 * Whether an item is too old to be run.
 *
 * @param enqueuedAt - Milliseconds since the epoch.
 * @param ttl - Seconds; 0: without limit.
 * @param now - Milliseconds since the epoch.
 */
export function isExpired(enqueuedAt: number, ttl: number, now: number): boolean {
  return ttl > 0 && now - enqueuedAt >= ttl * 1000
}

/**
 * The name of an item after a failed try.
 *
 * @param encode - `FSQ_ENCODE`.
 * @returns `undefined`: the number or the name would be too long, so that the item cannot be tried again.
 */
export function nameAfterTry({ raw, tries }: ParsedName, encode: string): RawName | undefined {
  if (tries >= LARGEST_NUMBER) return undefined
  const name = withTries(raw, tries + 1, encode)
  return name.length > LONGEST_NAME ? undefined : name
}

/** Why an item goes to fail/ without being run. */
export interface Rejection {
  readonly type: ReportType
  readonly message: string
  readonly error?: FsqError
}

/**
 * Parses the name of a claimed file and checks the limits.
 *
 * @param tries - The tries that native code has read in the name; -1: the name is to be parsed.
 * @returns The parsed name, or why the item must not run.
 */
export function judge(
  name: RawName,
  tries: number,
  settings: Settings,
  { maxTries, ttl }: Limits,
): { readonly parsed: ParsedName } | Rejection {
  let parsed: ParsedName
  try {
    parsed = tries >= 0 ? plainName(name, tries) : parseItemName(name, settings)
  } catch (error) {
    if (!(error instanceof MalformedNameError)) throw error
    return { type: 'malformed', message: `is no item: ${error.reason}`, error }
  }
  if (isExhausted(parsed.tries, maxTries)) {
    return {
      type: 'exhausted',
      message: `has been tried ${parsed.tries === 1 ? 'once' : `${parsed.tries} times`}, and the limit is ${maxTries}`,
    }
  }
  if (ttl > 0) {
    const now = Date.now()
    const enqueuedAt = parseTimestamp(parsed.timestamp, settings) ?? 0
    if (isExpired(enqueuedAt, ttl, now)) {
      const age = Math.floor((now - enqueuedAt) / 1000)
      return { type: 'expired', message: `is ${age} s old, and ${ttl} s are allowed` }
    }
  }
  return { parsed }
}
