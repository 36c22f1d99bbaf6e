/**
 * Options that a call takes.
 *
 * @module
 */
import { inspect } from 'node:util'

import { SettingError } from './errors.js'

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
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    throw SettingError.unknown(
      key,
      (options as Readonly<Record<string, unknown>>)[key],
      `${call} has no option ${inspect(key)}. It has ${known.join(', ')}`,
    )
  }
}

/**
 * Checks that an option is an AbortSignal, if it is given.
 *
 * @throws {@link SettingError}
 */
export function checkSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw new SettingError('signal', signal, 'an AbortSignal')
}
