/**
 * The attempts of an item that have not succeeded, as its log has them.
 *
 * @module
 */
import type { QueueDirectory } from '../directory/open-directory.js'
import { FsqError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type RawName, toRaw } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import { isFileName } from '../name/limits.js'
import { checkIdOrKey } from '../options.js'
import { parseIfItem } from '../inspect/states.js'
import type { Settings } from '../settings.js'
import { type CrashLine, type FailedLine, type LogLine, loggedKeys, readLog } from './log.js'
import { loggedKeysLater, readLogLater } from './log-later.js'

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
export async function attemptsOf(
  directory: QueueDirectory,
  settings: Settings,
  idOrKey: unknown,
): Promise<readonly Attempt[]> {
  checkIdOrKey(idOrKey)
  const key = keysOf(toRaw(idOrKey, settings.charset), settings)
  for (const candidate of key) {
    const lines = await read(directory, candidate)
    const attempts = lines.flatMap((line) => ('redriven' in line ? [] : [attemptIn(line)]))
    if (attempts.length > 0) return attempts
  }
  return []
}

/** The last attempts of many items. The logs are listed once, because most items have none. */
export class LastAttempts {
  readonly #directory: QueueDirectory
  readonly #encode: string
  readonly #keys: ReadonlySet<RawName>

  private constructor(directory: QueueDirectory, { encode }: Settings, keys: ReadonlySet<RawName>) {
    this.#directory = directory
    this.#encode = encode
    this.#keys = keys
  }

  /** @throws A file system error. */
  static async list(directory: QueueDirectory, settings: Settings): Promise<LastAttempts> {
    const { isLocal, layout } = directory
    const keys = await reading(directory, () => (isLocal ? loggedKeys(layout) : loggedKeysLater(layout)))
    return new this(directory, settings, new Set(keys))
  }

  /** The last attempt of an item; `undefined`: none was written down. @throws A file system error. */
  async of(raw: RawName): Promise<Attempt | undefined> {
    const key = itemKey(raw, this.#encode)
    if (!this.#keys.has(key)) return undefined
    const lines = await read(this.#directory, key)
    const line = lines.findLast((one) => !('redriven' in one))
    return line === undefined || 'redriven' in line ? undefined : attemptIn(line)
  }
}

/** The name and the message of an error, as people read them. */
export function errorText(error: { readonly name: unknown; readonly message: unknown }): string {
  // Another user may have written the log, so that its parts can be anything.
  const [title, text] = [String(error.name), String(error.message)]
  // A value that is no error has its type as the name, which begins with a small letter.
  if (/^[a-z]/.test(title)) return text
  return text === '' ? title : `${title}: ${text}`
}

async function read(directory: QueueDirectory, key: RawName): Promise<readonly LogLine[]> {
  const { isLocal, layout } = directory
  return reading(directory, () => (isLocal ? readLog(layout, key) : readLogLater(layout, key)))
}

async function reading<T>({ layout }: QueueDirectory, reads: () => T | Promise<T>): Promise<T> {
  try {
    return await reads()
  } catch (error) {
    if (error instanceof FsqError) throw error
    throw fileSystemError(failureOf(error, 'open', layout.path), 'read the log of an item')
  }
}

/** A key whose first argument is a number looks like an id. */
function keysOf(raw: RawName, settings: Settings): readonly RawName[] {
  if (!isFileName(raw)) return []
  return parseIfItem(raw, settings) === undefined ? [raw] : [itemKey(raw, settings.encode), raw]
}

function attemptIn(line: FailedLine | CrashLine): Attempt {
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
