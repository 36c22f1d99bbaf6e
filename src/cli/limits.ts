/**
 * Limits that a command line gives.
 *
 * @module
 */
import { LARGEST_NUMBER } from '../name/limits.js'
import type { Arguments } from './arguments.js'

/** The value of an option. Less than 0 means no limit, as 0 does. */
export function limit(given: Arguments, name: string): number | undefined {
  const number = given.number(name, -LARGEST_NUMBER)
  return number === undefined ? undefined : Math.max(0, number)
}

// No file of a queue has this name: '.fsq-' is for queues under installation.
/** The down file of a command that ignores whether a queue is down. */
export const NEVER_DOWN = '.fsq-never-down'
