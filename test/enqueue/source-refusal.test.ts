import fs from 'node:fs'
import { Duplex, PassThrough, Readable, Writable } from 'node:stream'

import { afterEach, describe, expect, test } from '@jest/globals'

import { type EnqueueManyError, PayloadError } from '../../src/errors/classes.js'
import { EMPTY, checkError, contents, errorOf, names, useTestBed } from '../support/queue.js'
import { large, ways, webStream } from './sources.js'

const bed = useTestBed()

function flowing(): Readable {
  const stream = Readable.from(['x'])
  stream.pipe(new PassThrough())
  return stream
}

function listenedTo(): Readable {
  return Readable.from(['x']).on('readable', () => undefined)
}

async function ended(): Promise<Readable> {
  const stream = Readable.from(['x'])
  await stream.toArray()
  return stream
}

function failed(): Readable {
  const stream = new PassThrough().on('error', () => undefined)
  stream.destroy(new Error('dead'))
  return stream
}

function locked(): ReadableStream {
  const stream = webStream(['x'])
  stream.getReader()
  return stream
}

async function readWeb(): Promise<ReadableStream> {
  const stream = webStream(['x'])
  const reader = stream.getReader()
  while (!(await reader.read()).done);
  reader.releaseLock()
  return stream
}

const hopeless: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['a destroyed Readable', () => Readable.from(['x']).destroy(), /has already been destroyed/],
  ['a failed Readable', failed, /has already failed: dead/],
  ['an ended Readable', ended, /is at its end/],
  ['a Readable that is piped', flowing, /is already being read/],
  ['a Readable that is listened to', listenedTo, /is already being read/],
  [
    'a Duplex that cannot be read',
    () => new Duplex({ readable: false } as object),
    /nothing can be read from it/,
  ],
  ['a Writable', () => new Writable(), /expected a string, bytes, a Blob/],
  ['a stream into a file', () => fs.createWriteStream('/dev/null'), /expected a string, bytes, a Blob/],
  ['a locked Web stream', locked, /is locked/],
  ['a Web stream that was read', readWeb, /has already been read to its end/],
  ['an array', () => ['x'], /expected a string, bytes, a Blob/],
  ['a Map', () => new Map(), /expected a string, bytes, a Blob/],
  ['a descriptor that is none', () => ({ fd: -1 }), /descriptor of the payload is -1, expected the number/],
  ['a descriptor that is no number', () => ({ fd: '1' }), /descriptor of the payload is '1'/],
  ['a broken number', () => ({ fd: 1.5 }), /descriptor of the payload is 1.5/],
  ['a descriptor that is not open', () => ({ fd: 1_000_000 }), /cannot be read: EBADF/],
  ['a directory', () => ({ fd: bed.descriptor(bed.root) }), /is that of a directory/],
  ['a file that is not open for reading', writeOnly, /cannot be read: EBADF.*It must be open for reading/],
]

function writeOnly(): unknown {
  const fd = fs.openSync(bed.path('written'), 'w')
  opened.push(fd)
  return { fd }
}

const opened: number[] = []

afterEach(() => {
  for (const fd of opened.splice(0)) fs.closeSync(fd)
})

describe.each(ways)('%s refuses', (_way, enqueue) => {
  test.each(hopeless)('%s', async (_what, make, says) => {
    const queue = await bed.install()
    const data = await make()
    checkError(await errorOf(async () => enqueue(queue, data)), { type: PayloadError, says })
    expect(contents(queue)).toEqual(EMPTY)
  })
})

test('a stream that another reader reads is left to that reader', async () => {
  const queue = await bed.install()
  const stream = new PassThrough()
  const seen: string[] = []
  stream.on('data', (chunk) => seen.push(String(chunk)))
  await expect(queue.enqueue(stream)).rejects.toThrow(PayloadError)
  const end = new Promise((resolve) => stream.once('end', resolve))
  stream.end('for him')
  await end
  expect(seen).toEqual(['for him'])
})

test('the same stream twice: the second time it is used up', async () => {
  const queue = await bed.install()
  const stream = Readable.from([large])
  const error = await errorOf(async () => queue.enqueueMany([{ data: stream }, { data: stream }]))
  const [first, second] = (error as EnqueueManyError).outcomes
  expect(first).toHaveProperty('id')
  expect((second as { error: Error }).error).toBeInstanceOf(PayloadError)
  expect(names(queue, 'queue')).toHaveLength(1)
})

test('one that fails before its turn harms no other enqueue', async () => {
  const queue = await bed.install()
  const error = await errorOf(async () =>
    queue.enqueueMany([
      { data: Readable.from([large]) },
      { data: fs.createReadStream(bed.path('missing')) },
      { data: 'last' },
    ]),
  )
  const { outcomes } = error as EnqueueManyError
  expect(outcomes.map((outcome) => 'id' in outcome)).toEqual([true, false, true])
  checkError((outcomes[1] as { error: Error }).error, {
    type: PayloadError,
    cause: 'ENOENT',
    says: /missing/,
  })
})
