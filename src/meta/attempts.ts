/**
 * The attempts of an item that have not succeeded, as its log has them.
 *
 * @module
 */
import type { QueueDirectory } from '../directory/open-directory.js'
import { FsqError, SettingError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type RawName, toRaw } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import { LONGEST_NAME } from '../name/limits.js'
import { parseIfItem } from '../inspect/states.js'
import type { Settings } from '../settings.js'
import { type CrashLine, type FailedLine, type LogLine, readLog } from './log.js'

/** What is known of the error of an attempt. */
export interface AttemptError {
  /** The name of its class, or the type of a value that is no error. */
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly stack?: string
}

/** An attempt that has not succeeded. */
export interface Attempt {
  /** When it failed, or when the death of its worker was noticed. */
  readonly at: Date
  /** The id that the item had. */
  readonly id: string
  /** Which try it was, from 1. Crashes do not count as tries: a later attempt can have the same number. */
  readonly try: number
  /**
   * - `retried`: the item went back to queue/.
   * - `failed`: the item went to fail/.
   * - `crashed`: its worker died with the item in hand.
   */
  readonly outcome: 'retried' | 'failed' | 'crashed'
  /** The host of the worker. */
  readonly host: string
  /** The process of the worker. */
  readonly pid: number
  /** How long it took, in milliseconds. Not set after a crash. */
  readonly ms?: number
  /** Not set after a crash. */
  readonly error?: AttemptError
  /** When the item was to be tried again; not set if that was at once, or never. */
  readonly due?: Date
  /** Why the item has failed for good. */
  readonly reason?: string
  /** How many items the worker that died had in hand: at 1, this item is the likely cause. */
  readonly together?: number
}

/**
 * Reads the attempts of an item, the oldest first.
 *
 * @throws {@link SettingError}, {@link EncodingError} for a text that no name can have, or a file system error.
 */
export function attemptsOf(
  directory: QueueDirectory,
  settings: Settings,
  idOrKey: unknown,
): readonly Attempt[] {
  if (typeof idOrKey !== 'string')
    throw new SettingError('id', idOrKey, 'the id or the key of an item, a string')
  const key = keysOf(toRaw(idOrKey, settings.charset), settings)
  for (const candidate of key) {
    const attempts = read(directory, candidate).flatMap((line) => ('redriven' in line ? [] : [attempt(line)]))
    if (attempts.length > 0) return attempts
  }
  return []
}

function read({ layout }: QueueDirectory, key: RawName): readonly LogLine[] {
  try {
    return readLog(layout, key)
  } catch (error) {
    if (error instanceof FsqError) throw error
    throw fileSystemError(failureOf(error, 'open', layout.path), 'read the log of an item')
  }
}

/** A key whose first argument is a number looks like an id. */
function keysOf(raw: RawName, settings: Settings): readonly RawName[] {
  if (raw === '' || raw.length > LONGEST_NAME || /[/\0]/.test(raw) || raw === '.' || raw === '..') return []
  return parseIfItem(raw, settings) === undefined ? [raw] : [itemKey(raw, settings.encode), raw]
}

function attempt(line: FailedLine | CrashLine): Attempt {
  const { at, id, host, pid } = line
  const common = { at: new Date(at), id, try: line.try, host, pid }
  if ('crashed' in line) return { ...common, outcome: 'crashed', together: line.together }
  const { ms, error, due, reason } = line
  return {
    ...common,
    outcome: reason === undefined ? 'retried' : 'failed',
    ms,
    error,
    ...(due === undefined ? {} : { due: new Date(due) }),
    ...(reason === undefined ? {} : { reason }),
  }
}
