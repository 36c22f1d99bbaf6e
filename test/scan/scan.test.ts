import { Buffer } from 'node:buffer'
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'

import { afterEach, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'

import {
  MalformedNameError,
  QueueClosedError,
  QueueDownError,
  SettingError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { fromRaw, toRaw } from '../../src/name/charset.js'
import { parseItemName } from '../../src/name/item-name.js'
import { formatTimestamp } from '../../src/name/timestamp.js'
import { native } from '../../src/addon/native.js'
import { claimNumbersAt } from '../../src/addon/packing.js'
import { Queue } from '../../src/queue.js'
import type { Report } from '../../src/report.js'
import {
  EMPTY,
  Taker,
  checkError,
  contentOf,
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
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

/** Names that sort as they are numbered. */
const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => itemName({ entropy: index + 1 }))

function plantNumbered(queue: Queue, count: number): string[] {
  return numbered(count).map((name) => {
    plant(queue, name, name)
    return name
  })
}

const lockedNames = (queue: Queue): string[] =>
  names(queue, 'queue').filter((name) => isLocked(pathOf(queue, 'queue', name)))

describe('order', () => {
  test('is by time, then by number', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const expected = [
      itemName({ timestamp: '20120710213903', entropy: 99 }),
      itemName({ entropy: 2 }),
      itemName({ entropy: 10 }),
      itemName({ entropy: '0100' }),
      itemName({ entropy: '18446744073709551616' }),
      itemName({ entropy: 'abc' }),
      itemName({ timestamp: '20120710213905', entropy: 0 }),
    ]
    for (const name of [...expected].reverse()) plant(queue, name)
    expect(await drain(queue)).toEqual(expected)
    expect(names(queue, 'done')).toEqual([...expected].sort())
  })

  test('is one walk: what comes later waits for the next', async () => {
    const queue = await bed.install()
    const first = await queue.enqueue('x')
    const seen: string[] = []
    for await (const item of queue.scan()) {
      seen.push(item.id)
      if (seen.length < 3) await queue.enqueue('y')
    }
    expect(seen).toEqual([first])
  })

  test('an empty queue hands out nothing', async () => {
    const queue = await bed.install()
    expect(await drain(queue)).toEqual([])
  })
})

test.each([1, 32])(
  'asked for many at once, a scan answers in order, each item once (prefetch %i)',
  async (prefetch) => {
    const queue = await bed.install()
    const planted = plantNumbered(queue, 60)
    const scan = queue.scan({ prefetch })
    const answers: string[] = []
    const finishing: Promise<void>[] = []
    let asked = 0
    const lane = async (): Promise<void> => {
      for (;;) {
        const turn = asked++
        const { value } = await scan.next()
        if (value === undefined) return
        answers[turn] = value.id
        finishing.push(value.done())
      }
    }
    await Promise.all(Array.from({ length: 5 }, lane))
    await Promise.all(finishing)
    expect(answers).toEqual(planted)
    expect(await scan.next()).toEqual({ value: undefined, done: true })
    expect(names(queue, 'done')).toHaveLength(60)
  },
)

describe('malformed names', () => {
  const malformed = [
    ['invalid UTF-8', 'x\xff\xfe'],
    ['invalid UTF-8 in an argument', itemName({ args: ['caf\xe9'] })],
    ['an overlong form', itemName({ args: ['\xc0\xaf'] })],
    ['an escape of half a character', itemName({ args: ['%c3%a9'] })],
    ['a truncated escape', itemName({ args: ['%2'] })],
    ['an escape of no hex digits', itemName({ args: ['%zz'] })],
    ['too few fields', '_20120710213904_0_13044_mss'],
    ['one character', '_'],
    ['a dot file', '.hidden'],
    ['a backup file', `${itemName()}~`.slice(1)],
    ['a time that never was', itemName({ timestamp: '20120230213904' })],
    ['no tries', itemName({ tries: '' })],
    ['too many digits of tries', itemName({ tries: '1000000000000000' })],
    ['a newline', 'a\nb'],
    ['255 bytes', '\xff'.repeat(255)],
  ] as const

  test.each(malformed)('%s: to fail/, byte for byte, reported once', async (_what, name) => {
    const queue = await bed.install({ maxTries: 0, utc: true })
    const { ino } = fs.statSync(plant(queue, name, 'precious'))
    const good = await queue.enqueue('x')
    expect(await drain(queue)).toEqual([good])
    expect(contents(queue)).toEqual({ ...EMPTY, done: [good], fail: [name] })
    expect(fs.statSync(pathOf(queue, 'fail', name)).ino).toBe(ino)
    expect(contentOf(queue, 'fail', name)).toBe('precious')
    expect(await drain(queue)).toEqual([])
    expect(bed.reports).toHaveLength(1)
    const [report] = bed.reports
    expect(report).toMatchObject({ type: 'malformed', queue: 'q', rawName: name })
    expect(report?.message).toMatch(/^is no item: .+: moved to fail\/$/)
    expect(report?.error).toBeInstanceOf(MalformedNameError)
    // Fit for a terminal, whatever the name is.
    expect(report?.name).toMatch(/^[\x20-\x7e]+$/)
    expect(isLocked(pathOf(queue, 'fail', name))).toBe(false)
  })

  test('many of them among items', async () => {
    const queue = await bed.install()
    const bad = Array.from({ length: 40 }, (_, index) => `\xfe${index}`)
    for (const name of bad) plant(queue, name)
    const good = await queue.enqueueMany(Array.from({ length: 40 }, () => ({ data: 'x' })))
    expect(await drain(queue)).toEqual(good)
    expect(names(queue, 'fail')).toEqual([...bad].sort())
    expect(bed.reportTypes()).toEqual(bad.map(() => 'malformed'))
  })

  test.each([['_short'], ['\xff'.repeat(255)], [itemName({ tries: '' })]])(
    '%j never takes the place of another in fail/',
    async (name) => {
      const queue = await bed.install()
      for (const content of ['first', 'second', 'third']) {
        plant(queue, name, content)
        expect(await drain(queue)).toEqual([])
      }
      const failed = names(queue, 'fail')
      expect(failed).toHaveLength(3)
      expect(failed.map((each) => contentOf(queue, 'fail', each)).sort()).toEqual([
        'first',
        'second',
        'third',
      ])
      expect(contentOf(queue, 'fail', name)).toBe('first')
      expect(names(queue, 'queue')).toEqual([])
    },
  )
})

describe('the vectors as files', () => {
  interface Row {
    readonly name: string
    readonly file_after: 'queue' | 'fail'
    readonly error?: string
    readonly delimiter: string
    readonly enqueued_at: string
    readonly entropy: string
    readonly pid: string
    readonly hostname: string
    readonly tries: number
    readonly arguments: string[]
  }

  const file = path.join(import.meta.dirname, '../vectors', 'item.json')
  const rows = JSON.parse(fs.readFileSync(file, 'utf8')) as Row[]
  /** Where we are stricter: the reasons are in test/name/vectors.test.ts. */
  const stricter = new Set([
    '_20120710213904_0_13044_mss_-1_x',
    '_20120710213904_0_13044_mss_+2_x',
    '_20120710213904_0_13044_mss_ 3 _x',
    '_20120710213904_0_13044_mss_\u0663_x',
    '_2012071021390_0_1_h_0',
    '_201271213904_0_1_h_0',
    '_201211111_0_1_h_0',
    '_201211111111_0_1_h_0',
    '_20121111111_0_1_h_0',
  ])

  test.each(rows.map((row) => [JSON.stringify(row.name), row] as const))('%s', async (_shown, row) => {
    const queue = await bed.install({ utc: true, maxTries: 0 })
    const raw = toRaw(row.name, 'utf8')
    plant(queue, raw, 'content')
    const seen: WorkItem[] = []
    const texts: string[] = []
    for await (const item of queue.scan()) {
      seen.push(item)
      texts.push(await item.text())
      item.release()
    }
    if (stricter.has(row.name) || row.file_after === 'fail') {
      expect(seen).toEqual([])
      expect(contents(queue)).toEqual({ ...EMPTY, fail: [raw] })
      expect(bed.reportTypes()).toEqual(['malformed'])
      return
    }
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [raw] })
    expect(bed.reports).toEqual([])
    const [item] = seen
    expect({
      id: item?.id,
      enqueuedAt: item?.enqueuedAt,
      entropy: item?.entropy,
      pid: item?.pid,
      hostname: item?.hostname,
      tries: item?.tries,
      args: item?.args,
      alias: item?.arguments,
      text: texts[0],
    }).toEqual({
      id: row.name,
      enqueuedAt: new Date(`${row.enqueued_at}Z`),
      entropy: row.entropy,
      pid: row.pid,
      hostname: row.hostname,
      tries: row.tries,
      args: row.arguments,
      alias: row.arguments,
      text: 'content',
    })
  })

  test('the stricter ones are among them', () => {
    const known = new Set(rows.map(({ name }) => name))
    expect([...stricter].filter((name) => !known.has(name))).toEqual([])
  })
})

test('what native code reads in names is what they say', async () => {
  const field = fc.string({
    unit: fc.constantFrom('0', '1', '5', '9', 'a', 'A', '.', '%', '~', '^', '-', ' ', 'é', '\x7f', '\n'),
    maxLength: 5,
  })
  const timestamp = fc.oneof(
    { weight: 5, arbitrary: fc.constant('20120710213904') },
    { weight: 2, arbitrary: fc.constant('20240229235959') },
    fc.constantFrom('20230229000000', '00000101000000', '20121310213904'),
    fc.stringMatching(/^[0-9]{13,15}$/),
  )
  const tries = fc.oneof({ weight: 5, arbitrary: fc.stringMatching(/^[0-9]{1,16}$/) }, field)
  const name = fc
    .record({
      delimiter: fc.constantFrom('_', '_', '_', '-', '5', 'a', '%'),
      fields: fc.tuple(timestamp, field, field, field, tries, field, field),
      count: fc.integer({ min: 3, max: 7 }),
    })
    .map(({ delimiter, fields, count }) => toRaw(delimiter + fields.slice(0, count).join(delimiter), 'utf8'))
    .filter((raw) => raw.length > 1 && !raw.startsWith('.'))
  for (const settings of [
    {},
    { encode: '^' },
    { encode: '~', timefmt: '%d%m%Y%H%M%S' },
    { charset: 'ascii' },
  ] as const) {
    const queue = await bed.install({ maxTries: 0, utc: true, durability: 'none', ...settings })
    const raws = fc.sample(fc.uniqueArray(name, { minLength: 200, maxLength: 200 }), 1).flat()
    const expected = new Map<string, object>()
    for (const raw of raws) {
      plant(queue, raw)
      try {
        const { tries, timestamp, entropy, pid, hostname, args } = parseItemName(raw, queue.settings)
        expected.set(fromRaw(raw, queue.settings.charset), { tries, timestamp, entropy, pid, hostname, args })
      } catch {
        // For fail/.
      }
    }
    const found = new Map<string, object>()
    for await (const item of queue.scan()) {
      const { tries, enqueuedAt, entropy, pid, hostname, args } = item
      const timestamp = formatTimestamp(enqueuedAt, queue.settings)
      found.set(item.id, { tries, timestamp, entropy, pid, hostname, args })
      await item.done()
    }
    expect(expected.size).toBeGreaterThan(5)
    expect(found).toEqual(expected)
    expect(names(queue, 'fail')).toHaveLength(raws.length - expected.size)
    await queue.uninstall()
  }
})

describe('age', () => {
  const enqueuedAt = Date.UTC(2012, 6, 10, 21, 39, 4)
  const at = (milliseconds: number): void => {
    jest.spyOn(Date, 'now').mockReturnValue(enqueuedAt + milliseconds)
  }

  test.each([
    [60, 59_999, true],
    [60, 60_000, false],
    [60, 60_001, false],
    [1, 999, true],
    [1, 1000, false],
    [60, -5000, true],
    [0, 1e12, true],
  ])('with a TTL of %i s, %i ms old: handed out is %p', async (ttl, age, isFit) => {
    const queue = await bed.install({ utc: true, ttl })
    const name = itemName()
    plant(queue, name, 'x')
    at(age)
    expect(await drain(queue)).toEqual(isFit ? [name] : [])
    expect(contents(queue)).toEqual({ ...EMPTY, [isFit ? 'done' : 'fail']: [name] })
    expect(bed.reportTypes()).toEqual(isFit ? [] : ['expired'])
    if (!isFit)
      expect(bed.reports[0]?.message).toBe(
        `is ${Math.floor(age / 1000)} s old, and ${ttl} s are allowed: moved to fail/`,
      )
  })

  test('of a scan overrides that of the queue', async () => {
    const queue = await bed.install({ utc: true, ttl: 60 })
    plant(queue, itemName())
    at(100_000)
    const item = await takeOne(queue, { ttl: 0 })
    item.release()
    expect(await drain(queue, { ttl: 101 })).toEqual([itemName()])
  })
})

describe('tries', () => {
  test.each([
    [1, 0, true],
    [1, 1, false],
    [3, 2, true],
    [3, 3, false],
    [3, 999_999_999_999_999, false],
    [0, 999_999_999_999_999, true],
    [999_999_999_999_999, 999_999_999_999_998, true],
    [999_999_999_999_999, 999_999_999_999_999, false],
  ])('with %i allowed, %i made: handed out is %p', async (maxTries, tries, isFit) => {
    const queue = await bed.install({ maxTries })
    const name = itemName({ tries })
    plant(queue, name, 'x')
    expect(await drain(queue)).toEqual(isFit ? [name] : [])
    expect(contents(queue)).toEqual({ ...EMPTY, [isFit ? 'done' : 'fail']: [name] })
    expect(bed.reportTypes()).toEqual(isFit ? [] : ['exhausted'])
  })

  test('one is allowed by default', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ entropy: 1, tries: 0 }))
    plant(queue, itemName({ entropy: 2, tries: 1 }))
    expect(await drain(queue)).toEqual([itemName({ entropy: 1 })])
    expect(names(queue, 'fail')).toEqual([itemName({ entropy: 2, tries: 1 })])
  })

  test('of a scan override those of the queue', async () => {
    const queue = await bed.install({ maxTries: 1 })
    plant(queue, itemName({ tries: 4 }))
    expect(await drain(queue, { maxTries: 5 })).toEqual([itemName({ tries: 4 })])
  })

  test('an exhausted item never takes the place of another in fail/', async () => {
    const queue = await bed.install()
    const name = itemName({ entropy: 17, tries: 1 })
    plant(queue, name, 'first', 'fail')
    plant(queue, name, 'second')
    expect(await drain(queue)).toEqual([])
    expect(contentOf(queue, 'fail', name)).toBe('first')
    const [other = ''] = names(queue, 'fail').filter((each) => each !== name)
    expect(contentOf(queue, 'fail', other)).toBe('second')
    expect(other.length).toBe(name.length)
    expect(bed.reports[0]?.message).toContain(other)
  })
})

const canMakeDevices = ((): boolean => {
  const file = `/tmp/fsq-device-${process.pid}`
  const made = spawnSync('mknod', [file, 'c', '1', '3']).status === 0
  fs.rmSync(file, { force: true })
  return made
})()

describe('what is not a regular file', () => {
  const listening: net.Server[] = []
  afterEach(() => {
    for (const server of listening.splice(0)) server.close()
  })

  /** The path of a socket is short, a queue's may not be. */
  async function socket(file: string): Promise<void> {
    const server = net.createServer()
    listening.push(server)
    await new Promise<void>((resolve) => server.listen(bed.path('s'), resolve))
    fs.renameSync(bed.path('s'), file)
  }

  const kinds: readonly (readonly [string, string, (file: string) => void | Promise<void>])[] = [
    ['a dangling symbolic link', 'a symbolic link', (file) => fs.symlinkSync('nowhere', file)],
    ['a symbolic link to a file', 'a symbolic link', (file) => fs.symlinkSync(bed.path('target'), file)],
    ['a symbolic link to a directory', 'a symbolic link', (file) => fs.symlinkSync('..', file)],
    ['a symbolic link to /dev/zero', 'a symbolic link', (file) => fs.symlinkSync('/dev/zero', file)],
    ['a directory', 'a directory', (file) => fs.mkdirSync(file)],
    ['a FIFO', 'a FIFO', (file) => void execFileSync('mkfifo', [file])],
    ['a socket', 'a socket', socket],
    ...(canMakeDevices
      ? [
          [
            'a device',
            'a character device',
            (file: string): void => void execFileSync('mknod', [file, 'c', '1', '5']),
          ] as const,
        ]
      : []),
  ]

  if (!canMakeDevices) test.skip('a device (this user cannot make any)', () => undefined)

  describe.each([
    ['with the name of an item', itemName({ entropy: 0 })],
    ['with another name', 'stranger'],
  ])('%s', (_named, name) => {
    test.each(kinds)('%s is left alone and reported once', async (_what, shown, make) => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('target'), 'precious')
      const file = path.join(queue.path, 'queue', name)
      await make(file)
      const before = fs.lstatSync(file)
      const ids = [await queue.enqueue('x'), await queue.enqueue('y')]
      expect(await drain(queue)).toEqual(ids)
      expect(await drain(queue)).toEqual([])
      const after = fs.lstatSync(file)
      expect({ ino: after.ino, mode: after.mode, ctimeMs: after.ctimeMs }).toEqual({
        ino: before.ino,
        mode: before.mode,
        ctimeMs: before.ctimeMs,
      })
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [name], done: [...ids].sort() })
      expect(fs.readFileSync(bed.path('target'), 'utf8')).toBe('precious')
      expect(bed.reports).toHaveLength(1)
      expect(bed.reports[0]).toMatchObject({ type: 'foreign', rawName: name })
      expect(bed.reports[0]?.message).toBe(`is ${shown}, not a regular file, and is left alone. Remove it`)
    })
  })

  test('is not even opened', async () => {
    const queue = await bed.install()
    const fifo = path.join(queue.path, 'queue', itemName())
    execFileSync('mkfifo', [fifo])
    // This open waits until somebody opens the other end, were it but for a moment.
    let isOpened = false
    const opening = fs.promises.open(fifo, 'w').then((file) => {
      isOpened = true
      return file
    })
    for (let round = 0; round < 20; round++) expect(await drain(queue)).toEqual([])
    expect(isOpened).toBe(false)
    const end = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    await (await opening).close()
    fs.closeSync(end)
    expect(isOpened).toBe(true)
  })
})

describe('down', () => {
  const isDownError = {
    type: QueueDownError,
    says: /'q' is down \(.*\/q\/down exists\).*Take it up again with queue\.up\(\)/,
  }

  test('before: nothing is claimed, nothing moved', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    plant(queue, 'malformed')
    await queue.down()
    checkError(await errorOf(async () => drain(queue)), isDownError)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id, 'malformed'].sort() })
    expect(lockedNames(queue)).toEqual([])
    await queue.up()
    expect(await drain(queue)).toEqual([id])
  })

  test('an empty queue says so as well', async () => {
    const queue = await bed.install()
    await queue.down()
    checkError(await errorOf(async () => drain(queue)), isDownError)
  })

  test('any file will do, also a dangling link', async () => {
    const queue = await bed.install()
    fs.symlinkSync('nowhere', path.join(queue.path, 'down'))
    checkError(await errorOf(async () => drain(queue)), isDownError)
  })

  test.each([1, 3, 10])('in the middle, with %i claimed ahead', async (prefetch) => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 6)
    const taker = new Taker(queue, { prefetch })
    const first = await taker.take()
    await bed.open().down()
    checkError(await errorOf(async () => taker.next()), isDownError)
    // What is being worked on goes on; what was claimed ahead is free.
    expect(lockedNames(queue)).toEqual([all[0]])
    await first.done()
    expect(contents(queue)).toEqual({ ...EMPTY, queue: all.slice(1), done: [all[0]] })
  })

  test('in the middle of a loop without a pause', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 60)
    const done: string[] = []
    const error = await errorOf(async () => {
      for await (const item of queue.scan()) {
        await item.done()
        if (done.push(item.id) === 30) await queue.down()
      }
    })
    checkError(error, isDownError)
    expect(done).toEqual(all.slice(0, 30))
    expect(lockedNames(queue)).toEqual([])
    expect(names(queue, 'queue')).toEqual(all.slice(30).sort())
  })
})

describe('leaving the loop', () => {
  test.each([1, 4, undefined])(
    'by break releases the last and what was claimed ahead (%p)',
    async (prefetch) => {
      const queue = await bed.install()
      const all = plantNumbered(queue, 20)
      const done: string[] = []
      for await (const item of queue.scan({ prefetch })) {
        if (done.length === 5) break
        await item.done()
        done.push(item.id)
      }
      expect(native.heldClaims()).toBe(0)
      expect(lockedNames(queue)).toEqual([])
      expect(names(queue, 'queue')).toEqual(all.slice(5).sort())
      expect(await drain(queue)).toEqual(all.slice(5))
    },
  )

  test('by throw and by return as well', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 5)
    async function leaveBy(how: 'throw' | 'return'): Promise<string> {
      for await (const item of queue.scan({ prefetch: 3 })) {
        if (how === 'throw') throw new Error('work failed')
        return item.id
      }
      return ''
    }
    await expect(leaveBy('throw')).rejects.toThrow('work failed')
    expect(lockedNames(queue)).toEqual([])
    expect(await leaveBy('return')).toBe(itemName({ entropy: 1 }))
    expect(lockedNames(queue)).toEqual([])
    expect(names(queue, 'queue')).toHaveLength(5)
  })

  test('leaves alone what is being finished', async () => {
    const queue = await bed.install()
    const [name = ''] = plantNumbered(queue, 2)
    const taker = new Taker(queue, { prefetch: 2 })
    const item = await taker.take()
    const finishing = item.done()
    await taker.leave()
    await finishing
    expect(names(queue, 'done')).toEqual([name])
    expect(lockedNames(queue)).toEqual([])
  })

  test('before the first item is harmless', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 2)
    await queue.scan().return()
    const scan = queue.scan()
    const pending = scan.next()
    await scan.return()
    expect((await pending).value).toBeDefined()
    await until('nothing is held', () => native.heldClaims() === 0)
    expect(lockedNames(queue)).toEqual([])
  })

  test('at the end keeps what the loop went past', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 3)
    const items: WorkItem[] = []
    for await (const item of queue.scan()) items.push(item)
    expect(items.map(({ claimed }) => claimed)).toEqual([true, true, true])
    expect(lockedNames(queue)).toEqual(all)
    expect(await drain(bed.open())).toEqual([])
    for (const item of items.reverse()) await item.done()
    expect(contents(queue)).toEqual({ ...EMPTY, done: all })
  })

  test('early keeps what it went past, too', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 5 })
    const first = await taker.take()
    await taker.take()
    await taker.leave()
    expect(lockedNames(queue)).toEqual([all[0]])
    expect(first.claimed).toBe(true)
    await first.done()
  })
})

describe('claimed ahead', () => {
  test.each([1, 2, 5])('at most %i are held', async (prefetch) => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 17)
    let most = 0
    for await (const item of queue.scan({ prefetch })) {
      const locked = lockedNames(queue)
      expect(locked).toContain(item.id)
      expect(locked.length).toBeLessThanOrEqual(prefetch)
      most = Math.max(most, locked.length)
      await item.done()
    }
    expect(most).toBe(prefetch)
    expect(names(queue, 'done')).toEqual([...all].sort())
  })

  test('without being asked, one at first and 32 at most', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 200)
    const held: number[] = []
    for await (const item of queue.scan()) {
      held.push(native.heldClaims())
      await item.done()
    }
    expect(held[0]).toBe(1)
    expect(Math.max(...held)).toBeLessThanOrEqual(32)
    expect(held).toHaveLength(200)
  })

  test('is given up while the loop is busy, and comes again', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 4 })
    const first = await taker.take()
    expect(lockedNames(queue)).toEqual(all.slice(0, 4))
    await until('the idle claims are free', () => lockedNames(queue).length === 1)
    expect(lockedNames(queue)).toEqual([all[0]])
    // Somebody else takes one of them, and has done with another.
    const other = new Taker(bed.open(), { prefetch: 1 })
    const second = await other.take()
    await (await other.take()).done()
    expect(second.id).toBe(all[1])

    const rest: string[] = []
    for (let item = await taker.next(); item !== undefined; item = await taker.next()) {
      rest.push(item.id)
      await item.done()
    }
    expect(rest).toEqual([all[3], all[4]])
    await first.done()
    await second.done()
    expect(names(queue, 'done')).toEqual(all)
  })

  test.each([0, -1, 1.5, 1025, Number.NaN, '3'])('cannot be %p', async (prefetch) => {
    const queue = await bed.install()
    const error = await errorOf(async () => drain(queue, { prefetch: prefetch as number }))
    checkError(error, { type: SettingError, says: /prefetch is .*expected a whole number from 1 to 1024/ })
  })

  test.each(['maxTries', 'ttl'])('%s cannot be negative, broken or text', async (option) => {
    const queue = await bed.install()
    for (const value of [-1, 1.5, Number.NaN, '5']) {
      const error = await errorOf(async () => drain(queue, { [option]: value as number }))
      checkError(error, { type: SettingError, says: /expected a whole number, 0 for no limit/ })
    }
  })
})

describe('items of others', () => {
  test('two handles never get the same', async () => {
    const queue = await bed.install()
    const other = bed.open()
    const ids = await queue.enqueueMany(Array.from({ length: 150 }, (_, index) => ({ data: String(index) })))
    const got: string[][] = [[], []]
    const work = async (handle: Queue, mine: string[] = []): Promise<void> => {
      for await (const item of handle.scan()) {
        expect(contentOf(handle, 'queue', item.id)).toBe(await item.text())
        mine.push(item.id)
        await new Promise((resolve) => setImmediate(resolve))
        await item.done()
      }
    }
    await Promise.all([work(queue, got[0]), work(other, got[1])])
    // What one held when the other came by is for the next walk of the other.
    await work(queue, got[0])
    expect(got.flat().sort()).toEqual([...ids].sort())
    expect(names(queue, 'done')).toEqual([...ids].sort())
  })

  test('two loops of one handle do not either', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 4)
    const one = new Taker(queue, { prefetch: 2 })
    const two = new Taker(queue, { prefetch: 2 })
    const got = [await one.take(), await two.take(), await one.take(), await two.take()].map(({ id }) => id)
    expect(got).toEqual([1, 3, 2, 4].map((entropy) => itemName({ entropy })))
    expect(await two.next()).toBeUndefined()
  })

  test('a locked one is passed by, in silence, and waits', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 4)
    const held = bed.lock(pathOf(queue, 'queue', all[1] ?? ''))
    expect(await drain(queue)).toEqual([all[0], all[2], all[3]])
    expect(names(queue, 'queue')).toEqual([all[1]])
    expect(bed.reports).toEqual([])
    held.unlock()
    expect(await drain(queue)).toEqual([all[1]])
  })

  test('a locked one is passed by, whatever its name and age', async () => {
    const queue = await bed.install({ ttl: 1 })
    for (const name of ['malformed', itemName(), itemName({ tries: 5 })]) {
      bed.lock(plant(queue, name))
    }
    expect(await drain(queue)).toEqual([])
    expect(names(queue, 'queue')).toHaveLength(3)
    expect(bed.reports).toEqual([])
  })

  test('what somebody else has moved since the listing is passed by', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 1 })
    await (await taker.take()).done()
    fs.renameSync(pathOf(queue, 'queue', all[1] ?? ''), pathOf(queue, 'done', all[1] ?? ''))
    fs.rmSync(pathOf(queue, 'queue', all[2] ?? ''))
    fs.rmSync(pathOf(queue, 'queue', all[3] ?? ''))
    fs.symlinkSync(bed.path('target'), pathOf(queue, 'queue', all[3] ?? ''))
    expect((await taker.take()).id).toBe(all[4])
    expect(await taker.next()).toBeUndefined()
    expect(bed.reportTypes()).toEqual(['foreign'])
  })
})

describe('reports', () => {
  test('without a listener are warnings of the process', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const queue = await bed.install({ onReport: undefined })
    plant(queue, 'a\x1b[31mb')
    await drain(queue)
    await drain(queue)
    expect(warn.mock.calls).toHaveLength(1)
    const [message, details] = warn.mock.calls[0] as unknown as [string, unknown]
    expect(message).toMatch(/^'a\\+x1b\[31mb' in the queue 'q' is no item: .*moved to fail\/$/)
    expect(details).toEqual({ type: 'FsqWarning', code: 'FSQ_MALFORMED' })
  })

  test('are warned of once a process, whatever the handle', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    await bed.install({ onReport: undefined })
    await bed.install({ onReport: undefined }, 'r')
    for (const name of ['q', 'q', 'r']) {
      fs.mkdirSync(bed.path(name, 'queue', 'x'), { recursive: true })
      await drain(bed.open({ onReport: undefined }, name))
    }
    expect(warn.mock.calls.map(([message]) => String(message).replace(/, not.*/, ''))).toEqual([
      "'x' in the queue 'q' is a directory",
      "'x' in the queue 'r' is a directory",
    ])
  })

  test('are heard once by each listener, however many scans it listens to', async () => {
    const queue = await bed.install()
    fs.mkdirSync(path.join(queue.path, 'queue', 'x'))
    const [one, other]: [Report[], Report[]] = [[], []]
    const onReport = (report: Report): void => void one.push(report)
    await drain(queue, { onReport })
    await drain(queue, { onReport })
    await drain(queue, { onReport: (report) => void other.push(report) })
    expect([one.length, other.length]).toEqual([1, 1])
  })

  test('whose listener throws while malformed items are on their way to fail/: an error of the loop alone', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    fs.mkdirSync(path.join(queue.path, 'queue', 'a-directory'))
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const onReport = ({ type }: Report): void => {
      throw new Error(type)
    }
    const error = await errorOf(async () => drain(queue, { onReport, prefetch: 5 }))
    expect(String(error)).toMatch(/foreign|malformed/)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
    expect(native.heldClaims()).toBe(0)
    expect(names(queue, 'fail')).toEqual(['malformed'])
  })

  test('beside what has succeeded: a listener that throws makes a warning, not an error', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const onReport = (): never => {
      throw new Error('enough')
    }
    const queue = await bed.install({ onReport })
    fs.writeFileSync(path.join(queue.path, 'trigger-fifo'), 'no FIFO')
    const id = await queue.enqueue('x', [], { trigger: true })
    expect(names(queue, 'queue')).toEqual([id])
    const [[message, details] = []] = warn.mock.calls as unknown as [string, unknown][]
    expect(message).toMatch(/^onReport threw: Error: enough/)
    expect(details).toEqual({ type: 'FsqWarning', code: 'FSQ_ON_REPORT' })
  })

  test('go to the listener of the scan, if it has one', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    const heard: Report[] = []
    await drain(queue, { onReport: (report) => void heard.push(report) })
    expect(heard.map(({ type, name }) => [type, name])).toEqual([['malformed', 'malformed']])
    expect(bed.reports).toEqual([])
  })

  test('need a listener that can be called', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    const onReport = 'log' as unknown as () => void
    const expected = { type: SettingError, says: /^onReport is 'log', expected a function$/ }
    checkError(await errorOf(async () => drain(queue, { onReport })), expected)
    checkError(await errorOf(async () => new Queue('q', { root: bed.root, onReport })), expected)
    expect(names(queue, 'queue')).toEqual(['malformed'])
  })

  test('whose listener throws end the scan, and nothing is held', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    fs.mkdirSync(path.join(queue.path, 'queue', 'a-directory'))
    const onReport = (): never => {
      throw new Error('enough')
    }
    const error = await errorOf(async () => drain(queue, { onReport, prefetch: 5 }))
    expect(error).toMatchObject({ message: 'enough' })
    expect(lockedNames(queue)).toEqual([])
    expect(native.heldClaims()).toBe(0)
    await drain(queue)
    expect(names(queue, 'done')).toEqual([itemName()])
  })
})

test('an item that nobody holds any more is released with a warning', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('x')
  interface Seen {
    readonly before: string[]
    readonly after: string[]
    readonly warnings: { name: string; code: string; message: string }[]
  }
  const seen = await inProgram<Seen>(
    `
    const warnings = []
    process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }))
    const queue = new Queue('q', { root: given.root })
    const other = new Queue('q', { root: given.root })
    const free = async () => {
      const ids = []
      for await (const item of other.scan()) { ids.push(item.id); item.release() }
      return ids
    }
    await (async () => { for await (const item of queue.scan()) void item.id })()
    const before = await free()
    await until(() => { globalThis.gc(); return warnings.length > 0 })
    return { before, after: await free(), warnings }`,
    { given: { root: bed.root }, flags: ['--expose-gc'] },
  )
  expect(seen.before).toEqual([])
  expect(seen.after).toEqual([id])
  expect(seen.warnings).toEqual([
    {
      name: 'FsqWarning',
      code: 'FSQ_ABANDONED',
      message: expect.stringMatching(/garbage-collected and has been released/),
    },
  ])
})

describe('the descriptor', () => {
  test('is at the beginning of the contents, and only that of the item', async () => {
    const queue = await bed.install()
    const data = 'line\n'.repeat(5000)
    await queue.enqueue(data)
    const item = await takeOne(queue)
    await item.text()
    const { stdout } = spawnSync('cat', { stdio: [item.fd, 'pipe', 'inherit'], encoding: 'utf8' })
    expect(stdout).toBe(data)
    expect(fs.fstatSync(item.fd).ino).toBe(fs.statSync(item.path).ino)
    await item.done()
  })

  test('is closed on exec: a child has just what it was given', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 3)
    const item = await takeOne(queue, { prefetch: 3 })
    const { stdout } = spawnSync('sh', ['-c', 'ls -l /proc/self/fd'], {
      stdio: [item.fd, 'pipe', 'inherit'],
      encoding: 'utf8',
    })
    const ours = stdout.split('\n').filter((line) => line.includes(bed.root))
    expect(ours).toHaveLength(1)
    expect(ours[0]).toContain(item.path)
    await item.done()
  })
})

test('a scan of a handle that is closed meanwhile ends, and holds nothing', async () => {
  const queue = await bed.install()
  const all = plantNumbered(queue, 5)
  const taker = new Taker(queue, { prefetch: 2 })
  const item = await taker.take()
  const pending = taker.next()
  await Promise.allSettled([queue.close(), pending])
  expect(await errorOf(async () => new Taker(queue).next())).toBeInstanceOf(QueueClosedError)
  expect(item.claimed).toBe(false)
  expect(native.heldClaims()).toBe(0)
  expect(lockedNames(queue)).toEqual([])
  expect(names(queue, 'queue')).toEqual(all)
})

test('native code and its declaration agree on the numbers of a batch of claims', async () => {
  const queue = await bed.install()
  plant(queue, itemName({ entropy: 1 }))
  plant(queue, itemName({ entropy: 2 }))
  const claim = jest.spyOn(native, 'claim')
  await drain(queue, { prefetch: 2 })
  const batches = await Promise.all(
    claim.mock.results.map(async ({ value }) => value as ReturnType<typeof native.claim>),
  )
  expect(batches.length).toBeGreaterThan(0)
  for (const [numbers, claimed] of batches) expect(numbers).toHaveLength(claimNumbersAt(claimed.length))
})

test('names are bytes: what is found is what is moved', async () => {
  const queue = await bed.install({ charset: 'latin-1', utc: true })
  const name = itemName({ args: ['caf\xe9', '\xff'] })
  plant(queue, name, 'x')
  const item = await takeOne(queue)
  expect(item.args).toEqual(['café', 'ÿ'])
  await item.done()
  expect(names(queue, 'done')).toEqual([name])
  expect(Buffer.from(name, 'latin1')).toHaveLength(name.length)
})
