// Large contents in memory: they are written straight from the memory of the caller, which the caller may take away meanwhile.
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { Worker } from 'node:worker_threads'

import { describe, expect, test } from '@jest/globals'

import { type EnqueueManyError, PayloadError } from '../../src/errors/classes.js'
import type { Payload } from '../../src/enqueue/payload.js'
import { Turns } from '../../src/enqueue/turns.js'
import type { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { ifManyFiles } from '../support/needs.js'
import {
  EMPTY,
  checkError,
  contents,
  errorOf,
  inProgram,
  names,
  pathOf,
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const SIZE = 3 * 1024 * 1024

const durabilities = ['none', 'enqueue'] as const
type Enqueue = (queue: Queue, data: Payload) => Promise<string>
const ways: readonly (readonly [string, Enqueue])[] = [
  ['enqueue', async (queue, data) => queue.enqueue(data)],
  [
    'enqueueMany',
    async (queue, data) => {
      try {
        return (await queue.enqueueMany([{ data }]))[0] ?? ''
      } catch (error) {
        const [outcome] = (error as EnqueueManyError).outcomes
        throw outcome !== undefined && 'error' in outcome ? outcome.error : error
      }
    },
  ],
]

/** A queue whose directory is open, so that its first enqueue, too, goes to native code before the call returns. */
async function openQueue(durability: (typeof durabilities)[number]): Promise<Queue> {
  const queue = await bed.install({ durability })
  await queue.enqueue('opens')
  for await (const item of queue.scan()) await item.discard()
  return queue
}

function readItem(queue: Queue, id: string): Buffer {
  return fs.readFileSync(pathOf(queue, 'queue', id))
}

/** The whole item, or an error that names the reason, and nothing of the item. */
async function wholeOrRefused(queue: Queue, enqueued: Promise<unknown>, expected: Buffer): Promise<boolean> {
  const result = await enqueued.catch((error: unknown) => error)
  if (typeof result === 'string') {
    expect(readItem(queue, result).equals(expected)).toBe(true)
    return true
  }
  checkError(result, {
    type: PayloadError,
    says: /The buffer of the payload was transferred away while it was written.*keep the buffer until the enqueue has settled/,
  })
  expect(contents(queue)).toEqual(EMPTY)
  return false
}

/** Extensions of ES2024 that the oldest supported Node has, though not the types of this project. */
type Resizable = ArrayBuffer & { resize(size: number): void }
type Growable = SharedArrayBuffer & { grow(size: number): void }
const ResizableBuffer = ArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => Resizable
const GrowableBuffer = SharedArrayBuffer as unknown as new (
  size: number,
  options: { maxByteLength: number },
) => Growable

interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}
// The types of Node have no WebAssembly.
const { Memory } = (
  globalThis as unknown as {
    WebAssembly: { Memory: new (limits: { initial: number; maximum: number }) => WasmMemory }
  }
).WebAssembly

describe.each(durabilities)('durability %s', (durability) => {
  describe.each(ways)('%s', (_way, enqueue) => {
    const kinds: readonly (readonly [string, (bytes: Buffer) => Payload])[] = [
      ['a Buffer', (bytes) => Buffer.from(bytes)],
      [
        'a view with an offset',
        (bytes) => {
          const view = new Uint8Array(SIZE + 20).subarray(7, 7 + SIZE)
          view.set(bytes)
          return view
        },
      ],
      ['an ArrayBuffer', (bytes) => Uint8Array.from(bytes).buffer],
      ['wide elements', (bytes) => new Float64Array(Uint8Array.from(bytes).buffer)],
      ['a DataView', (bytes) => new DataView(Uint8Array.from(bytes).buffer)],
      [
        'shared memory',
        (bytes) => {
          const view = new Uint8Array(new SharedArrayBuffer(SIZE))
          view.set(bytes)
          return view.buffer
        },
      ],
    ]

    test.each(kinds)('of %s', async (_what, make) => {
      const queue = await openQueue(durability)
      const bytes = randomBytes(SIZE)
      const id = await enqueue(queue, make(bytes))
      expect(readItem(queue, id).equals(bytes)).toBe(true)
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
      expect(fs.statSync(pathOf(queue, 'queue', id)).mode & 0o777).toBe(queue.settings.itemMode)
    })

    test('of a text', async () => {
      const queue = await openQueue(durability)
      const text = 'ä€😀x'.repeat(200_000)
      expect(readItem(queue, await enqueue(queue, text)).toString() === text).toBe(true)
      const json = { text }
      expect(JSON.parse(readItem(queue, await enqueue(queue, { json })).toString())).toEqual(json)
    })

    test('of a buffer that is transferred right after the call', async () => {
      const queue = await openQueue(durability)
      const { buffer } = Uint8Array.from(randomBytes(SIZE))
      const expected = Buffer.from(buffer.slice(0))
      const enqueued = enqueue(queue, buffer)
      structuredClone(buffer, { transfer: [buffer] })
      expect(await wholeOrRefused(queue, enqueued, expected)).toBe(false)
    })

    test('of a buffer that is transferred to a thread, which ends and frees it', async () => {
      const queue = await openQueue(durability)
      const worker = new Worker(
        "require('node:worker_threads').parentPort.once('message', () => undefined)",
        {
          eval: true,
        },
      )
      const { buffer } = Uint8Array.from(randomBytes(SIZE))
      const expected = Buffer.from(buffer.slice(0))
      const enqueued = enqueue(queue, buffer).catch((error: unknown) => error)
      worker.postMessage(buffer, [buffer])
      await new Promise((resolve) => worker.once('exit', resolve))
      expect(await wholeOrRefused(queue, enqueued, expected)).toBe(false)
    })

    test('of a view of the memory of WebAssembly, which grows', async () => {
      const queue = await openQueue(durability)
      const memory = new Memory({ initial: SIZE / 65_536, maximum: 4096 })
      const view = new Uint8Array(memory.buffer)
      view.set(randomBytes(SIZE))
      const expected = Buffer.from(view)
      const enqueued = enqueue(queue, view)
      memory.grow(1)
      expect(await wholeOrRefused(queue, enqueued, expected)).toBe(false)
    })

    test.each([
      ['smaller', [SIZE / 2]],
      ['empty, and as large as before', [0, SIZE]],
      ['larger', [2 * SIZE]],
    ])('of a buffer that is made %s: the item is whole', async (_how, sizes) => {
      const queue = await openQueue(durability)
      const expected = randomBytes(SIZE)
      for (const track of [true, false]) {
        const buffer = new ResizableBuffer(SIZE, { maxByteLength: 2 * SIZE })
        const view = track ? new Uint8Array(buffer) : new Uint8Array(buffer, 0, SIZE)
        view.set(expected)
        const enqueued = enqueue(queue, view)
        for (const size of sizes) buffer.resize(size)
        expect(readItem(queue, await enqueued).equals(expected)).toBe(true)
      }
    })

    test('of shared memory that grows: the item is whole', async () => {
      const queue = await openQueue(durability)
      const buffer = new GrowableBuffer(SIZE, { maxByteLength: 2 * SIZE })
      const view = new Uint8Array(buffer)
      const expected = randomBytes(SIZE)
      view.set(expected)
      const enqueued = enqueue(queue, view)
      buffer.grow(2 * SIZE)
      expect(readItem(queue, await enqueued).equals(expected)).toBe(true)
    })
  })
})

describe('many at once', () => {
  test.each(durabilities)('are whole, however many buffers are transferred away (%s)', async (durability) => {
    const queue = await openQueue(durability)
    const items = Array.from({ length: 100 }, (_, index) => Buffer.alloc(400_000, index))
    const calls = items.map(async (bytes, index) => {
      // Memory of its own: Buffer.alloc may have put several into one.
      const own = Uint8Array.from(bytes)
      const enqueued = queue.enqueue(own, [index])
      if (index % 3 === 0) structuredClone(own.buffer, { transfer: [own.buffer] })
      return enqueued.catch((error: unknown) => error)
    })
    const results = await Promise.all(calls)
    for (const [index, result] of results.entries()) {
      if (typeof result === 'string')
        expect(readItem(queue, result).equals(items[index] as Buffer)).toBe(true)
      else expect(result).toBeInstanceOf(PayloadError)
    }
    const added = results.filter((result) => typeof result === 'string')
    expect(added).toHaveLength(66)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: added.toSorted() })
  })

  ifManyFiles().test.each(durabilities)(
    'in one call keep their order among small ones (%s)',
    async (durability) => {
      const queue = await openQueue(durability)
      const large = Buffer.alloc(300_000, 'x')
      const datas = [null, 'x', large, 'y'.repeat(300_000)]
      const entries = Array.from({ length: 300 }, (_, index) => ({
        data: datas[(index * 7 + (index >> 5)) % 4] as Payload,
        args: [index],
      }))
      const ids = await queue.enqueueMany(entries)
      const order: string[] = []
      for await (const item of queue.scan()) order.push(item.id)
      expect(order).toEqual(ids)
      for (const [index, { data }] of entries.entries()) {
        const size = data === null ? 0 : (data as string | Buffer).length
        expect(fs.statSync(pathOf(queue, 'queue', ids[index] ?? '')).size).toBe(size)
      }
      expect(names(queue, 'tmp')).toEqual([])
    },
  )

  test('one that fails does not touch the others of its call', async () => {
    const queue = await openQueue('none')
    const gone = new Uint8Array(300_000)
    const enqueued = queue.enqueueMany([{ data: Buffer.alloc(300_000) }, { data: gone }, { data: 'last' }])
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    const { outcomes } = (await errorOf(async () => enqueued)) as EnqueueManyError
    expect(outcomes.map((outcome) => ('id' in outcome ? 'id' : outcome.error.name))).toEqual([
      'id',
      'PayloadError',
      'id',
    ])
    expect(names(queue, 'queue')).toHaveLength(2)
  })

  test.each(durabilities)('need no more descriptors than there are (%s)', async (durability) => {
    const queue = await openQueue(durability)
    const body = `
      const taken = []
      const queue = new Queue('q', { root: given.root, durability: given.durability })
      await queue.counts()
      try { for (;;) taken.push(fs.openSync('/dev/null', 'r')) } catch {}
      for (let room = 0; room < 3; room++) fs.closeSync(taken.pop())
      const data = Buffer.alloc(300_000)
      const many = await queue.enqueueMany(Array.from({ length: 50 }, () => ({ data })))
      const calls = await Promise.all(Array.from({ length: 50 }, () => queue.enqueue(data)))
      for (const descriptor of taken) fs.closeSync(descriptor)
      return [...many, ...calls]`
    const given = { root: bed.root, durability }
    const ids = await inProgram<string[]>(body, { given, shell: 'ulimit -n 64' })
    expect(ids).toHaveLength(100)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [...ids].sort() })
  })
})

describe('without unnamed inodes', () => {
  test('only the owner may read the file in tmp/ until the item has its name', async () => {
    const queue = await bed.install({ itemMode: '0664', durability: 'none' })
    const pause = bed.path('pause')
    const body = `
      const queue = new Queue('q', { root: given.root, itemMode: '0664', durability: 'none' })
      const tmp = given.root + '/q/tmp'
      const enqueued = queue.enqueue(Buffer.alloc(300_000))
      while (!fs.existsSync(given.pause)) await new Promise((resolve) => setTimeout(resolve, 5))
      const modes = fs.readdirSync(tmp).map((name) => fs.statSync(tmp + '/' + name).mode & 0o777)
      fs.unlinkSync(given.pause)
      return { modes, id: await enqueued }`
    const faults = `enqueue.open#1=errno:95;enqueue.write#1=pause:${pause}`
    const { modes, id } = await inProgram<{ modes: number[]; id: string }>(body, {
      given: { root: bed.root, pause },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: faults },
    })
    expect(modes).toEqual([0o600])
    expect(fs.statSync(pathOf(queue, 'queue', id)).mode & 0o777).toBe(0o664)
  })
})

describe('a signal', () => {
  test.each(durabilities)('cancels those that wait for their turn (%s)', async (durability) => {
    const queue = await bed.install({ durability })
    const controller = new AbortController()
    const reason = new Error('changed my mind')
    const { signal } = controller
    const data = Buffer.alloc(2_000_000)
    const calls = Array.from({ length: 100 }, async () => queue.enqueue(data, [], { signal }))
    const settled = Promise.allSettled(calls)
    controller.abort(reason)
    const results = await settled
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toBe(reason)
    }
    const added = results.filter(({ status }) => status === 'fulfilled')
    expect(added.length).toBeLessThan(100)
    expect(names(queue, 'queue')).toHaveLength(added.length)
    expect(names(queue, 'tmp')).toEqual([])
  })
})

test('small items do not wait for large ones', async () => {
  const queue = await bed.install({ durability: 'none' })
  const data = Buffer.alloc(20_000_000)
  let left = 60
  const large = Array.from({ length: left }, async () => queue.enqueue(data).finally(() => left--))
  for (let count = 0; count < 20; count++) await queue.enqueue('small')
  expect(left).toBeGreaterThan(30)
  await Promise.all(large)
})

test('memory of texts: only those whose turn has come are encoded', async () => {
  const queue = await bed.install({ durability: 'none' })
  const text = 'x'.repeat(4_000_000)
  const before = process.memoryUsage().arrayBuffers
  const calls = Array.from({ length: 60 }, async () => queue.enqueue(text))
  let most = 0
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 1)
  await Promise.all(calls)
  clearInterval(watch)
  expect(most - before).toBeLessThan(130_000_000)
  await until('all are there', () => names(queue, 'queue').length === 60)
})

test('turns are given out in the order of the requests', async () => {
  const turns = new Turns(2)
  expect([turns.take(), turns.take()]).toEqual([undefined, undefined])
  const order: number[] = []
  const waiting = [1, 2].map(async (number) => {
    await turns.take()
    order.push(number)
  })
  turns.giveBack()
  turns.giveBack()
  await Promise.all(waiting)
  expect(order).toEqual([1, 2])
  expect(turns.take()).toBeInstanceOf(Promise)
  turns.giveBack()
  turns.giveBack()
  expect(turns.take()).toBeUndefined()
})

test.each(durabilities)(
  'the mode of a large item is that of the queue, also just after a small one (%s)',
  async (durability) => {
    const queue = await bed.install({ durability })
    for (let round = 0; round < 5; round++) {
      await queue.enqueue('small')
      const alone = await queue.enqueue(Buffer.alloc(200_000))
      const [, last = ''] = await queue.enqueueMany([{ data: 'small' }, { data: 'x'.repeat(200_000) }])
      for (const id of [alone, last])
        expect((fs.statSync(pathOf(queue, 'queue', id)).mode & 0o7777).toString(8)).toBe(
          queue.settings.itemMode.toString(8),
        )
    }
  },
)
