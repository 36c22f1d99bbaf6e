import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  PermanentFailure,
  Queue,
  QueueDownError,
  QueueMissingError,
  RetryLater,
  SettingError,
} from '../src/index.js'
import { advance, drain, testQueue } from '../src/testing.js'
import { errorOf, takeOne, until } from './support/queue.js'

const HOUR = 3_600_000

afterEach(() => {
  jest.useRealTimers()
})

describe('testQueue', () => {
  test('is in a directory of its own, which goes at the end of the block', async () => {
    let root: string
    {
      await using queue = await testQueue({ maxTries: 3 })
      await using other = await testQueue()
      root = queue.settings.root
      expect(root.startsWith(fs.realpathSync(os.tmpdir()))).toBe(true)
      expect(queue.settings).toMatchObject({ durability: 'none', maxTries: 3 })
      expect(queue).toBeInstanceOf(Queue)
      expect([queue.name, other.settings.root === root]).toEqual(['test', false])
      await queue.enqueue('x')
      expect(await queue.counts()).toMatchObject({ waiting: 1 })
    }
    expect(fs.existsSync(root)).toBe(false)
  })

  test('close() keeps the files, remove() removes them', async () => {
    const queue = await testQueue({ name: 'mail', durability: 'full', lockKind: 'fcntl', itemMode: 0o660 })
    expect([queue.name, queue.settings.durability]).toEqual(['mail', 'full'])
    await queue.close()
    expect(fs.existsSync(queue.path)).toBe(true)
    await queue.remove()
    await queue.remove()
    expect(fs.existsSync(queue.settings.root)).toBe(false)
  })

  test('takes the other options of an installation', async () => {
    await using queue = await testQueue({ claims: 'rename', triggered: true, addHosts: ['a'], maxTries: 3 })
    expect(fs.existsSync(`${queue.path}/trigger-s`)).toBe(true)
    expect(await queue.hosts()).toEqual(['a'])
    await queue.enqueue('x', [], { delay: HOUR })
    const claims: unknown[] = []
    const { done, retried } = await drain(queue, (item) => {
      claims.push(item.claim)
      if (item.tries === 0) throw new Error('no luck')
    })
    expect([done.length, retried.length]).toEqual([1, 1])
    expect(claims).toEqual([expect.any(Number), expect.any(Number)])
  })

  test('takes no root, and leaves nothing behind if an option is wrong', async () => {
    // Other programs make directories in the common one.
    const own = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'fsq-own-'))
    const tmpdir = jest.spyOn(os, 'tmpdir').mockReturnValue(own)
    try {
      expect(await errorOf(async () => testQueue({ root: '/' } as never))).toBeInstanceOf(SettingError)
      expect(await errorOf(async () => testQueue({ nothing: 1 } as never))).toBeInstanceOf(SettingError)
      expect(tmpdir).toHaveBeenCalled()
      expect(fs.readdirSync(own)).toEqual([])
    } finally {
      tmpdir.mockRestore()
      fs.rmSync(own, { recursive: true })
    }
  })
})

describe('drain', () => {
  test('works all items, those of the handler and delayed ones included, in the order in which they are due', async () => {
    await using queue = await testQueue()
    await queue.enqueue('', ['in a day'], { delay: 24 * HOUR })
    await queue.enqueue('', ['in an hour'], { delay: HOUR })
    await queue.enqueue('', ['now'])
    const { done, retried, failed, errors } = await drain(queue, async ({ args }) => {
      if (args[0] === 'now') await queue.enqueue('', ['in a minute, by the handler'], { delay: 60_000 })
    })
    expect(done.map(({ args }) => args[0])).toEqual([
      'now',
      'in a minute, by the handler',
      'in an hour',
      'in a day',
    ])
    expect([retried, failed, errors]).toEqual([[], [], []])
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: 4 })
  })

  test('waits for no backoff and no RetryLater, and tells what has failed', async () => {
    await using queue = await testQueue()
    for (const name of ['flaky', 'broken', 'wrong', 'later', 'good']) await queue.enqueue('', [name])
    const seen = new Set<string>()
    const begin = performance.now()
    const { done, retried, failed, errors } = await drain(
      queue,
      ({ args: [name = ''], tries }) => {
        if (name === 'wrong') throw new PermanentFailure('it is wrong')
        if (name === 'broken' || (name === 'flaky' && tries === 0)) throw new Error(`${name} ${tries}`)
        if (name === 'later' && !seen.has(name)) {
          seen.add(name)
          throw new RetryLater({ after: 24 * HOUR })
        }
      },
      { maxTries: 3, backoff: HOUR },
    )
    expect(performance.now() - begin).toBeLessThan(20_000)
    expect(done.map(({ args }) => args[0])).toEqual(['good', 'flaky', 'later'])
    expect(retried.map((event) => [event.item.args[0], event.try])).toEqual([
      ['flaky', 1],
      ['broken', 1],
      ['broken', 2],
    ])
    expect(failed.map(({ item, reason }) => [item?.args[0], reason])).toEqual([
      ['wrong', 'permanent'],
      ['broken', 'exhausted'],
    ])
    expect(errors.map((error) => (error as Error).message)).toEqual([
      'flaky 0',
      'broken 0',
      'it is wrong',
      'broken 1',
      'broken 2',
    ])
  })

  test('of an empty queue ends at once; leaves what another worker holds', async () => {
    await using queue = await testQueue()
    expect(await drain(queue, () => undefined)).toEqual({ done: [], retried: [], failed: [], errors: [] })
    await queue.enqueue('', ['held'])
    const held = await takeOne(queue)
    await queue.enqueue('', ['free'])
    const { done } = await drain(queue, () => undefined)
    expect(done.map(({ args }) => args[0])).toEqual(['free'])
    await held.done()
  })

  test('ends with an error if the worker cannot claim, or if an item comes back again and again', async () => {
    await using queue = await testQueue()
    await queue.enqueue('x')
    const again = errorOf(async () =>
      drain(queue, () => {
        throw new RetryLater({ after: HOUR })
      }),
    )
    expect(await again).toMatchObject({
      message: expect.stringMatching(/does not drain: the item .* has come back 100 times/),
    })
    await queue.down()
    expect(await errorOf(async () => drain(queue, () => undefined))).toBeInstanceOf(QueueDownError)
    await queue.up()
    await queue.uninstall({ force: true })
    const gone = new Queue('test', { root: queue.settings.root })
    expect(await errorOf(async () => drain(gone, () => undefined))).toBeInstanceOf(QueueMissingError)
    await gone.close()
  })

  test('a typed queue: the items have bodies, invalid ones fail', async () => {
    await using queue = await testQueue({
      body: (value) => {
        if (typeof value !== 'number') throw new Error('no number')
        return { number: value }
      },
    })
    await queue.enqueue({ json: 5 as never })
    const untyped = new Queue('test', { root: queue.settings.root })
    await untyped.enqueue({ json: 'x' })
    await untyped.close()
    const { done, failed, errors } = await drain(queue, ({ body }) => body.number)
    expect(done.map(({ body }) => body.number)).toEqual([5])
    expect(failed).toMatchObject([{ reason: 'invalid' }])
    expect(errors).toMatchObject([{ message: 'The body is not valid: no number' }])
  })

  test('works under fake timers, and so does the spy', async () => {
    jest.useFakeTimers({ now: 0 })
    await using queue = await testQueue()
    const id = await queue.enqueue('x')
    const ends = queue.finished(id)
    const { done } = await drain(
      queue,
      ({ tries }) => {
        if (tries === 0) throw new Error('once more')
      },
      { maxTries: 2, backoff: 1000 },
    )
    expect(done).toHaveLength(1)
    expect(await ends).toMatchObject({ state: 'done' })
  })

  test('under a fake Date that is ahead, a loop rests until a delayed item is due', async () => {
    await using queue = await testQueue()
    await queue.enqueue('', [], { delay: 1000 })
    jest.useFakeTimers({ now: Date.now() + HOUR })
    // A loop that never rests lets no signal come through before the item is due.
    const signal = AbortSignal.timeout(50)
    const items = queue.scanForever({ signal })
    expect(await errorOf(async () => items.next())).toBe(signal.reason)
  })
})

describe('advance', () => {
  test('makes the items due whose time has come, for a worker that runs', async () => {
    await using queue = await testQueue()
    await queue.enqueue('', ['in an hour'], { delay: HOUR })
    await queue.enqueue('', ['in two hours'], { delay: 2 * HOUR })
    const held = new Set<string>()
    const worker = await queue.work(({ args }) => held.add(args[0] ?? ''))
    await worker.idle()
    expect(advance(queue, HOUR / 2)).toBe(0)
    expect(await queue.stats()).toMatchObject({ delayed: 2 })
    expect(advance(queue, HOUR / 2)).toBe(1)
    await until('it has run', () => held.size === 1)
    expect([...held]).toEqual(['in an hour'])
    expect(advance(queue, HOUR)).toBe(1)
    await until('it has run', () => held.size === 2)
    expect(advance(queue, HOUR)).toBe(0)
  })

  test.each([undefined, null, {}, 'q'])(
    'not of %p, which is no queue; drain() refuses it, too',
    async (queue) => {
      expect(() => advance(queue as never, 1)).toThrow(SettingError)
      expect(await errorOf(async () => drain(queue as never, () => undefined))).toBeInstanceOf(SettingError)
    },
  )

  test.each([null, 5])('drain() refuses the options %p', async (options) => {
    await using queue = await testQueue()
    expect(await errorOf(async () => drain(queue, () => undefined, options as never))).toBeInstanceOf(
      SettingError,
    )
  })

  test.each([-1, Number.NaN, Infinity, '1'])('not by %p', async (ms) => {
    await using queue = await testQueue()
    expect(() => advance(queue, ms as number)).toThrow(SettingError)
  })
})
