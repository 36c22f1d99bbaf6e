import { Buffer, constants } from 'node:buffer'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { ContentError, ItemFinishedError, QueueClosedError, SettingError } from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { errorOf, isLocked, takeOne, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const large = randomBytes(1_000_000)
// Contents that are read along with the claim, and contents that are not.
const sizes = [
  ['small', large.subarray(0, 100)],
  ['large', large],
] as const

async function itemOf(content: Buffer): Promise<WorkItem> {
  const queue = await bed.install({ force: true })
  await queue.enqueue(content, ['x'])
  return takeOne(queue)
}

function offsetOf(item: WorkItem): string | undefined {
  return /^pos:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${item.fd}`, 'utf8'))?.[1]
}

describe.each(sizes)('of a %s item', (_what, content) => {
  test('the whole, again and again, and several at once', async () => {
    const item = await itemOf(content)
    expect((await buffer(item.stream())).equals(content)).toBe(true)
    const together = [content.length / 100, 7000, 490_000].map(async (highWaterMark) =>
      buffer(item.stream({ highWaterMark })),
    )
    for (const bytes of await Promise.all(together)) expect(bytes.equals(content)).toBe(true)
    expect((await item.bytes()).equals(content)).toBe(true)
    expect(offsetOf(item)).toBe('0')
    expect(fs.fstatSync(item.fd).isFile()).toBe(true)
    await item.done()
  })

  test('any part of it', async () => {
    const item = await itemOf(content)
    const most = content.length + 10
    await fc.assert(
      fc.asyncProperty(
        fc.nat(most),
        fc.nat(most),
        fc.integer({ min: 1000, max: 300_000 }),
        async (one, two, highWaterMark) => {
          const [start, end] = one < two ? [one, two] : [two, one]
          const bytes = await buffer(item.stream({ start, end, highWaterMark }))
          expect(bytes.equals(content.subarray(start, end + 1))).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
    expect((await buffer(item.stream({ start: most }))).length).toBe(0)
    await item.done()
  })

  test('left early, it closes nothing', async () => {
    const item = await itemOf(content)
    for await (const chunk of item.stream({ highWaterMark: 10 })) {
      expect((chunk as Buffer).equals(content.subarray(0, 10))).toBe(true)
      break
    }
    item.stream().destroy()
    expect(isLocked(item.path)).toBe(true)
    expect((await item.bytes()).equals(content)).toBe(true)
    await item.done()
  })

  test('into a file, and as a Web stream', async () => {
    const item = await itemOf(content)
    await pipeline(item.stream(), fs.createWriteStream(bed.path('copy')))
    expect(fs.readFileSync(bed.path('copy')).equals(content)).toBe(true)
    const response = new Response(Readable.toWeb(item.stream()) as ReadableStream)
    expect(Buffer.from(await response.arrayBuffer()).equals(content)).toBe(true)
    await item.done()
  })

  test('into another queue', async () => {
    const item = await itemOf(content)
    const other = await bed.install({}, 'other')
    await other.enqueue(item.stream(), item.args)
    await item.done()
    expect((await (await takeOne(other)).bytes()).equals(content)).toBe(true)
  })

  test.each(['done', 'fail', 'discard', 'release'] as const)(
    '%s ends one that is not at its end',
    async (finish) => {
      const item = await itemOf(content)
      const stream = item.stream({ highWaterMark: 10 })
      const forgotten = item.stream({ highWaterMark: 10 })
      const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
      expect((await iterator.next()).value).toHaveLength(10)
      // A read of the stream is under way.
      await item[finish]()
      const rest = async (): Promise<void> => {
        while ((await iterator.next()).done !== true);
      }
      await expect(rest()).rejects.toThrow(ItemFinishedError)
      expect(() => item.stream()).toThrow(ItemFinishedError)
      // No reader: the error reaches no listener.
      expect(forgotten.destroyed).toBe(false)
    },
  )

  test('that was read to its last byte ends as it should, whatever happens to the item', async () => {
    const item = await itemOf(content)
    const stream = item.stream({ highWaterMark: 2_000_000 })
    await new Promise((resolve) => stream.once('readable', resolve))
    await item.done()
    expect((await buffer(stream)).equals(content)).toBe(true)
  })

  test('the handle of the queue is closed meanwhile', async () => {
    const queue = await bed.install()
    await queue.enqueue(content)
    const item = await takeOne(queue)
    const stream = item.stream({ highWaterMark: 10 })
    await new Promise((resolve) => stream.once('readable', resolve))
    await queue.close()
    await expect(buffer(stream)).rejects.toThrow(QueueClosedError)
  })

  test('a signal destroys it', async () => {
    const item = await itemOf(content)
    const controller = new AbortController()
    const stream = item.stream({ signal: controller.signal, highWaterMark: 10 })
    await new Promise((resolve) => stream.once('readable', resolve))
    controller.abort()
    await expect(buffer(stream)).rejects.toMatchObject({ name: 'AbortError' })
    expect(item.claimed).toBe(true)
    await item.done()
  })
})

test('of an empty item', async () => {
  const item = await itemOf(Buffer.alloc(0))
  expect(await text(item.stream())).toBe('')
  await item.done()
})

test.each([
  ['start', -1],
  ['start', 1.5],
  ['start', '1'],
  ['start', 1n],
  ['end', 1n],
  ['end', -1],
  ['end', Number.NaN],
  ['highWaterMark', 0],
  ['signal', null],
  ['encoding', 'utf8'],
])('%s: %p is refused', async (name, value) => {
  const item = await itemOf(large)
  expect(() => item.stream({ [name]: value })).toThrow(SettingError)
  expect(() => item.stream({ [name]: value })).toThrow(new RegExp(name))
  await item.done()
})

test('an end before the start is refused', async () => {
  const item = await itemOf(large)
  expect(() => item.stream({ start: 5, end: 4 })).toThrow(
    /end is 4, expected a whole number of bytes, at least 5/,
  )
  await item.done()
})

test('a finish waits for the read that is under way, not for a slow reader', async () => {
  const item = await itemOf(large)
  const slow = new Writable({
    highWaterMark: 1,
    write(_chunk, _encoding, done) {
      setImmediate(done)
    },
  })
  const piped = errorOf(async () => pipeline(item.stream({ highWaterMark: 1000 }), slow))
  await item.done()
  expect(await piped).toBeInstanceOf(ItemFinishedError)
})

test('a program that has the descriptor as its standard input reads from the beginning', async () => {
  const item = await itemOf(large)
  await item.text()
  await buffer(item.stream())
  const child = spawn('cat', [], { stdio: [item.fd, 'pipe', 'inherit'] })
  if (child.stdout === null) throw new Error('no output')
  expect((await buffer(child.stdout)).equals(large)).toBe(true)
  await item.done()
})

test('memory stays flat', async () => {
  const queue = await bed.install({ durability: 'none' })
  const size = 300 * 1024 * 1024
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  async function* source(): AsyncGenerator<Buffer> {
    for (let sent = 0; sent < size; sent += chunk.length) yield chunk
  }
  const before = process.memoryUsage.rss()
  let most = 0
  const look = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 5)
  await queue.enqueue(source())
  const item = await takeOne(queue)
  let read = 0
  for await (const bytes of item.stream()) read += (bytes as Buffer).length
  clearInterval(look)
  await item.discard()
  expect(read).toBe(size)
  expect(most - before).toBeLessThan(size / 3)
})

test('a file that was truncated after the claim is an error, not shorter contents', async () => {
  const item = await itemOf(large)
  fs.truncateSync(item.path, 300_000)
  const reads: readonly (() => Promise<unknown>)[] = [
    async () => item.bytes(),
    async () => item.text(),
    async () => item.json(),
    async () => buffer(item.stream()),
    async () => buffer(item.stream({ start: 400_000 })),
  ]
  for (const read of reads) {
    const error = await errorOf(read)
    expect(error).toBeInstanceOf(ContentError)
    expect((error as ContentError).message).toMatch(
      /had 1000000 bytes when it was claimed, and has no more than (3|4)00000 now: .*retry or fail this item/,
    )
  }
  expect((await buffer(item.stream({ end: 299_999 }))).equals(large.subarray(0, 300_000))).toBe(true)
  await item.fail()
})

// From Node 22 on a Buffer can be larger than any file.
const LARGEST_FILE = 2 ** 43

test.each(
  (
    [
      ['text', constants.MAX_STRING_LENGTH, async (item) => item.text()],
      ['json', constants.MAX_STRING_LENGTH, async (item) => item.json()],
      ['bytes', constants.MAX_LENGTH, async (item) => item.bytes()],
    ] as readonly [string, number, (item: WorkItem) => Promise<unknown>][]
  ).filter(([, most]) => most < LARGEST_FILE),
)('%s of an item that is too large for that says so', async (_what, most, read) => {
  const queue = await bed.install()
  const id = await queue.enqueue('x')
  fs.truncateSync(path.join(queue.paths.queue, id), most + 1)
  const item = await takeOne(queue)
  const error = await errorOf(async () => read(item))
  expect(error).toBeInstanceOf(ContentError)
  expect((error as ContentError).message).toMatch(
    /has \d+ bytes, and one value can hold \d+\. Read it with item\.stream/,
  )
  await item.done()
})
