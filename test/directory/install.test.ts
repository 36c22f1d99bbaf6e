import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import {
  FileSystemError,
  NotAQueueError,
  QueueDownError,
  QueueExistsError,
  QueueMissingError,
  QueueNameError,
  SettingError,
} from '../../src/errors/classes.js'
import { Queue, type QueueOptions } from '../../src/queue.js'
import { ifRoot, isRoot } from '../support/needs.js'
import {
  EMPTY,
  NOBODY,
  checkError,
  contents,
  drain,
  errorOf,
  inProgram,
  names,
  plant,
  useTestBed,
} from '../support/queue.js'
import { DIRECTORIES, tree, modes } from './tree.js'

const bed = useTestBed()

describe('install', () => {
  test('makes a queue, complete, and nothing besides', async () => {
    const queue = await bed.install()
    expect(queue).toBeInstanceOf(Queue)
    expect(queue).toMatchObject({ name: 'q', path: bed.path('q') })
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
    expect(modes(queue)).toEqual(Array<number>(5).fill(0o2770))
    const id = await queue.enqueue('x')
    expect(await drain(queue)).toEqual([id])
  })

  // Only root can look into a directory with the mode 0.
  test.each(['0700', '02750', '01777', 0o755, ...(isRoot ? ['0'] : [])])(
    'with FSQ_QUEUE_MODE %p',
    async (queueMode) => {
      const queue = await bed.install({ queueMode })
      expect(modes(queue)).toEqual(Array<number>(5).fill(queue.settings.queueMode))
    },
  )

  test.each([0o000, 0o077])('with the same modes under umask %i', async (umask) => {
    const body = `
      process.umask(given.umask)
      const queue = await Queue.install('q', { root: given.root })
      await queue.enqueue('x')
      return queue.path`
    expect(await inProgram(body, { given: { root: bed.root, umask } })).toBe(bed.path('q'))
    expect(modes(bed.open())).toEqual(Array<number>(5).fill(0o2770))
  })

  ifRoot('with owner and group, by ids and by names, and all bits of the mode', async () => {
    const queueUser = execFileSync('id', ['-un', String(NOBODY)], { encoding: 'utf8' }).trim()
    const queue = await bed.install({ queueUser, queueGroup: NOBODY, queueMode: '6775' })
    for (const name of ['', ...DIRECTORIES]) {
      const info = fs.statSync(path.join(queue.path, name))
      expect(info).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o46775 })
    }
  })

  test('for an owner that does not exist fails, and leaves nothing', async () => {
    const error = await errorOf(async () => bed.install({ queueUser: 'nobody-has-this-name' }))
    checkError(error, { type: SettingError, says: /FSQ_QUEUE_USER is 'nobody-has-this-name'.*Or give an id/ })
    expect(tree(bed.root)).toEqual({})
  })

  test('with other names for its parts', async () => {
    const queue = await bed.install({
      queue: 'in',
      tmp: 'work',
      done: 'fertig é',
      fail: '.bad',
      down: 'stop',
    })
    expect(tree(bed.root)).toEqual({ q: { in: {}, work: {}, 'fertig é': {}, '.bad': {} } })
    const id = await queue.enqueue('x')
    expect(names(queue, 'queue')).toEqual([id])
    plant(queue, 'malformed')
    await queue.down()
    expect(fs.existsSync(bed.path('q', 'stop'))).toBe(true)
    expect(await errorOf(async () => drain(queue))).toBeInstanceOf(QueueDownError)
    await queue.up()
    expect(await drain(queue)).toEqual([id])
    expect(tree(bed.root)).toEqual({
      q: { in: {}, work: {}, 'fertig é': { [id]: 'x' }, '.bad': { malformed: '' } },
    })
    await queue.uninstall()
    expect(tree(bed.root)).toEqual({})
  })

  test('over an empty directory', async () => {
    fs.mkdirSync(bed.path('q'), { mode: 0o700 })
    const queue = await bed.install()
    expect(modes(queue)).toEqual(Array<number>(5).fill(0o2770))
    expect(Object.keys(tree(bed.root))).toEqual(['q'])
  })

  test('of the same name many times at once: one wins', async () => {
    const results = await Promise.allSettled(Array.from({ length: 12 }, async () => bed.install()))
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    )
    expect(errors).toHaveLength(11)
    for (const error of errors) expect(error).toBeInstanceOf(QueueExistsError)
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
  })

  test('many with force at once: all win, and one is left', async () => {
    await Promise.all(Array.from({ length: 12 }, async () => bed.install({ force: true })))
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
  })

  test.each(['a b', '-rf', 'x\ny', 'grüße', '😀', 'x'.repeat(255), 'é'.repeat(127), '~', 'queue'])(
    'under the name %j',
    async (name) => {
      const queue = await bed.install({}, name)
      expect(fs.readdirSync(bed.root)).toEqual([name])
      const id = await queue.enqueue('x')
      expect(await drain(queue)).toEqual([id])
      await queue.uninstall()
      expect(fs.readdirSync(bed.root)).toEqual([])
    },
  )

  const illegal: readonly (readonly [unknown, RegExp])[] = [
    ['', /it is empty/],
    ['.', /starts with '\.'/],
    ['..', /starts with '\.'/],
    ['.hidden', /kept for queues under installation or removal/],
    ['.fsq-abcdef', /kept for queues under installation or removal/],
    ['a/b', /has a '\/'/],
    ['/etc', /has a '\/'/],
    ['a/', /has a '\/'/],
    ['a\0b', /has a NUL/],
    ['x'.repeat(256), /256 bytes, and 255 are allowed/],
    ['é'.repeat(128), /256 bytes, and 255 are allowed/],
    ['a\ud800', /lone surrogate/],
    [undefined, /not a string/],
    [null, /not a string/],
    [5, /not a string/],
    [Buffer.from('q'), /not a string/],
  ]

  test.each(illegal)('under the name %j is refused', async (name, says) => {
    const all = new RegExp(
      `cannot be the name of a queue: .*${says.source}.*Use a name such as 'a_queue'`,
      's',
    )
    checkError(await errorOf(() => new Queue(name as string)), { type: QueueNameError, says: all })
    checkError(await errorOf(async () => Queue.install(name as string, { root: bed.root })), {
      type: QueueNameError,
      says: all,
    })
    expect(tree(bed.root)).toEqual({})
  })
})

describe('install finds something in the way', () => {
  const inTheWay: readonly (readonly [string, 'ENOTEMPTY' | 'ENOTDIR', (file: string) => void])[] = [
    ['a file', 'ENOTDIR', (file) => fs.writeFileSync(file, 'precious')],
    ['a link to nowhere', 'ENOTDIR', (file) => fs.symlinkSync('nowhere', file)],
    ['a link to a directory', 'ENOTDIR', (file) => fs.symlinkSync('.', file)],
    ['a FIFO', 'ENOTDIR', (file) => void execFileSync('mkfifo', [file])],
    [
      'a directory of something else',
      'ENOTEMPTY',
      (file) => fs.cpSync(path.join(import.meta.dirname, '../support'), file, { recursive: true }),
    ],
  ]

  test.each(inTheWay)('%s: it stays as it is', async (_what, cause, make) => {
    make(bed.path('q'))
    const before = tree(bed.root)
    const error = await errorOf(async () => bed.install())
    checkError(error, {
      type: QueueExistsError,
      cause,
      syscall: 'rename',
      says: /exists in .*Use it with new Queue\('q'\), or replace it|in the way of the queue 'q'.*Move it away, or choose another name/,
    })
    expect((error as NodeJS.ErrnoException & { dest: string }).dest).toBe(bed.path('q'))
    expect(tree(bed.root)).toEqual(before)
  })

  test.each(inTheWay)('%s: force does not replace it either', async (_what, _cause, make) => {
    make(bed.path('q'))
    const before = tree(bed.root)
    const error = await errorOf(async () => bed.install({ force: true }))
    expect([QueueExistsError.code, NotAQueueError.code]).toContain((error as QueueExistsError).code)
    expect((error as Error).message).toMatch(/Move it (away|out of the way), or choose another name/)
    expect(tree(bed.root)).toEqual(before)
  })

  test.each(DIRECTORIES)(
    'a directory that lacks %s/ is no queue, and force does not replace it',
    async (missing) => {
      const queue = await bed.install()
      await queue.enqueue('precious')
      fs.renameSync(bed.path('q', missing), bed.path('q', `${missing}.old`))
      const before = tree(bed.root)
      const error = await errorOf(async () => bed.install({ force: true }))
      checkError(error, {
        type: NotAQueueError,
        says: /is not a queue, so it is not replaced\. Move it out of the way/,
      })
      expect(tree(bed.root)).toEqual(before)
    },
  )

  test('a queue: its items stay', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('precious')
    const error = await errorOf(async () => bed.install())
    checkError(error, {
      type: QueueExistsError,
      cause: 'ENOTEMPTY',
      says: /The queue 'q' exists.*with the option force/,
    })
    expect(tree(bed.root)).toEqual({ q: { queue: { [id]: 'precious' }, tmp: {}, done: {}, fail: {} } })
  })

  test('a queue, and force replaces it, with all that was in it', async () => {
    const old = await bed.install({ queueMode: '0755' })
    await old.enqueueMany([{ data: 'a' }, { data: 'b' }])
    for await (const item of old.scan()) {
      await item.done()
      break
    }
    await old.down()
    const queue = await bed.install({ force: true })
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
    expect(modes(queue)).toEqual(Array<number>(5).fill(0o2770))
    expect(await queue.isDown()).toBe(false)
  })

  test('force where there is nothing installs', async () => {
    const queue = await bed.install({ force: true })
    expect(contents(queue)).toEqual(EMPTY)
  })
})

describe('FSQ_ROOT', () => {
  test('that is missing', async () => {
    const root = bed.path('missing')
    const error = await errorOf(async () => bed.install({ root }))
    checkError(error, {
      type: QueueMissingError,
      cause: 'ENOENT',
      syscall: 'open',
      path: root,
      says: /The directory for queues, .*\/missing \(FSQ_ROOT\), does not exist\. Make it, or set the option 'root'/,
    })
    expect(fs.existsSync(root)).toBe(false)
  })

  test('that is a file', async () => {
    const root = bed.path('file')
    fs.writeFileSync(root, 'precious')
    const error = await errorOf(async () => bed.install({ root }))
    checkError(error, { type: FileSystemError, cause: 'ENOTDIR', path: root, says: /not a directory/ })
    expect(fs.readFileSync(root, 'utf8')).toBe('precious')
  })

  test('that is a link to a directory', async () => {
    fs.mkdirSync(bed.path('real'))
    fs.symlinkSync('real', bed.path('link'))
    const queue = await bed.install({ root: bed.path('link') })
    expect(fs.existsSync(bed.path('real', 'q', 'queue'))).toBe(true)
    expect(await queue.counts()).toMatchObject({ waiting: 0 })
  })
})

test.each([1, 'false', null])('force: %p is refused, and nothing is touched', async (force) => {
  const queue = await bed.install()
  await queue.enqueue('x')
  const options = { force } as unknown as { force: boolean }
  for (const call of [async () => bed.install(options), async () => queue.uninstall(options)]) {
    checkError(await errorOf(call), {
      type: SettingError,
      says: /force is .*true or false/,
    })
  }
  expect(await queue.counts()).toMatchObject({ waiting: 1 })
  expect(await queue.isDown()).toBe(false)
})

test('options that are no object are refused', async () => {
  const error = await errorOf(async () => Queue.install('q', null as unknown as QueueOptions))
  checkError(error, { type: SettingError, says: /options is null, expected an object of settings/ })
})
