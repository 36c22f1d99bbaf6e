// A receiver in this process: what becomes of messages, repeats, and a queue that cannot take items.
import { type EventEmitter, once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { expect, jest, test } from '@jest/globals'

import { ReceivingError, SettingError } from '../../src/errors/classes.js'
import { forward } from '../../src/forward/forward.js'
import { receive } from '../../src/receive/receive.js'
import { GuardedSource } from '../../src/receive/source.js'
import { Queue } from '../../src/queue.js'
import type { SourceScan } from '../../src/work/source.js'
import { makeDirectory } from '../support/child.js'
import { MemoryStream, type Message, StreamDelivery } from './stream.js'

async function newQueue(options: Parameters<typeof Queue.install>[1] = {}): Promise<Queue> {
  return Queue.install('q', { root: makeDirectory({ quick: true }), ...options })
}

async function argsIn(queue: Queue): Promise<string[]> {
  const all: string[] = []
  for await (const item of queue.items()) all.push(item.args.join(' '))
  return all.toSorted()
}

function receivedPath(queue: Queue, ...parts: string[]): string {
  return path.join(queue.path, 'received', 'stream', ...parts)
}

function ledgerOf(queue: Queue): string {
  const names = fs.readdirSync(receivedPath(queue)).filter((name) => name.startsWith('ledger-'))
  return names.map((name) => fs.readFileSync(receivedPath(queue, name), 'latin1')).join('')
}

test.each(['lock', 'rename'] as const)('each message becomes one item (claims: %s)', async (claims) => {
  const queue = await newQueue({ claims })
  const stream = new MemoryStream()
  const ids = Array.from({ length: 300 }, (_, at) => `7:${at}`)
  stream.publish(...ids)
  const receiver = await receive(stream, queue)
  await stream.has(300)
  stream.repeat(...ids.slice(0, 20))
  await stream.has(320)
  await receiver.close()
  expect(await argsIn(queue)).toEqual(ids.toSorted())
  expect(receiver.numbers).toMatchObject({
    taken: 300,
    known: 20,
    redelivered: 20,
    recovered: 0,
    inFlight: 0,
  })
  expect(fs.readdirSync(receivedPath(queue, 'staged'))).toEqual([])
  expect(stream.closed).toBe(1)

  // The next receiver knows them, too.
  const later = new MemoryStream()
  later.repeat(...ids)
  const next = await receive(later, queue)
  await later.has(300)
  expect(next.numbers).toMatchObject({ taken: 0, known: 300, entries: 300 })
  await queue.close()
  expect(next.state).toBe('closed')
})

test('an item has the contents and the arguments of its message, and tries 0', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const big = Buffer.alloc(300_000, 'x')
  stream.publish(
    { id: 'plain', args: ['ä_b', 'c/d'], body: 'text' },
    { id: 'empty', args: [], body: '' },
    { id: 'bytes', args: ['?'], argBytes: [Buffer.from([0xff, 0x20, 0x0a, 0x5c])], body: 'odd' },
    {
      id: 'streamed',
      args: ['streamed'],
      size: big.length,
      async *chunks() {
        yield big.subarray(0, 100_000)
        yield big.subarray(100_000)
      },
    },
  )
  const receiver = await receive(stream, queue)
  await stream.has(4)
  await receiver.close()
  const names = fs.readdirSync(queue.paths.queue, 'latin1')
  const named = (end: string): string => {
    const name = names.find((one) => one.endsWith(end)) ?? ''
    expect(name).toMatch(new RegExp('^_\\d{14}_\\d+_\\d+_[^_]+_0'))
    return fs.readFileSync(Buffer.from(`${queue.paths.queue}/${name}`, 'latin1')).toString()
  }
  expect(names).toHaveLength(4)
  expect(named(Buffer.from('_ä%5fb_c%2fd').toString('latin1'))).toBe('text')
  expect(named('_0')).toBe('')
  expect(named('_0_\xff \n\\')).toBe('odd')
  expect(named('_streamed')).toBe(big.toString())
  // A name that would break a line is escaped in the ledger, and read back.
  expect(ledgerOf(queue)).toMatch(/^\+ bytes \S+_0_\xff\\x20\\x0a\\x5c\n/m)
})

test('a message whose arguments fit no name fails at the source, and the others go on', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  stream.publish({ id: 'long', args: ['x'.repeat(300)] }, { id: 'half', args: ['\ud800'] }, 'good')
  const receiver = await receive(stream, queue)
  await stream.has(3)
  await receiver.close()
  expect(stream.dead.toSorted()).toEqual(['half', 'long'])
  expect(receiver.numbers).toMatchObject({ taken: 1, refused: 2 })
  expect(await argsIn(queue)).toEqual(['good'])
})

test('a delivery that cannot be read is retried, and the queue is in no trouble', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  let reads = 0
  stream.onRead = ({ id }) => {
    if (id === 'bad' && reads++ === 0) throw new Error('connection lost')
  }
  stream.publish('bad', 'good')
  const receiver = await receive(stream, queue)
  const states: string[] = []
  receiver.on('state', ({ state }) => states.push(state))
  await stream.has(2)
  expect(states).toEqual([])
  expect(receiver.counters.retried).toBe(1)
  await receiver.close()
  expect(await argsIn(queue)).toEqual(['bad', 'good'])
})

test.each<[string, Partial<Message>]>([
  [
    'a stream that cannot be opened',
    {
      size: 1e6,
      chunks: () => {
        throw new Error('cannot be opened')
      },
    },
  ],
  ['no arguments', { args: 7 as never }],
  ['arguments that are no bytes', { argBytes: [Symbol() as never] }],
])('a delivery with %s is retried, and the queue is in no trouble', async (_, bad) => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue)
  const states: string[] = []
  receiver.on('state', ({ state }) => states.push(state))
  stream.publish({ id: 'bad', ...bad })
  await once(receiver as unknown as EventEmitter, 'retried')
  stream.publish('good')
  await stream.has(1)
  expect(states).toEqual([])
  await receiver.close()
  expect(await argsIn(queue)).toEqual(['good'])
})

test('two deliveries of one message at once make one item', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  stream.publish('a', 'a', 'a', 'b')
  const receiver = await receive(stream, queue)
  await stream.has(4)
  await receiver.close()
  expect(receiver.numbers).toMatchObject({ taken: 2, known: 2 })
  expect(await argsIn(queue)).toEqual(['a', 'b'])
})

test('a second receiver of the source is refused, and one of another source is not', async () => {
  const queue = await newQueue()
  const receiver = await receive(new MemoryStream(), queue)
  await expect(receive(new MemoryStream(), queue)).rejects.toThrow(ReceivingError)
  const other = await receive(new MemoryStream('other'), queue)
  await Promise.all([receiver.close(), other.close()])
  await (await receive(new MemoryStream(), queue)).close()
})

test('a queue that is down takes nothing, and nothing is acknowledged until it is up', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue)
  const states: string[] = []
  receiver.on('state', ({ state }) => states.push(state))
  stream.publish('first')
  await stream.has(1)
  await queue.down()
  stream.publish('second', 'third')
  while (stream.released < 1) await new Promise((resolve) => setImmediate(resolve))
  expect(stream.acked).toEqual(['first'])
  await queue.up()
  await stream.has(3)
  expect(states).toEqual(['down', 'running'])
  await receiver.close()
  expect(await argsIn(queue)).toEqual(['first', 'second', 'third'])
})

test('a queue that is removed and installed again has a new ledger', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue)
  const errors: unknown[] = []
  receiver.on('error', (error) => errors.push(error))
  stream.publish('first')
  await stream.has(1)
  fs.rmSync(queue.path, { recursive: true })
  stream.publish('second')
  while (receiver.state !== 'missing') await new Promise((resolve) => setImmediate(resolve))
  const again = await Queue.install('q', { root: queue.settings.root })
  await stream.has(2)
  expect(errors).not.toEqual([])
  await receiver.close()
  expect(await argsIn(again)).toEqual(['second'])
  expect(ledgerOf(again)).toMatch(/^\+ second \S+\n= second\n$/)
})

test('without a ledger, which another program has removed, the receiver begins another one and goes on', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue)
  receiver.on('error', () => undefined)
  stream.publish('first')
  await stream.has(1)
  for (const name of fs.readdirSync(receivedPath(queue)))
    if (name.startsWith('ledger-')) fs.rmSync(receivedPath(queue, name))
  stream.publish('second')
  await stream.has(2)
  stream.repeat('second')
  await stream.has(3)
  await receiver.close()
  expect(await argsIn(queue)).toEqual(['first', 'second'])
})

test('bad options and names are refused', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  for (const wrong of [undefined, null, {}] as never[]) {
    await expect(receive(wrong, queue)).rejects.toThrow(SettingError)
    await expect(receive(stream, wrong)).rejects.toThrow(SettingError)
    await expect(forward(wrong, {} as never)).rejects.toThrow(SettingError)
  }
  await expect(receive(stream, queue, { inFlight: 0 })).rejects.toThrow(SettingError)
  await expect(receive(stream, queue, { keep: 999 })).rejects.toThrow(SettingError)
  await expect(receive(stream, queue, { grace: -1 })).rejects.toThrow(SettingError)
  await expect(receive(new MemoryStream('../x'), queue)).rejects.toThrow(SettingError)
  await expect(receive(new MemoryStream('.x'), queue)).rejects.toThrow(SettingError)
  await expect(receive(stream, queue, { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
  await expect(receive(stream, new Queue('none', { root: queue.settings.root }))).rejects.toMatchObject({
    code: 'ERR_FSQ_QUEUE_MISSING',
  })
})

test('a receiver warns if its source repeats messages for longer than the ledger knows them', async () => {
  const queue = await newQueue()
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const stream = new MemoryStream()
  stream.repeatsFor = 2000
  await (await receive(stream, queue, { keep: 2000 })).close()
  expect(warn).not.toHaveBeenCalled()
  stream.repeatsFor = 2001
  await (await receive(stream, queue, { keep: 2000 })).close()
  const [message, options] = warn.mock.lastCall ?? []
  warn.mockRestore()
  expect(message).toContain('for 2001 ms, and the ledger of its receiver forgets it after 2000 ms')
  expect(options).toMatchObject({ code: 'FSQ_SHORT_LEDGER' })
})

test('a source that cannot be opened leaves nothing open, and one that is aborted meanwhile is closed', async () => {
  const queue = await newQueue()
  const refusing = Object.assign(new MemoryStream(), { open: () => Promise.reject(new Error('no server')) })
  await expect(receive(refusing, queue)).rejects.toThrow('no server')
  const stop = new AbortController()
  const slow = Object.assign(new MemoryStream(), { open: async () => stop.abort(new Error('stopped')) })
  await expect(receive(slow, queue, { signal: stop.signal })).rejects.toThrow('stopped')
  expect(slow.closed).toBe(1)
  await (await receive(new MemoryStream(), queue)).close()
})

test('a delivery whose contents never end holds up neither the others nor a ledger that is opened again', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue, { grace: 0 })
  receiver.on('error', () => undefined)
  stream.publish({
    id: 'endless',
    size: 1_000_000,
    async *chunks() {
      yield Buffer.from('x')
      await new Promise(() => undefined)
    },
  })
  stream.publish('first')
  await stream.has(1)
  for (const name of fs.readdirSync(receivedPath(queue)))
    if (name.startsWith('ledger-')) fs.rmSync(receivedPath(queue, name))
  stream.publish('second')
  await stream.has(2)
  await receiver.close()
  expect(await argsIn(queue)).toEqual(['first', 'second'])
})

test('a receiver can be paused, and is idle when nothing waits at its source', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  stream.publish('a', 'b')
  const receiver = await receive(stream, queue, { paused: true })
  expect(receiver.state).toBe('paused')
  expect(receiver.numbers).toMatchObject({ taken: 0, pending: 2, lastTaken: undefined })
  receiver.resume()
  await receiver.idle()
  expect(receiver.numbers).toMatchObject({ taken: 2, pending: 0, inFlight: 0, lastTaken: expect.any(Date) })
  await receiver.close()
})

test('a receiver that is closed while it opens its ledger again frees the lock', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue)
  receiver.on('error', () => undefined)
  fs.renameSync(receivedPath(queue, 'lock'), receivedPath(queue, 'old'))
  receiver.pause()
  for (let round = 0; round < 5; round++) {
    receiver.resume()
    await new Promise((resolve) => setImmediate(resolve))
    receiver.pause()
  }
  receiver.resume()
  await new Promise((resolve) => setImmediate(resolve))
  await receiver.close()
  await (await receive(new MemoryStream(), queue)).close()
})

test('a close waits neither for a source that does not close nor for a scan that does not end', async () => {
  const queue = await newQueue()
  const stuck = Object.assign(new MemoryStream(), {
    close: async () => new Promise<void>(() => undefined),
    // The return() of a generator waits for its next().
    async *scan(): AsyncGenerator<StreamDelivery> {
      yield await new Promise<StreamDelivery>(() => undefined)
    },
  })
  const receiver = await receive(stuck, queue)
  const errors: unknown[] = []
  receiver.on('error', (error) => errors.push(error))
  await receiver.close({ grace: 0 })
  expect(errors).toMatchObject([
    { message: expect.stringContaining('The source stream has not closed within 5000 ms') },
  ])
  // The lock is free.
  await (await receive(new MemoryStream(), queue)).close()
})

test('a source that throws where it should answer or reject ends no process', async () => {
  const queue = await newQueue()
  const stream = new MemoryStream()
  let deliver: (result: IteratorResult<StreamDelivery>) => void = () => undefined
  const scan = (): SourceScan<StreamDelivery> => ({
    [Symbol.asyncIterator]: () => ({ next: async () => new Promise((resolve) => (deliver = resolve)) }),
  })
  const outageOf = (): never => {
    throw new Error('outageOf')
  }
  const rejections: unknown[] = []
  const onRejection = (error: unknown): void => void rejections.push(error)
  process.on('unhandledRejection', onRejection)
  const source = new GuardedSource(Object.assign(stream, { scan, outageOf }), async () => undefined)
  const { signal } = new AbortController()
  const iterator = source.scan({ signal, onIdle: () => undefined })[Symbol.asyncIterator]()
  const result = iterator.next()
  await new Promise((resolve) => setImmediate(resolve))
  source.fail(new Error('the queue is gone'))
  await expect(result).rejects.toThrow('the queue is gone')
  const late = new StreamDelivery(stream, { id: 'late' }, 0)
  late.release = () => {
    throw new Error('release')
  }
  deliver({ done: false, value: late })
  const failing = Object.assign(new MemoryStream(), {
    scan: () => {
      throw new Error('scan')
    },
    outageOf,
  })
  const receiver = await receive(failing, queue)
  await once(receiver as unknown as EventEmitter, 'error')
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', onRejection)
  await receiver.close()
  expect(rejections).toEqual([])
})
