/**
 * Checks of the options of this part.
 *
 * @module
 */
import { SettingError } from '../index.js'

/** @throws {@link SettingError} for an option that a call does not have. */
export function checkKeys(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new SettingError(call, options, 'an object of options')
  const unknown = Object.keys(options).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw new SettingError(
      `${call}: ${unknown}`,
      (options as Record<string, unknown>)[unknown],
      'no such option',
    )
}

/** A whole number within limits. */
export function number(
  option: string,
  value: unknown,
  fallback: number,
  least: number,
  most = 2 ** 53 - 1,
): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new SettingError(option, value, `a whole number from ${least} to ${most}`)
}

/** A text that is not empty. */
export function checkText(option: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '')
    throw new SettingError(option, value, 'a text that is not empty')
}

/**
 * An object of this package, known by one of its properties: programs may have several copies of the package.
 *
 * @throws {@link SettingError}
 */
export function checkObject(name: string, value: unknown, property: string, wanted: string): void {
  if (typeof value !== 'object' || value === null || !(property in value))
    throw new SettingError(name, value, wanted)
}
