import fs from 'node:fs'
import os from 'node:os'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { type PackedClaims, Place, isFailure, native } from '../../src/addon/native.js'
import { ClaimNumber, claimNumbersAt } from '../../src/addon/packing.js'
import type { Queue } from '../../src/queue.js'
import type { ScanForeverOptions } from '../../src/scan/options.js'
import { Child } from '../support/child.js'
import { Loop, waitingLoop, watchLooks, whileWaiting } from '../support/loop.js'
import { onLinux } from '../support/needs.js'
import {
  checkError,
  errorOf,
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
    const holder = new Child('hold-item.mjs', { root: bed.root })
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
    // Opens the item that is held and closes it, of which the kernel notifies all others.
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

test('a look that finds a lock free holds it for no longer than the next claims', async () => {
  const queue = await bed.install()
  // By bytes, the other one comes first.
  const [first, second] = [itemName({ entropy: '9' }), itemName({ entropy: '10' })]
  plant(queue, first)
  plant(queue, second)
  const held = [await takeOne(bed.open()), await takeOne(bed.open())]
  const handle = native.openQueueSync(
    bed.path('q'),
    ['queue', 'tmp', 'done', 'fail', 'down', 'lock-fcntl', 'claims-rename', 'claimed', 'down-rename'],
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
