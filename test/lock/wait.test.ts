import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { LockTimeoutError, lock, lockSync, tryLock } from '../../src/lock.js'
import { checkError, errorOf } from '../support/queue.js'
import { Actor } from './actor.js'
import { KINDS, directory, file, isFree, catching, useLockFile } from './lock-file.js'

useLockFile()

describe('waiting', () => {
  test.each(KINDS)('%s: until another process unlocks, or dies', async (kind) => {
    for (const end of ['unlock', 'kill'] as const) {
      const holder = Actor.process()
      await holder.do('lock', 'held', file, { kind })
      const waiting = lock(file, { kind })
      expect(await Promise.race([waiting, tryLock(file, { kind })])).toBeUndefined()
      if (end === 'kill') await holder.kill()
      else await holder.do('unlock', 'held')
      const held = await waiting
      expect(isFree(kind)).toBe(false)
      held.unlock()
    }
  })

  test('until its time is up', async () => {
    const held = lockSync(file)
    const expected = { type: LockTimeoutError, says: /not free within (20|0) ms/, path: file }
    for (const timeout of [20, 0]) {
      const begin = performance.now()
      checkError(await errorOf(async () => lock(file, { timeout })), expected)
      checkError(
        catching(() => lockSync(file, { timeout })),
        expected,
      )
      expect(performance.now() - begin).toBeGreaterThanOrEqual(2 * timeout - 1)
    }
    held.unlock()
  })

  test('this thread can sleep meanwhile', async () => {
    const holder = Actor.process()
    await holder.do('lock', 'held', file)
    void holder.do('unlockSoon', 'held')
    lockSync(file, { timeout: 20_000 }).unlock()
  })

  test('until a signal, whose reason is the error', async () => {
    const held = lockSync(file)
    const controller = new AbortController()
    const reason = new Error('enough')
    const waiting = lock(file, { signal: controller.signal })
    setImmediate(() => {
      controller.abort(reason)
    })
    expect(await errorOf(async () => waiting)).toBe(reason)
    held.unlock()
    expect(isFree()).toBe(true)
  })

  test('a signal that has been aborted: nothing is touched', async () => {
    const error = await errorOf(async () => lock(file, { signal: AbortSignal.abort() }))
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(fs.readdirSync(directory)).toEqual([])
  })

  test('an abort while the lock is being taken gives it back', async () => {
    const controller = new AbortController()
    const waiting = lock(file, { signal: controller.signal })
    controller.abort()
    expect(await errorOf(async () => waiting)).toBe(controller.signal.reason)
    const next = await lock(file, { timeout: 20_000 })
    next.unlock()
  })

  test('the end of a thread that waits', async () => {
    const held = lockSync(file)
    const waiter = Actor.thread()
    const answer = waiter.do('waitForLock', 'held', file, {})
    await waiter.do('open', file) // by now it waits
    await waiter.kill()
    expect(await answer).toBeUndefined()
    held.unlock()
    expect(isFree()).toBe(true)
  })
})
