import { Buffer } from 'node:buffer'
import { Readable } from 'node:stream'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  NameTooLongError,
  PayloadError,
  QueueClosedError,
  QueueMissingError,
  SettingError,
} from '../../src/errors/classes.js'
import type { Payload } from '../../src/enqueue/payload.js'
import { EMPTY, checkError, contents, errorOf, until, useTestBed } from '../support/queue.js'
import { large, ways } from './sources.js'

const bed = useTestBed()
const realTimeout = setTimeout // which tests fake

interface Watched {
  readonly data: unknown
  /** Whether it has been released. */
  readonly isFree: () => boolean
  /** It has given all its chunks, and hangs. */
  readonly hangs: () => boolean
}

const watched: readonly (readonly [string, (chunks: unknown[], hang: boolean) => Watched])[] = [
  [
    'a Readable',
    (chunks, hang) => {
      const rest = [...chunks]
      const data = new Readable({
        objectMode: true,
        highWaterMark: 1,
        read() {
          if (rest.length > 0) this.push(rest.shift())
          else if (!hang) this.push(null)
        },
      })
      return {
        data,
        isFree: () => data.destroyed,
        hangs: () => rest.length === 0 && data.readableLength === 0,
      }
    },
  ],
  [
    'a Web stream',
    (chunks, hang) => {
      const rest = [...chunks]
      let cancelled = false
      let hangs = false
      const data = new ReadableStream({
        pull(controller) {
          if (rest.length > 0) controller.enqueue(rest.shift())
          else if (hang) {
            hangs = true
            return new Promise(() => undefined)
          } else controller.close()
          return undefined
        },
        cancel() {
          cancelled = true
        },
      })
      return { data, isFree: () => cancelled, hangs: () => hangs }
    },
  ],
  [
    'a generator',
    (chunks, hang) => {
      let left = false
      let hangs = false
      async function* make(): AsyncGenerator {
        try {
          yield* chunks
          hangs = true
          // Not for ever, because a waiting generator cannot be left.
          if (hang) yield new Promise((resolve) => realTimeout(resolve, 100, 'late'))
          if (hang) yield 'later'
        } finally {
          left = true
        }
      }
      return { data: make(), isFree: () => left, hangs: () => hangs }
    },
  ],
]

const strange: readonly (readonly [string, unknown, RegExp])[] = [
  ['a number', 5, /Chunk \d of the payload is 5, expected a string or bytes/],
  ['an object', { a: 1 }, /is \{ a: 1 \}, expected a string or bytes. Turn the objects/],
  ['a lone surrogate', 'a\udc00b', /has a lone surrogate/],
  ['half a character before bytes', ['\ud83d', Buffer.from('x')], /has a lone surrogate/],
  ['half a character at the end', '\ud83d', /has a lone surrogate/],
]

describe.each(watched)('%s', (what, make) => {
  describe.each(ways)('%s', (_way, enqueue) => {
    test.each(strange)('with %s in it: refused and released', async (kind, chunk, says) => {
      // A source that is at its end has been released by itself.
      const isLast = kind.endsWith('end')
      const more = isLast ? [] : ['more', 'more', 'more']
      for (const before of [[], [large]]) {
        const queue = await bed.install({ force: true })
        const { data, isFree } = make([...before, ...[chunk].flat(), ...more], false)
        checkError(await errorOf(async () => enqueue(queue, data)), { type: PayloadError, says })
        expect(contents(queue)).toEqual(EMPTY)
        if (!isLast) await until('it is released', isFree)
      }
    })

    test('that fails: its error is the cause', async () => {
      for (const before of [[], ['small'], [large]]) {
        const queue = await bed.install({ force: true })
        const failure = new Error('the line went dead')
        async function* failing(): AsyncGenerator {
          yield* before
          throw failure
        }
        const data =
          what === 'a Readable'
            ? Readable.from(failing())
            : what === 'a Web stream'
              ? Readable.toWeb(Readable.from(failing()))
              : failing()
        const error = await errorOf(async () => enqueue(queue, data))
        checkError(error, {
          type: PayloadError,
          says: /source of the payload has failed: the line went dead/,
        })
        expect((error as Error).cause).toBe(failure)
        expect(contents(queue)).toEqual(EMPTY)
      }
    })

    test('is released if the queue is missing or closed, or the name too long', async () => {
      const missing = make(['x'], false)
      await expect(enqueue(bed.open({}, 'nowhere'), missing.data)).rejects.toThrow(QueueMissingError)
      await until('it is released', () => what === 'a generator' || missing.isFree())
      const queue = await bed.install()
      const tooLong = make([large], false)
      const error = await errorOf(async () => queue.enqueue(tooLong.data as Payload, ['x'.repeat(250)]))
      expect(error).toBeInstanceOf(NameTooLongError)
      const badArgument = make([large], false)
      await expect(queue.enqueue(badArgument.data as Payload, ['\ud800'])).rejects.toThrow(/surrogate/)
      const badOption = make([large], false)
      await expect(queue.enqueue(badOption.data as Payload, [], { dealy: 1 } as object)).rejects.toThrow(
        SettingError,
      )
      if (what !== 'a generator') {
        for (const { isFree } of [tooLong, badArgument, badOption]) await until('it is released', isFree)
      }
      expect(contents(queue)).toEqual(EMPTY)
    })
  })

  test('is not for enqueueSync', async () => {
    const queue = await bed.install()
    const { data, isFree } = make(['x'], false)
    checkError(await errorOf(() => queue.enqueueSync(data as Payload)), {
      type: PayloadError,
      says: /enqueueSync cannot wait for\. Use enqueue/,
    })
    if (what !== 'a generator') await until('it is released', isFree)
    expect(contents(queue)).toEqual(EMPTY)
  })

  test('that hangs while the queue is closed: nothing stays', async () => {
    for (const before of [['small'], [large]]) {
      const queue = await bed.install({ force: true })
      const { data, isFree, hangs } = make(before, true)
      const enqueued = errorOf(async () => queue.enqueue(data as Payload))
      await until('it hangs', hangs)
      await queue.close()
      expect(await enqueued).toBeInstanceOf(QueueClosedError)
      await until('it is released', isFree)
      expect(contents(queue)).toEqual(EMPTY)
    }
  })

  test('that hangs for 24 hours is given up, before the sweeper takes its file', async () => {
    const queue = await bed.install()
    jest.useFakeTimers({
      doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'setInterval', 'performance', 'hrtime'],
    })
    const { data, isFree, hangs } = make([large], true)
    const enqueued = errorOf(async () => queue.enqueue(data as Payload))
    while (!hangs()) await new Promise((resolve) => setImmediate(resolve))
    jest.advanceTimersByTime(24 * 3600 * 1000 + 1)
    checkError(await enqueued, { type: PayloadError, says: /not ended within 24 hours/ })
    jest.useRealTimers()
    await until('it is released', isFree)
    expect(contents(queue)).toEqual(EMPTY)
  })
})

afterEach(() => {
  jest.useRealTimers()
})

test('a source that ends after a sleep of a day is not enqueued', async () => {
  const queue = await bed.install()
  jest.useFakeTimers({
    doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'setInterval', 'setTimeout', 'clearTimeout'],
  })
  async function* sleepy(): AsyncGenerator<Buffer> {
    yield large
    jest.setSystemTime(Date.now() + 25 * 3600 * 1000)
  }
  await expect(queue.enqueue(sleepy())).rejects.toThrow(/24 hours/)
  expect(contents(queue)).toEqual(EMPTY)
})
