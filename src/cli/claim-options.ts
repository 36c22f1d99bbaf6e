/**
 * The options of scans, and of host-dist, which is one: which items they claim, and how.
 *
 * @module
 */
import { LARGEST_NUMBER } from '../name/limits.js'
import type { SettingOverrides } from '../settings.js'
import type { Arguments, OptionTable } from './arguments.js'
import { withSettings } from './command.js'

const LARGEST_CODE = 255

export const CLAIM_OPTIONS: OptionTable = {
  'no-open': { short: 'n' },
  'ignore-down': { short: 'i' },
  'no-done': { short: 'D' },
  lock: { short: 'l' },
  'no-lock': { short: 'L' },
  ttl: { short: 't', value: 'seconds' },
  'max-tries': { short: 'm', value: 'how often' },
  'success-code': { short: 'S', value: 'an exit code' },
  'fail-tmp-code': { short: 'T', value: 'an exit code' },
  'fail-perm-code': { short: 'F', value: 'an exit code' },
}

/** The settings, with those of {@link CLAIM_OPTIONS}. */
export function claimSettings(given: Arguments, settings: SettingOverrides): SettingOverrides {
  const lock = given.last('lock', 'no-lock')
  return withSettings(settings, {
    ...(lock !== undefined && { lock: lock === 'lock' }),
    ...(given.has('ignore-down') && { down: NEVER_DOWN }),
    ttl: limit(given, 'ttl'),
    maxTries: limit(given, 'max-tries'),
    success: given.number('success-code', 0, LARGEST_CODE),
    failTmp: given.number('fail-tmp-code', 0, LARGEST_CODE),
    failPerm: given.number('fail-perm-code', 0, LARGEST_CODE),
  })
}

/** The value of an option. Less than 0 means no limit, as 0 does. */
function limit(given: Arguments, name: string): number | undefined {
  const number = given.number(name, -LARGEST_NUMBER)
  return number === undefined ? undefined : Math.max(0, number)
}

// No file of a queue has this name: '.fsq-' is for queues under installation.
/** The down file of a command that ignores whether a queue is down. */
const NEVER_DOWN = '.fsq-never-down'
