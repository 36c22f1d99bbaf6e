import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { describe, expect, jest, test } from '@jest/globals'

import { QueueClosedError, QueueMissingError, SettingError } from '../../src/errors/classes.js'
import { onLinux } from '../support/needs.js'
import { Taker, errorOf, itemName, plant, useTestBed } from '../support/queue.js'
import { leaveDeadWorker, openGuard } from './dead-workers.js'

const bed = useTestBed({ quick: true })

describe('workers', () => {
  test('tells who lives, and what each has in hand', async () => {
    const queue = await bed.install({ durability: 'none' })
    plant(queue, itemName())
    leaveDeadWorker(queue, [itemName()])
    const item = await new Taker(queue).take()
    const opened = openGuard(queue)
    opened.guard.begin([item])
    leaveDeadWorker(queue, [itemName()], {}, 'web1.4711.2')
    expect(await queue.workers()).toMatchObject([
      {
        id: expect.stringMatching(/\.1$/),
        pid: process.pid,
        state: 'running',
        concurrency: 4,
        started: expect.any(Date),
        items: [{ id: itemName(), key: item.key, since: expect.any(Date) }],
      },
    ])
    opened.guard.close()
    item.release()
  })

  test('tells of a worker without a file by its locks', async () => {
    const queue = await bed.install({ durability: 'none' })
    plant(queue, itemName())
    const item = await new Taker(queue).take()
    const workers = await queue.workers()
    // Some sandboxes do not tell of locks.
    if (fs.existsSync('/proc/locks') && workers.length > 0)
      expect(workers).toEqual([{ pid: process.pid, items: [{ id: item.id, key: item.key }] }])
    item.release()
    expect(await queue.workers()).toEqual([])
  })

  test('needs a queue', async () => {
    expect(await errorOf(() => bed.open().workers())).toBeInstanceOf(QueueMissingError)
  })
})

describe('finished', () => {
  test.each(['done', 'fail'] as const)('resolves when an item moves to %s/', async (action) => {
    const queue = await bed.install({ durability: 'none' })
    const id = queue.enqueueSync('data')
    const end = queue.finished(id)
    const item = await new Taker(queue).take()
    await later(50)
    await item[action]()
    const state = action === 'done' ? 'done' : 'failed'
    expect(await end).toMatchObject({ state, id })
    expect(await queue.finished(item.key)).toMatchObject({ state, id })
  })

  test('follows an item through its retries, and has its attempts', async () => {
    const queue = await bed.install({ durability: 'none', maxTries: 2 })
    const id = queue.enqueueSync('data')
    const end = queue.finished(id)
    const { guard } = openGuard(queue)
    for (const reason of [undefined, 'exhausted']) {
      const item = await new Taker(queue).take()
      guard.begin([item])
      guard.failed(item, { error: new Error('no'), ms: 1, ...(reason === undefined ? {} : { reason }) })
      await item.retry()
      guard.end([item])
      await later(20)
    }
    guard.close()
    expect(await end).toMatchObject({
      state: 'failed',
      attempts: [{ outcome: 'retried' }, { outcome: 'failed', reason: 'exhausted' }],
    })
  })

  test('notices that an item was discarded, or has never been', async () => {
    const queue = await bed.install({ durability: 'none' })
    const end = queue.finished(queue.enqueueSync('data'))
    await later(20)
    await (await new Taker(queue).take()).discard()
    expect(await end).toEqual({ state: 'gone' })
    expect(await queue.finished(itemName())).toEqual({ state: 'gone' })
  })

  test('needs no watch', async () => {
    jest.spyOn(fs, 'watch').mockImplementation(() => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    })
    const queue = await bed.install({ durability: 'none' })
    const end = queue.finished(queue.enqueueSync('data'))
    await later(20)
    await (await new Taker(queue).take()).done()
    expect(await end).toMatchObject({ state: 'done' })
    jest.restoreAllMocks()
  })

  test('ends with its signal, and with the queue handle', async () => {
    const queue = await bed.install({ durability: 'none' })
    const id = queue.enqueueSync('data')
    const stop = new AbortController()
    const aborted = errorOf(() => queue.finished(id, { signal: stop.signal }))
    const closed = errorOf(() => queue.finished(id))
    await later(20)
    stop.abort(new Error('enough'))
    expect(await aborted).toMatchObject({ message: 'enough' })
    await queue.close()
    expect(await closed).toBeInstanceOf(QueueClosedError)
  })

  test('refuses what is no id', async () => {
    const queue = await bed.install()
    expect(await errorOf(() => queue.finished(7 as unknown as string))).toBeInstanceOf(SettingError)
    expect(await errorOf(() => queue.finished('x', { timeout: 5 } as never))).toBeInstanceOf(SettingError)
    expect(await errorOf(() => queue.attempts(7 as unknown as string))).toBeInstanceOf(SettingError)
    expect(await queue.attempts('../../etc/passwd')).toEqual([])
  })

  onLinux('leaves nothing open', async () => {
    const queue = await bed.install({ durability: 'none' })
    const id = queue.enqueueSync('data')
    const before = fs.readdirSync('/proc/self/fd').length
    for (let time = 0; time < 20; time++)
      await errorOf(() => queue.finished(id, { signal: AbortSignal.timeout(5) }))
    expect(fs.readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 3)
    expect(fs.readdirSync(path.join(queue.path, 'queue'))).toHaveLength(1)
  })
})
