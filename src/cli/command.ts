/**
 * What commands have in common.
 *
 * @module
 */
import type { Unchanged } from '../maintain/under-lock.js'
import type { SettingOverrides } from '../settings.js'
import { type Arguments, type OptionTable, UsageError } from './arguments.js'

/** One command: a module of this folder. */
export interface Command {
  /** One screen. Up to its first empty line it is the short usage. */
  readonly help: string
  readonly options: OptionTable
  /**
   * @param settings - Those that the global options have set.
   * @returns The exit code.
   */
  readonly run: (given: Arguments, settings: SettingOverrides) => Promise<number>
}

/** Exit codes (fsq standard, section 6). */
export const SUCCESS = 0
export const BAD_USAGE = 100
/** With `fsq scan --exit-code`: an item has failed. */
export const FAILED_ITEMS = 100
export const FAILURE = 111

/** Messages for items that a command could not change. */
export const UNCHANGED: Readonly<Record<Unchanged, string>> = {
  busy: 'is being worked on',
  gone: 'has gone meanwhile',
  full: 'holds items: give it the name of a queue or a host, or remove it by hand',
}

/** The operands, at least one. */
export function someOperands(given: Arguments, what: string): readonly [string, ...string[]] {
  const [first, ...rest] = given.operands
  if (first === undefined) throw new UsageError(`${what} is missing`)
  return [first, ...rest]
}

/** The settings of the global options, with those of `more` that have a value. */
export function withSettings(settings: SettingOverrides, more: SettingOverrides): SettingOverrides {
  const given = Object.entries(more).filter(([, value]) => value !== undefined)
  return { ...settings, ...Object.fromEntries(given) }
}
