/**
 * A value as text, for people.
 *
 * @module
 */
import { inspect } from 'node:util'

/** Shows a value that was thrown. Any value can be, and its getters and its own `inspect` may throw, too. Never throws. */
export function shown(value: unknown): string {
  try {
    return inspect(value)
  } catch {
    return 'a value that cannot be shown'
  }
}
