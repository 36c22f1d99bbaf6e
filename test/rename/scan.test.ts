// Scans of queues whose claims are renames: they hand out what others do, and nothing of an item stays open.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'

import { describe, expect, jest, test } from '@jest/globals'

import { native } from '../../src/addon/native.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { Child } from '../support/child.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { Loop } from '../support/loop.js'
import { onLinux } from '../support/needs.js'
import {
  EMPTY,
  Taker,
  contents,
  drain,
  inProgram,
  itemName,
  names,
  plant,
  plantNumbered,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'
import { claimedNames, installRename, openFiles, workerNames } from './claimed.js'

const bed = useTestBed()

/** The time within which a loop has to find an item again, in milliseconds. */
const FOUND_MS = 2000

describe('a scan', () => {
  test('hands out all items in their order, and leaves nothing but the directory of its worker', async () => {
    const queue = await installRename(bed)
    const ids = await queue.enqueueMany(Array.from({ length: 100 }, (_, index) => ({ data: String(index) })))
    expect(await drain(queue)).toEqual(ids)
    expect(contents(queue)).toEqual({ ...EMPTY, done: ids.toSorted() })
    expect([workerNames(queue), claimedNames(queue)]).toEqual([
      [expect.stringMatching(/^.+-\d+-[0-9a-f]{16}$/)],
      [],
    ])
    await queue.close()
    expect(workerNames(queue)).toEqual([])
  })

  test('in relaxed order hands out each item once', async () => {
    const queue = await installRename(bed)
    const ids = plantNumbered(queue, 300)
    const ran = await drain(queue, { order: 'relaxed' })
    expect(ran.toSorted()).toEqual(ids.toSorted())
    expect(names(queue, 'done')).toEqual(ids.toSorted())
  })

  test('claims so many items ahead, and gives them back when it is left', async () => {
    const queue = await installRename(bed)
    const ids = plantNumbered(queue, 10)
    const taker = new Taker(queue, { prefetch: 4 })
    const first = await taker.take()
    expect(claimedNames(queue)).toHaveLength(4)
    await first.done()
    await taker.leave()
    await until('the others are back', () => names(queue, 'queue').length === 9)
    expect(claimedNames(queue)).toEqual([])
    expect(await drain(queue)).toEqual(ids.slice(1))
  })

  test('without being asked, claims one at first and more than 32 later, but no more than 64', async () => {
    const queue = await installRename(bed)
    plantNumbered(queue, 300)
    const held: number[] = []
    // Each item is taken quickly, however busy the machine is.
    const clock = jest.spyOn(globalThis.performance, 'now').mockReturnValue(1)
    for await (const item of queue.scan()) {
      held.push(claimedNames(queue).length)
      await item.done()
    }
    clock.mockRestore()
    expect(held[0]).toBe(1)
    expect(Math.max(...held)).toBeGreaterThan(32)
    expect(Math.max(...held)).toBeLessThanOrEqual(64)
  })

  test('gives the items that it has claimed ahead to others after 100 ms', async () => {
    const queue = await installRename(bed)
    const ids = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 4 })
    const first = await taker.take()
    await until('only the one that was handed out is claimed', () => claimedNames(queue).length === 1)
    expect(await drain(bed.open())).toEqual(ids.slice(1))
    await first.done()
    expect(await taker.next()).toBeUndefined()
  })

  test('hands out what it has given back for a while, also if that has not arrived yet', async () => {
    const queue = await installRename(bed)
    const ids = plantNumbered(queue, 5)
    const answer = await inProgram<string[]>(
      `const queue = new Queue('q', { root: given.root })
      const got = []
      for await (const item of queue.scan({ prefetch: 4 })) {
        if (got.push(item.id) > 1) continue
        const { setFaults } = (await import('node:module')).createRequire(given.addon)(given.addon)
        setFaults('finish.rename=delay:300')
        await new Promise((resolve) => setTimeout(resolve, 150))
      }
      return got`,
      {
        given: { root: bed.root, addon: path.join(import.meta.dirname, '../../binding.cjs') },
        flags: ['--require', FAULT_BUILD],
      },
    )
    expect(answer).toEqual(ids)
  })

  test('does not see what another handle of this process has claimed, nor what it has claimed itself', async () => {
    const queue = await installRename(bed)
    const other = bed.open()
    const [first = '', second = '', third = ''] = plantNumbered(queue, 3)
    const held = [await takeOne(queue, { prefetch: 1 }), await takeOne(other, { prefetch: 1 })]
    expect(held.map(({ id }) => id)).toEqual([first, second])
    expect(workerNames(queue)).toHaveLength(2)
    const again = await takeOne(queue)
    expect(again.id).toBe(third)
    for (const item of [...held, again]) await item.done()
    expect(names(queue, 'done')).toEqual([first, second, third])
  })

  test('two handles at once: each item is handed out once', async () => {
    const queue = await installRename(bed, { durability: 'none' })
    const other = bed.open({ durability: 'none' })
    const ids = plantNumbered(queue, 400)
    const ran = await Promise.all([drain(queue), drain(other), drain(queue, { order: 'relaxed' })])
    // A scan ends while another one holds items ahead, or has just begun to give them back.
    await until('all are done', async () => {
      ran.push(await drain(queue))
      return names(queue, 'done').length === 400
    })
    expect(ran.flat().toSorted()).toEqual(ids.toSorted())
  })

  test.each([
    ['expired', { ttl: 1 }, itemName()],
    ['malformed', {}, 'no item'],
    ['exhausted', { maxTries: 2 }, itemName({ tries: 2 })],
  ])('moves an item to fail/ that is %s', async (type, options, name) => {
    const queue = await installRename(bed, options)
    plant(queue, name)
    expect(await drain(queue)).toEqual([])
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [name] })
    expect(bed.reportTypes()).toEqual([type])
    expect(claimedNames(queue)).toEqual([])
  })

  test('skips a delayed item, where it is, until it is due', async () => {
    const queue = await installRename(bed)
    const delayed = await queue.enqueue('later', [], { delay: 3_600_000 })
    const due = await queue.enqueue('now')
    expect(await drain(queue)).toEqual([due])
    expect(contents(queue)).toMatchObject({ queue: [delayed] })
    const now = new Date()
    fs.utimesSync(path.join(queue.paths.queue, delayed), now, now)
    expect(await drain(queue)).toEqual([delayed])
  })

  test('hands out nothing while the queue is down', async () => {
    const queue = await installRename(bed)
    const id = await queue.enqueue('x')
    await queue.down()
    await expect(drain(queue)).rejects.toMatchObject({ code: 'ERR_FSQ_QUEUE_DOWN' })
    await queue.up()
    expect(await drain(queue)).toEqual([id])
  })
})

describe('a loop that waits', () => {
  test('hands out what comes, in order', async () => {
    const queue = await installRename(bed)
    const ids = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const loop = new Loop(queue)
    await loop.has(2)
    for (let count = 3; count <= 5; count++) {
      ids.push(await queue.enqueue('c'))
      await loop.has(count)
    }
    expect(loop.ids).toEqual(ids)
    await loop.stop()
    expect(names(queue, 'done')).toEqual(ids.toSorted())
  })

  test('hands out an item that came because of a delay', async () => {
    const queue = await installRename(bed)
    const loop = new Loop(queue)
    const begun = performance.now()
    const id = await queue.enqueue('x', [], { delay: 150 })
    await loop.has(1)
    expect(loop.ids).toEqual([id])
    expect(performance.now() - begun).toBeGreaterThan(100)
    expect(performance.now() - begun).toBeLessThan(FOUND_MS)
    await loop.stop()
  })

  const ends: readonly (readonly [string, (item: WorkItem) => unknown])[] = [
    ['releases', (item) => item.release()],
    ['releases with a delay', (item) => item.release({ delay: 50 })],
    ['retries', async (item) => item.retry()],
    ['retries with a delay', async (item) => item.retry({ delay: 50 })],
    ['disposes of', async (item) => item[Symbol.asyncDispose]()],
  ]

  test.each(ends)('hands out an item that another worker %s', async (_, end) => {
    const queue = await installRename(bed, { maxTries: 3 })
    const id = await queue.enqueue('x')
    const item = await takeOne(queue)
    const loop = new Loop(bed.open({ maxTries: 3 }))
    const other = await queue.enqueue('y')
    await loop.has(1)
    expect(loop.ids).toEqual([other])
    const begun = performance.now()
    await end(item)
    await loop.has(2)
    expect(performance.now() - begun).toBeLessThan(FOUND_MS)
    expect(loop.ids).toEqual([other, item.id])
    expect(item.key).toBe(id.replace(/_0(?=[^_]*$)/, ''))
    await loop.stop()
  })

  test('hands out the items of a worker that was killed', async () => {
    const queue = await installRename(bed)
    const ids = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }, { data: 'c' }])
    const holder = new Child('shared-worker.mjs', { root: bed.root })
    for (const id of ids) {
      holder.tell({ command: 'claim' })
      await until('it is claimed', () => claimedNames(queue).includes(id))
    }
    const loop = new Loop(queue)
    const own = await queue.enqueue('d')
    await loop.has(1)
    expect(loop.ids).toEqual([own])
    holder.kill()
    const begun = performance.now()
    await holder.ended
    await loop.has(4)
    expect(performance.now() - begun).toBeLessThan(FOUND_MS)
    expect(loop.ids.slice(1).toSorted()).toEqual(ids.toSorted())
    await loop.stop()
    expect(workerNames(queue)).toHaveLength(1)
    expect(claimedNames(queue)).toEqual([])
  })

  test('leaves the items of a worker alone that stands still', async () => {
    const queue = await installRename(bed)
    const [id = ''] = await queue.enqueueMany([{ data: 'a' }])
    const holder = new Child('shared-worker.mjs', { root: bed.root })
    holder.tell({ command: 'claim' })
    await holder.says('answer')
    holder.kill('SIGSTOP')
    const look = jest.spyOn(native, 'seize')
    const loop = new Loop(queue)
    await until('the loop has looked twice', () => look.mock.calls.length > 2)
    look.mockRestore()
    expect([loop.ids, claimedNames(queue)]).toEqual([[], [id]])
    holder.kill('SIGCONT')
    holder.tell({ command: 'finish', id, action: 'done' })
    await until('it is done', () => names(queue, 'done').includes(id))
    await loop.stop()
  })

  test('that is cancelled gives back what it holds', async () => {
    const queue = await installRename(bed)
    const ids = plantNumbered(queue, 3)
    const stop = new AbortController()
    const loop = queue.scanForever({ signal: stop.signal })
    const { value: item } = await loop.next()
    expect(item?.id).toBe(ids[0])
    stop.abort()
    await expect(loop.next()).rejects.toBe(stop.signal.reason)
    await until('all are back', () => names(queue, 'queue').length === 3)
    expect(claimedNames(queue)).toEqual([])
  })
})

describe('the contents of an item', () => {
  test('small ones: bytes, text, JSON, stream, and the descriptor', async () => {
    const queue = await installRename(bed)
    await queue.enqueue('{"a":"b"}')
    const item = await takeOne(queue)
    expect(item.size).toBe(9)
    expect(await item.text()).toBe('{"a":"b"}')
    expect(await item.json()).toEqual({ a: 'b' })
    expect((await item.bytes()).toString()).toBe('{"a":"b"}')
    expect((await item.stream({ start: 2, end: 4 }).toArray()).join('')).toBe('a":')
    expect(fs.readFileSync(item.path, 'utf8')).toBe('{"a":"b"}')
    expect(path.relative(queue.path, item.path)).toBe(
      path.join('claimed', workerNames(queue)[0] ?? '', item.id),
    )
    expect(fs.readFileSync(item.fd, 'utf8')).toBe('{"a":"b"}')
    await item.done()
  })

  test('large ones: bytes and stream', async () => {
    const queue = await installRename(bed)
    const large = Buffer.alloc(3_000_001, 'large ')
    await queue.enqueue(large)
    const item = await takeOne(queue)
    expect(item.size).toBe(large.length)
    const hash = createHash('sha256')
    for await (const chunk of item.stream()) hash.update(chunk as Buffer)
    expect(hash.digest('hex')).toBe(createHash('sha256').update(large).digest('hex'))
    expect((await item.bytes()).equals(large)).toBe(true)
    await item.done()
    expect(fs.readFileSync(path.join(queue.paths.done, item.id)).equals(large)).toBe(true)
  })

  test('an empty item', async () => {
    const queue = await installRename(bed)
    await queue.enqueue(null)
    const item = await takeOne(queue)
    expect([item.size, (await item.bytes()).length, await item.stream().toArray()]).toEqual([0, 0, []])
    await item.done()
  })

  onLinux('nothing is open between calls; the descriptor is closed at the end of the claim', async () => {
    const queue = await installRename(bed)
    await queue.enqueue(Buffer.alloc(2_000_000))
    await queue.enqueue('small')
    const taker = new Taker(queue)
    const lock = path.join('claimed', workerNames(queue)[0] ?? '', '.lock')
    const items = [await taker.take(), await taker.take()]
    const locks = workerNames(queue).map((name) => path.join('claimed', name, '.lock'))
    expect(lock).not.toEqual(locks[0])
    expect(openFiles(queue)).toEqual(locks)
    for (const item of items) {
      await item.bytes()
      await item.stream().toArray()
      item.stream().destroy()
    }
    await until('the streams are closed', () => openFiles(queue).length === 1)
    const [large, small] = items
    expect(fs.fstatSync(large?.fd ?? -1).size).toBe(2_000_000)
    expect(small?.fd).toBe(small?.fd)
    expect(openFiles(queue)).toHaveLength(3)
    await large?.done()
    small?.release()
    await until('the descriptors are closed', () => openFiles(queue).length === 1)
    await taker.leave()
  })
})
