import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import fsp from 'node:fs/promises'
import process from 'node:process'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { NotAQueueError, QueueDownError, QueueMissingError, SettingError } from '../../src/errors/classes.js'
import type { Queue } from '../../src/queue.js'
import { ifRoot, isRoot } from '../support/needs.js'
import { NOBODY, checkError, drain, errorOf, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const umask = process.umask(0o022)

afterEach(() => {
  process.umask(umask)
})

const down = (): string => bed.path('q', 'down')
const calls: readonly (readonly ['down' | 'up' | 'isDown', (queue: Queue) => Promise<unknown>])[] = [
  ['down', async (queue) => queue.down()],
  ['up', async (queue) => queue.up()],
  ['isDown', async (queue) => queue.isDown()],
]

test('a queue goes down and comes up, for every handle', async () => {
  const queue = await bed.install()
  const other = bed.open()
  expect([await queue.isDown(), await other.isDown()]).toEqual([false, false])
  await queue.down()
  expect([await queue.isDown(), await other.isDown()]).toEqual([true, true])
  expect(await errorOf(async () => drain(other))).toBeInstanceOf(QueueDownError)
  // Enqueueing goes on.
  const id = await other.enqueue('x')
  await other.up()
  expect([await queue.isDown(), await other.isDown()]).toEqual([false, false])
  expect(await drain(queue)).toEqual([id])
})

test('each may be said twice', async () => {
  const queue = await bed.install()
  await queue.up()
  await queue.down()
  await queue.down()
  expect(await queue.isDown()).toBe(true)
  await queue.up()
  await queue.up()
  expect(await queue.isDown()).toBe(false)
})

test('many at once agree', async () => {
  const queue = await bed.install()
  await Promise.all(Array.from({ length: 20 }, async () => queue.down()))
  expect(await queue.isDown()).toBe(true)
  await Promise.all(Array.from({ length: 20 }, async () => queue.up()))
  expect(await queue.isDown()).toBe(false)
})

test('an up that comes second, while another process takes the queue down again, succeeds', async () => {
  const queue = await bed.install()
  await queue.down()
  const unlink = jest.spyOn(fsp, 'unlink').mockImplementationOnce(async (file) => {
    fs.unlinkSync(down())
    const failed = await errorOf(() => fs.unlinkSync(file))
    fs.writeFileSync(down(), '')
    throw failed
  })
  await queue.up()
  unlink.mockRestore()
  expect(await queue.isDown()).toBe(true)
})

test.each(calls)('%s of a link that leads in a circle', async (_what, call) => {
  fs.symlinkSync('q', bed.path('q'))
  const error = await errorOf(async () => call(bed.open()))
  checkError(error, { type: NotAQueueError, says: /is not a queue: it has no directory of waiting items/ })
})

describe('the file', () => {
  test.each([0o000, 0o077, 0o777])('has the mode of items under umask %i', async (mask) => {
    const queue = await bed.install()
    process.umask(mask)
    await queue.down()
    expect(fs.lstatSync(down())).toMatchObject({ mode: 0o100640, size: 0, nlink: 1 })
  })

  test.each(['0600', 0o666])('has the mode %p that is set', async (itemMode) => {
    const queue = await bed.install({ itemMode })
    await queue.down()
    expect(fs.lstatSync(down()).mode & 0o7777).toBe(queue.settings.itemMode)
  })

  test('that was there gets the mode as well, and keeps what is in it', async () => {
    const queue = await bed.install()
    fs.writeFileSync(down(), 'maintenance until noon', { mode: 0o600 })
    await queue.down()
    expect(fs.lstatSync(down()).mode & 0o7777).toBe(0o640)
    expect(fs.readFileSync(down(), 'utf8')).toBe('maintenance until noon')
    await queue.up()
    expect(fs.existsSync(down())).toBe(false)
  })

  ifRoot('gets the owner and the group of the queue, new or not', async () => {
    const queue = await bed.install({ queueUser: NOBODY, queueGroup: NOBODY })
    await queue.down()
    expect(fs.lstatSync(down())).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o100640 })
    await queue.up()
    fs.writeFileSync(down(), '')
    await queue.down()
    expect(fs.lstatSync(down())).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o100640 })
  })

  test('for an owner that does not exist fails, and the queue stays up', async () => {
    const queue = await bed.install()
    const other = bed.open({ queueUser: 'nobody-has-this-name' })
    const error = await errorOf(async () => other.down())
    checkError(error, { type: SettingError, says: /FSQ_QUEUE_USER is 'nobody-has-this-name'/ })
    expect(await queue.isDown()).toBe(false)
  })

  test('has the name that is set', async () => {
    const queue = await bed.install({ down: 'closed' })
    await queue.down()
    expect(fs.existsSync(bed.path('q', 'closed'))).toBe(true)
    expect(await bed.open().isDown()).toBe(false)
  })
})

describe('planted', () => {
  const planted: readonly (readonly [string, (file: string) => void])[] = [
    ['a link to a file', (file) => fs.symlinkSync(bed.path('precious'), file)],
    ['a link to nowhere', (file) => fs.symlinkSync(bed.path('nowhere'), file)],
    ['a link to a directory', (file) => fs.symlinkSync('queue', file)],
    ['a FIFO', (file) => void execFileSync('mkfifo', [file])],
    ['a hard link', (file) => fs.linkSync(bed.path('precious'), file)],
    ['a directory', (file) => fs.mkdirSync(file, { mode: 0o700 })],
  ]

  test.each(planted)('%s is refused, and nothing is changed', async (_what, make) => {
    // As root with an owner to be set, a link that was followed would show.
    const queue = await bed.install(isRoot ? { queueUser: NOBODY } : {})
    fs.writeFileSync(bed.path('precious'), 'precious', { mode: 0o600 })
    make(down())
    const look = (file: string): object => {
      const { mode, uid, ino, nlink } = fs.lstatSync(file)
      return { mode, uid, ino, nlink }
    }
    const before = [look(down()), look(bed.path('precious'))]
    const error = await errorOf(async () => queue.down())
    checkError(error, {
      type: NotAQueueError,
      says: /\/q\/down is not a regular file with a single name .*Nothing was changed; remove it/,
    })
    expect([look(down()), look(bed.path('precious'))]).toEqual(before)
    expect(fs.readFileSync(bed.path('precious'), 'utf8')).toBe('precious')
    expect(fs.existsSync(bed.path('nowhere'))).toBe(false)
    // It exists, so the queue is down, whatever kind of file it is.
    expect(await queue.isDown()).toBe(true)
    expect(await errorOf(async () => drain(queue))).toBeInstanceOf(QueueDownError)
  })

  test.each(planted.filter(([what]) => what !== 'a directory'))(
    '%s goes with up, and only it',
    async (_what, make) => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('precious'), 'precious', { mode: 0o600 })
      make(down())
      await queue.up()
      expect(await queue.isDown()).toBe(false)
      expect(fs.readFileSync(bed.path('precious'), 'utf8')).toBe('precious')
      expect(fs.readdirSync(bed.path('q')).sort()).toEqual(['done', 'fail', 'queue', 'tmp'])
    },
  )

  test('a directory does not go with up', async () => {
    const queue = await bed.install()
    fs.mkdirSync(down())
    checkError(await errorOf(async () => queue.up()), {
      type: NotAQueueError,
      says: /not a regular file.*remove it/,
    })
    expect(await queue.isDown()).toBe(true)
  })
})

describe.each(calls)('%s', (_what, call) => {
  test('of a missing queue is an error', async () => {
    const error = await errorOf(async () => call(bed.open()))
    checkError(error, {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('q'),
      says: /There is no queue 'q' in .*Install it with Queue\.install/,
    })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  const others: readonly (readonly [string, () => void])[] = [
    ['a file', () => fs.writeFileSync(bed.path('q'), 'precious')],
    ['a link to nowhere', () => fs.symlinkSync('nowhere', bed.path('q'))],
    ['an empty directory', () => fs.mkdirSync(bed.path('q'))],
    [
      'a directory whose queue/ is a file',
      () => {
        fs.mkdirSync(bed.path('q'))
        fs.writeFileSync(bed.path('q', 'queue'), '')
      },
    ],
    [
      'a directory whose queue/ is a link',
      () => {
        fs.mkdirSync(bed.path('q'))
        fs.symlinkSync(bed.root, bed.path('q', 'queue'))
      },
    ],
  ]

  test.each(others)('of %s is an error, and nothing is made', async (what, make) => {
    make()
    const error = await errorOf(async () => call(bed.open()))
    if (what === 'a link to nowhere') checkError(error, { type: QueueMissingError, says: /Install it/ })
    else checkError(error, { type: NotAQueueError, says: /\/q is not a queue/ })
    if (fs.lstatSync(bed.path('q')).isDirectory()) expect(fs.existsSync(down())).toBe(false)
  })
})
