import { Buffer } from 'node:buffer'
import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { Duplex, Readable } from 'node:stream'
import { createGunzip, gzipSync } from 'node:zlib'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { QueueMissingError } from '../../src/errors/classes.js'
import type { Payload } from '../../src/enqueue/payload.js'
import { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { EMPTY, contents, inProgram, names, pathOf, run, takeOne, useTestBed } from '../support/queue.js'
import { LARGE, large, ways, cut, generator, webStream } from './sources.js'

const bed = useTestBed()

const text = 'größer 中😀 '.repeat(50_000)

function byteStream(bytes: Buffer): ReadableStream {
  const chunks = cut(bytes, 70_000)
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      const { done, value } = chunks.next() as { done?: boolean; value: Buffer }
      if (done === true) controller.close()
      else controller.enqueue(new Uint8Array(value))
    },
  })
}

/** Like many that are not of Node: no iterator. */
function foreignStream(bytes: Buffer): unknown {
  const stream = webStream(cut(bytes, 70_000))
  return { locked: false, getReader: () => stream.getReader(), cancel: async () => stream.cancel() }
}

function partlyRead(): Readable {
  const stream = Readable.from([Buffer.from('head'), Buffer.from('tail')], { objectMode: true })
  expect(String(stream.read())).toBe('head')
  return stream
}

const sources: readonly (readonly [string, () => unknown, Buffer])[] = [
  ['a Readable of bytes', () => Readable.from(cut(large, 65_536)), large],
  [
    'a Readable of tiny chunks',
    () => Readable.from(cut(large.subarray(0, 3000), 1)),
    large.subarray(0, 3000),
  ],
  ['a Readable of one huge chunk', () => Readable.from([large]), large],
  ['a Readable of text', () => Readable.from([text, text]), Buffer.from(text + text)],
  ['an empty Readable', () => Readable.from([]), Buffer.alloc(0)],
  ['a Readable of empty chunks', () => Readable.from(['', Buffer.alloc(0), 'x', '']), Buffer.from('x')],
  ['a Readable that was read from', partlyRead, Buffer.from('tail')],
  ['a Transform', () => Readable.from([gzipSync(large)]).pipe(createGunzip()), large],
  ['a Duplex', () => Duplex.from(generator(large)), large],
  ['a generator of bytes', () => generator(...cut(large, 50_000)), large],
  ['a generator of text', () => generator(text, 'end'), Buffer.from(`${text}end`)],
  [
    'a generator of bytes of all shapes',
    () =>
      generator<unknown>(
        'a',
        new Uint16Array([0x6262]),
        new DataView(new ArrayBuffer(0)),
        new ArrayBuffer(2),
      ),
    Buffer.from('abb\0\0'),
  ],
  ['a Blob', () => new Blob([large, 'ü']), Buffer.concat([large, Buffer.from('ü')])],
  ['an empty Blob', () => new Blob([]), Buffer.alloc(0)],
  ['a Web stream of bytes', () => webStream(cut(large, 65_536)), large],
  ['a Web stream of text', () => webStream(['a', 'ü']), Buffer.from('aü')],
  ['a Web byte stream', () => byteStream(large), large],
  ['an empty Web stream', () => webStream([]), Buffer.alloc(0)],
  ['a Web stream of another package', () => foreignStream(large), large],
  ['the body of a Response', () => new Response(new Uint8Array(large)).body, large],
]

describe.each(ways)('%s of', (_way, enqueue) => {
  test.each(sources)('%s', async (_what, make, expected) => {
    const queue = await bed.install()
    const id = await enqueue(queue, make())
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
    const file = pathOf(queue, 'queue', id)
    expect(expected.equals(fs.readFileSync(file))).toBe(true)
    expect(fs.statSync(file)).toMatchObject({ nlink: 1 })
    expect(fs.statSync(file).mode & 0o7777).toBe(0o640)
    expect(expected.equals(await (await takeOne(queue)).bytes())).toBe(true)
  })

  test('a stream of node:fs, which has a path and a descriptor, too', async () => {
    const queue = await bed.install()
    fs.writeFileSync(bed.path('file'), large)
    const id = await enqueue(queue, fs.createReadStream(bed.path('file'), { start: 10 }))
    expect(fs.readFileSync(pathOf(queue, 'queue', id)).equals(large.subarray(10))).toBe(true)
  })

  test('the output of a program', async () => {
    const queue = await bed.install()
    const child = spawn('sh', ['-c', 'printf begin; head -c 500000 /dev/zero; printf end'])
    const id = await enqueue(queue, child.stdout)
    const content = fs.readFileSync(pathOf(queue, 'queue', id), 'latin1')
    expect([content.length, content.slice(0, 5), content.slice(-3)]).toEqual([500_008, 'begin', 'end'])
  })
})

test('with delay, owner and mode, as other items', async () => {
  const queue = await bed.install({ itemMode: 0o600, itemUser: process.getuid?.() ?? 0 })
  const before = Date.now()
  const id = await queue.enqueue(Readable.from(cut(large, 100_000)), [], { delay: 3_600_000 })
  const { mtimeMs, mode, size } = fs.statSync(pathOf(queue, 'queue', id))
  expect(mtimeMs).toBeGreaterThanOrEqual(before + 3_599_000)
  expect({ mode: mode & 0o7777, size }).toEqual({ mode: 0o600, size: LARGE })
})

test.each(['none', 'enqueue'] as const)(
  'many of all kinds, in the order of the array: %s',
  async (durability) => {
    const queue = await bed.install({ durability })
    fs.writeFileSync(bed.path('file'), 'path')
    const data = [
      'a',
      Readable.from(['b']),
      { path: bed.path('file') },
      webStream(cut(large, 90_000)),
      null,
      generator('c'),
      'd',
    ]
    const ids = await queue.enqueueMany(data.map((one, index) => ({ data: one as Payload, args: [index] })))
    const found: string[] = []
    for await (const item of queue.scan()) {
      expect(item.id).toBe(ids[found.length])
      found.push(item.size === LARGE ? 'large' : await item.text())
      await item.done()
    }
    expect(found).toEqual(['a', 'b', 'path', 'large', '', 'c', 'd'])
  },
)

test('a hundred streams at once', async () => {
  const queue = await bed.install()
  const sizes = Array.from({ length: 100 }, (_, index) => index * 9000)
  await Promise.all(
    sizes.map((size) => queue.enqueue(Readable.from(cut(large.subarray(0, size), 10_000)), [size])),
  )
  for await (const item of queue.scan()) {
    expect((await item.bytes()).equals(large.subarray(0, Number(item.args[0])))).toBe(true)
    await item.done()
  }
  expect(names(queue, 'done')).toHaveLength(100)
  expect(names(queue, 'tmp')).toEqual([])
})

test('however a text is cut into chunks, of text or bytes, it arrives as it was', async () => {
  const queue = await bed.install({ durability: 'none' })
  const chunks = fc
    .array(fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.constant('😀'.repeat(50_000))), {
      maxLength: 6,
    })
    .chain((texts) =>
      fc.record({
        whole: fc.constant(texts.join('')),
        cuts: fc.array(fc.nat({ max: texts.join('').length }), { maxLength: 12 }),
      }),
    )
  await fc.assert(
    fc.asyncProperty(chunks, async ({ whole, cuts }) => {
      const at = [0, ...cuts.sort((a, b) => a - b), whole.length]
      const parts = at.slice(1).map((end, index) => whole.slice(at[index], end))
      const id = await queue.enqueue(generator(...parts))
      const file = pathOf(queue, 'queue', id)
      const content = fs.readFileSync(file)
      fs.unlinkSync(file)
      expect(content.equals(Buffer.from(whole))).toBe(true)
    }),
    { numRuns: 150 },
  )
})

describe('a descriptor', () => {
  test.each(['enqueue', 'enqueueSync', 'enqueueMany'] as const)(
    '%s: from its position, which stays, and it is not closed',
    async (way) => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('file'), large)
      const fd = bed.descriptor(bed.path('file'))
      fs.readSync(fd, Buffer.alloc(100))
      for (let round = 0; round < 2; round++) {
        const data = { fd }
        const id =
          way === 'enqueueMany' ? (await queue.enqueueMany([{ data }]))[0] : await queue[way](data, ['x'])
        expect(fs.readFileSync(pathOf(queue, 'queue', id ?? '')).equals(large.subarray(100))).toBe(true)
      }
      const next = Buffer.alloc(1)
      fs.readSync(fd, next)
      expect(next[0]).toBe(large[100])
    },
  )

  test('of a FileHandle, of /proc, past the end, and of another file system', async () => {
    const queue = await bed.install()
    fs.writeFileSync(bed.path('file'), 'handle')
    const handle = await fs.promises.open(bed.path('file'))
    const ids = [await queue.enqueue(handle)]
    await handle.read(Buffer.alloc(10))
    ids.push(await queue.enqueue(handle))
    await handle.close()
    ids.push(await queue.enqueue({ fd: bed.descriptor('/proc/version') }))
    const elsewhere = fs.mkdtempSync(
      path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : bed.root, 'fsq-test-'),
    )
    try {
      fs.writeFileSync(path.join(elsewhere, 'file'), large)
      ids.push(await queue.enqueue({ path: path.join(elsewhere, 'file') }))
    } finally {
      fs.rmSync(elsewhere, { recursive: true })
    }
    const found = ids.map((id) => fs.readFileSync(pathOf(queue, 'queue', id)))
    expect(found.slice(0, 3).map(String)).toEqual(['handle', '', fs.readFileSync('/proc/version', 'utf8')])
    expect(found[3]?.equals(large)).toBe(true)
  })

  test('of a pipe: as it comes, to its end', async () => {
    const queue = await bed.install()
    execFileSync('mkfifo', [bed.path('fifo')])
    const fd = fs.openSync(bed.path('fifo'), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    const writer = fs.createWriteStream(bed.path('fifo'))
    const written = new Promise((resolve) => writer.once('open', resolve))
    await written
    const enqueued = queue.enqueue({ fd })
    writer.write('slowly ')
    await new Promise((resolve) => setImmediate(resolve))
    writer.end(large)
    const id = await enqueued
    expect(
      fs.readFileSync(pathOf(queue, 'queue', id)).equals(Buffer.concat([Buffer.from('slowly '), large])),
    ).toBe(true)
    fs.closeSync(fd)
  })
})

describe('the queue is installed anew while a stream is on its way', () => {
  test('the item is in the new one', async () => {
    const queue = await bed.install()
    async function* source(): AsyncGenerator<Buffer> {
      yield large
      await Queue.install('q', { root: bed.root, force: true }).then((other) => other.close())
      yield large
    }
    const id = await queue.enqueue(source(), ['x'])
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
    expect(fs.readFileSync(pathOf(queue, 'queue', id)).equals(Buffer.concat([large, large]))).toBe(true)
  })

  test('removed, it is missing', async () => {
    const queue = await bed.install()
    async function* source(): AsyncGenerator<Buffer> {
      yield large
      fs.rmSync(queue.path, { recursive: true })
      yield large
    }
    await expect(queue.enqueue(source(), ['x'])).rejects.toThrow(QueueMissingError)
  })
})

describe('where an item under construction has a name in tmp/', () => {
  // Waits for its source when it is half-written.
  const program = `
    import { createRequire } from 'node:module'
    import fs from 'node:fs'
    import { parentPort } from 'node:worker_threads'
    const { FAULT_BUILD, DIST, ROOT } = process.env
    createRequire(FAULT_BUILD)('../../binding.cjs').setFaults('enqueue.open#1=errno:95')
    const { Queue } = await import(DIST)
    const queue = new Queue('q', { root: ROOT })
    async function* source() {
      yield Buffer.alloc(800_000)
      const [name] = fs.readdirSync(queue.path + '/tmp')
      console.log(name)
      parentPort?.postMessage(name)
      if (parentPort === null) process.exit(7)
      await new Promise((resolve) => setTimeout(resolve, 1_000_000))
    }
    await queue.enqueue(source())`
  const env = (): Record<string, string> => ({
    FAULT_BUILD,
    DIST: `file://${path.resolve(import.meta.dirname, '../../dist/index.js')}`,
    ROOT: bed.root,
  })

  test('nothing of it stays when the process exits', async () => {
    const queue = await bed.install()
    const args = ['--require', FAULT_BUILD, '--input-type=module', '--eval', program]
    const ended = await run(process.execPath, args, { ...process.env, ...env() })
    expect(ended).toMatchObject({ code: 7, stderr: '' })
    expect(ended.stdout).toMatch(/^_/)
    expect(contents(queue)).toEqual(EMPTY)
  })

  test('nothing of it stays when its thread is terminated', async () => {
    const queue = await bed.install()
    const name = await inProgram<string>(
      `
      const { Worker } = await import('node:worker_threads')
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(given)), { stdout: true })
      const name = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await worker.terminate()
      return name`,
      { given: program, flags: ['--require', FAULT_BUILD], env: env() },
    )
    expect(name).toMatch(/^_/)
    expect(contents(queue)).toEqual(EMPTY)
  })

  test('it is in the new queue where the queue is installed anew meanwhile', async () => {
    await bed.install()
    const answer = await inProgram<unknown>(
      `
      const { createRequire } = await import('node:module')
      createRequire(given.preload)('../../binding.cjs').setFaults('enqueue.open#1=errno:95')
      const queue = new Queue('q', { root: given.root })
      async function* source() {
        yield Buffer.alloc(800_000, 'a')
        const other = await Queue.install('q', { root: given.root, force: true })
        await other.close()
        yield Buffer.alloc(800_000, 'b')
      }
      const id = await queue.enqueue(source())
      const content = fs.readFileSync(path.join(queue.path, 'queue', id), 'latin1')
      const expected = 'a'.repeat(800_000) + 'b'.repeat(800_000)
      return [content === expected, fs.readdirSync(path.join(queue.path, 'tmp'))]`,
      { given: { root: bed.root, preload: FAULT_BUILD }, flags: ['--require', FAULT_BUILD] },
    )
    expect(answer).toEqual([true, []])
  })
})
