import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { afterEach, describe, expect, test } from '@jest/globals'

import {
  EncodingError,
  FileSystemError,
  FsqError,
  QueueClosedError,
  QueueDownError,
  QueueMissingError,
  SettingError,
} from '../src/errors/classes.js'
import * as fsq from '../src/index.js'
import { native } from '../src/addon/native.js'
import { Queue, type QueueOptions } from '../src/queue.js'
import { setConst } from '../src/settings.js'
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
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  useTestBed,
} from './support/queue.js'

const bed = useTestBed()

describe('a handle', () => {
  test('touches no file until it is used', async () => {
    const queue = new Queue('q', { root: bed.root })
    expect(queue).toMatchObject({ name: 'q', path: bed.path('q') })
    expect(queue.settings).toMatchObject({ root: bed.root, maxTries: 1, delimiter: '_' })
    expect(Object.isFrozen(queue.settings)).toBe(true)
    expect(fs.readdirSync(bed.root)).toEqual([])
    await queue.close()
  })

  test('made before the queue is good once there is one', async () => {
    const early = bed.open()
    expect(await errorOf(async () => early.enqueue('x'))).toBeInstanceOf(QueueMissingError)
    await bed.install()
    const id = await early.enqueue('x')
    expect(await drain(early)).toEqual([id])
  })

  test('with a relative root stays where it was, whatever the working directory becomes', async () => {
    const before = process.cwd()
    try {
      process.chdir(bed.root)
      const queue = await bed.install({ root: '.' })
      process.chdir('/')
      expect(queue.path).toBe(bed.path('q'))
      const id = await queue.enqueue('x')
      expect(await drain(queue)).toEqual([id])
    } finally {
      process.chdir(before)
    }
  })

  test('takes a queue that is a link', async () => {
    const real = await bed.install({}, 'real')
    fs.symlinkSync('real', bed.path('q'))
    const queue = bed.open()
    const id = await queue.enqueue('x')
    expect(names(real, 'queue')).toEqual([id])
    expect(await drain(queue)).toEqual([id])
    expect(names(real, 'done')).toEqual([id])
  })

  test.each([
    [{ maxtries: 1 }, /maxtries/],
    [{ maxTries: 'many' }, /maxTries is 'many', expected a whole number.*FSQ_MAX_TRIES/],
    [{ delimiter: '%' }, /expected a character different/],
    [{ root: '' }, /root is ''/],
  ])('with the options %j is refused', (options, says) => {
    expect(() => new Queue('q', options as QueueOptions)).toThrow(SettingError)
    expect(() => new Queue('q', options as QueueOptions)).toThrow(says)
  })
})

test('install may be taken from the class', async () => {
  const { install } = Queue
  const queue = await install('q', { root: bed.root })
  expect(queue).toBeInstanceOf(Queue)
  await queue.close()
})

describe('close', () => {
  test('releases what is claimed and ends the use of the handle', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }, { data: 'c' }])
    const taker = new Taker(queue, { prefetch: 3 })
    const item = await taker.take()
    await queue.close()
    expect(native.heldClaims()).toBe(0)
    expect(names(queue, 'queue').map((name) => isLocked(pathOf(queue, 'queue', name)))).toEqual([
      false,
      false,
      false,
    ])
    const uses: Record<string, () => unknown> = {
      enqueue: async () => queue.enqueue('x'),
      enqueueSync: () => queue.enqueueSync('x'),
      enqueueMany: async () => queue.enqueueMany([{ data: 'x' }]),
      scan: async () => drain(queue),
      next: async () => taker.next(),
      items: async () => queue.items().next(),
      find: async () => queue.find(item.id),
      counts: async () => queue.counts(),
      isEmpty: async () => queue.isEmpty(),
      down: async () => queue.down(),
      up: async () => queue.up(),
      isDown: async () => queue.isDown(),
      trigger: async () => queue.trigger(),
      untrigger: async () => queue.untrigger(),
      triggerPull: async () => queue.triggerPull({ ignoreListener: true }),
      hosts: async () => queue.hosts(),
      addHost: async () => queue.addHost('h1'),
      removeHost: async () => queue.removeHost('h1'),
      distribute: async () => queue.distribute(),
      done: async () => item.done(),
      retry: async () => item.retry(),
    }
    const ends: Record<string, unknown> = {}
    for (const [name, use] of Object.entries(uses)) ends[name] = await errorOf(use).catch(() => 'no error')
    expect(ends).toEqual(
      Object.fromEntries(Object.keys(uses).map((name) => [name, expect.any(QueueClosedError)])),
    )
    expect(names(queue, 'queue')).toHaveLength(3)
    expect(fs.existsSync(queue.paths.queue.replace(/queue$/, 'down'))).toBe(false)
    expect(await drain(bed.open())).toHaveLength(3)
    await queue.uninstall()
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('may be said again and again', async () => {
    const queue = await bed.install()
    await queue.close()
    await queue.close()
    await queue[Symbol.asyncDispose]()
  })

  test('lets calls in flight end', async () => {
    const queue = await bed.install()
    await queue.enqueueMany(Array.from({ length: 20 }, () => ({ data: 'x' })))
    const items = []
    for await (const item of queue.scan()) items.push(item)
    const finishing = items.slice(0, 10).map(async (item) => item.done())
    const enqueueing = [queue.enqueue('a'), queue.enqueue('b')]
    const ends: Promise<PromiseSettledResult<unknown>[]>[] = [
      Promise.allSettled(finishing),
      Promise.allSettled(enqueueing),
    ]
    await queue.close()
    const [finished = [], added = []] = await Promise.all(ends)
    const count = (results: PromiseSettledResult<unknown>[]): number =>
      results.filter(({ status }) => status === 'fulfilled').length
    expect(count(finished)).toBe(10)
    // Each answer is true, whichever it is.
    expect(names(queue, 'done')).toHaveLength(10)
    expect(names(queue, 'queue')).toHaveLength(10 + count(added))
    expect(names(queue, 'tmp')).toEqual([])
    expect(names(queue, 'queue').filter((name) => isLocked(pathOf(queue, 'queue', name)))).toEqual([])
  })

  test('leaves no descriptor behind', async () => {
    const ours = (): string[] =>
      fs.readdirSync('/proc/self/fd').flatMap((descriptor) => {
        try {
          const target = fs.readlinkSync(`/proc/self/fd/${descriptor}`)
          return target.startsWith(bed.root) ? [target] : []
        } catch {
          return []
        }
      })
    const queue = await bed.install()
    await queue.enqueueMany([
      { data: 'a' },
      { data: 'b'.repeat(10_000) },
      { data: { path: '/proc/version' } },
    ])
    expect(await drain(queue)).toHaveLength(3)
    await queue.enqueue('c')
    const item = await takeOne(queue)
    for await (const _ of queue.items()) break
    await queue.counts()
    expect(ours()).toContain(item.path)
    await queue.close()
    expect(ours()).toEqual([])
  })

  test('lets the process end', async () => {
    await bed.install()
    const body = `
      const queue = new Queue('q', { root: given.root })
      await queue.enqueueMany(Array.from({ length: 30 }, () => ({ data: 'x' })))
      const scan = queue.scan({ prefetch: 20 })
      await scan.next()
      return given.close ? (await queue.close(), 'closed') : 'left open'`
    expect(await inProgram(body, { given: { root: bed.root, close: true } })).toBe('closed')
    // Nor does an open handle with claims keep it.
    expect(await inProgram(body, { given: { root: bed.root, close: false } })).toBe('left open')
  })
})

describe('the setting', () => {
  test.each(['_', '-', '~', ' ', 'é', '5', 'a', '.', '\n'].filter((character) => character < '\x80'))(
    'delimiter %j',
    async (delimiter) => {
      const queue = await bed.install({ delimiter })
      const args = [`a${delimiter}b`, '_', '']
      const id = await queue.enqueue('x', args)
      expect(id.charAt(0)).toBe(delimiter)
      // A reader takes the delimiter from the name.
      const item = await takeOne(bed.open())
      expect(item.args).toEqual(args)
      await item.done()
      expect(names(queue, 'done')).toEqual([id])
    },
  )

  test('encode', async () => {
    const queue = await bed.install({ encode: '+', delimiter: '.' })
    const id = await queue.enqueue('x', ['a.b', 'c+d', 'e%f'])
    expect(id).toMatch(/\.a\+2eb\.c\+2bd\.e%f$/)
    expect((await takeOne(queue)).args).toEqual(['a.b', 'c+d', 'e%f'])
  })

  test('timefmt with microseconds', async () => {
    const queue = await bed.install({ timefmt: '%Y%m%d%H%M%S%f', utc: true })
    const before = Date.now()
    const ids = [await queue.enqueue('x'), await queue.enqueue('y')]
    const after = Date.now()
    for (const id of ids) expect(id).toMatch(/^_\d{20}_/)
    for await (const item of queue.scan()) {
      expect(item.enqueuedAt.getTime()).toBeGreaterThanOrEqual(before)
      expect(item.enqueuedAt.getTime()).toBeLessThanOrEqual(after)
    }
  })

  test('timefmt with what must be encoded', async () => {
    const queue = await bed.install({ timefmt: '%Y_%m/%d%%%H:%M:%S', utc: true })
    const id = await queue.enqueue('x')
    expect(id).toMatch(/^_\d{4}%5f\d\d%2f\d\d%25\d\d:\d\d:\d\d_/)
    const item = await takeOne(queue)
    expect(Math.abs(item.enqueuedAt.getTime() - Date.now())).toBeLessThan(5000)
    // To those who expect another format, it is malformed.
    item.release()
    expect(await drain(bed.open())).toEqual([])
    expect(names(queue, 'fail')).toEqual([id])
  })

  test.each([
    ['utc', true],
    ['local time', false],
  ])('utc: timestamps are in %s', async (_what, utc) => {
    const root = bed.root
    await bed.install()
    interface Seen {
      readonly id: string
      readonly enqueuedAt: number
      readonly before: number
    }
    const body = `
      const queue = new Queue('q', { root: given.root, utc: given.utc })
      const before = Math.floor(Date.now() / 1000) * 1000
      const id = await queue.enqueue('x')
      const { value: item } = await queue.scan().next()
      return { id, before, enqueuedAt: item.enqueuedAt.getTime() }`
    const seen = await inProgram<Seen>(body, { given: { root, utc }, env: { TZ: 'Asia/Kathmandu' } })
    expect(seen.enqueuedAt).toBeGreaterThanOrEqual(seen.before)
    expect(seen.enqueuedAt).toBeLessThanOrEqual(Date.now())
    const shift = utc ? 0 : (5 * 60 + 45) * 60_000
    const shown = new Date(seen.enqueuedAt + shift).toISOString().replace(/[-T:]|\..*/g, '')
    expect(seen.id.split('_')[1]).toBe(shown)
  })

  test('charset latin-1', async () => {
    const queue = await bed.install({ charset: 'latin-1' })
    const id = await queue.enqueue('x', ['é', 'ÿ'])
    const [raw = ''] = names(queue, 'queue')
    expect(raw.endsWith('_\xe9_\xff')).toBe(true)
    expect(id).toBe(raw)
    expect((await takeOne(queue)).args).toEqual(['é', 'ÿ'])
    checkError(await errorOf(async () => queue.enqueue('x', ['中'])), {
      type: EncodingError,
      says: /charset latin-1 lacks/,
    })
    expect(names(queue, 'queue')).toHaveLength(1)
  })

  test('charset ascii', async () => {
    const queue = await bed.install({ charset: 'ascii' })
    checkError(await errorOf(async () => queue.enqueue('x', ['é'])), {
      type: EncodingError,
      says: /charset ascii lacks.*Set FSQ_CHARSET to utf8/,
    })
    expect(contents(queue)).toEqual(EMPTY)
    plant(queue, itemName({ args: ['\xe9'] }))
    const id = await queue.enqueue('x', ['e'])
    expect(await drain(queue)).toEqual([id])
    expect(names(queue, 'fail')).toEqual([itemName({ args: ['\xe9'] })])
  })

  test.each(['none', 'enqueue', 'full'])('durability %s: the same files', async (durability) => {
    const queue = await bed.install({ durability, maxTries: 2 })
    const ids = [
      await queue.enqueue('a'),
      queue.enqueueSync('b'),
      await queue.enqueue(null),
      ...(await queue.enqueueMany([{ data: { path: import.meta.filename } }])),
    ]
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [...ids].sort() })
    const outcomes: unknown[] = []
    for await (const item of queue.scan()) {
      const step = outcomes.length
      outcomes.push(step === 0 ? await item.retry() : step === 1 ? await item.fail() : await item.done())
    }
    expect(outcomes).toEqual(['waiting', undefined, undefined, undefined])
    expect(contents(queue)).toEqual({
      queue: [(ids[0] ?? '').replace(/^(_[^_]+_[^_]+_[^_]+_[^_]+)_0$/, '$1_1')],
      tmp: [],
      done: ids.slice(2).sort(),
      fail: [ids[1]],
    })
  })

  test('lock: off, nothing is locked and no lock is minded', async () => {
    const queue = await bed.install({ lock: false })
    const id = await queue.enqueue('x')
    const file = pathOf(queue, 'queue', id)
    const item = await takeOne(queue)
    expect(isLocked(file)).toBe(false)
    bed.lock(file)
    expect((await takeOne(bed.open({ lock: false }))).id).toBe(id)
    await item.done()
    expect(contents(queue)).toEqual({ ...EMPTY, done: [id] })
  })

  test('all of them, from the environment of a process', async () => {
    fs.mkdirSync(bed.path('var'))
    interface Seen {
      readonly id: string
      readonly path: string
      readonly listed: string[]
      readonly settings: Record<string, unknown>
    }
    const seen = await inProgram<Seen>(
      `
      const queue = await Queue.install('q')
      const id = await queue.enqueue('x', ['a:b'])
      await queue.down()
      return { id, path: queue.path, listed: fs.readdirSync(queue.path).sort(), settings: queue.settings }`,
      {
        env: {
          FSQ_ROOT: bed.path('var'),
          FSQ_QUEUE: 'in',
          FSQ_TMP: 't',
          FSQ_DONE: 'd',
          FSQ_FAIL: 'f',
          FSQ_DOWN: 'stop',
          FSQ_DELIMITER: ':',
          FSQ_ENCODE: '=',
          FSQ_TIMEFMT: '%Y',
          FSQ_ITEM_MODE: '0604',
          FSQ_QUEUE_MODE: '0750',
          FSQ_DURABILITY: 'none',
          FSQ_MAX_TRIES: '7',
          FSQ_TTL: '60',
          FSQ_UTC: '1',
        },
      },
    )
    expect(seen.path).toBe(bed.path('var', 'q'))
    expect(seen.listed).toEqual(['d', 'f', 'in', 'stop', 't'])
    expect(seen.id).toMatch(/^:\d{4}:.*:0:a=3ab$/)
    expect(seen.settings).toMatchObject({ maxTries: 7, ttl: 60, utc: true, durability: 'none' })
    expect(fs.statSync(bed.path('var', 'q', 'in', seen.id)).mode & 0o7777).toBe(0o604)
    expect(fs.statSync(bed.path('var', 'q', 'in')).mode & 0o7777).toBe(0o750)
  })

  test.each([
    ['FSQ_MAX_TRIES', 'many'],
    ['FSQ_DELIMITER', '__'],
    ['FSQ_DURABILITY', 'yes'],
    ['FSQ_ITEM_MODE', '0o640'],
    ['FSQ_CHARSET', 'utf-16'],
    ['FSQ_ROOT', ''],
  ])('%s=%p in the environment is an error that names it, at the first use', async (variable, value) => {
    const error = await inProgram<ShownError & { setting?: string }>(`return errorOf(() => new Queue('q'))`, {
      env: { [variable]: value },
    })
    expect(error).toMatchObject({ name: 'SettingError', code: 'ERR_FSQ_SETTING' })
    expect(error.message).toMatch(
      new RegExp(
        `^${variable} is '${value}', expected .+\\. Correct the environment variable, or unset it`,
        's',
      ),
    )
  })
})

describe('setConst', () => {
  afterEach(() => {
    for (const name of ['FSQ_ROOT', 'FSQ_DELIMITER', 'FSQ_MAX_TRIES', 'FSQ_DONE'] as const)
      setConst(name, undefined)
  })

  test('is for the handles that are made then', async () => {
    const before = await bed.install()
    setConst('FSQ_ROOT', bed.root)
    setConst('FSQ_DELIMITER', '-')
    setConst('FSQ_MAX_TRIES', '3')
    const after = new Queue('q')
    expect(after.path).toBe(before.path)
    expect([(await before.enqueue('x')).charAt(0), (await after.enqueue('x')).charAt(0)]).toEqual(['_', '-'])
    const outcomes = []
    for await (const item of after.scan()) outcomes.push(await item.retry())
    expect(outcomes).toEqual(['waiting', 'waiting'])
    const options = new Queue('q', { delimiter: '~' })
    expect((await options.enqueue('x')).charAt(0)).toBe('~')
    await Promise.all([after.close(), options.close()])
  })

  test('of a directory has its effect as well', async () => {
    setConst('FSQ_DONE', 'finished')
    const queue = await bed.install()
    expect(fs.readdirSync(queue.path).sort()).toEqual(['fail', 'finished', 'queue', 'tmp'])
  })
})

test('says where its directories are', async () => {
  const queue = await bed.install({ queue: 'in', fail: 'bad' })
  const [inside, tmp, done, bad] = ['in', 'tmp', 'done', 'bad'].map((name) => bed.path('q', name))
  expect(queue.paths).toEqual({ queue: inside, tmp, done, fail: bad })
  const id = await queue.enqueue('data')
  expect(fs.readFileSync(path.join(queue.paths.queue, id), 'utf8')).toBe('data')
})

describe('fcntl locks, by the marker lock-fcntl', () => {
  test('keep items from other handles, and not from flock', async () => {
    const queue = await bed.install()
    fs.writeFileSync(path.join(queue.path, 'lock-fcntl'), '')
    const ids = [await queue.enqueue('a'), await queue.enqueue('b')]
    const item = await takeOne(queue, { prefetch: 1 })
    expect(item.id).toBe(ids[0])
    expect(isLocked(pathOf(queue, 'queue', item.id))).toBe(false)
    expect(await drain(bed.open())).toEqual([ids[1]])
    // Closing another descriptor of the file must not drop the lock, as it would with the other kind of fcntl lock.
    fs.closeSync(fs.openSync(pathOf(queue, 'queue', item.id), 'r'))
    expect(await drain(bed.open())).toEqual([])
    expect(await item.text()).toBe('a')
    item.release()
    expect(await drain(bed.open())).toEqual([ids[0]])
  })

  test('are taken up by handles that were open before', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    expect(await drain(queue)).toEqual([id])
    fs.writeFileSync(path.join(queue.path, 'lock-fcntl'), '')
    const next = await queue.enqueue('y')
    // The first scan may find out only on its way.
    const item = await takeOne(queue).catch(async (error: unknown) => {
      checkError(error, { type: FileSystemError, cause: 'ESTALE', says: /open the queue again/ })
      return takeOne(queue)
    })
    expect(item.id).toBe(next)
    expect(isLocked(pathOf(queue, 'queue', next))).toBe(false)
    await item.done()
  })
})

test('the life of a job', async () => {
  const queue = await bed.install({ maxTries: 2 })
  const id = await queue.enqueue({ json: { to: 'a@example.org' } }, ['mail'])
  expect(await queue.counts()).toEqual({ waiting: 1, done: 0, failed: 0, tmp: 0 })
  const outcomes: unknown[] = []
  for (let round = 0; round < 3; round++) {
    for await (const item of queue.scan()) {
      expect(await item.json()).toEqual({ to: 'a@example.org' })
      outcomes.push(await item.retry())
    }
  }
  expect(outcomes).toEqual(['waiting', 'failed'])
  expect(await queue.counts()).toEqual({ waiting: 0, done: 0, failed: 1, tmp: 0 })
  expect(await queue.find(id)).toMatchObject({ state: 'failed', tries: 1 })
  await queue.down()
  expect(await errorOf(async () => drain(queue))).toBeInstanceOf(QueueDownError)
  await queue.uninstall()
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('the tools of the system see all of it', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('data', ['args'])
  const listed = execFileSync('ls', [path.join(queue.path, 'queue')], { encoding: 'utf8' })
  expect(listed).toBe(`${id}\n`)
  expect(execFileSync('cat', [path.join(queue.path, 'queue', id)], { encoding: 'utf8' })).toBe('data')
  // A file that mv puts into queue/ is an item.
  fs.writeFileSync(bed.path('by-hand'), 'by hand')
  execFileSync('mv', [bed.path('by-hand'), path.join(queue.path, 'queue', itemName())])
  const item = await takeOne(queue)
  expect(await item.text()).toBe('by hand')
})

test('each export has the name that it is exported by, also in stack traces and after bundling', async () => {
  const names = await inProgram<Record<string, string>>(
    `const lock = await import(process.env.FSQ_TEST_INDEX.replace('index.js', 'lock.js'))
    return Object.fromEntries(
      [fsq, lock].flatMap((module) =>
        Object.entries(module).flatMap(([key, value]) => (typeof value === 'function' ? [[key, value.name]] : [])),
      ),
    )`,
  )
  expect(Object.keys(names)).toEqual(
    expect.arrayContaining(['Queue', 'install', 'isDown', 'SettingError', 'tryLock']),
  )
  expect(names).toEqual(Object.fromEntries(Object.keys(names).map((name) => [name, name])))
})

test('the exports have an error for each situation, each with a code of its own', () => {
  const classes = Object.values(fsq).filter(
    (value): value is typeof FsqError =>
      typeof value === 'function' && (value === FsqError || value.prototype instanceof FsqError),
  )
  const codes = classes.map(({ code }) => code)
  expect(codes.length).toBeGreaterThan(20)
  expect(new Set(codes).size).toBe(codes.length)
  for (const code of codes) expect(code).toMatch(/^ERR_FSQ(_[A-Z]+)*$/)
  expect(fsq.Queue).toBe(Queue)
})
