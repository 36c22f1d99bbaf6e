/**
 * The settings (fsq standard, section 8). Each is an environment variable, which is read once, when this module is
 * loaded. {@link setConst} can change a setting for the process, and each queue handle can override it.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { inspect } from 'node:util'

import { SettingError, overrideError, unknownSetting } from './errors/classes.js'
import { type Charset, parseCharset } from './name/charset.js'
import { LARGEST_NUMBER, LONGEST_NAME, WHOLE_NUMBER } from './name/limits.js'
import { guess } from './nearest.js'

/** All settings, validated and typed. */
export interface Settings {
  /** `FSQ_ROOT` (/var/fsq): the directory that holds the queues. */
  readonly root: string
  /** `FSQ_QUEUE` (queue): the directory of waiting items. */
  readonly queue: string
  /** `FSQ_TMP` (tmp): the directory of items under construction. */
  readonly tmp: string
  /** `FSQ_DONE` (done): the directory of items that succeeded. */
  readonly done: string
  /** `FSQ_FAIL` (fail): the directory of items that failed permanently. */
  readonly fail: string
  /** `FSQ_DOWN` (down): the file that stops scans while it exists. */
  readonly down: string
  /** `FSQ_TRIGGER` (trigger-s): the FIFO that wakes a listener. */
  readonly trigger: string
  /** `FSQ_HOSTS` (hosts): the directory of the host queues. */
  readonly hosts: string
  /** `FSQ_HOSTS_TRIGGER` (hosts-trigger-s): the FIFO of the host queues. */
  readonly hostsTrigger: string
  /** `FSQ_CHARSET` (utf8): the charset of item names. */
  readonly charset: Charset
  /** `FSQ_DELIMITER` (_): the character before each field of new names. */
  readonly delimiter: string
  /** `FSQ_ENCODE` (%): the character that starts an escape in a name. */
  readonly encode: string
  /** `FSQ_TIMEFMT` (%Y%m%d%H%M%S): the format of the timestamp, as of strftime(3), with `%f` for microseconds. */
  readonly timefmt: string
  /** `FSQ_ITEM_USER`: the owner of new items, as a name or an id. Default: not changed. */
  readonly itemUser: string | number | undefined
  /** `FSQ_ITEM_GROUP`: the group of new items, as a name or an id. Default: not changed. */
  readonly itemGroup: string | number | undefined
  /** `FSQ_QUEUE_USER`: the owner of new queues, as a name or an id. Default: not changed. */
  readonly queueUser: string | number | undefined
  /** `FSQ_QUEUE_GROUP`: the group of new queues, as a name or an id. Default: not changed. */
  readonly queueGroup: string | number | undefined
  /** `FSQ_ITEM_MODE` (00640): the mode bits of new items. A string is octal, a number is used as it is. */
  readonly itemMode: number
  /** `FSQ_QUEUE_MODE` (02770): the mode bits of the directories of new queues. Like `itemMode`. */
  readonly queueMode: number
  /** `FSQ_SUCCESS` (0): the exit code of a program that succeeded. */
  readonly success: number
  /** `FSQ_FAIL_TMP` (111): the exit code of a program that failed temporarily. */
  readonly failTmp: number
  /** `FSQ_FAIL_PERM` (100): the exit code of a program that failed permanently. */
  readonly failPerm: number
  /**
   * `FSQ_USE_TRIGGER` (0): whether a queue is installed with a trigger. As an option of a handle, it also makes each enqueue of that handle
   * pull the trigger; the variable alone does not.
   */
  readonly useTrigger: boolean
  /** `FSQ_LOCK` (1): whether a scan locks items. */
  readonly lock: boolean
  /** `FSQ_MAX_TRIES` (1): how often an item may be tried; 0: no limit. */
  readonly maxTries: number
  /** `FSQ_TTL` (0): the age in seconds at which an item that has not run fails; 0: never. */
  readonly ttl: number
  /** `FSQ_EXEC_DIR`: not used here; kept for other programs that share the environment. */
  readonly execDir: string
  /** `FSQ_UTC` (0): whether timestamps are in UTC instead of local time. */
  readonly utc: boolean
  /** `FSQ_DURABILITY` (enqueue): what survives a power cut: nothing, enqueued items, or finished items, too. */
  readonly durability: 'none' | 'enqueue' | 'full'
  /**
   * `FSQ_SYNC` (auto): how data is made durable: `auto` uses what is known about the file system, `plain` uses fsync
   * only.
   */
  readonly sync: 'auto' | 'plain'
  /** `FSQ_ALLOW_NETWORK` (0): whether queues on network file systems may be used. */
  readonly allowNetwork: boolean
  /**
   * `FSQ_LEASE` (0): of a queue with claims by renaming, how many seconds the file system keeps the locks of a machine that it no longer
   * hears from. Where the system tells it (NFSv4), only a shorter one takes effect. 0: as the system tells it, or 20 on a network or FUSE file
   * system that does not, and none on a local one.
   */
  readonly lease: number
}

/** The name of a setting, as an option. */
export type SettingKey = keyof Settings

/**
 * Settings for one queue handle: a value of the setting's type, or a string as its environment variable would have
 * it. `undefined`: not overridden.
 */
export type SettingOverrides = { readonly [Key in SettingKey]?: Settings[Key] | string | undefined }

// A setting may be `undefined`, so `undefined` cannot mean 'invalid'.
const INVALID = Symbol('invalid')

interface Kind<Value> {
  readonly expected: string
  readonly parse: (value: unknown) => Value | typeof INVALID
}

// chown(2) takes the id -1 as 'leave unchanged'.
const LARGEST_ID = 0xffff_fffe
const LARGEST_MODE = 0o7777

function wholeNumber(least: number, most: number): Kind<number> {
  return {
    expected: `a whole number from ${least} to ${most}`,
    parse: (value) => {
      const number = typeof value === 'string' && WHOLE_NUMBER.test(value) ? Number(value) : value
      return typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most
        ? number
        : INVALID
    },
  }
}

function text(expected: string, isLegal: (value: string) => boolean): Kind<string> {
  return {
    expected,
    // A lone surrogate would be written as another character.
    parse: (value) =>
      typeof value === 'string' && !/[\0\ud800-\udfff]/u.test(value) && isLegal(value) ? value : INVALID,
  }
}

function oneOf<const Value extends string>(...values: readonly Value[]): Kind<Value> {
  return {
    expected: `one of ${values.map((value) => `'${value}'`).join(', ')}`,
    parse: (value) => values.find((candidate) => candidate === value) ?? INVALID,
  }
}

const entryName = text(
  `the name of a directory entry: 1 to ${LONGEST_NAME} bytes, neither '.' nor '..', without '/' or NUL`,
  (value) =>
    value !== '' &&
    value !== '.' &&
    value !== '..' &&
    !value.includes('/') &&
    Buffer.byteLength(value) <= LONGEST_NAME,
)

const directoryPath = text('a non-empty path without NUL or lone surrogates', (value) => value !== '')

const anyText = text('a text without NUL', () => true)

const character = text("one ASCII character other than '/' and NUL", (value) =>
  /^[^\0/\u0080-\uffff]$/.test(value),
)

const timeFormat = text(
  "a non-empty strftime format without NUL and without a lone '%' at its end",
  (value) => /^(?:[^%]|%[^])+$/.test(value),
)

const charset: Kind<Charset> = {
  expected: 'one of utf8, ascii and latin-1',
  parse: (value) => (typeof value === 'string' ? (parseCharset(value) ?? INVALID) : INVALID),
}

const account: Kind<string | number | undefined> = {
  expected: `a name, an id from 0 to ${LARGEST_ID}, or nothing (unchanged)`,
  parse: (value) => {
    if (value === '' || value === undefined) return undefined
    if (typeof value === 'number' || (typeof value === 'string' && /^[-+]?[0-9]+$/.test(value))) {
      return wholeNumber(0, LARGEST_ID).parse(value)
    }
    return anyText.parse(value)
  },
}

const mode: Kind<number> = {
  expected: 'mode bits from 0 to 07777, octal in a string',
  parse: (value) => {
    const bits = typeof value === 'string' && /^[0-7]{1,12}$/.test(value) ? Number.parseInt(value, 8) : value
    return typeof bits === 'number' ? wholeNumber(0, LARGEST_MODE).parse(bits) : INVALID
  },
}

const flag: Kind<boolean> = {
  expected: '0 or 1',
  parse: (value) => {
    if (value === true || value === 1 || value === '1') return true
    return value === false || value === 0 || value === '0' ? false : INVALID
  },
}

const count = wholeNumber(0, LARGEST_NUMBER)
/** A day, in seconds. */
const LONGEST_LEASE = 86_400
const exitCode = wholeNumber(0, 255)

interface Definition<Variable extends string, Value> {
  readonly variable: Variable
  readonly kind: Kind<Value>
  readonly fallback: Value
}

function define<const Variable extends string, Value>(
  variable: Variable,
  kind: Kind<Value>,
  fallback: NoInfer<Value>,
): Definition<Variable, Value> {
  return { variable, kind, fallback }
}

const definitions = {
  root: define('FSQ_ROOT', directoryPath, '/var/fsq'),
  queue: define('FSQ_QUEUE', entryName, 'queue'),
  tmp: define('FSQ_TMP', entryName, 'tmp'),
  done: define('FSQ_DONE', entryName, 'done'),
  fail: define('FSQ_FAIL', entryName, 'fail'),
  down: define('FSQ_DOWN', entryName, 'down'),
  trigger: define('FSQ_TRIGGER', entryName, 'trigger-s'),
  hosts: define('FSQ_HOSTS', entryName, 'hosts'),
  hostsTrigger: define('FSQ_HOSTS_TRIGGER', entryName, 'hosts-trigger-s'),
  charset: define('FSQ_CHARSET', charset, 'utf8'),
  delimiter: define('FSQ_DELIMITER', character, '_'),
  encode: define('FSQ_ENCODE', character, '%'),
  timefmt: define('FSQ_TIMEFMT', timeFormat, '%Y%m%d%H%M%S'),
  itemUser: define('FSQ_ITEM_USER', account, undefined),
  itemGroup: define('FSQ_ITEM_GROUP', account, undefined),
  queueUser: define('FSQ_QUEUE_USER', account, undefined),
  queueGroup: define('FSQ_QUEUE_GROUP', account, undefined),
  itemMode: define('FSQ_ITEM_MODE', mode, 0o640),
  queueMode: define('FSQ_QUEUE_MODE', mode, 0o2770),
  success: define('FSQ_SUCCESS', exitCode, 0),
  failTmp: define('FSQ_FAIL_TMP', exitCode, 111),
  failPerm: define('FSQ_FAIL_PERM', exitCode, 100),
  useTrigger: define('FSQ_USE_TRIGGER', flag, false),
  lock: define('FSQ_LOCK', flag, true),
  maxTries: define('FSQ_MAX_TRIES', count, 1),
  ttl: define('FSQ_TTL', count, 0),
  execDir: define('FSQ_EXEC_DIR', anyText, ''),
  utc: define('FSQ_UTC', flag, false),
  durability: define('FSQ_DURABILITY', oneOf('none', 'enqueue', 'full'), 'enqueue'),
  sync: define('FSQ_SYNC', oneOf('auto', 'plain'), 'auto'),
  allowNetwork: define('FSQ_ALLOW_NETWORK', flag, false),
  lease: define('FSQ_LEASE', wholeNumber(0, LONGEST_LEASE), 0),
} satisfies { readonly [Key in SettingKey]: Definition<string, Settings[Key]> }

type Definitions = typeof definitions

/** The settings, by the names of their environment variables. */
export type Constants = { readonly [Key in SettingKey as Definitions[Key]['variable']]: Settings[Key] }

const KEYS = Object.keys(definitions) as SettingKey[]
const KEY_OF_VARIABLE: ReadonlyMap<string, SettingKey> = new Map(
  KEYS.map((key) => [definitions[key].variable, key]),
)

// The entries of a queue whose names are settings, so that two of them could get the same name.
const ENTRY_KEYS = ['queue', 'tmp', 'done', 'fail', 'down', 'trigger', 'hosts', 'hostsTrigger'] as const
/** The file that asks for fcntl locks instead of flock (fsq standard, section 4). */
export const LOCK_MARKER = 'lock-fcntl'
/** The file that asks for claims by renaming instead of locks (fsq standard, section 11). */
export const RENAME_MARKER = 'claims-rename'
/** The directory of the items that workers have claimed by renaming them. */
export const CLAIMED_DIRECTORY = 'claimed'
/** The directory of what workers write beside the items (fsq standard, section 10). */
export const META_DIRECTORY = 'meta'
/** The directory of what forwarders must know of items that they put (fsq standard, section 14). */
export const FORWARDED_DIRECTORY = 'forwarded'
/** The directory of what receivers keep (fsq standard, section 13). */
export const RECEIVED_DIRECTORY = 'received'
/** The entries of a queue whose names are no settings, and what each is. */
export const FIXED_NAMES: ReadonlyMap<string, string> = new Map([
  [LOCK_MARKER, 'the marker of fcntl locks'],
  [RENAME_MARKER, 'the marker of claims by renaming'],
  [CLAIMED_DIRECTORY, 'the directory of claimed items'],
  [META_DIRECTORY, 'the directory of the workers'],
  [FORWARDED_DIRECTORY, 'the directory of the forwarders'],
  [RECEIVED_DIRECTORY, 'the directory of the receivers'],
])

/**
 * The down file of a queue whose claims are renames. Its `down` always exists: a worker that does not know such queues does not scan a
 * queue that is down.
 */
export function downOfRename(down: string): string {
  return `${down}-rename`
}

// Read once: a later change of process.env affects only the programs that this process starts.
const environment: Readonly<Record<string, string | undefined>> = Object.fromEntries(
  KEYS.map((key) => [key, process.env[definitions[key].variable]]),
)
const values = new Map<SettingKey, unknown>()
/** The settings that {@link setConst} has set. */
const assigned = new Set<SettingKey>()

function parse<Key extends SettingKey>(
  key: Key,
  value: unknown,
  refuse: (expected: string) => SettingError,
): Settings[Key] {
  // The compiler cannot see that the definition of a key has the type of that key.
  const kind = definitions[key].kind as Kind<Settings[Key]>
  const parsed = kind.parse(value)
  if (parsed === INVALID) throw refuse(kind.expected)
  return parsed
}

function parseEnvironment<Key extends SettingKey>(key: Key): Settings[Key] {
  const value = environment[key]
  if (value === undefined) return definitions[key].fallback as Settings[Key]
  const { variable } = definitions[key]
  const next = 'Correct the environment variable, or unset it to use the default'
  return parse(key, value, (expected) => new SettingError(variable, value, expected, next))
}

function valueOf<Key extends SettingKey>(key: Key): Settings[Key] {
  // Parsed at first use, not at load: a bad value must not break a program that never uses it.
  if (!values.has(key)) values.set(key, parseEnvironment(key))
  return values.get(key) as Settings[Key]
}

/** Whether this process gives the setting a value, by {@link setConst} or by its environment variable. */
export function isGiven(key: SettingKey): boolean {
  return environment[key] !== undefined || assigned.has(key)
}

/** Whether an option of this name is a setting. */
export function isSetting(name: string): name is SettingKey {
  return Object.hasOwn(definitions, name)
}

function keyOf(name: string): SettingKey {
  const key = KEY_OF_VARIABLE.get(name)
  if (key !== undefined) return key
  const known = [...KEY_OF_VARIABLE.keys()]
  // It may be a symbol.
  const text = typeof name === 'string' ? name : ''
  // `maxTries` is the option, FSQ_MAX_TRIES the setting.
  const meant = guess(/^fsq/i.test(text) ? text : `fsq${text}`, known)
  throw unknownSetting(
    name,
    undefined,
    `There is no setting ${inspect(name)}${meant}. There are ${known.join(', ')}`,
  )
}

/**
 * Returns a setting of this process: the value of {@link setConst}, else the environment variable, else the default
 * (fsq standard, section 8).
 *
 * @throws {@link SettingError} if the environment variable has an invalid value. An empty value is valid only where
 * it has a meaning: no owner or group to set, no `FSQ_EXEC_DIR`.
 * @example
 * ```ts
 * getConst('FSQ_MAX_TRIES') // 1
 * ```
 */
export function getConst<Name extends keyof Constants>(name: Name): Constants[Name] {
  return valueOf(keyOf(name)) as Constants[Name]
}

/**
 * Changes a setting for this process. Existing queue handles keep their values.
 *
 * @param value - A value of the setting's type, or a string as its environment variable would have it. `undefined`
 * restores the environment variable or the default.
 * @throws {@link SettingError} if the value is invalid; the setting then stays as it was.
 * @example
 * ```ts
 * setConst('FSQ_MAX_TRIES', 5)
 * setConst('FSQ_ITEM_MODE', '0600')
 * ```
 */
export function setConst<Name extends keyof Constants>(
  name: Name,
  value: Constants[Name] | string | undefined,
): void {
  const key = keyOf(name)
  if (value === undefined) {
    values.delete(key)
    assigned.delete(key)
  } else {
    const next = 'Pass a valid value, or undefined to use the default'
    values.set(
      key,
      parse(key, value, (expected) => new SettingError(name, value, expected, next)),
    )
    assigned.add(key)
  }
}

/**
 * The settings for a queue handle: those of the process, with some overridden, all of them validated, also against
 * each other.
 *
 * @throws {@link SettingError} if a value is invalid, if an option is not a setting, if the delimiter is the encode
 * character, or if two entries of a queue would have the same name.
 * @example
 * ```ts
 * resolveSettings({ root: '/srv/queues', itemMode: '0600', maxTries: 5 })
 * ```
 */
export function resolveSettings(overrides: SettingOverrides = {}): Settings {
  if (typeof overrides !== 'object' || (overrides as unknown) === null) {
    throw new SettingError('options', overrides, 'an object of settings')
  }
  checkNames(overrides)
  const resolved = Object.fromEntries(
    KEYS.map((key) => {
      const override = overrides[key]
      if (override === undefined) return [key, valueOf(key)]
      const { variable } = definitions[key]
      return [key, parse(key, override, (expected) => overrideError(key, override, expected, variable))]
    }),
  )
  // Each entry has been parsed by the definition of its key.
  const settings = resolved as unknown as Settings
  checkTogether(settings, (key) => (overrides[key] === undefined ? definitions[key].variable : key))
  return Object.freeze(settings)
}

/**
 * Refuses an option of a queue that does not exist.
 *
 * @param others - The options of the call that are no settings.
 * @throws {@link SettingError}
 */
export function checkNames(options: object, others: readonly string[] = []): void {
  for (const [name, given] of Object.entries(options)) {
    if (isSetting(name) || others.includes(name)) continue
    const known = [...others, ...KEYS]
    const meant = guess(name, known)
    throw unknownSetting(name, given, `There is no option ${name}${meant}. There are ${known.join(', ')}`)
  }
}

function checkTogether(settings: Settings, settingName: (key: SettingKey) => string): void {
  if (settings.delimiter === settings.encode) {
    throw new SettingError(
      settingName('delimiter'),
      settings.delimiter,
      `a character different from ${settingName('encode')}`,
      'Change one of the two',
    )
  }
  const taken = new Map([
    ...FIXED_NAMES,
    [downOfRename(settings.down), 'the down file of a queue whose claims are renames'],
  ])
  for (const key of ENTRY_KEYS) {
    const name = settings[key]
    const holder = taken.get(name)
    if (holder !== undefined) {
      throw new SettingError(
        settingName(key),
        name,
        `a name different from that of ${holder}`,
        'Change one of the two',
      )
    }
    taken.set(name, settingName(key))
  }
}
