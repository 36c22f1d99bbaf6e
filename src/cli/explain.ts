/**
 * Errors of the package, said to somebody at a command line.
 *
 * @module
 */
import { FsqError, SettingError } from '../errors/classes.js'
import type { Arguments } from './arguments.js'

// The messages of the package say what to do in its own terms, which are those of a program.
const PHRASES: readonly (readonly [RegExp, string | ((error: FsqError) => string)])[] = [
  [
    /Install it with Queue\.install\(.*?\), or set the option 'root' \(FSQ_ROOT\)/,
    "Make it with 'fsq install', or set fsq -r (FSQ_ROOT)",
  ],
  [/Take it up again with queue\.up\(\)/, "Take it up again with 'fsq up', or scan it anyway with -i"],
  [
    /Use it with new Queue\(.*?\), or replace it with all its items by the option force/,
    'Use it as it is (install -i), or replace it with all its items (install -f)',
  ],
  [
    /Let them be worked, or remove them with the queue by the option force/,
    'Let them be worked, or remove them with the queue (uninstall -f)',
  ],
  [/the option 'root'/, 'fsq -r'],
  [
    /\(see probe\(\), and lockKind: 'fcntl'\), allow it by the option allowNetwork \(FSQ_ALLOW_NETWORK=1\)/,
    "(see 'fsq doctor', and install --lock-kind=fcntl), allow it by FSQ_ALLOW_NETWORK=1",
  ],
  [
    /Make it with queue\.trigger\(\)/,
    ({ path }) => `Make it with 'mkfifo ${path ?? ''}'; 'fsq install -t' makes queues with one`,
  ],
  [/Remove it and call queue\.trigger\(\)/, 'Remove it, and make one with mkfifo'],
  [
    /, and finishing it is tried again until the queue is closed/,
    ' while this command runs, and is run again after that',
  ],
]

// Which options set which settings.
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  root: ['root-dir'],
  lockKind: ['lock-kind'],
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
  // Where nobody has the name.
  FSQ_ITEM_USER: ['user'],
  FSQ_ITEM_GROUP: ['group'],
  FSQ_QUEUE_USER: ['owner', 'user'],
  FSQ_QUEUE_GROUP: ['group'],
}

/**
 * The message for an error; what is no error of the package is a fault of this program, and keeps its stack.
 *
 * @param given - The command line: an option that has set what is wrong is named as it was typed.
 */
export function explain(error: unknown, ...given: readonly Arguments[]): string {
  if (!(error instanceof Error)) return String(error)
  const option = optionOf(error, given)
  if (option !== undefined)
    return error.message.replace(/^\S+ is /, `${option} is `).replace(/\. It stands for .*/, '')
  if (!(error instanceof FsqError)) return 'syscall' in error ? error.message : (error.stack ?? error.message)
  return PHRASES.reduce(
    (message, [pattern, phrase]) =>
      message.replace(pattern, typeof phrase === 'string' ? phrase : phrase(error)),
    error.message,
  )
}

function optionOf(error: Error, given: readonly Arguments[]): string | undefined {
  if (!(error instanceof SettingError)) return undefined
  return OPTIONS[error.setting]
    ?.flatMap((name) => given.map((line) => line.typed(name)))
    .find((typed) => typed !== undefined)
}

/** Whether it is about the value of an option, not of an environment variable. */
export function isAboutOption(error: unknown): boolean {
  return error instanceof SettingError && !error.setting.startsWith('FSQ_')
}
