import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  FinishError,
  FsqError,
  ItemFinishedError,
  ItemGoneError,
  QueueClosedError,
  SettingError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { native } from '../../src/addon/native.js'
import type { Queue } from '../../src/queue.js'
import {
  type Directory,
  type ShownError,
  EMPTY,
  Taker,
  checkError,
  contentOf,
  contents,
  drain,
  errorOf,
  inProgram,
  isLocked,
  isLockedBesides,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const HOUR = 3_600_000

afterEach(() => {
  jest.restoreAllMocks()
})

type Action = 'done' | 'fail' | 'retry' | 'discard'
const ACTIONS: readonly Action[] = ['done', 'fail', 'retry', 'discard']
const finish = async (item: WorkItem, action: Action): Promise<unknown> => item[action]()

/** An item by a name that another wrote, claimed. */
async function claim(queue: Queue, name = itemName(), content = 'content'): Promise<WorkItem> {
  plant(queue, name, content)
  return takeOne(queue)
}

describe('a finish', () => {
  const places: readonly (readonly [Action, Directory | undefined])[] = [
    ['done', 'done'],
    ['fail', 'fail'],
    ['discard', undefined],
    ['retry', 'queue'],
  ]

  describe.each(['none', 'enqueue', 'full'])('at durability %s', (durability) => {
    test.each(places)('%s moves the file, as it is, and frees the lock', async (action, place) => {
      const queue = await bed.install({ maxTries: 0, durability })
      const name = itemName()
      const item = await claim(queue, name)
      const descriptor = bed.descriptor(item.path)
      const { ino } = fs.fstatSync(descriptor)
      expect(isLockedBesides(descriptor)).toBe(true)
      expect(item.claimed).toBe(true)

      await finish(item, action)
      expect(isLockedBesides(descriptor)).toBe(false)
      expect(item.claimed).toBe(false)
      expect(native.heldClaims()).toBe(0)
      const expected = action === 'retry' ? itemName({ tries: 1 }) : name
      expect(item.id).toBe(expected)
      expect(contents(queue)).toEqual(place === undefined ? EMPTY : { ...EMPTY, [place]: [expected] })
      if (place === undefined) return
      expect(fs.statSync(pathOf(queue, place, expected))).toMatchObject({ ino, nlink: 1, mode: 0o100640 })
      expect(contentOf(queue, place, expected)).toBe('content')
    })
  })

  test('release leaves the file as it was, for anybody', async () => {
    const queue = await bed.install()
    const name = itemName()
    const item = await claim(queue, name)
    const before = fs.statSync(item.path)
    item.release()
    item.release()
    expect(item.claimed).toBe(false)
    expect(isLocked(pathOf(queue, 'queue', name))).toBe(false)
    expect(fs.statSync(item.path)).toEqual(before)
    expect(await drain(bed.open())).toEqual([name])
  })

  test('of many in one tick', async () => {
    const queue = await bed.install()
    await queue.enqueueMany(
      Array.from({ length: 300 }, (_, index) => ({ data: String(index), args: [index % 3] })),
    )
    const items: WorkItem[] = []
    for await (const item of queue.scan()) items.push(item)
    expect(native.heldClaims()).toBe(300)
    const actions: readonly Action[] = ['done', 'fail', 'discard']
    await Promise.all(items.map(async (item) => finish(item, actions[Number(item.args[0])] ?? 'done')))
    expect(native.heldClaims()).toBe(0)
    const after = contents(queue)
    expect({ queue: after.queue, tmp: after.tmp, done: after.done.length, fail: after.fail.length }).toEqual({
      queue: [],
      tmp: [],
      done: 100,
      fail: 100,
    })
  })

  test('waits for a read that is under way', async () => {
    const queue = await bed.install()
    const data = 'x'.repeat(20 * 1024 * 1024)
    await queue.enqueue(data)
    const item = await takeOne(queue)
    const reading = item.text()
    const finishing = item.done()
    expect((await reading) === data).toBe(true)
    await finishing
    expect(names(queue, 'done')).toHaveLength(1)
  })
})

describe('retry', () => {
  test('counts the try in a new name, and says that the item waits', async () => {
    const queue = await bed.install({ maxTries: 3 })
    const id = await queue.enqueue('x', ['a_b', 'c'])
    const item = await takeOne(queue)
    const { key, args } = item
    expect(await item.retry()).toBe('waiting')
    expect(item.id).not.toBe(id)
    expect(item).toMatchObject({ key, args, tries: 1 })
    expect(item.path).toBe(path.join(queue.path, 'queue', item.id))
    expect(names(queue, 'queue')).toEqual([item.id])

    const again = await takeOne(queue)
    expect(again).toMatchObject({ id: item.id, key, args, tries: 1 })
    expect(await again.retry()).toBe('waiting')
    const last = await takeOne(queue)
    expect(last.tries).toBe(2)
    expect(await last.retry()).toBe('failed')
    expect(last).toMatchObject({ key, tries: 2, id: again.id })
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [again.id] })
  })

  test('once is the default: the first failure is the last', async () => {
    const queue = await bed.install()
    const item = await claim(queue)
    expect(await item.retry()).toBe('failed')
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [itemName()] })
    expect(item.id).toBe(itemName())
  })

  test('obeys the limits of the scan', async () => {
    const queue = await bed.install({ maxTries: 1, utc: true })
    plant(queue, itemName({ tries: 3 }))
    const item = await takeOne(queue, { maxTries: 5 })
    expect(await item.retry()).toBe('waiting')
    const last = await takeOne(queue, { maxTries: 5 })
    expect(await last.retry()).toBe('failed')
    expect(names(queue, 'fail')).toEqual([itemName({ tries: 4 })])
  })

  // Written by others: other delimiters, escapes of either case, padded tries, escapes that need not be.
  test.each([
    ['-20120710213904-0-13044-mss-7-%5Fx-a_b', '-20120710213904-0-13044-mss-8-%5Fx-a_b'],
    ['_20120710213904_00_%31_m%2Fs_007_x', '_20120710213904_00_%31_m%2Fs_8_x'],
    ['_20120710213904____0', '_20120710213904____1'],
    ['_20120710213904_0_1_h_9_x', '_20120710213904_0_1_h_10_x'],
    ['_20120710213904_0_1_h_%31_x', '_20120710213904_0_1_h_2_x'],
    ['5%32012071021390450515h51', '5%32012071021390450515h52'],
  ])('of %s is %s', async (name, expected) => {
    const queue = await bed.install({ maxTries: 0, utc: true, delimiter: '~', encode: '%' })
    const item = await claim(queue, name)
    const { key } = item
    expect(await item.retry()).toBe('waiting')
    expect(names(queue, 'queue')).toEqual([expected])
    expect(item).toMatchObject({ id: expected, key })
  })

  test('past the TTL fails, the name unchanged', async () => {
    const queue = await bed.install({ maxTries: 0, ttl: 60, utc: true })
    const enqueuedAt = Date.UTC(2012, 6, 10, 21, 39, 4)
    const now = jest.spyOn(Date, 'now').mockReturnValue(enqueuedAt + 59_999)
    const item = await claim(queue)
    expect(await item.retry()).toBe('waiting')
    const again = await takeOne(queue)
    now.mockReturnValue(enqueuedAt + 60_000)
    expect(await again.retry()).toBe('failed')
    expect(contents(queue)).toEqual({ ...EMPTY, fail: [itemName({ tries: 1 })] })
  })

  const longest = (tries: number, bytes: number): string => {
    const room = bytes - itemName({ tries, args: [''] }).length
    return itemName({ tries, args: ['x'.repeat(room)] })
  }

  test.each([
    ['tries that have no more digits', itemName({ tries: 999_999_999_999_999 }), 'failed'],
    ['255 bytes that would grow', longest(9, 255), 'failed'],
    ['255 bytes that stay as many', longest(8, 255), 'waiting'],
    ['254 bytes that grow', longest(99, 254), 'waiting'],
    ['255 bytes of many digits', longest(99_999, 255), 'failed'],
  ])('of %s', async (_what, name, outcome) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue, name)
    expect(await item.retry()).toBe(outcome)
    if (outcome === 'failed') {
      expect(contents(queue)).toEqual({ ...EMPTY, fail: [name] })
      expect(item.id).toBe(name)
      expect(bed.reports).toHaveLength(1)
      expect(bed.reports[0]).toMatchObject({ type: 'ungrowable', rawName: name })
      expect(bed.reports[0]?.message).toMatch(/moved to fail\/$/)
    } else {
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [item.id] })
      expect(bed.reports).toEqual([])
    }
  })

  test('with a delay waits that long', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    const before = Date.now()
    expect(await item.retry({ delay: HOUR })).toBe('waiting')
    const { mtimeMs } = fs.statSync(item.path)
    expect(mtimeMs).toBeGreaterThanOrEqual(before + HOUR)
    expect(mtimeMs).toBeLessThanOrEqual(Date.now() + HOUR)
    expect(await drain(queue)).toEqual([])
    fs.utimesSync(item.path, new Date(), new Date(Date.now() - 1))
    expect(await drain(queue)).toEqual([item.id])
  })

  test('without one is due at once, also of an item that had been delayed', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const id = await queue.enqueue('x', [], { delay: 30 })
    let first: WorkItem | undefined
    await until('the item is due', async () => (first = await new Taker(queue).next()) !== undefined)
    expect(first?.id).toBe(id)
    await first?.retry()
    expect((await takeOne(queue)).id).toBe(first?.id)
  })

  test.each([-1, Number.NaN, 1e15])(
    'with a delay of %p is refused, and the item stays claimed',
    async (delay) => {
      const queue = await bed.install({ maxTries: 0 })
      const item = await claim(queue)
      checkError(await errorOf(async () => item.retry({ delay })), {
        type: SettingError,
        says: /delay is .*expected milli/,
      })
      expect(item.claimed).toBe(true)
      await item.done()
    },
  )
})

describe('finished twice', () => {
  const all = [...ACTIONS, 'release'] as const
  const pairs = all.flatMap((first) => ACTIONS.map((second) => [first, second] as const))

  test.each(pairs)('%s, then %s', async (first, second) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    await item[first]()
    const before = contents(queue)
    const word = first === 'release' ? 'released' : 'finished'
    const says = new RegExp(`'${item.id}': it has been ${word} already\\. Do so once`)
    checkError(await errorOf(async () => finish(item, second)), { type: ItemFinishedError, says })
    item.release()
    expect(contents(queue)).toEqual(before)
    expect(() => item.fd).toThrow(ItemFinishedError)
  })

  test.each(ACTIONS)('at the same time: done and %s', async (second) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    const results = await Promise.allSettled([item.done(), finish(item, second)])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect((results[1] as PromiseRejectedResult).reason).toBeInstanceOf(ItemFinishedError)
    expect(contents(queue)).toEqual({ ...EMPTY, done: [itemName()] })
  })

  test('a release while it is being finished changes nothing', async () => {
    const queue = await bed.install()
    const item = await claim(queue)
    const finishing = item.done()
    item.release()
    await finishing
    expect(names(queue, 'done')).toEqual([itemName()])
  })
})

describe('finished by somebody else', () => {
  const elsewhere: readonly (readonly [string, RegExp, (file: string) => void, string | undefined])[] = [
    ['moved away', /moved or removed/, (file) => fs.renameSync(file, bed.path('away')), undefined],
    ['removed', /moved or removed/, (file) => fs.rmSync(file), undefined],
    [
      'replaced by another file',
      /put another in its place/,
      (file) => {
        fs.writeFileSync(`${file}.new`, 'other')
        fs.renameSync(`${file}.new`, file)
      },
      'other',
    ],
    [
      'replaced by a link to itself',
      /put another in its place/,
      (file) => {
        fs.renameSync(file, bed.path('away'))
        fs.symlinkSync(bed.path('away'), file)
      },
      'content',
    ],
  ]
  const cases = elsewhere.flatMap((row) => ACTIONS.map((action) => [row[0], action, row] as const))

  test.each(cases)('%s: %s', async (_what, action, [, says, change, left]) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    const descriptor = bed.descriptor(item.path)
    change(item.path)
    const before = contents(queue)
    const error = await errorOf(async () => finish(item, action))
    checkError(error, { type: ItemGoneError, cause: 'ESTALE', path: item.path, says })
    expect(contents(queue)).toEqual(before)
    if (left !== undefined) expect(fs.readFileSync(item.path, 'utf8')).toBe(left)
    if (fs.existsSync(bed.path('away'))) expect(fs.readFileSync(bed.path('away'), 'utf8')).toBe('content')
    expect(isLockedBesides(descriptor)).toBe(false)
    expect(item.claimed).toBe(false)
    await expect(item.done()).rejects.toThrow(ItemFinishedError)
    // The handle goes on.
    const id = await queue.enqueue('next')
    expect(await drain(queue, { maxTries: 0 })).toContain(id)
  })

  test('its descriptor closed: what has its number now stays open', async () => {
    const queue = await bed.install()
    const item = await claim(queue)
    const number = item.fd
    fs.closeSync(number)
    fs.writeFileSync(bed.path('stranger'), 'stranger')
    const taken = []
    while (taken.at(-1) !== number) taken.push(fs.openSync(bed.path('stranger'), 'r'))
    checkError(await errorOf(async () => item.done()), {
      type: ItemGoneError,
      cause: 'EBADF',
      says: /descriptor was closed/,
    })
    for (const descriptor of taken) expect(fs.fstatSync(descriptor).size).toBe(8)
    for (const descriptor of taken) fs.closeSync(descriptor)
    expect(names(queue, 'queue')).toEqual([itemName()])
  })
})

describe('a name that is taken', () => {
  const places: readonly (readonly [Action, Directory, string])[] = [
    ['done', 'done', '0'],
    ['fail', 'fail', '0'],
    ['retry', 'queue', '1'],
  ]

  describe.each(['5', '17', '000', '999', 'abc', ''])('with the entropy %p', (entropy) => {
    test.each(places)('is never overwritten by %s', async (action, place, tries) => {
      const queue = await bed.install({ maxTries: 0 })
      const item = await claim(queue, itemName({ entropy }), 'mine')
      const taken = itemName({ entropy, tries })
      plant(queue, taken, 'other', place)
      const { key } = item
      await finish(item, action)
      // What an application has noted under it stays good.
      expect(item.key).toBe(key)
      expect(names(queue, place)).toHaveLength(2)
      expect(contentOf(queue, place, taken)).toBe('other')
      expect(item.id).not.toBe(taken)
      expect(contentOf(queue, place, item.id)).toBe('mine')
      // Only the entropy is another, of no more digits.
      const [, , other = '', ...rest] = item.id.split('_')
      expect(['', '20120710213904', entropy, ...rest].join('_')).toBe(taken)
      expect(other).toMatch(/^\d+$/)
      expect(other.length).toBeLessThanOrEqual(Math.max(entropy.length, 1))
      expect(place === 'queue' ? contents(queue).done : contents(queue).queue).toEqual([])
    })
  })

  test.each(places)('hundreds of times is never overwritten by %s', async (action, place, tries) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue, itemName({ entropy: 20 }), 'mine')
    const taken = Array.from({ length: 90 }, (_, index) => itemName({ entropy: 10 + index, tries }))
    for (const name of taken) plant(queue, name, 'other', place)
    await finish(item, action)
    expect(taken.filter((name) => contentOf(queue, place, name) !== 'other')).toEqual([])
    expect(contentOf(queue, place, item.id)).toBe('mine')
    expect(names(queue, place)).toHaveLength(91)
  })

  test('by a directory or a dangling link is taken as well', async () => {
    const queue = await bed.install()
    fs.mkdirSync(pathOf(queue, 'done', itemName({ entropy: 1 })))
    fs.symlinkSync(bed.path('nowhere'), pathOf(queue, 'done', itemName({ entropy: 2 })))
    plant(queue, itemName({ entropy: 1 }), 'one')
    plant(queue, itemName({ entropy: 2 }), 'two')
    const ids: string[] = []
    for await (const item of queue.scan()) {
      await item.done()
      ids.push(item.id)
    }
    expect(ids.map((id) => contentOf(queue, 'done', id))).toEqual(['one', 'two'])
    expect(fs.existsSync(bed.path('nowhere'))).toBe(false)
    expect(names(queue, 'done')).toHaveLength(4)
  })
})

describe('two names of one file', () => {
  test.each(['done', 'fail'] as const)(
    'here and in %s/: it was finished, and does not run again',
    async (place) => {
      const queue = await bed.install()
      const name = itemName({ entropy: 1 })
      fs.linkSync(plant(queue, name, 'content'), pathOf(queue, place, name))
      const other = itemName({ entropy: 2 })
      plant(queue, other)
      expect(await drain(queue)).toEqual([other])
      expect(names(queue, 'queue')).toEqual([])
      expect(names(queue, place)).toContain(name)
      expect(fs.statSync(pathOf(queue, place, name)).nlink).toBe(1)
      expect(bed.reports.map(({ type, rawName }) => [type, rawName])).toEqual([['completed', name]])
    },
  )

  test.each([
    [0, 1],
    [9, 10],
  ])('of %i and %i tries: the one with fewer goes', async (fewer, more) => {
    const queue = await bed.install({ maxTries: 0 })
    const [left, meant] = [itemName({ tries: fewer }), itemName({ tries: more })]
    fs.linkSync(plant(queue, left, 'content'), pathOf(queue, 'queue', meant))
    const ids: string[] = []
    for await (const item of queue.scan()) {
      ids.push(item.id)
      item.release()
    }
    expect(ids).toEqual([meant])
    expect(names(queue, 'queue')).toEqual([meant])
    expect(fs.statSync(pathOf(queue, 'queue', meant))).toMatchObject({ nlink: 1 })
    expect(bed.reportTypes().filter((type) => type !== 'completed')).toEqual([])
  })

  test("here and in somebody's backup: an item like any other", async () => {
    const queue = await bed.install()
    const name = itemName()
    fs.mkdirSync(bed.path('backup'))
    fs.linkSync(plant(queue, name, 'content'), bed.path('backup', name))
    expect(await drain(queue)).toEqual([name])
    expect(contents(queue)).toEqual({ ...EMPTY, done: [name] })
    expect(fs.readFileSync(bed.path('backup', name), 'utf8')).toBe('content')
    expect(bed.reports).toEqual([])
  })

  test('here and in tmp/: its producer is about to remove the other', async () => {
    const queue = await bed.install()
    const name = itemName()
    fs.linkSync(plant(queue, name, 'content', 'tmp'), pathOf(queue, 'queue', name))
    expect(await drain(queue)).toEqual([name])
    expect(contents(queue)).toEqual({ ...EMPTY, tmp: [name], done: [name] })
  })

  test('here and in a fellow of done/ that only has the same name', async () => {
    const queue = await bed.install()
    const name = itemName({ entropy: 3 })
    plant(queue, name, 'other', 'done')
    fs.linkSync(plant(queue, name, 'content'), bed.path('backup'))
    expect(await drain(queue)).toEqual([name])
    expect(names(queue, 'done')).toHaveLength(2)
    expect(contentOf(queue, 'done', name)).toBe('other')
  })

  test.each([
    ['done', 'done', itemName()],
    ['fail', 'fail', itemName()],
    ['retry', 'queue', itemName({ tries: 1 })],
  ] as const)('a %s that finds its own file there completes the move', async (action, place, name) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    fs.linkSync(item.path, pathOf(queue, place, name))
    await finish(item, action)
    expect(contents(queue)).toEqual({ ...EMPTY, [place]: [name] })
    expect(fs.statSync(pathOf(queue, place, name)).nlink).toBe(1)
    expect(item.id).toBe(name)
  })
})

describe('a finish that fails', () => {
  test.each([1, 4])(
    'keeps the claim, stops the scan, and works once it is mended (%i claimed ahead)',
    async (prefetch) => {
      const queue = await bed.install()
      plant(queue, itemName({ entropy: 1 }), 'content')
      const waiting = itemName({ entropy: 2 })
      plant(queue, waiting)
      const taker = new Taker(queue, { prefetch })
      const item = await taker.take()
      const descriptor = bed.descriptor(item.path)
      const done = path.join(queue.path, 'done')
      fs.rmdirSync(done)

      const error = await errorOf(async () => item.done())
      const says =
        /could not be finished \(done\): ENOENT: .*It stays claimed, so that no other worker runs it, and the finish is retried until the queue is closed/
      checkError(error, { type: FinishError, cause: 'ENOENT', says })
      expect(error).toMatchObject({ id: itemName({ entropy: 1 }), action: 'done' })
      expect(isLockedBesides(descriptor)).toBe(true)
      expect(item.claimed).toBe(true)
      // No more work while what was done cannot be put away, in this loop and in others of the handle.
      expect(await errorOf(async () => taker.next())).toBeInstanceOf(FinishError)
      expect(isLocked(pathOf(queue, 'queue', waiting))).toBe(false)
      expect(await errorOf(async () => drain(queue))).toBeInstanceOf(FsqError)
      for (const other of ['fail', 'retry', 'discard'] as const) {
        const refused = await errorOf(async () => finish(item, other))
        checkError(refused, {
          type: ItemFinishedError,
          says: /done was asked for, has failed, and is tried again/,
        })
      }
      item.release()
      expect(isLockedBesides(descriptor)).toBe(true)
      expect(await item.text()).toBe('content')

      fs.mkdirSync(done)
      await item.done()
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [waiting], done: [itemName({ entropy: 1 })] })
      expect(isLockedBesides(descriptor)).toBe(false)
      expect(await drain(queue)).toEqual([waiting])
    },
  )

  test('is tried again by itself, and says so when it succeeds', async () => {
    const queue = await bed.install()
    const item = await claim(queue)
    fs.rmdirSync(path.join(queue.path, 'done'))
    expect(await errorOf(async () => item.done())).toBeInstanceOf(FinishError)
    fs.mkdirSync(path.join(queue.path, 'done'))
    await until('it has recovered', () => bed.reports.length > 0)
    expect(bed.reports).toEqual([
      {
        type: 'recovered',
        queue: 'q',
        name: itemName(),
        rawName: itemName(),
        message: 'could be finished after all (done)',
      },
    ])
    expect(names(queue, 'done')).toEqual([itemName()])
    expect(item.claimed).toBe(false)
    await expect(item.done()).rejects.toThrow(ItemFinishedError)
  })

  test('is given up when the handle is closed', async () => {
    const queue = await bed.install()
    const item = await claim(queue)
    const descriptor = bed.descriptor(item.path)
    fs.rmdirSync(path.join(queue.path, 'done'))
    expect(await errorOf(async () => item.done())).toBeInstanceOf(FinishError)
    const closing = queue.close()
    expect(isLockedBesides(descriptor)).toBe(false)
    expect(item.claimed).toBe(false)
    await closing
    expect(await errorOf(async () => item.done())).toBeInstanceOf(QueueClosedError)
    fs.mkdirSync(path.join(queue.path, 'done'))
    expect(await drain(bed.open())).toEqual([itemName()])
  })

  test('keeps the process alive until it has succeeded, and not after a close', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'one' }, { data: 'two' }])
    interface Seen {
      readonly failed: ShownError
      readonly took: number
    }
    const body = `
      const queue = new Queue('q', { root: given.root })
      const done = path.join(queue.path, 'done')
      const { value: item } = await queue.scan().next()
      fs.rmdirSync(done)
      const failed = await errorOf(() => item.done())
      if (given.close) await queue.close()
      else process.once('beforeExit', () => {})
      fs.mkdirSync(done)
      return { failed }`
    const closed = await inProgram<Seen>(body, { given: { root: bed.root, close: true } })
    expect(closed.failed.name).toBe('FinishError')
    expect(contents(queue)).toMatchObject({ queue: [expect.any(String), expect.any(String)], done: [] })
    const kept = await inProgram<Seen>(body, { given: { root: bed.root, close: false } })
    expect(kept.failed.name).toBe('FinishError')
    expect(contents(queue)).toMatchObject({ queue: [expect.any(String)], done: [expect.any(String)] })
  })

  // What the directory's mode forbids, root may: so the program has given it up.
  describe.each([
    ['done', 'done'],
    ['fail', 'fail'],
    ['retry', 'queue'],
    ['discard', 'tmp'],
  ])('for want of permission: %s into %s/', (action, place) => {
    interface Seen {
      readonly failed: ShownError
      readonly scan: ShownError
      readonly others: string[]
      readonly claims: boolean[]
      readonly heldByOthers: number
      readonly reports: { type: string; message: string }[]
      readonly listed: string[]
    }
    const body = `
      const reports = []
      const onReport = ({ type, message }) => reports.push({ type, message })
      const queue = await Queue.install('q', { root: given.root, maxTries: 3, onReport })
      await queue.enqueue('x')
      const { value: item } = await queue.scan().next()
      const place = path.join(queue.path, given.place)
      fs.chmodSync(place, 0o555)
      const failed = await errorOf(() => item[given.action]())
      const scan = await errorOf(() => queue.scan().next())
      const others = []
      for (const other of ['done', 'fail', 'retry', 'discard']) {
        if (other !== given.action) others.push((await errorOf(() => item[other]())).code)
      }
      let heldByOthers = 0
      for await (const other of new Queue('q', { root: given.root, maxTries: 3 }).scan()) heldByOthers++, other.release()
      const claims = [item.claimed]
      fs.chmodSync(place, 0o755)
      if (given.again) await item[given.action]()
      else await until(() => reports.length > 0)
      claims.push(item.claimed)
      const listed = ['queue', 'tmp', 'done', 'fail'].filter((each) => fs.readdirSync(path.join(queue.path, each)).length > 0)
      return { failed, scan, others, claims, heldByOthers, reports, listed }`

    test.each([['asked again', true] as const, ['by itself', false] as const])('%s', async (_how, again) => {
      const root = bed.path('root')
      fs.mkdirSync(root)
      fs.chmodSync(root, 0o777)
      const seen = await inProgram<Seen>(body, { given: { root, action, place, again }, nobody: true })
      checkError(seen.failed, {
        type: FinishError,
        cause: 'EACCES',
        says: new RegExp(`could not be finished \\(${action}\\)`),
      })
      expect(seen.scan.code).toBe('ERR_FSQ_FINISH')
      expect(seen.others).toEqual(Array<string>(3).fill('ERR_FSQ_ITEM_FINISHED'))
      expect(seen.claims).toEqual([true, false])
      expect(seen.heldByOthers).toBe(0)
      const recovered = { type: 'recovered', message: `could be finished after all (${action})` }
      expect(seen.reports).toEqual(again ? [] : [recovered])
      expect(seen.listed).toEqual(action === 'discard' ? [] : [place])
    })
  })
})

describe('a lock ends', () => {
  test('when the handle is closed', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ entropy: 1 }))
    plant(queue, itemName({ entropy: 2 }))
    const descriptors: number[] = []
    for await (const item of queue.scan()) descriptors.push(bed.descriptor(item.path))
    expect(descriptors.map(isLockedBesides)).toEqual([true, true])
    const closing = queue.close()
    expect(descriptors.map(isLockedBesides)).toEqual([false, false])
    await closing
  })

  test('when an item is disposed of, after a finish that is under way', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ entropy: 1 }))
    plant(queue, itemName({ entropy: 2 }))
    const taker = new Taker(queue)
    const [one, two] = [await taker.take(), await taker.take()]
    const finishing = one.done()
    await one[Symbol.asyncDispose]()
    expect(names(queue, 'done')).toEqual([itemName({ entropy: 1 })])
    await finishing
    const descriptor = bed.descriptor(two.path)
    await two[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
    expect(isLockedBesides(descriptor)).toBe(false)
    expect(names(queue, 'queue')).toEqual([itemName({ entropy: 2 })])
  })
})

test('claimed items of a queue that was moved away are finished where they are', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('old')
  const item = await takeOne(queue)
  fs.renameSync(queue.path, bed.path('old'))
  const anew = await bed.install()
  await item.done()
  expect(fs.readdirSync(bed.path('old', 'done'))).toEqual([id])
  expect(contents(anew)).toEqual(EMPTY)
})
