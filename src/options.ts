/**
 * Options that a call takes.
 *
 * @module
 */
import { inspect } from 'node:util'

import { SettingError, unknownSetting } from './errors/classes.js'

/**
 * Checks that a signal is one.
 *
 * @throws {@link SettingError}
 */
export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined) return
  // Not instanceof: one of another realm (a test runner's, say) is one too.
  const { addEventListener, throwIfAborted } = (signal ?? {}) as Partial<AbortSignal>
  if (typeof throwIfAborted === 'function' && typeof addEventListener === 'function') return
  throw new SettingError('signal', signal, 'an AbortSignal')
}

/**
 * Checks an option that is on or off: what `force: 'false'` asks for is anybody's guess.
 *
 * @throws {@link SettingError}
 */
export function checkFlag(option: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new SettingError(option, value, 'true or false')
}

/**
 * Checks that options are an object of known keys: a typo in `delay` would otherwise run a job at once, and say nothing.
 *
 * @param call - Whose options they are.
 * @throws {@link SettingError}
 */
export function checkOptions(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new SettingError('options', options, `an object, as the options of ${call}`)
  }
  // Unlike Object.keys, it makes no array.
  for (const key in options) {
    if (known.includes(key) || !Object.hasOwn(options, key)) continue
    throw unknownSetting(
      key,
      (options as Readonly<Record<string, unknown>>)[key],
      `${call} has no option ${inspect(key)}. It has ${known.join(', ')}`,
    )
  }
}

const LONGEST_DELAY = 100 * 365 * 24 * 3600 * 1000

/** When something is due that is to wait for `delay` milliseconds; 0: at once. */
export function dueAfter(delay: number | undefined): number {
  if (delay === undefined || delay === 0) return 0
  if (Number.isFinite(delay) && delay > 0 && delay <= LONGEST_DELAY) return Date.now() + Math.ceil(delay)
  throw new SettingError('delay', delay, `milliseconds from 0 to ${LONGEST_DELAY}`)
}

/**
 * Checks a length of time.
 *
 * @throws {@link SettingError}
 */
export function checkMilliseconds(option: string, value: unknown): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return
  throw new SettingError(option, value, 'milliseconds, a number of 0 or more')
}
