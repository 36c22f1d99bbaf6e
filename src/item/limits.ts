/**
 * Whether an item is fit to be run, by its name.
 *
 * @module
 */
import { type FsqError, MalformedNameError } from '../errors/classes.js'
import type { Limits } from './work-item.js'
import type { RawName } from '../name/charset.js'
import { type ParsedName, parseItemName, plainName } from '../name/item-name.js'
import { parseTimestamp } from '../name/timestamp.js'
import type { ReportType } from '../report.js'
import type { Settings } from '../settings.js'

/** Why an item goes to fail/ without being run. */
export interface Verdict {
  readonly type: ReportType
  readonly message: string
  readonly error?: FsqError
}

/**
 * What the name says, if it is that of an item that may be run, or else what is wrong with it.
 *
 * @param tries - What native code has read in it, -1 if it has not.
 */
export function judge(
  name: RawName,
  tries: number,
  settings: Settings,
  { maxTries, ttl }: Limits,
): { readonly parsed: ParsedName } | Verdict {
  let parsed: ParsedName
  try {
    parsed = tries >= 0 ? plainName(name, tries) : parseItemName(name, settings)
  } catch (error) {
    if (!(error instanceof MalformedNameError)) throw error
    return { type: 'malformed', message: `is no item: ${error.reason}`, error }
  }
  if (maxTries > 0 && parsed.tries >= maxTries) {
    return {
      type: 'exhausted',
      message: `has been tried ${parsed.tries} times, and ${maxTries} are allowed`,
    }
  }
  if (ttl > 0) {
    const age = (Date.now() - (parseTimestamp(parsed.timestamp, settings) ?? 0)) / 1000
    if (age >= ttl)
      return { type: 'expired', message: `is ${Math.floor(age)} s old, and ${ttl} s are allowed` }
  }
  return { parsed }
}
