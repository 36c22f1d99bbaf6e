import fs from 'node:fs'
import os from 'node:os'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { native } from '../../src/addon/native.js'
import {
  DiskFullError,
  PermissionError,
  QueueClosedError,
  QueueMissingError,
  SettingError,
} from '../../src/errors/classes.js'
import type { FailedFilter, RedriveOptions } from '../../src/maintain/redrive.js'
import type { Queue } from '../../src/queue.js'
import { advance } from '../../src/testing.js'
import { ifRoot } from '../support/needs.js'
import {
  checkError,
  contentOf,
  contents,
  drain,
  errorOf,
  inProgram,
  itemName,
  names,
  pathOf,
  plant,
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const HOUR = 3_600_000
const key = (arg: string): string => itemName({ args: [arg] }).replace('_mss_0', '_mss')

const onTestEnd: (() => void)[] = []

afterEach(() => {
  for (const end of onTestEnd.splice(0)) end()
  jest.restoreAllMocks()
})

/** A queue with failed items that have these arguments and two tries. */
async function failed(...args: string[]): Promise<Queue> {
  const queue = await bed.install()
  for (const arg of args) plant(queue, itemName({ tries: 2, args: [arg] }), arg, 'fail')
  return queue
}

const waitingArgs = (queue: Queue): string[] =>
  names(queue, 'queue').map((name) => name.split('_').at(-1) ?? '')

describe('redrive', () => {
  test('moves all failed items back, as if they had never been tried', async () => {
    const queue = await failed('a', 'b')
    plant(queue, 'README', '', 'fail')
    fs.mkdirSync(bed.path('q', 'fail', itemName({ args: ['directory'] })))
    plant(queue, itemName({ args: ['done'] }), '', 'done')
    expect(await queue.redrive('all')).toEqual({ moved: 2, gone: 0 })
    expect(names(queue, 'queue')).toEqual([itemName({ args: ['a'] }), itemName({ args: ['b'] })])
    expect(contentOf(queue, 'queue', itemName({ args: ['b'] }))).toBe('b')
    expect(names(queue, 'fail')).toEqual(['README', itemName({ args: ['directory'] })])
    expect(names(queue, 'done')).toHaveLength(1)
    expect(await queue.redrive('all')).toEqual({ moved: 0, gone: 0 })
  })

  test('keeps their tries where that is asked for', async () => {
    const queue = await failed('a')
    expect(await queue.redrive('all', { tries: 'keep' })).toEqual({ moved: 1, gone: 0 })
    expect(names(queue, 'queue')).toEqual([itemName({ tries: 2, args: ['a'] })])
  })

  test('moves those that are named by id or key, each once, and counts those that are not there', async () => {
    const queue = await failed('a', 'b', 'c', 'd')
    plant(queue, itemName({ args: ['waiting'] }))
    const ids = [
      itemName({ tries: 2, args: ['a'] }),
      itemName({ args: ['b'] }),
      key('c'),
      key('b'),
      key('waiting'),
      '..',
    ]
    expect(await queue.redrive({ ids })).toEqual({ moved: 3, gone: 2 })
    expect(waitingArgs(queue)).toEqual(['a', 'b', 'c', 'waiting'])
    expect(await queue.redrive({ ids: [] })).toEqual({ moved: 0, gone: 0 })
  })

  test('moves those that have an argument, failed long enough ago, and are named', async () => {
    const queue = await failed('a', 'b')
    expect(await queue.redrive({ argument: 'a', olderThan: HOUR })).toEqual({ moved: 0, gone: 0 })
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + HOUR + 1000)
    expect(await queue.redrive({ argument: 'a', olderThan: HOUR, ids: [key('b')] })).toEqual({
      moved: 0,
      gone: 0,
    })
    expect(await queue.redrive({ argument: 'a', olderThan: HOUR })).toEqual({ moved: 1, gone: 0 })
    expect(waitingArgs(queue)).toEqual(['a'])
    expect(await queue.redrive({ olderThan: HOUR })).toEqual({ moved: 1, gone: 0 })
  })

  test('moves those whose last error has a text in its name or message, and at most so many', async () => {
    const queue = await failed('never logged')
    const worker = await queue.work(
      ({ args: [arg = ''] }) => {
        throw new TypeError(arg)
      },
      { maxTries: 1 },
    )
    for (const arg of ['refused', 'refused by a', 'refused by b', 'other']) await queue.enqueue(null, [arg])
    await worker.idle()
    await worker.close()
    expect(await queue.redrive({ error: 'Refused' })).toEqual({ moved: 0, gone: 0 })
    expect(await queue.redrive({ error: 'TypeError: refused', limit: 1 })).toEqual({ moved: 1, gone: 0 })
    expect(await queue.redrive({ error: 'by', argument: 'refused by b' })).toEqual({ moved: 1, gone: 0 })
    expect(waitingArgs(queue)).toEqual(['refused', 'refused by b'])
    expect(await queue.redrive({ limit: 1 })).toEqual({ moved: 1, gone: 0 })
    expect(await queue.redrive({ error: 'TypeError' })).toEqual({ moved: 2, gone: 0 })
    expect(names(queue, 'fail')).toEqual([])
  })

  test('delays them, from the moment at which they are in queue/', async () => {
    const queue = await failed('a', 'b')
    const before = Date.now()
    const watched: boolean[] = []
    const watcher = fs.watch(queue.paths.queue, () => {
      for (const name of names(queue, 'queue'))
        // Node sets times as floating-point seconds, which are short of the millisecond by less than a microsecond.
        watched.push(fs.statSync(pathOf(queue, 'queue', name)).mtimeMs > before + HOUR - 1)
    })
    onTestEnd.push(() => {
      watcher.close()
    })
    expect(await queue.redrive('all', { delay: HOUR })).toEqual({ moved: 2, gone: 0 })
    expect(await queue.stats()).toMatchObject({ waiting: 0, delayed: 2 })
    expect(await drain(queue)).toEqual([])
    await until('the watch has told', () => watched.length > 0)
    expect(watched).not.toContain(false)
    watcher.close()
    expect(advance(queue, HOUR / 2)).toBe(0)
    expect(advance(queue, HOUR / 2)).toBe(2)
    expect(await drain(queue)).toHaveLength(2)
    expect(bed.reports).toEqual([])
  })

  test('never replaces an item that has the name', async () => {
    const queue = await failed('a')
    plant(queue, itemName({ args: ['a'] }), 'waits')
    plant(queue, itemName({ tries: 1, args: ['a'] }), 'failed before', 'fail')
    expect(await queue.redrive('all')).toEqual({ moved: 2, gone: 0 })
    expect(
      names(queue, 'queue')
        .map((name) => contentOf(queue, 'queue', name))
        .sort(),
    ).toEqual(['a', 'failed before', 'waits'])
  })

  test('leaves an item whose move to fail/ was cut in half: it waits, and would run twice', async () => {
    const queue = await failed('a')
    const name = itemName({ tries: 2, args: ['a'] })
    fs.linkSync(pathOf(queue, 'fail', name), pathOf(queue, 'queue', name))
    expect(await queue.redrive('all')).toEqual({ moved: 0, gone: 1 })
    expect(contents(queue)).toMatchObject({ queue: [name], fail: [name] })
    expect(await drain(queue, { maxTries: 5 })).toEqual([])
    expect(await queue.redrive('all')).toEqual({ moved: 1, gone: 0 })
    expect(await drain(queue)).toHaveLength(1)
  })

  test('ends between two items when its signal is aborted, or its handle is closed', async () => {
    const queue = await failed(...Array.from({ length: 300 }, (_, index) => String(index)))
    const stop = new AbortController()
    const reason = new Error('enough')
    const begun = errorOf(async () => queue.redrive('all', { signal: stop.signal }))
    await until('one has moved', () => names(queue, 'queue').length > 0)
    stop.abort(reason)
    expect(await begun).toBe(reason)
    const moved = names(queue, 'queue').length
    expect(names(queue, 'fail')).toHaveLength(300 - moved)
    expect(moved).toBeLessThan(300)
    expect(await errorOf(async () => queue.redrive('all', { signal: stop.signal }))).toBe(reason)

    const closing = errorOf(async () => queue.redrive('all'))
    await until('another has moved', () => names(queue, 'queue').length > moved)
    await queue.close()
    checkError(await closing, { type: QueueClosedError, says: /has been closed/ })
    checkError(await errorOf(async () => queue.redrive('all')), {
      type: QueueClosedError,
      says: /has been closed/,
    })
    expect(names(queue, 'queue').length + names(queue, 'fail').length).toBe(300)
  })

  test.each<[unknown, unknown, RegExp]>([
    [{}, {}, /'all'/],
    [{ ids: undefined }, {}, /'all'/],
    ['some', {}, /an object/],
    [undefined, {}, /an object/],
    [{ id: 'x' }, {}, /'id'/],
    [{ ids: 'x' }, {}, /an array of ids/],
    [{ ids: [1] }, {}, /an array of ids/],
    [{ argument: 1 }, {}, /an argument/],
    [{ olderThan: '1h' }, {}, /milliseconds/],
    [{ olderThan: -1 }, {}, /milliseconds/],
    [{ error: '' }, {}, /a part of the name/],
    [{ error: /x/ }, {}, /a part of the name/],
    [{ limit: 0 }, {}, /1 or more/],
    [{ limit: 1.5 }, {}, /1 or more/],
    ['all', { tries: 0 }, /'reset' or 'keep'/],
    ['all', { delay: -1 }, /milliseconds/],
    ['all', { signal: {} }, /an AbortSignal/],
    ['all', { limit: 1 }, /'limit'/],
  ])('refuses %j, %j', async (filter, options, says) => {
    const queue = await failed('a')
    const run = async (): Promise<unknown> => queue.redrive(filter as FailedFilter, options as RedriveOptions)
    checkError(await errorOf(run), { type: SettingError, says })
    expect(names(queue, 'fail')).toHaveLength(1)
  })

  test('needs a queue', async () => {
    checkError(await errorOf(async () => bed.open().redrive('all')), {
      type: QueueMissingError,
      cause: 'ENOENT',
      says: /There is no queue 'q'/,
    })
  })

  ifRoot("of another user's item has it due at once, and says so (needs root)", async () => {
    const queue = await bed.install({ queueMode: 0o777 })
    const name = itemName()
    fs.chmodSync(plant(queue, name, '', 'fail'), 0o644)
    const answer = await inProgram(
      `
      const reports = []
      const onReport = ({ type, rawName }) => reports.push([type, rawName])
      const queue = new Queue('q', { root: given.root, onReport })
      const result = await queue.redrive('all', { delay: 60000 })
      await queue.close()
      return { ...result, reports }`,
      { given: { root: bed.root }, nobody: true },
    )
    expect(answer).toEqual({ moved: 1, gone: 0, reports: [['undelayed', name]] })
    expect(await queue.stats()).toMatchObject({ waiting: 1, delayed: 0 })
  })
})

test('two redrives and two workers in processes of their own: each item moves once and runs once', async () => {
  const args = Array.from({ length: 300 }, (_, index) => String(index))
  const queue = await failed(...args)
  const given = { root: bed.root, count: args.length }
  const worker = `
    const queue = new Queue('q', { root: given.root, durability: 'none' })
    const stop = new AbortController()
    const worked = []
    const done = path.join(given.root, 'q', 'done')
    void until(() => fs.readdirSync(done).length === given.count).then(() => stop.abort())
    try {
      for await (const item of queue.scanForever({ signal: stop.signal })) {
        worked.push(item.args[0])
        await item.done()
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
    }
    await queue.close()
    return worked`
  const redrive = `
    const queue = new Queue('q', { root: given.root })
    const result = await queue.redrive('all')
    await queue.close()
    return result`
  const workers = [1, 2].map(async () => inProgram<string[]>(worker, { given }))
  const redrives = [1, 2].map(async () => inProgram<{ moved: number; gone: number }>(redrive, { given }))
  const results = await Promise.all(redrives)
  expect(results.reduce((sum, { moved }) => sum + moved, 0)).toBe(args.length)
  expect((await Promise.all(workers)).flat().sort()).toEqual(args.sort())
  expect(names(queue, 'fail')).toEqual([])
})

test('where no rename can be exclusive, an item that cannot move replaces no other one in fail/', async () => {
  const queue = await bed.install({ claims: 'rename' })
  const name = itemName({ tries: 2 })
  plant(queue, name, 'mine', 'fail')
  jest
    .spyOn(native, 'relocate')
    .mockResolvedValue({ errno: -os.constants.errno.EINVAL, syscall: 'rename', moved: false })
  jest.spyOn(fs.promises, 'link').mockImplementationOnce(async () => {
    plant(queue, name, 'of another worker', 'fail')
    throw Object.assign(new Error('EIO'), { code: 'EIO', errno: -os.constants.errno.EIO, syscall: 'link' })
  })
  await expect(queue.redrive('all')).rejects.toThrow('EIO')
  expect(contentOf(queue, 'fail', name)).toBe('of another worker')
  jest.restoreAllMocks()
  const taken: string[] = []
  for await (const item of queue.scan({ maxTries: 0 })) {
    taken.push(await item.text())
    item.release()
  }
  expect(taken).toEqual(['mine'])
})

test('where no rename can be exclusive, a worker may claim an item before its move has ended', async () => {
  const queue = await bed.install({ claims: 'rename' })
  const [first, second] = [itemName({ entropy: 1 }), itemName({ entropy: 2 })]
  for (const name of [first, second]) plant(queue, name, name, 'fail')
  jest
    .spyOn(native, 'relocate')
    .mockResolvedValue({ errno: -os.constants.errno.EINVAL, syscall: 'rename', moved: false })
  const { link } = fs.promises
  const taken: string[] = []
  jest.spyOn(fs.promises, 'link').mockImplementation(async (from, to) => {
    await link(from, to)
    for await (const item of bed.open().scan()) {
      taken.push(await item.text())
      await item.done()
    }
  })
  expect(await queue.redrive('all')).toEqual({ moved: 2, gone: 0 })
  expect(taken).toEqual([first, second])
  expect([names(queue, 'queue'), names(queue, 'fail')]).toEqual([[], []])
})

describe('an item that cannot be moved', () => {
  const { EACCES, EINVAL, ENOSPC } = os.constants.errno

  const cannotRename = (errno: number): void => {
    jest.spyOn(native, 'relocate').mockResolvedValue({ errno: -errno, syscall: 'renameat2', moved: false })
  }

  test('for lack of permission is told as everywhere', async () => {
    const queue = await failed('x')
    cannotRename(EACCES)
    const error = await errorOf(async () => queue.redrive('all'))
    checkError(error, {
      type: PermissionError,
      says: /^Cannot retry the item .*: permission denied \(EACCES, renameat2 '.*\/q\/fail\/_.*'\)\. /,
    })
  })

  test('as the disk is full, where no rename can be exclusive, is told as everywhere', async () => {
    const queue = await bed.install({ claims: 'rename' })
    plant(queue, itemName(), 'x', 'fail')
    cannotRename(EINVAL)
    const full = Object.assign(new Error('full'), {
      code: 'ENOSPC',
      errno: -ENOSPC,
      syscall: 'mkdir',
      path: '/there',
    })
    jest.spyOn(fs.promises, 'mkdir').mockRejectedValue(full)
    const error = await errorOf(async () => queue.redrive('all'))
    checkError(error, {
      type: DiskFullError,
      says: /^Cannot retry the item .*: no space left on device \(ENOSPC, mkdir '\/there'\)\. Make room/,
    })
    expect(names(queue, 'fail')).toEqual([itemName()])
  })
})
