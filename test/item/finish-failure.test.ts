import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { FinishError, FsqError, ItemFinishedError, QueueClosedError } from '../../src/errors/classes.js'
import {
  type ShownError,
  EMPTY,
  Taker,
  checkError,
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
  until,
  useTestBed,
} from '../support/queue.js'
import { finish, claim } from './finishes.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
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

  // Root may do what the directory's mode forbids, so the program has given up root.
  describe.each([
    ['done', 'done'],
    ['fail', 'fail'],
    ['retry', 'queue'],
    ['discard', 'queue'],
  ])('without permission: %s changes %s/', (action, place) => {
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
