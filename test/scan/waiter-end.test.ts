import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  FinishError,
  NotAQueueError,
  QueueClosedError,
  QueueDownError,
  QueueMissingError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { native } from '../../src/addon/native.js'
import { Loop, waitingLoop, watchLooks, whileWaiting } from '../support/loop.js'
import { onLinux } from '../support/needs.js'
import { errorOf, isLocked, names, pathOf, takeOne, until, useTestBed } from '../support/queue.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

const inotifies = (): number =>
  fs.readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${descriptor}`).includes('inotify')
    } catch {
      return false
    }
  }).length

describe('the end', () => {
  test('by a signal: its reason is thrown, and what was claimed is released', async () => {
    const queue = await bed.install()
    const ids = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }, { data: 'c' }])
    const stop = new AbortController()
    const reason = new Error('enough')
    const error = await errorOf(async () => {
      for await (const item of queue.scanForever({ signal: stop.signal, prefetch: 3 })) {
        expect(item.id).toBe(ids[0])
        stop.abort(reason)
      }
    })
    expect(error).toBe(reason)
    for (const id of ids) expect(isLocked(pathOf(queue, 'queue', id))).toBe(false)
  })

  test('by a signal that was aborted before: nothing is touched', async () => {
    const queue = bed.open({}, 'missing')
    const error = await errorOf(async () => queue.scanForever({ signal: AbortSignal.abort('why') }).next())
    expect(error).toBe('why')
  })

  test('by a signal, of a scan that does not wait', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const stop = new AbortController()
    const seen: string[] = []
    const error = await errorOf(async () => {
      for await (const item of queue.scan({ signal: stop.signal })) {
        seen.push(item.id)
        await item.done()
        stop.abort()
      }
    })
    expect(error).toBe(stop.signal.reason)
    expect(seen).toHaveLength(1)
    expect(names(queue, 'queue').map((name) => isLocked(pathOf(queue, 'queue', name)))).toEqual([false])
  })

  test('by closing the handle', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    await queue.close()
    expect(await loop.ended).toBeInstanceOf(QueueClosedError)
  })

  test('by a listener that throws: also where the loop was busy, nothing more is claimed', async () => {
    const onReport = (): never => {
      throw new Error('enough')
    }
    const queue = await bed.install({ onReport })
    const ids = await queue.enqueueMany(Array.from({ length: 6 }, () => ({ data: 'x' })))
    fs.symlinkSync('nowhere', path.join(queue.paths.queue, `${ids[1] ?? ''}a`))
    const isHeld = (id: string): boolean => isLocked(pathOf(queue, 'queue', id))
    const loop = new Loop(queue, { prefetch: 4 }, async (item) => {
      if (item.id === ids[0]) await until('the others are free', () => !ids.slice(1).some(isHeld))
      await item.done()
    })
    expect(await loop.ended).toMatchObject({ message: 'enough' })
    expect(loop.ids).toEqual([ids[0]])
  })

  test('by a finish that fails: nothing more is claimed', async () => {
    const queue = await bed.install()
    const failing = async (item: WorkItem): Promise<unknown> => {
      fs.rmdirSync(queue.paths.done)
      return item.done().catch(() => undefined)
    }
    const [loop] = await whileWaiting(1, () => new Loop(queue, { prefetch: 1 }, failing))
    const [first, second] = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    expect(await loop?.ended).toBeInstanceOf(FinishError)
    expect(loop?.ids).toEqual([first])
    expect(isLocked(pathOf(queue, 'queue', second ?? ''))).toBe(false)
  })

  onLinux('by taking the queue down: at once', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    await bed.open().down()
    expect(await loop.ended).toBeInstanceOf(QueueDownError)
    expect(looks()).toBe(1)
  })

  test('by a queue that is down', async () => {
    const queue = await bed.install()
    await queue.down()
    expect(await new Loop(queue).ended).toBeInstanceOf(QueueDownError)
  })

  test('by removing the queue', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    await bed.open().uninstall()
    const error = await loop.ended
    // Taken down before it is removed.
    if (!(error instanceof QueueDownError)) expect(error).toBeInstanceOf(QueueMissingError)
  })

  test('by moving the queue away', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    fs.renameSync(bed.path('q'), bed.path('elsewhere'))
    expect(await loop.ended).toBeInstanceOf(QueueMissingError)
  })

  onLinux('by removing its queue/: long before the rescan', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    const begun = performance.now()
    fs.rmdirSync(bed.path('q', 'queue'))
    expect(await loop.ended).toBeInstanceOf(NotAQueueError)
    expect(performance.now() - begun).toBeLessThan(3000)
  })

  test('not by installing the queue anew', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    for (let time = 1; time <= 3; time++) {
      const other = await bed.install({ force: true })
      const id = await other.enqueue('x')
      await loop.has(time)
      expect(loop.ids.at(-1)).toBe(id)
    }
    await loop.stop()
  })

  onLinux(
    'by leaving the loop: nothing is watched any more',
    async () => {
      const before = inotifies()
      const queue = await bed.install()
      await queue.trigger()
      const loop = await waitingLoop(queue)
      expect(inotifies()).toBe(before + 1)
      const other = await waitingLoop(bed.open())
      expect(inotifies()).toBe(before + 1)
      await loop.stop()
      await other.stop()
      expect(inotifies()).toBe(before)
      await bed.open().enqueue('x')
      for await (const item of bed.open().scanForever()) {
        item.release()
        break
      }
      expect(inotifies()).toBe(before)
    },
    30_000,
  )
})

test('return() ends a loop that waits at once', async () => {
  const queue = await bed.install()
  const waits = jest.spyOn(native, 'awaitWatch')
  const items = queue.scanForever()
  const next = items.next()
  await until('it waits', () => waits.mock.calls.length > 0)
  await expect(items.return()).resolves.toEqual({ done: true, value: undefined })
  await expect(next).resolves.toEqual({ done: true, value: undefined })
  const id = await queue.enqueue('x')
  expect((await takeOne(queue)).id).toBe(id)
})
