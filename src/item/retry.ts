/**
 * The decision of a retry: back to queue/ for another try, or to fail/ for good (fsq standard, section 5).
 *
 * @module
 */
import type { RawName } from '../name/charset.js'
import type { ParsedName } from '../name/item-name.js'
import { parseTimestamp } from '../name/timestamp.js'
import type { Settings } from '../settings.js'
import { type Limits, isExhausted, isExpired, nameAfterTry } from './limits.js'
import type { RetryLimit } from './outcome.js'

/** `to`: the name with one more try, under which the item goes back to queue/. `limit`: why it goes to fail/ instead. */
export type RetryDecision =
  | { readonly to: RawName; readonly limit?: undefined }
  | { readonly to?: undefined; readonly limit: RetryLimit }

/** Decides what a retry does with an item. */
export function decideRetry(
  parsed: ParsedName,
  { maxTries, ttl }: Limits,
  settings: Settings,
): RetryDecision {
  const to = nameAfterTry(parsed, settings.encode)
  if (to === undefined) return { limit: 'ungrowable' }
  if (isExhausted(parsed.tries + 1, maxTries)) return { limit: 'exhausted' }
  // The time is parsed only for a queue with a TTL: that takes ten times as long as the rest of a retry.
  if (ttl > 0) {
    const enqueuedAt = parseTimestamp(parsed.timestamp, settings) ?? Number.NaN
    if (isExpired(enqueuedAt, ttl, Date.now())) return { limit: 'expired' }
  }
  return { to }
}
