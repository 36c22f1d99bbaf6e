/**
 * Checks of the options of calls.
 *
 * @module
 */
import { inspect } from 'node:util'

import { SettingError, unknownSetting } from './errors/classes.js'
import { guess } from './nearest.js'

/**
 * Checks that `signal` is an AbortSignal.
 *
 * @throws {@link SettingError}
 */
export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined) return
  // Not instanceof: a signal of another realm (for example, of a test runner) is valid, too.
  const { addEventListener, throwIfAborted } = (signal ?? {}) as Partial<AbortSignal>
  if (typeof throwIfAborted === 'function' && typeof addEventListener === 'function') return
  throw new SettingError('signal', signal, 'an AbortSignal')
}

/**
 * Checks a boolean option. A value such as `force: 'false'` is rejected, because its meaning would be a guess.
 *
 * @throws {@link SettingError}
 */
export function checkFlag(option: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new SettingError(option, value, 'true or false')
}

/**
 * Checks that options are an object with known keys only. Otherwise a typo in `delay` would silently run a job at
 * once.
 *
 * @param call - The call that takes the options, for the error message.
 * @throws {@link SettingError}
 */
export function checkOptions(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new SettingError('options', options, `an object with options of ${call}`)
  }
  // Unlike Object.keys, this allocates no array.
  for (const key in options) {
    if (known.includes(key) || !Object.hasOwn(options, key)) continue
    throw unknownSetting(
      key,
      (options as Readonly<Record<string, unknown>>)[key],
      `${call} has no option ${inspect(key)}${guess(key, known)}. It has ${known.join(', ')}`,
    )
  }
}

/**
 * Checks a number that may be without limit.
 *
 * @throws {@link SettingError}
 */
export function checkLimit(option: string, value: unknown): asserts value is number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return
  throw new SettingError(option, value, 'a whole number, 0 for no limit')
}

/** An item can be delayed by this at most, in milliseconds. */
export const LONGEST_DELAY = 100 * 365 * 24 * 3600 * 1000

/** When an item with this `delay` (in milliseconds) is due, in milliseconds since the epoch; 0: not delayed. */
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

/** @throws {@link SettingError} */
export function checkIdOrKey(idOrKey: unknown): asserts idOrKey is string {
  if (typeof idOrKey === 'string') return
  throw new SettingError('id', idOrKey, 'the id or the key of an item, a string')
}

/** @throws {@link SettingError} unless a value is a handle of a queue. */
export function checkQueue(queue: unknown): void {
  if (typeof queue !== 'object' || queue === null || !('worked' in queue))
    throw new SettingError('queue', queue, 'a Queue')
}
