// An AbortSignal in each phase of an enqueue: nothing of the item stays, until it has its name.
import { Buffer } from 'node:buffer'
import { getEventListeners } from 'node:events'
import fs from 'node:fs'
import { Readable } from 'node:stream'

import { describe, expect, test } from '@jest/globals'

import { EnqueueAbortedError, EnqueueManyError, SettingError } from '../../src/errors/classes.js'
import type { Payload } from '../../src/enqueue/payload.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { EMPTY, contents, errorOf, inProgram, names, until, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const UNNAMED_MISSING = 'enqueue.open#1=errno:95;'
const large = Buffer.alloc(800_000, 'x')
const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

test.each([
  ['a text', () => 'x'],
  ['nothing', () => null],
  ['a stream', () => Readable.from(['x'])],
  ['a file', () => ({ path: '/etc/hostname' })],
])('aborted before, nothing is touched: %s', async (_what, make) => {
  const reason = new Error('changed my mind')
  const data = make()
  const queue = bed.open({}, 'nowhere')
  const signal = AbortSignal.abort(reason)
  await expect(queue.enqueue(data as Payload, ['x'], { signal })).rejects.toBe(reason)
  await expect(queue.enqueueMany([{ data: make() as Payload }], { signal })).rejects.toBe(reason)
  if (data instanceof Readable) expect(data.destroyed).toBe(true)
})

test('the reason may be anything, and is an AbortError where none is given', async () => {
  const queue = await bed.install()
  await expect(queue.enqueue('x', [], { signal: AbortSignal.abort(5) })).rejects.toBe(5)
  await expect(queue.enqueue('x', [], { signal: AbortSignal.abort() })).rejects.toMatchObject({
    name: 'AbortError',
  })
  const hanging = new Readable({ read() {} })
  await expect(queue.enqueue(hanging, [], { signal: AbortSignal.timeout(10) })).rejects.toMatchObject({
    name: 'TimeoutError',
  })
  expect(hanging.destroyed).toBe(true)
  expect(contents(queue)).toEqual(EMPTY)
})

test('a value that is no signal is refused, and so is a signal for a call that takes none', async () => {
  const queue = await bed.install()
  for (const signal of [null, {}, 'abort', new AbortController()]) {
    await expect(queue.enqueue('x', [], { signal } as object)).rejects.toThrow(SettingError)
    await expect(queue.enqueueMany([{ data: 'x' }], { signal } as object)).rejects.toThrow(SettingError)
  }
  const { signal } = new AbortController()
  expect(() => queue.enqueueSync('x', [], { signal } as object)).toThrow(/has no option 'signal'/)
  const error = await errorOf(async () => queue.enqueueMany([{ data: 'x', signal } as object]))
  expect(String((error as Error).cause)).toMatch(/has no option 'signal'/)
  expect(contents(queue)).toEqual(EMPTY)
})

test('without an abort it changes nothing, and leaves no listener behind', async () => {
  const queue = await bed.install()
  const { signal } = new AbortController()
  await queue.enqueue('x', [], { signal })
  await queue.enqueue(null, [], { signal })
  await queue.enqueue(Readable.from([large]), [], { signal })
  await queue.enqueueMany([{ data: 'x' }, { data: Readable.from([large]) }], { signal })
  await errorOf(async () => queue.enqueue({ path: bed.path('missing') }, [], { signal }))
  await errorOf(async () => queue.enqueue(Readable.from([5]), [], { signal }))
  expect(names(queue, 'queue')).toHaveLength(5)
  expect(listeners(signal)).toBe(0)
})

describe('while the source has to answer', () => {
  const hanging: readonly (readonly [string, (chunks: unknown[]) => unknown])[] = [
    [
      'a Readable',
      (chunks) => {
        const stream = new Readable({ objectMode: true, read() {} })
        for (const chunk of chunks) stream.push(chunk)
        return stream
      },
    ],
    [
      'a Web stream',
      (chunks) =>
        new ReadableStream({
          start(controller) {
            for (const chunk of chunks) controller.enqueue(chunk)
          },
        }),
    ],
    [
      'a generator',
      async function* (chunks) {
        yield* chunks
        await new Promise(() => undefined)
      },
    ],
  ]

  test.each(hanging)('%s', async (_what, make) => {
    for (const chunks of [[], ['a'], [large]]) {
      const queue = await bed.install({ force: true })
      const controller = new AbortController()
      const { signal } = controller
      const enqueued = errorOf(async () => queue.enqueue(make(chunks) as Payload, ['x'], { signal }))
      await new Promise((resolve) => setTimeout(resolve, 5))
      controller.abort()
      expect(await enqueued).toBe(signal.reason)
      expect(contents(queue)).toEqual(EMPTY)
      expect(listeners(signal)).toBe(0)
    }
  })

  test('a pipe', async () => {
    const queue = await bed.install()
    const reason = await inProgram(
      `
      const queue = new Queue('q', { root: given.root })
      try {
        // Standard input, which no process writes to or closes.
        await queue.enqueue({ fd: 0 }, ['x'], { signal: AbortSignal.timeout(20) })
      } catch (error) {
        return error.name
      }`,
      { given: { root: bed.root } },
    )
    expect(reason).toBe('TimeoutError')
    expect(contents(queue)).toEqual(EMPTY)
  })
})

interface Phase {
  readonly what: string
  /** Where it pauses. */
  readonly point: string
  readonly late?: boolean
}

const phases: readonly Phase[] = [
  { what: 'bytes', point: 'enqueue.open' },
  { what: 'bytes', point: 'enqueue.write' },
  { what: 'bytes', point: 'enqueue.fsync' },
  { what: 'bytes', point: 'enqueue.link', late: true },
  { what: 'bytes', point: 'enqueue.fsyncdir', late: true },
  { what: 'stream', point: 'enqueue.open' },
  { what: 'stream', point: 'enqueue.write#1' },
  { what: 'stream', point: 'enqueue.write#3' },
  { what: 'stream', point: 'enqueue.fsync' },
  { what: 'stream', point: 'enqueue.link', late: true },
  { what: 'stream', point: 'enqueue.fsyncdir', late: true },
  { what: 'path', point: 'enqueue.source' },
  { what: 'path', point: 'enqueue.copy' },
  { what: 'path', point: 'enqueue.copy#2' },
  { what: 'path', point: 'enqueue.fsync' },
  { what: 'path', point: 'enqueue.link', late: true },
  { what: 'descriptor', point: 'enqueue.copy#2' },
  { what: 'many', point: 'enqueue.write' },
  { what: 'many', point: 'enqueue.link', late: true },
]

const ways = [
  ['', ''],
  [' in tmp/', UNNAMED_MISSING],
] as const

describe.each(ways)('while the call is under way%s', (_way, faults) => {
  test.each(phases)('$what: $point', async ({ what, point, late = false }) => {
    const queue = await bed.install()
    fs.writeFileSync(bed.path('file'), '')
    fs.truncateSync(bed.path('file'), 100 * 1024 * 1024)
    const pause = bed.path('pause')
    const opens = point === 'enqueue.open' && faults !== ''
    const answer = await inProgram<{ reason?: string; ids?: string[]; copied?: number }>(
      `
      const { createRequire } = await import('node:module')
      const { Readable } = await import('node:stream')
      const addon = createRequire(given.preload)('../../binding.cjs')
      const queue = new Queue('q', { root: given.root })
      const controller = new AbortController()
      const { signal } = controller
      const fd = fs.openSync(given.file)
      const large = () => Array.from({ length: 8 }, () => Buffer.alloc(100_000, 'x'))
      const calls = {
        bytes: () => queue.enqueue('x', ['x'], { signal }),
        stream: () => queue.enqueue(Readable.from(large()), ['x'], { signal }),
        path: () => queue.enqueue({ path: given.file }, ['x'], { signal }),
        descriptor: () => queue.enqueue({ fd }, ['x'], { signal }),
        many: () => queue.enqueueMany([{ data: 'x' }, { data: Readable.from(large()) }], { signal }),
      }
      addon.setFaults(given.faults)
      const enqueued = calls[given.what]().then(
        (id) => ({ ids: [id].flat() }),
        (error) => ({ reason: error === signal.reason ? 'the reason' : String(error), outcomes: error.outcomes?.map(({ id, error }) => id ? 'id' : error.name) }),
      )
      await until(() => fs.existsSync(given.pause))
      controller.abort(new Error('enough'))
      await new Promise((resolve) => setTimeout(resolve, 5))
      fs.unlinkSync(given.pause)
      return await enqueued`,
      {
        flags: ['--require', FAULT_BUILD],
        given: {
          root: bed.root,
          file: bed.path('file'),
          preload: FAULT_BUILD,
          what,
          pause,
          faults: `${faults}${opens ? 'enqueue.open#2' : point}=pause:${pause}`,
        },
      },
    )
    expect(names(queue, 'tmp')).toEqual([])
    if (!late) {
      expect(answer).toEqual({ reason: 'the reason' })
      expect(contents(queue)).toEqual(EMPTY)
    } else if (what === 'many') {
      // The first one is in the queue, the second one is not.
      expect(answer).toMatchObject({ outcomes: ['id', 'EnqueueAbortedError'] })
      expect(names(queue, 'queue')).toHaveLength(1)
    } else {
      expect(answer.ids).toEqual(names(queue, 'queue'))
    }
  })
})

test('many: what is in the queue stays, the outcome of the others is that they were aborted', async () => {
  const queue = await bed.install()
  const controller = new AbortController()
  async function* aborting(): AsyncGenerator<Buffer> {
    yield large
    controller.abort(new Error('enough'))
    yield large
  }
  const last = Readable.from(['c'])
  const entries = [{ data: 'a' }, { data: aborting() }, { data: 'b' }, { data: last }]
  const aborted = await errorOf(async () => queue.enqueueMany(entries, { signal: controller.signal }))
  expect(aborted).toBeInstanceOf(EnqueueManyError)
  const outcomes = (aborted as EnqueueManyError).outcomes.map((outcome) =>
    'id' in outcome ? outcome.id : outcome.error,
  )
  expect(outcomes[0]).toBe(names(queue, 'queue')[0])
  for (const outcome of outcomes.slice(1)) {
    expect(outcome).toBeInstanceOf(EnqueueAbortedError)
    expect((outcome as Error).cause).toBe(controller.signal.reason)
  }
  expect(last.destroyed).toBe(true)
  expect(contents(queue)).toEqual({ ...EMPTY, queue: [outcomes[0]] })
})

describe('a source that never ends its clean-up is not waited for', () => {
  const never = async (): Promise<never> => new Promise(() => undefined)
  const sources: Readonly<Record<string, (controller: AbortController) => unknown>> = {
    async *'a generator, left between two chunks'(controller) {
      try {
        yield large
        controller.abort(new Error('enough'))
        yield large
      } finally {
        await never()
      }
    },
    async *'a generator that hangs'(controller) {
      try {
        yield large
        setImmediate(() => {
          controller.abort(new Error('enough'))
        })
        await never()
      } finally {
        await never()
      }
    },
    'a Web stream': (controller) =>
      new ReadableStream({
        pull(stream) {
          stream.enqueue(large)
          controller.abort(new Error('enough'))
        },
        cancel: never,
      }),
    async *'a source with a chunk that is refused'(controller) {
      try {
        yield 5
      } finally {
        setImmediate(() => {
          controller.abort(new Error('enough'))
        })
        await never()
      }
    },
  }

  test.each(Object.entries(sources))('%s', async (what, make) => {
    const queue = await bed.install()
    for (const isMany of [false, true]) {
      const controller = new AbortController()
      const { signal } = controller
      const data = make(controller) as Payload
      const failed = await errorOf(async () =>
        isMany ? queue.enqueueMany([{ data }], { signal }) : queue.enqueue(data, [], { signal }),
      )
      if (!what.includes('refused')) expect(failed).toBe(signal.reason)
      else expect(String(failed)).toMatch(/PayloadError|EnqueueManyError/)
      expect(signal.aborted).toBe(true)
      await until('nothing of it stays', () => names(queue, 'tmp').length === 0)
      expect(contents(queue)).toEqual(EMPTY)
      expect(listeners(signal)).toBe(0)
    }
  })

  test('nor the sources whose turn has not come', async () => {
    const queue = await bed.install()
    const controller = new AbortController()
    const { signal } = controller
    async function* first(): AsyncGenerator<Buffer> {
      yield large
      controller.abort(new Error('enough'))
    }
    let isLeft = false
    const second = {
      [Symbol.asyncIterator]: () => second,
      next: never,
      return: async () => {
        isLeft = true
        return never()
      },
    }
    const entries = [{ data: first() }, { data: second as unknown as Payload }]
    expect(await errorOf(async () => queue.enqueueMany(entries, { signal }))).toBe(signal.reason)
    expect(isLeft).toBe(true)
  })
})

test('thousands with one signal: each is in the queue or was aborted', async () => {
  const queue = await bed.install({ durability: 'none' })
  const controller = new AbortController()
  const { signal } = controller
  const reason = new Error('enough')
  const results = Array.from({ length: 2000 }, async (_, index) =>
    queue.enqueue(index % 3 === 0 ? null : 'x', [index], { signal }).catch((error: unknown) => error),
  )
  await results[0]
  expect(listeners(signal)).toBe(1)
  controller.abort(reason)
  const settled = await Promise.all(results)
  const ids = settled.filter((result) => typeof result === 'string')
  expect(settled.filter((result) => typeof result !== 'string' && result !== reason)).toEqual([])
  expect(ids.sort()).toEqual(names(queue, 'queue'))
  expect(names(queue, 'tmp')).toEqual([])
  await until('no listener is left', () => listeners(signal) === 0)
})
