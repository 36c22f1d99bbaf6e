import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { FileSystemError, SettingError } from '../../src/errors/classes.js'
import { type FileLock, withLock, withLockSync } from '../../src/lock.js'
import { checkError, errorOf, inProgram } from '../support/queue.js'
import { file, isFree, catching, useLockFile } from './lock-file.js'

useLockFile()

describe('withLock', () => {
  test('gives what the function gives, and unlocks', async () => {
    const run = async (held: FileLock): Promise<string> => {
      expect(held.held).toBe(true)
      expect(isFree()).toBe(false)
      return 'result'
    }
    expect(await withLock(file, run)).toBe('result')
    expect(await withLock(file, { timeout: 0 }, run)).toBe('result')
    expect(isFree()).toBe(true)
    expect(withLockSync(file, () => isFree())).toBe(false)
    expect(withLockSync(file, { shared: true }, (held) => held.shared)).toBe(true)
    expect(isFree()).toBe(true)
  })

  test('throws what the function throws, and unlocks', async () => {
    const error = new Error('no')
    const fail = (): never => {
      throw error
    }
    expect(await errorOf(async () => withLock(file, fail))).toBe(error)
    expect(await errorOf(async () => withLock(file, async () => fail()))).toBe(error)
    expect(catching(() => withLockSync(file, fail))).toBe(error)
    expect(isFree()).toBe(true)
  })

  test('throws what the function throws, also where that has closed the descriptor', async () => {
    const error = new Error('no')
    const fail = ({ fd }: FileLock): never => {
      fs.closeSync(fd)
      throw error
    }
    expect(await errorOf(async () => withLock(fs.openSync(file, 'w'), fail))).toBe(error)
    expect(catching(() => withLockSync(fs.openSync(file, 'w'), fail))).toBe(error)
  })

  test('of a function that has closed the descriptor', async () => {
    const close = ({ fd }: FileLock): void => {
      fs.closeSync(fd)
    }
    checkError(await errorOf(async () => withLock(fs.openSync(file, 'w'), close)), {
      type: FileSystemError,
      cause: 'EBADF',
      says: /Cannot unlock the descriptor/,
    })
  })

  test.each([
    ['that is asynchronous', async () => 1],
    ['that gives something to be awaited', () => ({ then: () => undefined })],
  ])('of a function %s, where it must be through', (_what, run: () => unknown) => {
    checkError(
      catching(() => withLockSync(file, run)),
      { type: SettingError, says: /Use withLock/ },
    )
    expect(isFree()).toBe(true)
  })

  test('of a function that is not through, and fails later: no rejection is left unhandled', async () => {
    const answer = await inProgram(
      `const { withLockSync } = await import(process.env.FSQ_TEST_INDEX.replace('index.js', 'lock.js'))
      const error = await errorOf(async () => withLockSync(given.file, async () => { throw new Error('later') }))
      await new Promise((resolve) => setTimeout(resolve, 1))
      return error.code`,
      { given: { file } },
    )
    expect(answer).toBe('ERR_FSQ_SETTING')
  })
})
