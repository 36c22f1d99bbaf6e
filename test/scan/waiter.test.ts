import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  FinishError,
  NotAQueueError,
  QueueClosedError,
  QueueDownError,
  QueueMissingError,
  SettingError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { type PackedClaims, Place, isFailure, native } from '../../src/addon/native.js'
import { ClaimNumber, claimNumbersAt } from '../../src/addon/packing.js'
import type { Queue } from '../../src/queue.js'
import type { ScanForeverOptions } from '../../src/scan/scan.js'
import { Child } from '../support/child.js'
import { Loop, waitingLoop, watchLooks, whileWaiting } from '../support/loop.js'
import { onLinux } from '../support/needs.js'
import {
  checkError,
  errorOf,
  inProgram,
  isLocked,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'

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

describe('items', () => {
  test('that wait, and that come later, are handed out in order', async () => {
    const queue = await bed.install()
    const first = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const loop = new Loop(queue)
    await loop.has(2)
    const second = await queue.enqueue('c')
    await loop.has(3)
    const third = await queue.enqueueMany(Array.from({ length: 10 }, () => ({ data: 'd' })))
    await loop.has(13)
    expect(loop.ids).toEqual([...first, second, ...third])
    await loop.stop()
    expect(names(queue, 'done')).toHaveLength(13)
  })

  onLinux.each([
    ['enqueued', async (queue: Queue) => queue.enqueue('x')],
    ['enqueued empty', async (queue: Queue) => queue.enqueue(null)],
    [
      'moved there',
      async (queue: Queue) => {
        plant(queue, itemName(), 'x', 'tmp')
        fs.renameSync(pathOf(queue, 'tmp', itemName()), pathOf(queue, 'queue', itemName()))
      },
    ],
    [
      'linked there',
      async (queue: Queue) => {
        plant(queue, itemName(), 'x', 'tmp')
        fs.linkSync(pathOf(queue, 'tmp', itemName()), pathOf(queue, 'queue', itemName()))
        fs.unlinkSync(pathOf(queue, 'tmp', itemName()))
      },
    ],
  ])('%s are claimed by name, without a listing', async (_what, add) => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    await add(bed.open())
    await loop.has(1)
    expect(looks()).toBe(0)
    await loop.stop()
  })

  onLinux('that come due start then, without a listing', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    const begun = Date.now()
    await queue.enqueue('x', [], { delay: 100 })
    await loop.has(1)
    expect(Date.now() - begun).toBeGreaterThanOrEqual(100)
    expect(looks()).toBe(0)
    await loop.stop()
  })

  test('that are tried again come back to the same loop', async () => {
    const queue = await bed.install({ maxTries: 3 })
    const id = await queue.enqueue('x')
    const loop = new Loop(queue, {}, async (item) => item.retry({ delay: 10 }))
    await until('it has failed', () => names(queue, 'fail').length === 1)
    expect(loop.ids).toHaveLength(3)
    expect(loop.ids[0]).toBe(id)
    await loop.stop()
  })

  onLinux('that another handle gives back are claimed without a listing', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    const held = await takeOne(bed.open())
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    held.release()
    await loop.has(1)
    expect(loop.ids).toEqual([id])
    expect(looks()).toBe(0)
    await loop.stop()
  })

  onLinux('that the same loop gives back later are claimed again without a listing', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    const items: WorkItem[] = []
    const waits = jest.spyOn(native, 'awaitWatch')
    const loop = new Loop(queue, {}, async (item) => {
      waits.mockClear()
      items.push(item)
      return Promise.resolve()
    })
    const { looks } = watchLooks()
    for (let round = 1; round <= 3; round++) {
      await until('it waits', () => items.length === round && waits.mock.calls.length > 0)
      const before = looks()
      items[round - 1]?.release()
      await loop.has(round + 1)
      expect(looks()).toBe(before)
    }
    expect(loop.ids).toEqual([id, id, id, id])
    await loop.stop()
  })

  test('are handed out once while they are worked on, also without locks', async () => {
    const queue = await bed.install({ lock: false })
    const held: WorkItem[] = []
    const loop = new Loop(queue, {}, async (item) => {
      held.push(item)
      return Promise.resolve()
    })
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    await loop.has(2)
    const last = await queue.enqueue('c')
    await loop.has(3)
    expect(new Set(loop.ids).size).toBe(3)
    expect(loop.ids).toContain(last)
    await Promise.all(held.map(async (item) => item.done()))
    await loop.stop()
  })

  test('of two loops are handed out once each', async () => {
    const queue = await bed.install()
    const loops = [new Loop(queue), new Loop(bed.open()), new Loop(bed.open())]
    const producer = bed.open()
    const ids: string[] = []
    for (let batch = 0; batch < 40; batch++) {
      ids.push(...(await producer.enqueueMany(Array.from({ length: batch % 7 }, () => ({ data: 'x' })))))
      if (batch % 3 === 0) await later(1)
    }
    await until('all are done', () => names(queue, 'done').length === ids.length)
    expect(loops.flatMap((loop) => loop.ids).sort()).toEqual(ids.sort())
    for (const loop of loops) await loop.stop()
  })

  test('more than can be remembered, while the loop was busy', async () => {
    const queue = await bed.install()
    const loop = await whileWaiting(1, () => new Loop(queue)).then(([first]) => first as Loop)
    await queue.enqueue('first')
    const ids = await queue.enqueueMany(Array.from({ length: 1000 }, () => ({ data: null })))
    await loop.has(1001)
    expect(loop.ids.slice(1)).toEqual(ids)
    await queue.enqueue('last')
    await loop.has(1002)
    await loop.stop()
  })

  test('that are malformed go to fail/ as they come', async () => {
    const queue = await bed.install()
    const loop = await waitingLoop(queue)
    plant(queue, 'malformed')
    await until('it is reported', () => bed.reportTypes().length === 1)
    expect(bed.reportTypes()).toEqual(['malformed'])
    expect(names(queue, 'fail')).toEqual(['malformed'])
    await loop.stop()
  })

  test('that are claimed ahead go to others while the loop is busy', async () => {
    const queue = await bed.install()
    const loop = queue.scanForever({ prefetch: 2 })
    const taken = loop.next()
    const [first, second] = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const one = (await taken).value as WorkItem
    expect(one.id).toBe(first)
    const others = bed.open().scanForever()
    const other = (await others.next()).value as WorkItem
    expect(other.id).toBe(second)
    await one.done()
    await other.done()
    await Promise.all([loop.return(), others.return()])
  })

  test('the first one is not held back by others that are claimed ahead', async () => {
    const queue = await bed.install()
    const seen: string[] = []
    const loop = new Loop(queue, {}, async (item) => {
      seen.push(...names(queue, 'queue').filter((name) => isLocked(pathOf(queue, 'queue', name))))
      await item.done()
    })
    const [one] = await queue.enqueueMany([{ data: 'x' }])
    await loop.has(1)
    expect(seen).toEqual([one])
    await loop.stop()
  })
})

describe('a worker that is killed', () => {
  onLinux('loses its item to one that waits, without a listing', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    const holder = new Child('child-holder.mjs', { root: bed.root })
    await holder.says('held')
    const [loop, other] = await whileWaiting(2, () => new Loop(bed.open()))
    const { looks } = watchLooks()
    holder.kill()
    await until('it is done', () => names(queue, 'done').length === 1)
    expect([...(loop?.ids ?? []), ...(other?.ids ?? [])]).toEqual([id])
    // A rescan of the two may be due by now, as an item was skipped; what has found the item is counted below.
    expect(looks()).toBeLessThanOrEqual(2)
    await loop?.stop()
    await other?.stop()
  })

  onLinux('does not set many that wait on one another', async () => {
    const queue = await bed.install()
    await queue.enqueue('held')
    const held = await takeOne(bed.open())
    const loops = await whileWaiting(30, () => new Loop(bed.open()))
    const { claims, looks } = watchLooks()
    // Opens the item that is held and closes it, which all others are told.
    for await (const item of bed.open().scan()) item.release()
    await later(400)
    // One attempt each for that close; a look each is due at most once within this time.
    expect(claims() - looks()).toBeLessThanOrEqual(2 * loops.length)
    expect(looks()).toBeLessThanOrEqual(loops.length)
    held.release()
    await until('it is done', () => names(queue, 'done').length === 1)
    for (const loop of loops) await loop.stop()
  })
})

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

test.each([
  [{ wait: 'yes' }, /wait is 'yes', expected true or false/],
  [{ wait: null }, /wait is null, expected true or false/],
  [{ signal: {} }, /signal is \{\}, expected an AbortSignal/],
  [{ watch: true }, /scan has no option 'watch'/],
])('%j is refused', async (options, says) => {
  const queue = bed.open({}, 'missing')
  checkError(await errorOf(async () => queue.scan(options as object).next()), { type: SettingError, says })
})

test('scanForever waits whatever wait says, and refuses what are no options', async () => {
  const queue = bed.open({}, 'missing')
  const options = null as unknown as ScanForeverOptions
  checkError(await errorOf(async () => queue.scanForever(options).next()), {
    type: SettingError,
    says: /options is null, expected an object with options of scanForever/,
  })
  const installed = await bed.install()
  const loop = await waitingLoop(installed, { wait: false } as ScanForeverOptions)
  await loop.stop()
})

test('a queue that goes away before it is watched is no reason to warn', async () => {
  const queue = await bed.install()
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const gone = { errno: -os.constants.errno.ENOENT, syscall: 'inotify_add_watch' }
  const arm = jest.spyOn(native, 'armWatch').mockReturnValueOnce(gone)
  const loop = await waitingLoop(queue)
  await loop.stop()
  expect(arm).toHaveBeenCalled()
  expect(warn).not.toHaveBeenCalled()
})

describe('in a process of its own', () => {
  const GIVE = `
    const queue = await Queue.install('q', { root: given.root })
    const stop = new AbortController()
    const warnings = []
    process.on('warning', ({ code }) => warnings.push(code))
  `

  const noWatch = [
    ['no inotify instance is left', 'watch.init=errno:24'],
    ['no inotify watch is left', 'watch.add=errno:28'],
    ['no inotify watch is left for the second directory', 'watch.add#2=errno:28'],
  ] as const

  onLinux.each(noWatch)('%s: the trigger is heard all the same', async (_what, faults) => {
    const answer = await inProgram(
      `${GIVE}
      await queue.trigger()
      // No look but the one that the trigger asks for.
      const { setTimeout: later } = globalThis
      globalThis.setTimeout = (callback, delay) => later(callback, delay > 100 ? 2 ** 30 : delay)
      const waits = new Promise((resolve) => process.on('warning', resolve))
      const items = queue.scanForever()
      const first = items.next()
      await waits
      await queue.enqueue('x', [], { trigger: true })
      const { value } = await first
      const text = await value.text()
      await value.done()
      await items.return()
      return { text, warnings }`,
      {
        given: { root: bed.root },
        flags: ['--require', `${import.meta.dirname}/../support/fault-build.cjs`],
        env: { FSQ_FAULTS: faults },
      },
    )
    expect(answer).toEqual({ text: 'x', warnings: ['FSQ_NO_WATCH'] })
  })

  onLinux.each(noWatch)('%s: slower, with one warning', async (_what, faults) => {
    const answer = await inProgram(
      `${GIVE}
      const loop = async () => {
        for await (const item of new Queue('q', { root: given.root }).scanForever({ signal: stop.signal })) return item.done()
      }
      const loops = [loop(), loop()]
      await new Promise((resolve) => setTimeout(resolve, 100))
      await queue.enqueueMany([{ data: 'x' }, { data: 'y' }])
      await Promise.all(loops)
      return { warnings, counts: await queue.counts() }`,
      {
        given: { root: bed.root },
        flags: ['--require', `${import.meta.dirname}/../support/fault-build.cjs`],
        env: { FSQ_FAULTS: faults },
      },
    )
    expect(answer).toMatchObject({ warnings: ['FSQ_NO_WATCH'], counts: { waiting: 0, done: 2 } })
  })

  // There a thread of our own polls, as the event loop has no place for it.
  const ELSEWHERE = encodeURIComponent(
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, bun: '1.0.0' } })",
  )

  onLinux.each([
    ['the event loop', []],
    ['a thread', ['--import', `data:text/javascript,${ELSEWHERE}`]],
  ])('what is new and what is free again is told by %s, without a look', async (_way, flags) => {
    const answer = await inProgram(
      `${GIVE}
      const { setTimeout: later } = globalThis
      globalThis.setTimeout = (callback, delay) => later(callback, delay > 100 ? 2 ** 30 : delay)
      const items = queue.scanForever()
      const first = items.next()
      await new Promise((resolve) => later(resolve, 100))
      await queue.enqueue('held')
      const { value } = await first
      const second = items.next()
      await new Promise((resolve) => later(resolve, 100))
      await queue.enqueue('new')
      const { value: another } = await second
      const texts = [await value.text(), await another.text()]
      // By another handle of this process, of whose releases this loop hears nothing but from the kernel.
      const third = items.next()
      await value.done()
      await another.done()
      const side = await Queue.install('side', { root: given.root })
      const id = await side.enqueue('free')
      for await (const item of side.scan()) {
        fs.renameSync(side.path + '/queue/' + id, queue.path + '/queue/' + id)
        await new Promise((resolve) => later(resolve, 100))
        item.release()
      }
      const { value: freed } = await third
      texts.push(await freed.text())
      await freed.done()
      await items.return()
      return texts`,
      { given: { root: bed.root }, flags },
    )
    expect(answer).toEqual(['held', 'new', 'free'])
  })

  test('more items in the hands of others than there are descriptors', async () => {
    const queue = await bed.install({ durability: 'none' })
    await queue.enqueueMany(Array.from({ length: 150 }, () => ({ data: 'held' })))
    const held = []
    for await (const item of bed.open().scan({ prefetch: 1 })) held.push(item)
    expect(held).toHaveLength(150)
    const free = await queue.enqueue('free')
    const answer = await inProgram(
      `const queue = new Queue('q', { root: given.root })
      for await (const item of queue.scanForever()) {
        await item.done()
        return { id: item.id, open: fs.readdirSync('/dev/fd').length }
      }`,
      { given: { root: bed.root }, shell: 'ulimit -n 100' },
    )
    expect(answer).toMatchObject({ id: free })
    // Those of others are kept open, but only a part of all there may be.
    expect((answer as { open: number }).open).toBeLessThan(60)
    for (const item of held) item.release()
  })

  onLinux('inotify that fails later: the rescan finds all', async () => {
    const answer = await inProgram(
      `${GIVE}
      setTimeout(() => queue.enqueue('x'), 100)
      for await (const item of queue.scanForever({ signal: stop.signal })) return item.text()`,
      {
        given: { root: bed.root },
        flags: ['--require', `${import.meta.dirname}/../support/fault-build.cjs`],
        env: { FSQ_FAULTS: 'watch.read=errno:5' },
      },
    )
    expect(answer).toBe('x')
  })

  onLinux(
    'where other machines may change the queue, no watch is relied upon: a look each second',
    async () => {
      const answer = await inProgram<number[]>(
        `const queue = await Queue.install('q', { root: given.root, allowNetwork: true })
      const items = queue.scanForever()
      const waits = []
      for (let count = 0; count < 3; count++) {
        const next = items.next()
        await new Promise((resolve) => setTimeout(resolve, 100))
        const begun = performance.now()
        queue.enqueueSync('x')
        const { value } = await next
        waits.push(performance.now() - begun)
        await value.done()
      }
      await items.return()
      return waits`,
        {
          given: { root: bed.root },
          flags: ['--require', `${import.meta.dirname}/../support/fault-build.cjs`],
          // nfs, whose watches are silent.
          env: { FSQ_FAULTS: `open.fstatfs=answer:26985;watch.read=errno:${os.constants.errno.EAGAIN}` },
        },
      )
      for (const wait of answer) expect(wait).toBeLessThan(3000)
    },
  )

  test('without locks, an item that was dropped is handed out again', async () => {
    const answer = await inProgram(
      `const queue = await Queue.install('q', { root: given.root, lock: false })
      process.on('warning', () => {})
      queue.enqueueSync('x')
      const items = queue.scanForever()
      await (async () => void (await items.next()).value.size)()
      const next = items.next()
      let again
      next.then(({ value }) => (again = value))
      await until(() => {
        globalThis.gc()
        return again !== undefined
      })
      await again.done()
      await items.return()
      return (await queue.counts()).done`,
      { given: { root: bed.root }, flags: ['--expose-gc'] },
    )
    expect(answer).toBe(1)
  })

  test('a loop that waits keeps it alive, and no longer than that', async () => {
    const answer = await inProgram(
      `${GIVE}
      let ended = false
      void (async () => {
        for await (const item of queue.scanForever({ signal: stop.signal })) await item.done()
      })().catch(() => (ended = true))
      await new Promise((resolve) => setTimeout(resolve, 50).unref())
      setTimeout(() => stop.abort(), 100).unref()
      await new Promise((resolve) => stop.signal.addEventListener('abort', () => setImmediate(resolve)))
      return ended`,
      { given: { root: bed.root } },
    )
    expect(answer).toBe(true)
  })

  test('a loop that has an item does not keep it alive', async () => {
    const answer = await inProgram(
      `${GIVE}
      setTimeout(() => queue.enqueueSync('x'), 50)
      const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
      for await (const item of queue.scanForever({ signal: stop.signal })) {
        await item.done()
        return timers()
      }`,
      { given: { root: bed.root } },
    )
    expect(answer).toBe(0)
  })

  test('a loop that nobody goes on with is forgotten, though its signal lives on', async () => {
    const answer = await inProgram(
      `${GIVE}
      const { getEventListeners } = await import('node:events')
      const listeners = () => getEventListeners(stop.signal, 'abort').length
      queue.enqueueSync('x')
      await (async () => {
        const loop = new Queue('q', { root: given.root }).scanForever({ signal: stop.signal })
        await (await loop.next()).value.done()
      })()
      const before = listeners()
      await until(() => { globalThis.gc(); return listeners() < before })
      return [before, listeners()]`,
      { given: { root: bed.root }, flags: ['--expose-gc'] },
    )
    expect(answer).toEqual([1, 0])
  })

  onLinux('nor do the handle of the queue, and what it watched is closed', async () => {
    const answer = await inProgram(
      `${GIVE}
      const watches = () =>
        fs.readdirSync('/proc/self/fd').filter((fd) => {
          try {
            return fs.readlinkSync('/proc/self/fd/' + fd).includes('inotify')
          } catch {
            return false
          }
        }).length
      await (async () => {
        for (let at = 0; at < 5; at++) {
          const loop = queue.scanForever()
          const next = loop.next()
          await new Promise((resolve) => setTimeout(resolve, 20))
          queue.enqueueSync('x')
          await (await next).value.done()
        }
      })()
      const before = watches()
      await until(async () => {
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 10))
        return watches() === 0
      })
      return before`,
      { given: { root: bed.root }, flags: ['--expose-gc'] },
    )
    // One for all.
    expect(answer).toBe(1)
  })

  test('a loop that has been woken for nothing still keeps it alive', async () => {
    const answer = await inProgram(
      `${GIVE}
      const heard = []
      // What wakes it is no item, twice, and these timers do not keep the process alive.
      setTimeout(() => fs.mkdirSync(queue.paths.queue + '/one'), 50).unref()
      setTimeout(() => fs.mkdirSync(queue.paths.queue + '/two'), 100).unref()
      setTimeout(() => queue.enqueueSync('x'), 200).unref()
      for await (const item of new Queue('q', { root: given.root, onReport: ({ type }) => heard.push(type) }).scanForever()) {
        heard.push(await item.text())
        await item.done()
        return heard
      }`,
      { given: { root: bed.root } },
    )
    expect(answer).toEqual(['foreign', 'foreign', 'x'])
  })

  test.each([
    'process.exit(0)',
    'setImmediate(() => process.exit(0))',
    'setTimeout(() => process.exit(0), 30)',
  ])('%s while many wait', async (exit) => {
    const answer = await inProgram(
      `${GIVE}
        for (let loop = 0; loop < 20; loop++) void queue.scanForever().next().catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, 30))
        setInterval(() => queue.enqueueSync('x'), 0)
        fs.writeFileSync(1, JSON.stringify({ answer: 'waited' }))
        ${exit}
        await new Promise(() => {})`,
      { given: { root: bed.root } },
    )
    expect(answer).toBe('waited')
  })

  test('worker threads that are terminated while they wait', async () => {
    const answer = await inProgram(
      `${GIVE}
      const { Worker } = await import('node:worker_threads')
      const source = \`
        import { parentPort, workerData } from 'node:worker_threads'
        const { Queue } = await import(workerData.index)
        const loop = async () => {
          for await (const item of new Queue('q', { root: workerData.root }).scanForever()) await item.done()
        }
        for (let count = 0; count < 5; count++) void loop()
        setTimeout(() => parentPort.postMessage('waits'), 20)
      \`
      const producer = setInterval(() => queue.enqueueSync('x'), 1)
      for (let round = 0; round < 10; round++) {
        const workerData = { root: given.root, index: process.env.FSQ_TEST_INDEX }
        const workers = [1, 2].map(() => new Worker(source, { eval: true, workerData }))
        await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
        await Promise.all(workers.map((worker) => worker.terminate()))
      }
      clearInterval(producer)
      for await (const item of queue.scan()) await item.done()
      const watches = fs.readdirSync('/proc/self/fd').filter((fd) => {
        try { return fs.readlinkSync('/proc/self/fd/' + fd).includes('inotify') } catch { return false }
      })
      return { waiting: (await queue.counts()).waiting, watches: watches.length }`,
      { given: { root: bed.root } },
    )
    expect(answer).toEqual({ waiting: 0, watches: 0 })
  }, 60_000)
})

test('a look that finds a lock free holds it for no longer than the next claims', async () => {
  const queue = await bed.install()
  // By bytes, the other one comes first.
  const [first, second] = [itemName({ entropy: '9' }), itemName({ entropy: '10' })]
  plant(queue, first)
  plant(queue, second)
  const held = [await takeOne(bed.open()), await takeOne(bed.open())]
  const handle = native.openQueueSync(
    bed.path('q'),
    ['queue', 'tmp', 'done', 'fail', 'down', 'lock-fcntl'],
    true,
  )
  if (isFailure(handle)) throw new Error('not opened')
  const skipped = native.newSkipped()
  const claimOne = (): PackedClaims => {
    const listing = native.listSync(handle, Place.queue, 0, skipped)
    if (isFailure(listing)) throw new Error('not listed')
    return native.claimSync(handle, listing, 1, 1000, 0, 0, skipped)
  }
  await until('nothing has changed for a while', () => {
    claimOne()
    return native.skippedQuiet(skipped, handle)
  })
  for (const item of held) item.release()
  expect(native.skippedQuiet(skipped, handle)).toBe(false)
  const [numbers, [name]] = claimOne()
  expect(name).toBe(first)
  expect(isLocked(pathOf(queue, 'queue', second))).toBe(false)
  native.release([numbers[claimNumbersAt(0) + ClaimNumber.claim] as number])
  native.closeSkipped(skipped)
  native.closeQueue(handle)
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
