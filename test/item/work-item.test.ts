import fs from 'node:fs'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { ItemFinishedError, ItemGoneError, QueueClosedError } from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { native } from '../../src/addon/native.js'
import {
  type Directory,
  EMPTY,
  Taker,
  checkError,
  contentOf,
  contents,
  drain,
  errorOf,
  isLocked,
  isLockedBesides,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  useTestBed,
} from '../support/queue.js'
import { type Action, ACTIONS, finish, claim } from './finishes.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

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

  test('release leaves the file as it was, for any worker', async () => {
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

describe('finished by another process', () => {
  const elsewhere: readonly (readonly [string, RegExp, (file: string) => void, string | undefined])[] = [
    ['moved away', /moved or removed/, (file) => fs.renameSync(file, bed.path('away')), undefined],
    ['removed', /moved or removed/, (file) => fs.rmSync(file), undefined],
    [
      'replaced by another file',
      /put another file in its place/,
      (file) => {
        fs.writeFileSync(`${file}.new`, 'other')
        fs.renameSync(`${file}.new`, file)
      },
      'other',
    ],
    [
      'replaced by a link to itself',
      /put another file in its place/,
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

  test('only after the read in flight, which goes on when the handle is closed', async () => {
    const queue = await bed.install()
    const content = 'x'.repeat(5_000_000)
    plant(queue, itemName(), content)
    const item = await takeOne(queue)
    const reading = item.text()
    await queue.close()
    expect(await reading).toBe(content)
    expect(await errorOf(async () => item.text())).toBeInstanceOf(QueueClosedError)
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
