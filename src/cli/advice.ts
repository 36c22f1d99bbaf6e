/**
 * Errors of the package in the words of a command line.
 *
 * @module
 */
import os from 'node:os'

import {
  type AdviceKey,
  FsqError,
  SettingError,
  finishAdvice,
  messageOf,
  networkAdvice,
  problemOf,
} from '../errors/classes.js'
import { adviceOn, errnoOf } from '../errors/errno.js'
import type { Arguments } from './arguments.js'

// The package advises calls and options. Here is the same advice with commands and their options.
const ADVICE: Readonly<Record<AdviceKey, string | undefined | ((error: FsqError) => string)>> = {
  'install-queue': "Make it with 'fsq install', or set fsq -r (FSQ_ROOT) to the directory that it is in",
  'make-root': 'Make it (mkdir -p), or name another directory by fsq -r (FSQ_ROOT)',
  'name-queue': "Use a name such as 'a_queue'; the directory it is in is fsq -r (FSQ_ROOT)",
  'take-up': "Take it up again with 'fsq up', or scan it anyway with -i",
  'take-up-host': "Take it up again with 'fsq up-host'",
  'add-host': "'fsq add-host' adds a host",
  'use-or-replace-host': 'Use it as it is (add-host -i), or replace it with all its items (add-host -f)',
  'empty-host': 'Wait until workers have finished, or remove the items with the host (rm-host -f)',
  'use-or-replace-queue': 'Use it as it is (install -i), or replace it with all its items (install -f)',
  'empty-queue': 'Wait until workers have finished, or remove the items with the queue (uninstall -f)',
  'leave-network': networkAdvice('fsq doctor --peer', 'FSQ_ALLOW_NETWORK=1'),
  'mount-otherwise': 'If one machine alone works the queue, install it with --claims=lock',
  'make-trigger': ({ path }) => `Make it with 'mkfifo ${path ?? ''}'; 'fsq install -t' makes queues with one`,
  'replace-trigger': 'Remove it, and make one with mkfifo',
  'wait-for-finish': ({ cause }) =>
    finishAdvice(cause, ' while this command runs, and is run again after that'),
  // A user who has typed an option knows that it is optional.
  'leave-out-setting': undefined,
}

// The options that set each setting.
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  root: ['root-dir'],
  lockKind: ['lock-kind'],
  claims: ['claims'],
  lease: ['lease'],
  charset: ['charset'],
  queue: ['queue-dir'],
  tmp: ['tmp-dir'],
  done: ['done-dir'],
  down: ['down-file'],
  trigger: ['trigger-fifo'],
  itemUser: ['user'],
  itemGroup: ['group'],
  itemMode: ['mode'],
  queueUser: ['owner', 'user'],
  queueGroup: ['group'],
  queueMode: ['mode'],
  // Errors about a user or group that does not exist.
  FSQ_ITEM_USER: ['user'],
  FSQ_ITEM_GROUP: ['group'],
  FSQ_QUEUE_USER: ['owner', 'user'],
  FSQ_QUEUE_GROUP: ['group'],
}

/**
 * The message for an error. An error that is not of the package is a fault of this program, and keeps its stack.
 *
 * @param given - The command line. The message names an option with a bad value as the user typed it.
 */
export function explain(error: unknown, ...given: readonly Arguments[]): string {
  if (!(error instanceof Error)) return String(error)
  if (!(error instanceof FsqError)) {
    return 'syscall' in error
      ? messageOf(error.message, adviceOnFile(errnoOf(error)))
      : (error.stack ?? error.message)
  }
  if (error instanceof SettingError) return explainSetting(error, optionOf(error.setting, given))
  return messageOf(problemOf(error), adviceOf(error))
}

/** Of a call of `node:fs`, which is about a file that the command line names, not about a part of a queue. */
function adviceOnFile(errno: number): string {
  return errno === -os.constants.errno.ENOENT ? 'Check that it exists' : adviceOn(errno)
}

function explainSetting(error: SettingError, option: string | undefined): string {
  if (option === undefined) return error.message
  const problem = option + problemOf(error).slice(error.setting.length)
  return messageOf(problem, adviceOf(error))
}

function adviceOf(error: FsqError): string | undefined {
  if (error.adviceKey === undefined) return error.advice
  const advice = ADVICE[error.adviceKey]
  return typeof advice === 'function' ? advice(error) : advice
}

/** The option that has set a setting, as the user typed it. */
function optionOf(setting: string, given: readonly Arguments[]): string | undefined {
  return OPTIONS[setting]
    ?.flatMap((name) => given.map((line) => line.typed(name)))
    .find((typed) => typed !== undefined)
}

/** Whether the error is about the value of an option, not of an environment variable. */
export function isAboutOption(error: unknown): boolean {
  return error instanceof SettingError && !error.setting.startsWith('FSQ_')
}
