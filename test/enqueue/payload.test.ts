import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { describe, expect, test } from '@jest/globals'

import { EnqueueManyError, FsqError, PayloadError } from '../../src/errors/classes.js'
import type { Payload } from '../../src/enqueue/payload.js'
import type { Queue } from '../../src/queue.js'
import { makeDirectory } from '../support/child.js'
import { checkError, contents, drain, errorOf, names, pathOf, takeOne, useTestBed } from '../support/queue.js'

const bed = useTestBed()

type Enqueue = (queue: Queue, data: Payload) => Promise<string>

const ways: readonly (readonly [string, Enqueue])[] = [
  ['enqueue', async (queue, data) => queue.enqueue(data, ['x'])],
  ['enqueueSync', async (queue, data) => queue.enqueueSync(data, ['x'])],
  ['enqueueMany', async (queue, data) => (await queue.enqueueMany([{ data, args: ['x'] }]))[0] ?? ''],
]

const eight = (): Uint8Array<ArrayBuffer> => Uint8Array.from([0, 1, 2, 127, 128, 254, 255, 10])

function shared(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(8)
  new Uint8Array(buffer).set(eight())
  return buffer
}

const all = Buffer.from(eight())
const middle = Buffer.from([2, 127, 128])

const good: readonly (readonly [string, () => Payload, Buffer])[] = [
  ['nothing', () => null, Buffer.alloc(0)],
  ['an empty string', () => '', Buffer.alloc(0)],
  ['a string', () => 'data', Buffer.from('data')],
  ['a string beyond ASCII', () => 'größer\0中😀\r\n', Buffer.from('größer\0中😀\r\n')],
  ['a byte order mark', () => '\ufeffx', Buffer.from([0xef, 0xbb, 0xbf, 0x78])],
  ['a Buffer', () => Buffer.from(eight()), all],
  ['a Buffer of the pool', () => Buffer.from('pooled'), Buffer.from('pooled')],
  ['an empty Buffer', () => Buffer.alloc(0), Buffer.alloc(0)],
  ['a view with an offset', () => eight().subarray(2, 5), middle],
  ['a DataView', () => new DataView(eight().buffer, 2, 3), middle],
  ['wide elements', () => new Uint16Array([0x0201]), Buffer.from([1, 2])],
  ['an ArrayBuffer', () => eight().buffer, all],
  ['a SharedArrayBuffer', shared, all],
  ['a view of shared memory', () => new Uint8Array(shared(), 2, 3), middle],
  [
    'an object as JSON',
    () => ({ json: { to: 'é', list: [1, null] } }),
    Buffer.from('{"to":"é","list":[1,null]}'),
  ],
  ['null as JSON', () => ({ json: null }), Buffer.from('null')],
  ['a text as JSON', () => ({ json: 'x' }), Buffer.from('"x"')],
  ['a lone surrogate in JSON', () => ({ json: '\ud800' }), Buffer.from('"\\ud800"')],
  ['what has toJSON', () => ({ json: new Date(0) }), Buffer.from('"1970-01-01T00:00:00.000Z"')],
  ['0x1a and newlines', () => Buffer.from('\x1a\n\r\n'), Buffer.from('\x1a\n\r\n')],
]

describe.each(ways)('%s', (_way, enqueue) => {
  test.each(good)('of %s', async (_what, data, expected) => {
    const queue = await bed.install()
    const id = await enqueue(queue, data())
    expect(contents(queue)).toEqual({ queue: [id], tmp: [], done: [], fail: [] })
    expect(fs.readFileSync(pathOf(queue, 'queue', id))).toEqual(expected)
    const item = await takeOne(queue)
    expect(item.size).toBe(expected.length)
    expect(await item.bytes()).toEqual(expected)
  })

  test('of a large string and of large bytes', async () => {
    const queue = await bed.install()
    const text = 'ä'.repeat(3 * 1024 * 1024)
    const bytes = randomBytes(5 * 1024 * 1024)
    const ids = [await enqueue(queue, text), await enqueue(queue, bytes)]
    expect(fs.readFileSync(pathOf(queue, 'queue', ids[0] ?? ''), 'utf8') === text).toBe(true)
    expect(bytes.equals(fs.readFileSync(pathOf(queue, 'queue', ids[1] ?? '')))).toBe(true)
  })

  describe('of a file', () => {
    const bytes = randomBytes(3 * 1024 * 1024 + 17)

    test.each([
      ['by its path', (file: string) => file],
      ['by a relative path', (file: string) => path.relative(process.cwd(), file)],
      ['by a URL', (file: string) => pathToFileURL(file)],
    ])('%s', async (_what, locate) => {
      const queue = await bed.install()
      const file = bed.path('a file % ü #1?')
      fs.writeFileSync(file, bytes)
      const id = await enqueue(queue, { path: locate(file) })
      expect(bytes.equals(fs.readFileSync(pathOf(queue, 'queue', id)))).toBe(true)
      expect(fs.statSync(pathOf(queue, 'queue', id))).toMatchObject({ nlink: 1 })
      // A copy: what becomes of the file does not change the item, and the other way round.
      fs.writeFileSync(file, 'other')
      expect((await takeOne(queue)).size).toBe(bytes.length)
      expect(names(queue, 'tmp')).toEqual([])
    })

    test('that is empty', async () => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('empty'), '')
      const id = await enqueue(queue, { path: bed.path('empty') })
      expect(fs.statSync(pathOf(queue, 'queue', id)).size).toBe(0)
    })

    test('that a symbolic link leads to', async () => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('real'), 'real')
      fs.symlinkSync('real', bed.path('link'))
      const id = await enqueue(queue, { path: bed.path('link') })
      expect(fs.lstatSync(pathOf(queue, 'queue', id)).isFile()).toBe(true)
      expect(fs.readFileSync(pathOf(queue, 'queue', id), 'utf8')).toBe('real')
    })

    test('of /proc, which says that it has no bytes', async () => {
      expect(fs.statSync('/proc/version').size).toBe(0)
      const queue = await bed.install()
      const id = await enqueue(queue, { path: '/proc/version' })
      expect(fs.readFileSync(pathOf(queue, 'queue', id), 'utf8')).toBe(
        fs.readFileSync('/proc/version', 'utf8'),
      )
    })

    test('of another file system', async () => {
      const queue = await bed.install()
      const elsewhere = makeDirectory({ quick: true })
      const file = path.join(elsewhere, 'file')
      fs.writeFileSync(file, bytes)
      const id = await enqueue(queue, { path: file })
      expect(bytes.equals(fs.readFileSync(pathOf(queue, 'queue', id)))).toBe(true)
    })

    test('with holes', async () => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('holes'), 'begin')
      fs.truncateSync(bed.path('holes'), 2 * 1024 * 1024)
      const id = await enqueue(queue, { path: bed.path('holes') })
      const expected = Buffer.alloc(2 * 1024 * 1024)
      expected.write('begin')
      expect(expected.equals(fs.readFileSync(pathOf(queue, 'queue', id)))).toBe(true)
    })
  })
})

describe('bytes are taken at the call', () => {
  const change = [
    ['a Buffer', (): [Payload, () => void] => changing(Buffer.alloc(100_000, 'a'))],
    ['a small Buffer', (): [Payload, () => void] => changing(Buffer.alloc(10, 'a'))],
    [
      'an ArrayBuffer',
      (): [Payload, () => void] => {
        const bytes = new Uint8Array(100_000).fill(97)
        return [bytes.buffer, () => bytes.fill(98)]
      },
    ],
    [
      'shared memory',
      (): [Payload, () => void] => {
        const bytes = new Uint8Array(new SharedArrayBuffer(100_000)).fill(97)
        return [bytes.buffer, () => bytes.fill(98)]
      },
    ],
    [
      'a JSON value',
      (): [Payload, () => void] => {
        const value = { text: 'a' }
        return [{ json: value }, () => (value.text = 'b')]
      },
    ],
  ] as const

  function changing(bytes: Buffer): [Payload, () => void] {
    return [bytes, () => bytes.fill('b')]
  }

  test.each(change)('%s that changes right after', async (_what, make) => {
    const queue = await bed.install()
    const [first, changeFirst] = make()
    const [second, changeSecond] = make()
    const one = queue.enqueue(first, ['x'])
    changeFirst()
    const many = queue.enqueueMany([{ data: second }])
    changeSecond()
    for (const id of [await one, ...(await many)]) {
      expect(fs.readFileSync(pathOf(queue, 'queue', id), 'utf8')).not.toContain('b')
    }
  })

  test('and a buffer that is transferred away right after', async () => {
    const queue = await bed.install()
    const { buffer } = eight()
    const id = queue.enqueue(buffer)
    structuredClone(buffer, { transfer: [buffer] })
    expect(fs.readFileSync(pathOf(queue, 'queue', await id))).toEqual(all)
  })

  test('and the arguments, too', async () => {
    const queue = await bed.install()
    const args = ['a']
    const id = queue.enqueue('', args)
    args[0] = 'b'
    args.push('c')
    await id
    expect((await takeOne(queue)).args).toEqual(['a'])
  })
})

function circular(): unknown {
  const value: Record<string, unknown> = {}
  value['self'] = value
  return value
}

function transferred(): ArrayBuffer {
  const { buffer } = eight()
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}

function transferredView(): Uint8Array {
  const bytes = eight()
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  return bytes
}

const whatFits =
  /expected a string, bytes, a Blob, a readable stream .*, \{ json \}, \{ path \}, \{ fd \}, or null/
const aFile = /expected the path of a regular file|It must be a regular file that this user may read/

const bad: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['a number', () => 5, whatFits],
  ['a bigint', () => 5n, whatFits],
  ['a boolean', () => true, whatFits],
  ['a symbol', () => Symbol('x'), whatFits],
  ['a function', () => () => 'x', whatFits],
  ['an array', () => ['x'], whatFits],
  ['a plain object', () => ({ data: 'x' }), whatFits],
  ['a promise', () => Promise.resolve('x'), whatFits],
  ['a lone surrogate', () => 'a\ud800b', /lone surrogate.*Cut texts between characters, or pass bytes/],
  ['a transferred buffer', transferred, /transferred away\. Pass a copy/],
  ['a view of a transferred buffer', transferredView, /transferred away\. Pass a copy/],
  ['circular JSON', () => ({ json: circular() }), /cannot be written as JSON: .*circular/i],
  ['a bigint in JSON', () => ({ json: { n: 1n } }), /cannot be written as JSON: .*BigInt/],
  [
    'undefined as JSON',
    () => ({ json: undefined }),
    /cannot be written as JSON: there is no JSON for undefined/,
  ],
  ['a function as JSON', () => ({ json: () => 1 }), /there is no JSON for \[Function/],
  [
    'a toJSON that throws',
    () => ({
      json: {
        toJSON() {
          throw new Error('no thanks')
        },
      },
    }),
    /cannot be written as JSON: no thanks/,
  ],
  [
    'of two kinds at once',
    () => ({ json: {}, path: '/etc/hosts' }),
    /has more than one of json, path and fd/,
  ],
  [
    'a Blob that cannot be read',
    () => ({
      arrayBuffer: () => undefined,
      stream() {
        throw new Error('revoked')
      },
    }),
    /The Blob of the payload cannot be read: revoked/,
  ],
  ['an empty path', () => ({ path: '' }), aFile],
  ['a path with NUL', () => ({ path: 'a\0b' }), aFile],
  ['a number as path', () => ({ path: 5 }), aFile],
  ['a URL of the web', () => ({ path: new URL('http://localhost/x') }), /expected a file: URL/],
  ['a file: URL of another host', () => ({ path: new URL('file://elsewhere/x') }), /file: URL/],
  ['a file: URL with a coded slash', () => ({ path: new URL('file:///a%2Fb') }), /file: URL/],
]

describe.each(ways)('%s refuses', (way, enqueue) => {
  async function refusal(queue: Queue, data: unknown): Promise<unknown> {
    const error = await errorOf(async () => enqueue(queue, data as Payload))
    expect(contents(queue)).toEqual({ queue: [], tmp: [], done: [], fail: [] })
    if (way !== 'enqueueMany') return error
    expect(error).toBeInstanceOf(EnqueueManyError)
    const [outcome] = (error as EnqueueManyError).outcomes
    return outcome !== undefined && 'error' in outcome ? outcome.error : outcome
  }

  test.each(bad)('%s', async (_what, data, says) => {
    const queue = await bed.install()
    checkError(await refusal(queue, data()), { type: PayloadError, says })
    await enqueue(queue, 'next')
    expect(await drain(queue)).toHaveLength(1)
  })

  const files: readonly (readonly [
    string,
    'ENOENT' | 'EISDIR' | 'EINVAL' | 'ENOTDIR',
    (file: string) => void,
  ])[] = [
    ['a file that is missing', 'ENOENT', () => undefined],
    ['a directory', 'EISDIR', (file) => fs.mkdirSync(file)],
    ['a FIFO, without waiting for a writer', 'EINVAL', (file) => void execFileSync('mkfifo', [file])],
    ['a device', 'EINVAL', (file) => fs.symlinkSync('/dev/zero', file)],
    ['a dangling link', 'ENOENT', (file) => fs.symlinkSync('nowhere', file)],
  ]

  test.each(files)('%s', async (_what, cause, make) => {
    const queue = await bed.install()
    const file = bed.path('source')
    make(file)
    checkError(await refusal(queue, { path: file }), { type: PayloadError, cause, path: file, says: aFile })
  })

  test('a path through a file', async () => {
    const queue = await bed.install()
    fs.writeFileSync(bed.path('file'), '')
    const file = bed.path('file', 'x')
    checkError(await refusal(queue, { path: file }), {
      type: PayloadError,
      cause: 'ENOTDIR',
      path: file,
      says: aFile,
    })
  })
})

test('data that is missing is a mistake, not an empty payload', async () => {
  const queue = await bed.install()
  const missing = undefined as unknown as Payload
  await expect(queue.enqueue(missing)).rejects.toThrow(FsqError)
  expect(() => queue.enqueueSync(missing)).toThrow(PayloadError)
  expect(contents(queue).queue).toEqual([])
})

describe('contents are read back', () => {
  test('as bytes, text and JSON, again and again, also when they are large', async () => {
    const queue = await bed.install()
    const value = { list: Array.from({ length: 100_000 }, (_, index) => index), text: 'é' }
    for (const json of [value, { small: true }]) {
      await queue.enqueue({ json })
      const item = await takeOne(queue)
      expect(await item.json()).toEqual(json)
      expect(await item.text()).toBe(JSON.stringify(json))
      expect((await item.bytes()).toString()).toBe(JSON.stringify(json))
      await item.done()
    }
  })

  test('as a copy of their own', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'one' }, { data: 'two' }])
    const texts: string[] = []
    for await (const item of queue.scan({ prefetch: 2 })) {
      ;(await item.bytes()).fill('X')
      texts.push(await item.text())
      await item.done()
    }
    expect(texts).toEqual(['one', 'two'])
  })

  test('contents that are no JSON are an error of JSON', async () => {
    const queue = await bed.install()
    await queue.enqueue('{')
    const item = await takeOne(queue)
    await expect(item.json()).rejects.toThrow(SyntaxError)
    await item.fail()
  })
})
