/**
 * Options with a time that a timer waits for.
 *
 * @module
 */
import { LONGEST_TIMER } from '../work/options.js'
import type { Arguments } from './arguments.js'
import { ageOption } from './select.js'

/** Milliseconds of an age such as `90s`, 24 days at most. */
export function timerOption(given: Arguments, name: string): number | undefined {
  const time = ageOption(given, name)
  return time === undefined || time <= LONGEST_TIMER ? time : given.refuse(name, 'an age up to 24d')
}
