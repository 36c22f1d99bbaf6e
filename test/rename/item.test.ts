// Items of queues whose claims are renames: how a claim ends, and that no end of it replaces another file.
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Worker } from 'node:worker_threads'

import { describe, expect, test } from '@jest/globals'

import { ItemFinishedError, QueueClosedError } from '../../src/errors/classes.js'
import { itemKey } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import { makeDirectory } from '../support/child.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import {
  EMPTY,
  contents,
  drain,
  inProgram,
  itemName,
  names,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'
import { BY_LINK, SharedWorker, claimedNames, installRename, textsIn, workerNames } from './claimed.js'

const bed = useTestBed()
const NAME = itemName()
const NEXT = itemName({ tries: 1 })

/** Waits until no item is claimed: a release is a rename beside the JavaScript thread. */
async function allBack(queue: Queue): Promise<void> {
  await until('no item is claimed', () => claimedNames(queue).length === 0)
}

describe('the end of a claim', () => {
  test.each([
    ['done', 'done', NAME],
    ['fail', 'fail', NAME],
    ['retry', 'queue', NEXT],
  ] as const)('%s', async (action, directory, name) => {
    const queue = await installRename(bed, { maxTries: 2 })
    plant(queue, NAME, 'text')
    const item = await takeOne(queue)
    expect([contents(queue), claimedNames(queue)]).toEqual([EMPTY, [NAME]])
    await item[action]()
    expect([contents(queue), claimedNames(queue)]).toEqual([{ ...EMPTY, [directory]: [name] }, []])
    expect([item.id, item.claimed]).toEqual([name, false])
    await expect(item.done()).rejects.toThrow(ItemFinishedError)
    expect(() => item.fd).toThrow(ItemFinishedError)
    await expect(item.text()).rejects.toThrow(ItemFinishedError)
  })

  test('the last retry moves it to fail/', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    expect(await (await takeOne(queue)).retry()).toBe('failed')
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [NAME] })
  })

  test('discard', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    await (await takeOne(queue)).discard()
    expect([contents(queue), claimedNames(queue)]).toEqual([EMPTY, []])
  })

  test('a release and a dispose give it back as it was', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME, 'text')
    for (const end of ['release', Symbol.asyncDispose] as const) {
      const item = await takeOne(queue)
      await item[end]()
      expect([item.claimed, item.outcome]).toEqual([false, 'released'])
      await allBack(queue)
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [NAME] })
      await expect(item.done()).rejects.toThrow(ItemFinishedError)
    }
  })

  test('a release that fails is reported, and once more when it has succeeded', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    const reports = await inProgram<{ type: string; message: string }[]>(
      `const reports = []
      const queue = new Queue('q', { root: given.root, onReport: ({ type, message }) => reports.push({ type, message }) })
      for await (const item of queue.scan()) item.release()
      await until(() => reports.some(({ type }) => type === 'recovered'))
      await queue.close()
      return reports`,
      {
        given: { root: bed.root },
        env: {
          NODE_OPTIONS: `--require "${FAULT_BUILD}"`,
          // Twice: a failure that goes on is told once.
          FSQ_FAULTS: [1, 2].map((nth) => `finish.rename#${nth}=errno:${os.constants.errno.EROFS}`).join(';'),
        },
      },
    )
    expect(reports.map(({ type }) => type)).toEqual(['unmovable', 'recovered'])
    expect(reports[0]?.message).toContain('EROFS')
    await allBack(queue)
  })

  test('a release that fails is not tried again when the handle is closed', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    const left = await inProgram<[number, number]>(
      `const addon = (await import('node:module')).createRequire(given.addon)(given.addon)
      let reported
      const report = new Promise((resolve) => (reported = resolve))
      const queue = new Queue('q', { root: given.root, onReport: reported })
      for await (const item of queue.scan()) item.release()
      await report
      const held = addon.heldClaims()
      await queue.close()
      return [held, addon.heldClaims()]`,
      {
        given: { root: bed.root, addon: path.join(import.meta.dirname, '../../binding.cjs') },
        env: {
          NODE_OPTIONS: `--require "${FAULT_BUILD}"`,
          FSQ_FAULTS: `finish.rename=errno:${os.constants.errno.EROFS}`,
        },
      },
    )
    expect(left).toEqual([1, 0])
  })

  test.each([
    ['release', NAME],
    ['retry', NEXT],
  ] as const)('%s with a delay: it is due then', async (action, name) => {
    const queue = await installRename(bed, { maxTries: 3 })
    plant(queue, NAME)
    const begun = Date.now()
    await (await takeOne(queue))[action]({ delay: 3_600_000 })
    await allBack(queue)
    const { mtimeMs } = fs.statSync(path.join(queue.paths.queue, name))
    expect(mtimeMs - begun).toBeGreaterThan(3_590_000)
    expect(await drain(queue)).toEqual([])
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [name] })
  })

  test('a finish waits for the reads in flight', async () => {
    const queue = await installRename(bed)
    const large = Buffer.alloc(4_000_000, 'x')
    await queue.enqueue(large)
    const item = await takeOne(queue)
    const read = item.bytes()
    await item.done()
    expect((await read).length).toBe(large.length)
    expect(names(queue, 'done')).toEqual([item.id])
  })

  test('an item that is garbage-collected is given back, with a warning', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    const warning = await inProgram<{ code: string; back: boolean }>(
      `const queue = new Queue('q', { root: given.root })
      let warned
      process.on('warning', ({ code }) => (warned = code))
      await (async () => {
        const scan = queue.scan()
        await scan.next()
      })()
      await until(() => {
        gc()
        return warned !== undefined
      })
      const back = () => fs.existsSync(path.join(queue.path, 'queue', given.name))
      await until(back)
      return { code: warned, back: back() }`,
      { given: { root: bed.root, name: NAME }, flags: ['--expose-gc'] },
    )
    expect(warning).toEqual({ code: 'FSQ_ABANDONED', back: true })
  })
})

describe('the close of the handle', () => {
  test('gives back the items in hand, and removes its directory', async () => {
    const queue = await installRename(bed)
    const ids = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const item = await takeOne(queue)
    const { signal } = item
    await queue.close()
    expect(signal.reason).toBeInstanceOf(QueueClosedError)
    await expect(item.done()).rejects.toThrow(QueueClosedError)
    expect([contents(queue), workerNames(queue)]).toEqual([{ ...EMPTY, queue: ids }, []])
    expect(item.path).toBe(path.join(queue.paths.queue, item.id))
  })

  test('waits for the finishes in flight', async () => {
    const queue = await installRename(bed)
    const ids = await queue.enqueueMany(Array.from({ length: 20 }, () => ({ data: 'a' })))
    const finishes: Promise<void>[] = []
    for await (const item of queue.scan()) finishes.push(item.done())
    await queue.close()
    await Promise.all(finishes)
    expect([contents(queue), workerNames(queue)]).toEqual([{ ...EMPTY, done: ids.toSorted() }, []])
  })

  test.each(['', 'and a release that waits for them'])(
    'waits for the reads in flight %s',
    async (isReleased) => {
      const queue = await installRename(bed)
      const large = Buffer.alloc(4_000_000, 'x')
      const id = await queue.enqueue(large)
      const item = await takeOne(queue)
      const read = item.bytes()
      if (isReleased) item.release()
      await queue.close()
      expect((await read).equals(large)).toBe(true)
      expect([contents(queue), workerNames(queue)]).toEqual([{ ...EMPTY, queue: [id] }, []])
    },
  )

  test('while a handler runs: the handler ends, and so does its item', async () => {
    const queue = await installRename(bed)
    const [id = ''] = await queue.enqueueMany([{ data: 'a' }])
    let finish = (): void => undefined
    const ends = new Promise<void>((resolve) => (finish = resolve))
    let hasBegun = false
    await queue.work(async () => {
      hasBegun = true
      await ends
    })
    await until('the handler runs', () => hasBegun)
    const closed = queue.close()
    expect(claimedNames(queue)).toEqual([id])
    finish()
    await closed
    expect([contents(queue), workerNames(queue)]).toEqual([{ ...EMPTY, done: [id] }, []])
  })

  test('before a handler has ended: no other worker gets its item', async () => {
    const queue = await installRename(bed)
    const [id = ''] = await queue.enqueueMany([{ data: 'a' }])
    let finish = (): void => undefined
    const ends = new Promise<void>((resolve) => (finish = resolve))
    let hasBegun = false
    const worker = await queue.work(
      async () => {
        hasBegun = true
        await ends
      },
      { grace: 0 },
    )
    await until('the handler runs', () => hasBegun)
    await queue.close()
    expect(await drain(bed.open())).toEqual([])
    expect(claimedNames(queue)).toEqual([id])
    finish()
    await worker.gone
    await until('the directory is removed', () => workerNames(queue).length === 0)
    expect(contents(queue)).toEqual({ ...EMPTY, done: [id] })
  })
})

describe.each([
  ['where renames can be exclusive', ''],
  ['where no rename can be exclusive', BY_LINK],
])('no file is replaced, %s', (_, faults) => {
  async function claimedFirst(): Promise<{ queue: Queue; worker: SharedWorker }> {
    const queue = await installRename(bed, { maxTries: 3 })
    plant(queue, NAME, 'first')
    const worker = new SharedWorker(bed.root, faults, { maxTries: 3 })
    expect(await worker.claim()).toBe(NAME)
    return { queue, worker }
  }

  test.each([
    ['release', 'queue', NAME],
    ['retry', 'queue', NEXT],
    ['done', 'done', NAME],
    ['fail', 'fail', NAME],
  ] as const)('%s, and a file has that name: both are there', async (action, directory, taken) => {
    const { queue, worker } = await claimedFirst()
    plant(queue, taken, 'second', directory)
    const { outcome } = await worker.finish(NAME, action)
    await allBack(queue)
    const texts = textsIn(queue, directory)
    expect(texts[taken]).toBe('second')
    expect(Object.values(texts).sort()).toEqual(['first', 'second'])
    expect(outcome).toBe({ release: 'released', retry: 'waiting', done: 'done', fail: 'failed' }[action])
    if (directory === 'queue') expect(await drain(queue)).toHaveLength(2)
  })

  test('the second is claimed, too, while the first is: both are done', async () => {
    const { queue, worker } = await claimedFirst()
    plant(queue, NAME, 'second')
    // The same worker has that name in hand: the item waits for it.
    expect(await worker.ask('claim')).toEqual({})
    const other = new SharedWorker(bed.root, faults)
    expect(await other.claim()).toBe(NAME)
    expect(await other.finish(NAME, 'done')).toEqual({ id: NAME, outcome: 'done' })
    const { id } = await worker.finish(NAME, 'done')
    expect(itemKey(String(id), '%')).not.toBe(itemKey(NAME, '%'))
    expect(textsIn(queue, 'done')).toEqual({ [NAME]: 'second', [String(id)]: 'first' })
  })

  test('the take-over of a dead worker, and a file has that name: both are there', async () => {
    const { queue, worker } = await claimedFirst()
    plant(queue, NAME, 'second')
    await worker.kill()
    const next = new SharedWorker(bed.root, faults)
    await next.claim()
    await next.claim()
    expect(claimedNames(queue)).toHaveLength(2)
    expect(workerNames(queue)).toHaveLength(1)
    await next.ask('close')
    expect(Object.values(textsIn(queue, 'queue')).sort()).toEqual(['first', 'second'])
    expect(textsIn(queue, 'queue')[NAME]).toBe('second')
  })
})

describe('the number of a claim', () => {
  test('grows from claim to claim of one item, whichever worker has it', async () => {
    const queue = await installRename(bed, { maxTries: 9 })
    plant(queue, NAME)
    const numbers: (number | undefined)[] = []
    const handles = [queue, bed.open({ maxTries: 9 })]
    for (const end of ['release', 'retry', 'release', 'retry'] as const) {
      for (const handle of handles) {
        const item = await takeOne(handle)
        numbers.push(item.claim)
        await item[end]()
        await allBack(queue)
      }
    }
    for (const [index, number] of numbers.entries()) {
      expect(number).toBeGreaterThan(numbers[index - 1] ?? Date.UTC(2020) * 1000)
    }
  })

  test('is undefined in a queue with locks', async () => {
    const queue = await bed.install()
    plant(queue, NAME)
    const item = await takeOne(queue)
    expect(item.claim).toBeUndefined()
    await item.done()
  })
})

describe('while an item is claimed', () => {
  test('the queue is replaced: the item is gone with the old one, and the handle goes on in the new queue', async () => {
    const queue = await installRename(bed)
    await queue.enqueue('old')
    const item = await takeOne(queue)
    await installRename(bed, { force: true })
    await expect(item.done()).rejects.toMatchObject({ code: 'ERR_FSQ_ITEM_GONE' })
    const id = await queue.enqueue('new')
    expect(await drain(queue)).toEqual([id])
    expect(contents(queue)).toEqual({ ...EMPTY, done: [id] })
  })

  test('the queue is moved away and another installed: the item is done where it is', async () => {
    const queue = await installRename(bed)
    const old = await queue.enqueue('old')
    const item = await takeOne(queue)
    fs.renameSync(queue.path, bed.path('old'))
    await installRename(bed)
    const id = await queue.enqueue('new')
    expect(await drain(queue)).toEqual([id])
    await item.done()
    expect(contents(queue)).toEqual({ ...EMPTY, done: [id] })
    expect(fs.readdirSync(bed.path('old', 'done'))).toEqual([old])
    await queue.close()
    expect([workerNames(queue), workerNames({ path: bed.path('old') })]).toEqual([[], []])
  })

  test('the queue is uninstalled by force: the item is gone with it', async () => {
    const queue = await installRename(bed)
    const id = await queue.enqueue(Buffer.alloc(200_000))
    const item = await takeOne(queue)
    await bed.open().uninstall({ force: true })
    const why = `the item '${id}': its queue has been removed or replaced, and the item with it`
    const gone = { name: 'ItemGoneError', code: 'ERR_FSQ_ITEM_GONE' }
    for (const [doing, attempt] of [
      ['read', async () => item.text()],
      ['finish (done)', async () => item.done()],
    ] as const)
      await expect(attempt()).rejects.toMatchObject({
        ...gone,
        message: expect.stringContaining(`Cannot ${doing} ${why}`),
      })
    expect(item.outcome).toBe('gone')
    expect(fs.existsSync(queue.path)).toBe(false)
  })

  test('the queue is uninstalled without force: refused, and nothing changes', async () => {
    const queue = await installRename(bed)
    const id = await queue.enqueue('old')
    const item = await takeOne(queue)
    await expect(bed.open().uninstall()).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_FSQ_/) })
    await item.done()
    expect(contents(queue)).toEqual({ ...EMPTY, done: [id] })
  })
})

test('threads that are terminated with items in hand: the items are back', async () => {
  const root = makeDirectory({ quick: true })
  const index = new URL('../../dist/index.js', import.meta.url).href
  const ids = await inProgram<string[]>(
    `const queue = await Queue.install('q', { root: given.root, claims: 'rename' })
    const ids = await queue.enqueueMany(Array.from({ length: 30 }, () => ({ data: 'x' })))
    await queue.close()
    return ids`,
    { given: { root } },
  )
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    void import(workerData.index).then(async ({ Queue }) => {
      const queue = new Queue('q', { root: workerData.root })
      const items = []
      globalThis.scan = queue.scan({ prefetch: 4 })
      for (let count = 0; count < 3; count++) items.push((await scan.next()).value)
      globalThis.items = items
      parentPort.postMessage(items.map(({ id }) => id))
      setInterval(() => items, 1000)
    })`
  const threads = Array.from(
    { length: 3 },
    () => new Worker(code, { eval: true, workerData: { index, root } }),
  )
  const queue = bed.open({ root })
  try {
    await Promise.all(threads.map(async (thread) => once(thread, 'message')))
    expect(workerNames(queue)).toHaveLength(3)
    expect(claimedNames(queue).length).toBeGreaterThanOrEqual(9)
  } finally {
    await Promise.all(threads.map(async (thread) => thread.terminate()))
  }
  expect((await drain(queue)).toSorted()).toEqual(ids.toSorted())
  expect([names(queue, 'done'), claimedNames(queue)]).toEqual([ids.toSorted(), []])
  await queue.close()
  expect(workerNames(queue)).toEqual([])
})
