import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { SettingError } from '../src/errors/classes.js'
import type * as settingsModule from '../src/settings.js'
import {
  type Constants,
  type SettingOverrides,
  type Settings,
  getConst,
  resolveSettings,
  setConst,
} from '../src/settings.js'

const DEFAULTS: Settings = {
  root: '/var/fsq',
  queue: 'queue',
  tmp: 'tmp',
  done: 'done',
  fail: 'fail',
  down: 'down',
  trigger: 'trigger-s',
  hosts: 'hosts',
  hostsTrigger: 'hosts-trigger-s',
  charset: 'utf8',
  delimiter: '_',
  encode: '%',
  timefmt: '%Y%m%d%H%M%S',
  itemUser: undefined,
  itemGroup: undefined,
  queueUser: undefined,
  queueGroup: undefined,
  itemMode: 0o640,
  queueMode: 0o2770,
  success: 0,
  failTmp: 111,
  failPerm: 100,
  useTrigger: false,
  lock: true,
  maxTries: 1,
  ttl: 0,
  execDir: '',
  utc: false,
  durability: 'enqueue',
  sync: 'auto',
  allowNetwork: false,
  lease: 0,
}

const variableOf = (key: string): string => `FSQ_${key.replace(/[A-Z]/g, '_$&').toUpperCase()}`
const VARIABLES = Object.keys(DEFAULTS).map(variableOf) as (keyof Constants)[]

/** The module as a process would have it that starts with this environment. */
async function loadWith(environment: Readonly<Record<string, string>>): Promise<typeof settingsModule> {
  jest.resetModules()
  Object.assign(process.env, environment)
  try {
    return await import('../src/settings.js')
  } finally {
    for (const name of Object.keys(environment)) Reflect.deleteProperty(process.env, name)
  }
}

const settingError = (setting: string, value: unknown): unknown =>
  expect.objectContaining({ name: 'SettingError', code: 'ERR_FSQ_SETTING', setting, value })

afterEach(() => {
  for (const variable of VARIABLES) setConst(variable, undefined)
})

describe('defaults', () => {
  test('are those of the standard', () => {
    expect(resolveSettings()).toEqual(DEFAULTS)
    expect(Object.isFrozen(resolveSettings())).toBe(true)
  })

  test('have each its variable', () => {
    expect(Object.fromEntries(VARIABLES.map((variable) => [variable, getConst(variable)]))).toEqual(
      Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [variableOf(key), value])),
    )
  })
})

describe('the environment', () => {
  test('is read, each value in its own type', async () => {
    const { resolveSettings: resolve } = await loadWith({
      FSQ_ROOT: '/srv/q',
      FSQ_HOSTS_TRIGGER: 'ht',
      FSQ_CHARSET: 'ISO-8859-1',
      FSQ_DELIMITER: '.',
      FSQ_ITEM_USER: 'nobody',
      FSQ_ITEM_GROUP: '65534',
      FSQ_QUEUE_USER: '',
      FSQ_ITEM_MODE: '00600',
      FSQ_QUEUE_MODE: '2750',
      FSQ_FAIL_TMP: '75',
      FSQ_USE_TRIGGER: '1',
      FSQ_LOCK: '0',
      FSQ_MAX_TRIES: '0',
      FSQ_TTL: '3600',
      FSQ_EXEC_DIR: '',
      FSQ_DURABILITY: 'full',
      FSQ_SYNC: 'plain',
      FSQ_ALLOW_NETWORK: '1',
    })
    expect(resolve()).toEqual({
      ...DEFAULTS,
      root: '/srv/q',
      hostsTrigger: 'ht',
      charset: 'latin-1',
      delimiter: '.',
      itemUser: 'nobody',
      itemGroup: 65534,
      itemMode: 0o600,
      queueMode: 0o2750,
      failTmp: 75,
      useTrigger: true,
      lock: false,
      maxTries: 0,
      ttl: 3600,
      durability: 'full',
      sync: 'plain',
      allowNetwork: true,
    })
  })

  test('is read once', async () => {
    const { getConst: get } = await loadWith({ FSQ_TTL: '5' })
    process.env['FSQ_TTL'] = '6'
    try {
      expect(get('FSQ_TTL')).toBe(5)
    } finally {
      delete process.env['FSQ_TTL']
    }
  })

  test('with a bad value throws when it is used, not before', async () => {
    const {
      getConst: get,
      resolveSettings: resolve,
      setConst: set,
    } = await loadWith({ FSQ_MAX_TRIES: 'many' })
    expect(get('FSQ_TTL')).toBe(0)
    expect(() => get('FSQ_MAX_TRIES')).toThrow(settingError('FSQ_MAX_TRIES', 'many'))
    expect(() => get('FSQ_MAX_TRIES')).toThrow(
      "FSQ_MAX_TRIES is 'many', expected a whole number from 0 to 999999999999999. " +
        'Correct the environment variable, or unset it to use the default',
    )
    expect(() => resolve()).toThrow(settingError('FSQ_MAX_TRIES', 'many'))
    expect(resolve({ maxTries: 2 }).maxTries).toBe(2)
    set('FSQ_MAX_TRIES', 3)
    expect(resolve().maxTries).toBe(3)
    set('FSQ_MAX_TRIES', undefined)
    expect(() => get('FSQ_MAX_TRIES')).toThrow(settingError('FSQ_MAX_TRIES', 'many'))
  })

  test.each(VARIABLES)('an empty %s is an error unless it means something', async (variable) => {
    const { getConst: get } = await loadWith({ [variable]: '' })
    if (/_(USER|GROUP)$/.test(variable)) expect(get(variable)).toBeUndefined()
    else if (variable === 'FSQ_EXEC_DIR') expect(get(variable)).toBe('')
    else expect(() => get(variable)).toThrow(settingError(variable, ''))
  })
})

const tooLong = 'é'.repeat(128)
const BAD: { readonly [Key in keyof Settings]: readonly unknown[] } = {
  root: ['', 'a\0b', '\ud800', 5, null],
  queue: ['', '.', '..', 'a/b', 'a\0', tooLong, '\udfff', 5, null, true],
  tmp: ['', '/'],
  done: ['.'],
  fail: ['..'],
  down: [tooLong],
  trigger: ['a/b'],
  hosts: [''],
  hostsTrigger: [''],
  charset: ['utf-16', '', 'utf 8', 8],
  delimiter: ['', '__', 'ø', '/', '\0', '😀', 5],
  encode: ['', '%%', '\x80', '/', '\0'],
  timefmt: ['', 'a\0', '%Y%', 5],
  itemUser: [-1, 1.5, '-1', '4294967295', 4294967295, 'a\0', true, null, Number.NaN],
  itemGroup: ['+5'],
  queueUser: ['99999999999'],
  queueGroup: [{}],
  itemMode: ['', '8', '0o640', '-1', '10000', 'rw-', 0o10000, -1, 1.5, true],
  queueMode: ['02779'],
  success: ['', '256', '-1', 256, 1.5, ' 1', '0x1', true],
  failTmp: ['1e1'],
  failPerm: ['١'],
  useTrigger: ['', 'true', 'yes', '2', '01', 2, null],
  lock: ['false'],
  maxTries: ['', '-1', '1.5', ' 2', '1000000000000000', -1, 1.5, Number.POSITIVE_INFINITY, Number.NaN, 1n],
  ttl: ['1h', '+5'],
  execDir: ['a\0b', 5],
  utc: ['utc'],
  durability: ['', 'Full', 'all', true],
  sync: ['fsync'],
  allowNetwork: ['', 'nfs', 2, null],
  lease: ['', '20s', -1, 1.5, 86_401, null],
}

describe('bad values', () => {
  const cases = Object.entries(BAD).flatMap(([key, values]) => values.map((value) => [key, value] as const))

  test.each(cases)('%s cannot be %p', (key, value) => {
    const variable = variableOf(key) as keyof Constants
    expect(() => resolveSettings({ [key]: value })).toThrow(SettingError)
    expect(() => resolveSettings({ [key]: value })).toThrow(settingError(key, value))
    expect(() => setConst(variable, value as string)).toThrow(settingError(variable, value))
    expect(getConst(variable)).toBe(DEFAULTS[key as keyof Settings])
  })

  test('say what was expected and what to do', () => {
    expect(() => resolveSettings({ delimiter: '__' })).toThrow(
      "delimiter is '__', expected one ASCII character other than '/' and NUL. " +
        'It overrides FSQ_DELIMITER; leave it out to use that',
    )
  })
})

const GOOD: readonly (readonly [keyof Settings, unknown, unknown])[] = [
  ['root', 'relative/is fine', 'relative/is fine'],
  ['queue', '.queue', '.queue'],
  ['queue', 'é'.repeat(127), 'é'.repeat(127)],
  ['charset', 'US-ASCII', 'ascii'],
  ['charset', 'Utf-8', 'utf8'],
  ['delimiter', '\n', '\n'],
  ['delimiter', '\x7f', '\x7f'],
  ['timefmt', 'x', 'x'],
  ['timefmt', '%Y %% %f', '%Y %% %f'],
  ['itemUser', '', undefined],
  ['itemUser', 0, 0],
  ['itemUser', '0', 0],
  ['itemUser', '4294967294', 4294967294],
  ['itemGroup', 'www-data', 'www-data'],
  ['itemMode', '640', 0o640],
  ['itemMode', '00640', 0o640],
  ['itemMode', 640, 640],
  ['itemMode', 0, 0],
  ['queueMode', '07777', 0o7777],
  ['success', '255', 255],
  ['useTrigger', true, true],
  ['useTrigger', 1, true],
  ['useTrigger', '1', true],
  ['lock', false, false],
  ['lock', 0, false],
  ['lock', '0', false],
  ['maxTries', '007', 7],
  ['maxTries', '999999999999999', 999_999_999_999_999],
  ['ttl', 60, 60],
  ['durability', 'none', 'none'],
  ['sync', 'plain', 'plain'],
  ['allowNetwork', '1', true],
]

describe('good values', () => {
  test.each(GOOD)('%s can be %p', (key, value, expected) => {
    const variable = variableOf(key) as keyof Constants
    expect(resolveSettings({ [key]: value })).toEqual({ ...DEFAULTS, [key]: expected })
    setConst(variable, value as string)
    expect(getConst(variable)).toBe(expected)
    expect(resolveSettings()).toEqual({ ...DEFAULTS, [key]: expected })
  })
})

describe('setConst', () => {
  test('has effect until it is undone', () => {
    setConst('FSQ_MAX_TRIES', 2)
    expect(getConst('FSQ_MAX_TRIES')).toBe(2)
    expect(resolveSettings().maxTries).toBe(2)
    expect(resolveSettings({ maxTries: 3 }).maxTries).toBe(3)
    setConst('FSQ_MAX_TRIES', undefined)
    expect(getConst('FSQ_MAX_TRIES')).toBe(1)
  })

  test('does not reach settings that were resolved before', () => {
    const before = resolveSettings()
    setConst('FSQ_TTL', '9')
    expect(before.ttl).toBe(0)
  })

  test('keeps what was set when the next value is bad', () => {
    setConst('FSQ_TTL', 9)
    expect(() => setConst('FSQ_TTL', 'soon')).toThrow(SettingError)
    expect(getConst('FSQ_TTL')).toBe(9)
  })

  test('an unknown name is an error', () => {
    expect(() => setConst('FSQ_MAXTRIES' as 'FSQ_MAX_TRIES', 1)).toThrow(/FSQ_MAXTRIES.*FSQ_MAX_TRIES/s)
    for (const name of ['toString', '', '__proto__', undefined, null, 5, Symbol('x'), {}]) {
      expect(() => getConst(name as 'FSQ_TTL')).toThrow(SettingError)
      expect(() => setConst(name as 'FSQ_TTL', 1)).toThrow(SettingError)
    }
  })
})

describe('settings that do not go together', () => {
  test('delimiter and encode character', () => {
    expect(() => resolveSettings({ delimiter: '%' })).toThrow(
      "delimiter is '%', expected a character different from FSQ_ENCODE. Change one of the two",
    )
    expect(resolveSettings({ delimiter: '%', encode: '_' })).toMatchObject({ delimiter: '%', encode: '_' })
    setConst('FSQ_ENCODE', '_')
    expect(() => resolveSettings()).toThrow(settingError('FSQ_DELIMITER', '_'))
  })

  const entries = ['queue', 'tmp', 'done', 'fail', 'down', 'trigger', 'hosts', 'hostsTrigger'] as const
  const pairs = entries.flatMap((a, index) => entries.slice(index + 1).map((b) => [a, b] as const))

  test.each(pairs)('%s and %s of one name', (a, b) => {
    expect(() => resolveSettings({ [a]: 'same', [b]: 'same' })).toThrow(settingError(b, 'same'))
  })

  test.each(entries)('%s and the marker of fcntl locks', (key) => {
    expect(() => resolveSettings({ [key]: 'lock-fcntl' })).toThrow(settingError(key, 'lock-fcntl'))
  })

  test('two names may be exchanged', () => {
    expect(resolveSettings({ done: 'fail', fail: 'done' })).toMatchObject({ done: 'fail', fail: 'done' })
  })
})

test('an override that no setting has is an error', () => {
  const overrides = { maxtries: 5 } as SettingOverrides
  expect(() => resolveSettings(overrides)).toThrow(settingError('maxtries', 5))
  expect(() => resolveSettings(overrides)).toThrow(/no option maxtries.*maxTries/s)
  expect(() => resolveSettings({ toString: 1 } as unknown as SettingOverrides)).toThrow(SettingError)
})

test('an override of undefined is none', () => {
  setConst('FSQ_TTL', 5)
  expect(resolveSettings({ ttl: undefined, itemUser: undefined }).ttl).toBe(5)
})

test('docs/settings.md has each', () => {
  const page = fs.readFileSync(path.resolve(import.meta.dirname, '../docs/settings.md'), 'utf8')
  const rows = page.split('\n').filter((line) => line.startsWith('| `FSQ_'))
  const cells = rows.map((row) =>
    row.split('|').map((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name)),
  )
  expect(cells.flatMap(([, variables]) => variables).sort()).toEqual([...VARIABLES].sort())
  expect(cells.flatMap(([, , options]) => options).sort()).toEqual(Object.keys(DEFAULTS).sort())
})
