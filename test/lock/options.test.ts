import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { lock, lockSync, tryLock, tryLockSync, unlockSync, withLock, withLockSync } from '../../src/lock.js'
import { checkError, errorOf } from '../support/queue.js'
import { directory, file, open, catching, useLockFile } from './lock-file.js'

useLockFile()

describe('options that make no sense are refused before anything is touched', () => {
  const bad: readonly (readonly [what: string, options: object, says: RegExp])[] = [
    ['a typo', { exclusive: true }, /has no option 'exclusive'. It has shared, kind, start/],
    ['a kind that there is not', { kind: 'lockf' }, /kind is 'lockf', expected 'flock' or 'fcntl'/],
    ['shared that is no boolean', { shared: 1 }, /shared is 1/],
    ['create that is no boolean', { create: 'no' }, /create is 'no'/],
    ['a range of flock', { length: 5 }, /flock locks whole files. Use kind: 'fcntl'/],
    ['a start below 0', { kind: 'fcntl', start: -1 }, /start is -1/],
    ['a length that is no integer', { kind: 'fcntl', length: 0.5 }, /length is 0.5/],
    ['a start that is too large', { kind: 'fcntl', start: 2 ** 53 }, /start is/],
    ['null', null as unknown as object, /options is null/],
  ]

  test.each(bad)('%s', async (_, options, says) => {
    for (const call of [
      tryLock,
      tryLockSync,
      lock,
      lockSync,
      async (...args: [string, object]) => withLock(...args, () => 1),
    ]) {
      checkError(await errorOf(() => call(file, options)), { type: SettingError, says })
    }
    expect(fs.readdirSync(directory)).toEqual([])
  })

  test.each([
    ['a timeout below 0', { timeout: -1 }],
    ['a timeout that is none', { timeout: NaN }],
    ['a signal that is none', { signal: {} }],
  ])('%s', async (_, options) => {
    checkError(await errorOf(async () => lock(file, options as object)), {
      type: SettingError,
      says: /(timeout|signal) is/,
    })
    const held = lockSync(file, { shared: true })
    checkError(await errorOf(async () => held.upgrade(options as object)), {
      type: SettingError,
      says: /(timeout|signal) is/,
    })
    held.unlock()
  })

  test.each([-1, 1.5, NaN, 2 ** 31, '', 'a\0b', undefined, {}, new URL('http://host/file')])(
    'the target %p',
    async (target) => {
      for (const call of [tryLock, tryLockSync, lock, lockSync]) {
        checkError(await errorOf(() => call(target as string)), {
          type: SettingError,
          says: /the (target|descriptor) is .*, expected/,
        })
      }
    },
  )

  test('create for a descriptor, a signal where nothing can be aborted, no function', async () => {
    const descriptor = open()
    const expected = { type: SettingError, says: /create|signal|function/ }
    checkError(
      catching(() => tryLockSync(descriptor, { create: true })),
      expected,
    )
    checkError(
      catching(() => lockSync(file, { signal: AbortSignal.abort() } as object)),
      expected,
    )
    checkError(
      catching(() => tryLockSync(file, { timeout: 1 } as object)),
      {
        type: SettingError,
        says: /no option 'timeout'/,
      },
    )
    checkError(await errorOf(async () => withLock(file, undefined as never)), expected)
    checkError(
      catching(() => withLockSync(file, {}, 'x' as never)),
      expected,
    )
    checkError(
      catching(() => unlockSync(descriptor, { shared: true } as object)),
      {
        type: SettingError,
        says: /no option 'shared'/,
      },
    )
  })
})
