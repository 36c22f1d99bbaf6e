// Forwarding within one process, to a target in memory.
import { EventEmitter, once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { InDoubtError, PermanentFailure, QueueMissingError, SettingError } from '../../src/errors/classes.js'
import { native } from '../../src/addon/native.js'
import { momentNow, momentText } from '../../src/forward/doubt.js'
import { forward } from '../../src/forward/forward.js'
import type { Forwarder } from '../../src/forward/forwarder.js'
import type { ForwardOptions } from '../../src/forward/options.js'
import type { Sink } from '../../src/forward/sink.js'
import { WorkerLines } from '../../src/meta/worker-lines.js'
import { Queue } from '../../src/queue.js'
import { noCounts } from '../../src/work/journal.js'
import { ifManyFiles } from '../support/needs.js'
import { contents, until, useTestBed } from '../support/queue.js'
import { TestSink, aborted, again, never, refused, unsent } from './test-sink.js'

const HOUR = 3_600_000
const bed = useTestBed({ quick: true })
const open = new Set<Forwarder>()

afterEach(async () => {
  await Promise.all([...open].map(async (forwarder) => forwarder.close({ grace: 0 })))
  open.clear()
})

async function start(queue: Queue, sink: Sink, options: ForwardOptions = {}): Promise<Forwarder> {
  const forwarder = await forward(queue, sink, options)
  open.add(forwarder)
  return forwarder
}

async function next(emitter: unknown, name: string): Promise<Record<string, unknown>> {
  const [event] = (await once(emitter as EventEmitter, name)) as [Record<string, unknown>]
  return event
}

/** The lines of all forwarders, as text. */
function lines(queue: Queue): string[] {
  const directory = path.join(queue.path, 'forwarded', 'test')
  return fs
    .readdirSync(directory)
    .flatMap((name) => fs.readFileSync(path.join(directory, name), 'utf8').split('\n').slice(1))
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/** As if all lines had been written an hour and a half earlier, before the machine started. */
function age(queue: Queue): void {
  const directory = path.join(queue.path, 'forwarded', 'test')
  for (const name of fs.readdirSync(directory)) {
    const file = path.join(directory, name)
    const text = fs.readFileSync(file, 'latin1').replace(/"boot":"./, '"boot":"x')
    const older = (since: string): string => new Date(Date.parse(since) - 1.5 * HOUR).toISOString()
    fs.writeFileSync(file, text.replaceAll(/(?<="since":")[^ "]+/g, older), 'latin1')
  }
}

describe('A forwarder', () => {
  test('hands items over in batches, and keeps them in done/', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    await queue.enqueueMany(
      Array.from({ length: 300 }, (_, index) => ({ data: `${index}`, args: ['a', index] })),
    )
    const forwarder = await start(queue, sink)
    await forwarder.idle()
    expect(sink.arrived.map(({ text }) => Number(text)).sort((a, b) => a - b)).toEqual([...Array(300).keys()])
    expect(new Set(sink.arrived.map(({ id }) => id)).size).toBe(300)
    for (const { id } of sink.arrived) expect(id).toMatch(/^[\w.-]{1,200}$/)
    expect(Math.max(...sink.puts)).toBeLessThanOrEqual(64)
    expect(sink.puts.length).toBeLessThan(100)
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: 300, failed: 0 })
    expect(forwarder.numbers).toMatchObject({
      forwarded: 300,
      duplicates: 0,
      refused: 0,
      held: 0,
      inFlight: 0,
    })
    expect(forwarder.numbers.lastSuccess?.getTime()).toBeGreaterThan(Date.now() - 60_000)
    await forwarder.close()
    expect(sink).toMatchObject({ opened: 1, closed: 1 })
    expect(fs.readdirSync(path.join(queue.path, 'forwarded', 'test'))).toEqual([])
  })

  test.each([{ claims: 'rename' }, { lockKind: 'fcntl' }] as const)(
    'works a queue of the kind %j',
    async (kind) => {
      const queue = await bed.install(kind)
      const sink = new TestSink()
      sink.answers.push(again)
      await queue.enqueueMany(Array.from({ length: 100 }, (_, index) => ({ data: `${index}` })))
      const forwarder = await start(queue, sink)
      await forwarder.idle()
      expect(sink.arrived).toHaveLength(100)
      const name = contents(queue).done[0] ?? ''
      fs.renameSync(path.join(queue.paths.done, name), path.join(queue.paths.queue, name))
      await next(forwarder, 'forwarded')
      expect(forwarder.numbers).toMatchObject({ forwarded: 101, duplicates: 1 })
    },
  )

  test('keeps the order with one item in flight', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(again, unsent)
    await queue.enqueueMany(Array.from({ length: 40 }, (_, index) => ({ data: `${index}` })))
    const forwarder = await start(queue, sink, { inFlight: 1 })
    await forwarder.idle()
    expect(sink.arrived.map(({ text }) => Number(text))).toEqual([...Array(40).keys()])
    expect(sink.mostPuts).toBe(1)
  })

  test('gives a retried item the id that it had', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    await queue.enqueue('a', ['x'])
    await queue.enqueue('b', ['x'])
    const forwarder = await start(queue, sink)
    await forwarder.idle()
    const done = contents(queue).done
    expect(await queue.redrive('all', { from: 'done' })).toEqual({ moved: 2, gone: 0 })
    await next(forwarder, 'forwarded')
    await forwarder.idle()
    expect(sink.arrived).toHaveLength(2)
    expect(forwarder.numbers).toMatchObject({ forwarded: 4, duplicates: 2 })
    expect(contents(queue).done).toEqual(done)
  })

  test('moves what is refused to fail/, and a retry puts it again', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(refused)
    const id = await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    expect(await next(forwarder, 'refused')).toMatchObject({ error: { message: 'no' } })
    expect(await queue.attempts(id)).toMatchObject([{ error: { name: 'PermanentFailure' } }])
    expect(await queue.counts()).toMatchObject({ failed: 1 })
    await queue.redrive('all')
    await next(forwarder, 'forwarded')
    expect(sink.arrived).toHaveLength(1)
    expect(forwarder.numbers).toMatchObject({ forwarded: 1, duplicates: 0, refused: 1 })
  })

  test('says what the sink has answered if that has no error', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push((items) => items.map(() => ({ outcome: 'refused' })))
    await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    expect(await next(forwarder, 'refused')).toMatchObject({
      error: { message: "The sink test has answered { outcome: 'refused' } for an item" },
    })
  })

  test('refuses what is too large for the target, without a put', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.maxSize = 10
    await queue.enqueue('x'.repeat(11))
    await queue.enqueue('x'.repeat(10))
    const forwarder = await start(queue, sink)
    const { error } = await next(forwarder, 'refused')
    expect(String(error)).toContain('has 11 bytes, and test takes 10')
    await forwarder.idle()
    expect(sink.puts).toEqual([1])
  })

  test('has at most 8 MiB in flight, and sends a larger item alone', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    const mebi = 1024 * 1024
    for (const size of [3, 3, 3, 9, 1, 1]) await queue.enqueue(Buffer.alloc(size * mebi))
    const forwarder = await start(queue, sink)
    await forwarder.idle()
    expect(sink.arrived).toHaveLength(6)
    expect(sink.mostBytes).toBe(9 * mebi)
    expect(sink.puts.length).toBeGreaterThanOrEqual(3)
  })

  test('takes items to a queue with parsers as they are', async () => {
    const queue = await bed.install()
    await queue.enqueue('no JSON')
    const typed = new Queue('q', { root: bed.root, body: (value: unknown) => Number(value) })
    const sink = new TestSink()
    const forwarder = await forward(typed, sink)
    await forwarder.idle()
    await typed.close()
    await forwarder.close()
    expect(sink.arrived).toMatchObject([{ text: 'no JSON' }])
    expect(sink.closed).toBe(1)
    expect(forwarder.state).toBe('closed')
  })

  test.each([0, Infinity])('keeps done items for %d ms', async (keep) => {
    const queue = await bed.install()
    await queue.enqueue('a')
    const forwarder = await start(queue, new TestSink(), { keep })
    await forwarder.idle()
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: keep === 0 ? 0 : 1 })
  })

  test('waits while the queue is down', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    const forwarder = await start(queue, sink)
    await queue.down()
    while (forwarder.state !== 'down') await next(forwarder, 'state')
    await queue.enqueue('a')
    await queue.up()
    await next(forwarder, 'forwarded')
    expect(sink.arrived).toHaveLength(1)
  })

  test('goes on in a queue that was installed anew, with another identity', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    const forwarder = await start(queue, sink)
    forwarder.on('error', () => undefined)
    await queue.enqueue('a')
    await next(forwarder, 'forwarded')
    const anew = await bed.install({ force: true })
    await anew.enqueue('b')
    await next(forwarder, 'forwarded')
    const [first, second] = sink.arrived.map(({ id }) => id.split('-')[0])
    expect(first).not.toBe(second)
    expect(fs.readdirSync(path.join(anew.path, 'forwarded')).sort()).toEqual(['id', 'test'])
  })

  test('shares a queue with others', async () => {
    const queue = await bed.install()
    const sinks = [new TestSink(), new TestSink(), new TestSink()]
    const forwarders = await Promise.all(sinks.map(async (sink) => start(queue, sink, { inFlight: 3 })))
    expect(fs.readdirSync(path.join(queue.path, 'forwarded', 'test'))).toHaveLength(3)
    await queue.enqueueMany(Array.from({ length: 200 }, (_, index) => ({ data: `${index}` })))
    while ((await queue.counts()).waiting > 0)
      await Promise.race(forwarders.map(async (one) => next(one, 'forwarded')))
    const arrived = sinks.flatMap((sink) => sink.arrived.map(({ id }) => id))
    expect(new Set(arrived).size).toBe(200)
    expect(arrived).toHaveLength(200)
  })

  test('has an id of the queue that stays', async () => {
    const queue = await bed.install()
    const file = path.join(queue.path, 'forwarded', 'id')
    await (await forward(queue, new TestSink())).close()
    const before = fs.readFileSync(file, 'utf8')
    await (await forward(queue, new TestSink())).close()
    expect(fs.readFileSync(file, 'utf8')).toBe(before)
    fs.writeFileSync(file, 'nothing')
    await expect(forward(queue, new TestSink())).rejects.toThrow('does not tell the id of the queue')
    expect(fs.readdirSync(path.join(queue.path, 'forwarded')).sort()).toEqual(['id', 'test'])
  })
})

test('A sink cannot change what an item is known by: its next put has the same id', async () => {
  const queue = await bed.install()
  const sink = new TestSink()
  const ids: string[] = []
  sink.answers.push(
    async ([item]) => {
      ids.push(item?.id ?? '')
      Object.assign(item ?? {}, { id: 'another' })
    },
    async (items) => {
      ids.push(items[0]?.id ?? '')
      return sink.store(items)
    },
  )
  await queue.enqueue('a')
  await (await start(queue, sink)).idle()
  expect(ids).toHaveLength(2)
  expect(new Set(ids).size).toBe(1)
})

describe('While the target is away, a forwarder', () => {
  test('claims nothing new, puts the same items again, and comes back', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.then = async () => {
      throw new Error('no connection')
    }
    await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    const states: unknown[] = []
    forwarder.on('state', ({ state }) => states.push(state))
    expect(await next(forwarder, 'away')).toMatchObject({ error: { message: 'no connection' } })
    await queue.enqueue('b')
    while (sink.puts.length < 4) await next(sink.events(), 'put')
    expect(forwarder.state).toBe('away')
    expect(sink.puts).toEqual([1, 1, 1, 1])
    expect(forwarder.numbers).toMatchObject({ inFlight: 1, lastSuccess: undefined })
    sink.then = async (items) => sink.store(items)
    expect(await next(forwarder, 'back')).toMatchObject({ ms: expect.any(Number) })
    await forwarder.idle()
    expect(sink.arrived.map(({ text }) => text)).toEqual(['a', 'b'])
    expect(states).toEqual(['away', 'running'])
  })

  ifManyFiles().test('goes on although more items wait than one put has', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    // No put ends before more items are in hand than two puts have: once the target is away, the forwarder claims nothing more.
    const inHand = (): number => sink.puts.reduce((sum, items) => sum + items, 0)
    const enoughInHand = (async () => {
      while (inHand() <= 128) await next(sink.events(), 'put')
    })()
    sink.then = async () => {
      await enoughInHand
      throw new Error('no connection')
    }
    await queue.enqueueMany(Array.from({ length: 300 }, (_, index) => ({ data: `${index}` })))
    const forwarder = await start(queue, sink)
    await next(forwarder, 'away')
    // The first ones are those that were in flight.
    const enough = sink.puts.length + 7
    while (sink.puts.length < enough) await next(sink.events(), 'put')
    expect(sink.puts.slice(-2)).toEqual([64, 64])
    sink.then = async (items) => sink.store(items)
    await forwarder.idle()
    expect(sink.arrived).toHaveLength(300)
  })

  test.each([
    ['too few outcomes', async () => []],
    ['no array', async () => undefined],
    ['unknown outcomes', async (items: readonly unknown[]) => items.map(() => ({ outcome: 'perhaps' }))],
    [
      'a text that it throws',
      () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- the sink of a user can throw anything
        throw 'no'
      },
    ],
  ])('takes %s for no answer', async (_, answer) => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(answer)
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const forwarder = await start(queue, sink)
    await next(forwarder, 'away')
    await next(forwarder, 'back')
    await forwarder.idle()
    expect(sink.arrived).toHaveLength(2)
  })

  test('stays here if the target has taken some of a put', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(async (items) => [
      { outcome: 'again', error: new Error('later') },
      ...(await sink.store(items.slice(1))),
    ])
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const forwarder = await start(queue, sink)
    forwarder.on('away', () => expect('away').toBe('here'))
    await forwarder.idle()
    expect(sink.arrived.map(({ text }) => text)).toEqual(['b', 'a'])
  })

  test('is paused by its caller all the same', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    const forwarder = await start(queue, sink, { paused: true })
    expect(forwarder.state).toBe('paused')
    await queue.enqueue('a')
    sink.answers.push(again)
    forwarder.resume()
    await next(forwarder, 'away')
    forwarder.pause()
    expect(forwarder.state).toBe('paused')
    await next(forwarder, 'back')
    expect(forwarder.state).toBe('paused')
    await queue.enqueue('b')
    forwarder.resume()
    await forwarder.idle()
    expect(sink.arrived).toHaveLength(2)
  })

  test('puts nothing that it cannot write down', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    const forwarder = await start(queue, sink)
    forwarder.on('error', () => undefined)
    const directory = path.join(queue.path, 'forwarded', 'test')
    fs.rmSync(directory, { recursive: true })
    fs.writeFileSync(directory, 'in the way')
    const away = next(forwarder, 'away')
    await queue.enqueue('a')
    expect(await away).toMatchObject({ by: 'queue', error: { cause: { code: 'ENOTDIR' } } })
    expect(sink.puts).toEqual([])
    const back = next(forwarder, 'back')
    fs.rmSync(directory)
    await back
    expect(sink.arrived).toHaveLength(1)
  })
})

test.each([
  ['ENOSPC', 'DiskFullError', 'write'],
  ['EROFS', 'ReadOnlyError', 'datasync'],
  ['EACCES', 'PermissionError', 'write'],
] as const)(
  '%s of forwarded/ is told as an error of the queue, not of the target',
  async (code, name, call) => {
    const queue = await bed.install()
    const sink = new TestSink()
    const forwarder = await start(queue, sink)
    const file = await fs.promises.open(bed.path('any'), 'w')
    const handles = Object.getPrototypeOf(file) as {
      write: () => Promise<never>
      datasync: () => Promise<never>
    }
    await file.close()
    const failing = jest.spyOn(handles, call).mockImplementation(async () => {
      throw Object.assign(new Error(`${code}: no, ${call}`), {
        code,
        errno: -os.constants.errno[code],
        syscall: call,
      })
    })
    const away = next(forwarder, 'away')
    await queue.enqueue('a')
    const { by, error } = await away
    expect(by).toBe('queue')
    expect(error).toMatchObject({ name, code: expect.any(String), cause: { code } })
    const directory = path.join(queue.path, 'forwarded', 'test')
    expect((error as Error).message).toContain(directory)
    expect((error as Error).message).toMatch(/^Cannot write down which items are put into test: /)
    expect(sink.puts).toEqual([])
    const back = next(forwarder, 'back')
    failing.mockRestore()
    await back
    expect(sink.arrived).toHaveLength(1)
  },
)

describe('Lines of a dead forwarder', () => {
  /** As a forwarder leaves them that dies with items in flight. */
  function plantLines(queue: Queue, ids: readonly string[]): string {
    const directory = path.join(queue.path, 'forwarded', 'test')
    const lines = new WorkerLines(ids.length)
    lines.worker = {
      version: 1,
      pid: 1,
      host: 'gone',
      started: '',
      concurrency: 1,
      state: 'running',
      counters: noCounts(),
    }
    for (const id of ids) lines.hold({ id, since: momentText(momentNow()) })
    const file = path.join(directory, `gone.1.1`)
    fs.writeFileSync(file, lines.bytes)
    return file
  }

  test('are compared with what waits in parts: the memory stays the same however many items wait', async () => {
    const queue = await bed.install()
    await (await forward(queue, new TestSink())).close()
    const file = plantLines(queue, ['_1_0_1_gone_0'])
    await queue.enqueue('a')
    const list = jest.spyOn(native, 'list')
    try {
      await start(queue, new TestSink())
      await until('the file is removed', () => !fs.existsSync(file))
      expect(list.mock.calls.map(([, , , , , atOnce]) => typeof atOnce)).not.toContain('undefined')
    } finally {
      list.mockRestore()
    }
  })

  test('are left to the next one if the forwarder and its queue close at once', async () => {
    const queue = await bed.install()
    await (await forward(queue, new TestSink())).close()
    plantLines(queue, ['_1_0_1_gone_0'])
    const errors: unknown[] = []
    let isClosed = false
    const list = native.list.bind(native)
    // A listing that takes until the queue is closed; half a second if the close waits for it.
    const listing = jest.spyOn(native, 'list').mockImplementation(async (...args) => {
      const isOfScan = args[3] !== undefined
      for (const end = Date.now() + 500; !isOfScan && !isClosed && Date.now() < end;)
        await new Promise((resolve) => setImmediate(resolve))
      return list(...args)
    })
    const isBegun = until('the lines are compared', () =>
      listing.mock.calls.some(([, , , skipped]) => skipped === undefined),
    )
    const second = await forward(queue, new TestSink())
    second.on('error', (error) => errors.push(error))
    await isBegun
    await second.close()
    await queue.close()
    isClosed = true
    await Promise.allSettled(listing.mock.results.map(async ({ value }) => value))
    await new Promise((resolve) => setImmediate(resolve))
    listing.mockRestore()
    expect(errors).toEqual([])
  })

  test('go with their items, also where the names are not valid in the charset of the queue', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    await (await forward(queue, sink)).close()
    const [waiting = ''] = await queue.enqueueMany([{ data: 'a', delay: HOUR }])
    const file = plantLines(queue, ['_1_0_1_gone_0_\xff', waiting])
    const errors: unknown[] = []
    const second = await start(queue, sink)
    second.on('error', (error) => errors.push(error))
    await until('one line is left', () => lines(queue).length === 1)
    expect(lines(queue)[0]).toContain(waiting)
    expect(fs.existsSync(file)).toBe(true)
    expect(errors).toEqual([])
  })
})

describe('In doubt', () => {
  test('is an item without an answer, after a close: it is put again while the target knows it', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(async (items) => {
      await sink.store(items)
      return never(items, { signal: AbortSignal.timeout(1) })
    })
    await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    await next(sink.events(), 'put')
    await forwarder.close({ grace: 0 })
    expect(sink.closed).toBe(1)
    expect(lines(queue)).toHaveLength(1)
    expect(await queue.counts()).toMatchObject({ waiting: 1, failed: 0 })
    const later = await start(queue, sink)
    await later.idle()
    expect(later.numbers).toMatchObject({ forwarded: 1, duplicates: 1 })
    expect(sink.arrived).toHaveLength(1)
    await later.close()
    expect(lines(queue)).toEqual([])
  })

  test.each([false, true])(
    'is an older one held, also without meta/ (%p), and put after a retry',
    async (isDeleted) => {
      const queue = await bed.install()
      const sink = new TestSink()
      sink.answers.push(aborted)
      const id = await queue.enqueue('a')
      const first = await start(queue, sink)
      await next(sink.events(), 'put')
      await first.close({ grace: 0 })
      age(queue)
      if (isDeleted) fs.rmSync(path.join(queue.path, 'meta'), { recursive: true })
      await queue.enqueue('b')
      const second = await start(queue, sink)
      const { error, since } = await next(second, 'held')
      expect(error).toBeInstanceOf(InDoubtError)
      expect(error).toMatchObject({ code: 'ERR_FSQ_IN_DOUBT', since })
      expect(Date.now() - (since as Date).getTime()).toBeGreaterThan(1.4 * HOUR)
      await second.idle()
      expect(sink.arrived.map(({ text }) => text)).toEqual(['b'])
      expect(second.numbers).toMatchObject({ forwarded: 1, held: 1, refused: 0 })
      expect(await queue.attempts(id)).toMatchObject([{ error: { code: 'ERR_FSQ_IN_DOUBT' } }])
      await queue.redrive('all')
      await next(second, 'forwarded')
      expect(sink.arrived.map(({ text }) => text)).toEqual(['b', 'a'])
      await second.close()
      expect(lines(queue)).toEqual([])
    },
  )

  test('is an older one held if the target tells of a shorter memory while the put is written down', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(aborted)
    await queue.enqueue('a')
    const first = await start(queue, sink)
    await next(sink.events(), 'put')
    await first.close({ grace: 0 })
    age(queue)
    // As of a target that could not be asked until now. The check of forward() is the first to read it.
    let reads = 0
    Object.defineProperty(sink, 'remembers', { get: () => (++reads <= 2 ? Infinity : HOUR) })
    const second = await start(queue, sink)
    await next(second, 'held')
    expect(reads).toBe(3)
    expect(sink.puts).toHaveLength(1)
  })

  test('is an older one put, with the option publish', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.answers.push(aborted)
    await queue.enqueue('a')
    const first = await start(queue, sink)
    await next(sink.events(), 'put')
    await first.close({ grace: 0 })
    age(queue)
    const second = await start(queue, sink, { inDoubt: 'publish' })
    await second.idle()
    expect(second.numbers).toMatchObject({ forwarded: 1, held: 0 })
  })

  test('is each repeat, for a target that remembers nothing', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.remembers = 0
    sink.answers.push(again)
    await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    expect(await next(forwarder, 'held')).toMatchObject({ error: { code: 'ERR_FSQ_IN_DOUBT' } })
  })

  test('is nothing that the target has certainly not stored', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.remembers = 0
    sink.answers.push(unsent, unsent)
    await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    await forwarder.idle()
    expect(forwarder.numbers).toMatchObject({ forwarded: 1, held: 0 })
  })

  test('is nothing at the first start, and nothing after a clean end', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.remembers = 0
    await queue.enqueue('a')
    const first = await start(queue, sink)
    await first.idle()
    await first.close()
    await queue.enqueue('b')
    const second = await start(queue, sink)
    await second.idle()
    expect(second.numbers).toMatchObject({ forwarded: 1, held: 0 })
  })
})

test('An error ahead of a repeat does not make its doubt younger', async () => {
  const queue = await bed.install()
  const sink = new TestSink()
  await queue.enqueue('a')
  const written: string[][] = []
  sink.answers.push((items, options) => {
    written.push(lines(queue))
    // The names of the other forwarders cannot be read once.
    const real = fs.promises.readdir
    const spy = jest.spyOn(fs.promises, 'readdir').mockImplementation((async (directory: string) => {
      if (!directory.endsWith('forwarded/test')) return real(directory)
      spy.mockRestore()
      throw Object.assign(new Error('too many open files'), { code: 'EMFILE' })
    }) as never)
    return again(items, options)
  })
  sink.answers.push((items) => {
    written.push(lines(queue))
    return sink.store(items)
  })
  const forwarder = await start(queue, sink)
  await next(forwarder, 'forwarded')
  expect(jest.isMockFunction(fs.promises.readdir)).toBe(false)
  expect(written[0]).toHaveLength(1)
  expect(written[1]).toEqual(written[0])
})

test('An item that was forwarded is in no doubt, although the file of its line was removed meanwhile', async () => {
  const queue = await bed.install()
  const sink = new TestSink()
  // A doubt is old after a tenth of a second.
  sink.remembers = 60_100
  const gate = new EventEmitter()
  sink.answers.push(async (items) => {
    await once(gate, 'open')
    return sink.store(items)
  })
  await queue.enqueue('a')
  const forwarder = await start(queue, sink)
  await next(sink.events(), 'put')
  fs.rmSync(path.join(queue.path, 'forwarded', 'test'), { recursive: true })
  await queue.enqueue('b')
  await next(forwarder, 'forwarded')
  gate.emit('open')
  await forwarder.idle()
  const end = performance.now() + 200
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve))
  // Without its history, nothing tells of the retry.
  fs.rmSync(path.join(queue.path, 'meta'), { recursive: true })
  const [name = ''] = contents(queue).done
  fs.renameSync(path.join(queue.paths.done, name), path.join(queue.paths.queue, name))
  await next(forwarder, 'forwarded')
  expect(forwarder.numbers).toMatchObject({ forwarded: 3, held: 0 })
})

describe('A close', () => {
  test('waits for the answers of puts in flight', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    let answer: () => void = () => undefined
    sink.answers.push(async (items) => {
      await new Promise<void>((resolve) => (answer = resolve))
      return sink.store(items)
    })
    await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    await next(sink.events(), 'put')
    const closing = forwarder.close()
    await queue.enqueue('b')
    answer()
    await closing
    expect(sink.arrived.map(({ text }) => text)).toEqual(['a'])
    expect(await queue.counts()).toMatchObject({ waiting: 1, done: 1 })
  })

  test('of an away target gives items back at once, as they were', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.then = unsent
    const id = await queue.enqueue('a')
    const forwarder = await start(queue, sink)
    await next(forwarder, 'away')
    const begin = performance.now()
    await forwarder.close()
    expect(performance.now() - begin).toBeLessThan(9000)
    expect(contents(queue).queue).toEqual([id])
    expect(lines(queue)).toEqual([])
  })

  test('comes by a signal, too', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    const stop = new AbortController()
    const forwarder = await start(queue, sink, { signal: stop.signal })
    stop.abort()
    await forwarder.close()
    expect(forwarder.state).toBe('closed')
    expect(sink.closed).toBe(1)
    await expect(forward(queue, sink, { signal: stop.signal })).rejects.toBe(stop.signal.reason)
  })

  test('does not wait for ever for a sink that does not close', async () => {
    const queue = await bed.install()
    const sink = Object.assign(new TestSink(), { close: async () => new Promise<void>(() => undefined) })
    const forwarder = await forward(queue, sink)
    await expect(forwarder.close()).rejects.toThrow('The sink test has not closed within 5000 ms')
  })

  test('rejects if the sink cannot be closed', async () => {
    const queue = await bed.install()
    const sink = new TestSink()
    sink.close = async () => {
      throw new Error('stuck')
    }
    const forwarder = await forward(queue, sink)
    forwarder.on('error', () => undefined)
    await expect(forwarder.close()).rejects.toThrow('stuck')
  })
})

describe('forward()', () => {
  test('rejects without a queue, and if the sink cannot be opened', async () => {
    await expect(forward(bed.open(), new TestSink())).rejects.toThrow(QueueMissingError)
    const queue = await bed.install()
    const sink = new TestSink()
    sink.open = async () => {
      throw new Error('no rights')
    }
    await expect(forward(queue, sink)).rejects.toThrow('no rights')
    expect(sink.closed).toBe(0)
    expect(fs.readdirSync(path.join(queue.path, 'forwarded', 'test'))).toEqual([])
  })

  test.each([
    ['inFlight', { inFlight: 0 }],
    ['keep', { keep: -1 }],
    ['inDoubt', { inDoubt: 'drop' }],
    ['grace', { grace: -1 }],
    ['signal', { signal: 1 }],
    ['paused', { paused: 1 }],
    ['closeOn', { closeOn: ['SIGKILL'] }],
    ['concurrency', { concurrency: 1 }],
  ])('rejects a wrong option %s', async (setting, options) => {
    const queue = await bed.install()
    const rejected = forward(queue, new TestSink(), options as ForwardOptions)
    await expect(rejected).rejects.toThrow(SettingError)
    await expect(rejected).rejects.toMatchObject({ setting })
  })

  test.each([
    ['sink', null],
    ['sink.put', { name: 'a', remembers: 1 }],
    ['sink.name', { name: '../a', remembers: 1, put: () => [] }],
    ['sink.name', { name: '.a', remembers: 1, put: () => [] }],
    ['sink.remembers', { name: 'a', remembers: '1', put: () => [] }],
    ['sink.maxSize', { name: 'a', remembers: 1, put: () => [], maxSize: -1 }],
  ])('rejects a wrong %s', async (setting, sink) => {
    const queue = await bed.install()
    await expect(forward(queue, sink as unknown as Sink)).rejects.toMatchObject({ setting })
  })

  test('makes errors of the classes that are documented', () => {
    expect(new InDoubtError('_x', 'test', new Date(Number.NaN)).message).toContain(
      'may have been put into test before',
    )
    expect(new PermanentFailure('no')).not.toBeInstanceOf(InDoubtError)
  })
})
