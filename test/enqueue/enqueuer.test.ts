import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import process from 'node:process'

import { describe, expect, test } from '@jest/globals'

import {
  EncodingError,
  EnqueueManyError,
  type FsqError,
  NameTooLongError,
  PayloadError,
  SettingError,
} from '../../src/errors/classes.js'
import { fromRaw, toRaw } from '../../src/name/charset.js'
import type { NameArgument } from '../../src/name/codec.js'
import { compareItemNames, parseItemName } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import { ifRoot } from '../support/needs.js'
import {
  NOBODY,
  checkError,
  contentOf,
  contents,
  drain,
  errorOf,
  inProgram,
  names,
  pathOf,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const HOUR = 3_600_000
const EMPTY = { queue: [], tmp: [], done: [], fail: [] }

type Enqueue = (queue: Queue, data: string | null, args: readonly NameArgument[]) => Promise<string>

const ways: readonly (readonly [string, Enqueue])[] = [
  ['enqueue', async (queue, data, args) => queue.enqueue(data, args)],
  ['enqueueSync', async (queue, data, args) => queue.enqueueSync(data, args)],
  ['enqueueMany', async (queue, data, args) => (await queue.enqueueMany([{ data, args }]))[0] ?? ''],
]
const payloads = [['nothing', null] as const, ['something', 'data'] as const]
const waysAndPayloads = ways.flatMap(([way, enqueue]) =>
  payloads.map(([what, data]) => [`${way} of ${what}`, enqueue, data] as const),
)

/** The error of the one entry, whichever way it was added. */
async function refusal(enqueue: Enqueue, queue: Queue, args: readonly NameArgument[]): Promise<unknown> {
  const error = await errorOf(async () => enqueue(queue, 'x', args))
  if (!(error instanceof EnqueueManyError)) return error
  const [outcome] = error.outcomes
  return outcome !== undefined && 'error' in outcome ? outcome.error : outcome
}

describe.each(waysAndPayloads)('%s', (_what, enqueue, data) => {
  test('makes one file whose name says it all', async () => {
    const queue = await bed.install({ utc: true })
    const before = Math.floor(Date.now() / 1000) * 1000
    const id = await enqueue(queue, data, ['args', 'to', 'enqueue'])
    const after = Date.now()
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
    expect(contentOf(queue, 'queue', id)).toBe(data ?? '')
    expect(fs.lstatSync(pathOf(queue, 'queue', id))).toMatchObject({ nlink: 1, mode: 0o100640 })
    const [, timestamp = '', entropy, ...rest] = id.split('_')
    expect(entropy).toMatch(/^\d+$/)
    expect(rest).toEqual([String(process.pid), os.hostname(), '0', 'args', 'to', 'enqueue'])
    const item = await takeOne(queue)
    expect(timestamp).toBe(item.enqueuedAt.toISOString().replace(/[-T:]|\..*/g, ''))
    expect(item.enqueuedAt.getTime()).toBeGreaterThanOrEqual(before)
    expect(item.enqueuedAt.getTime()).toBeLessThanOrEqual(after)
    expect(item).toMatchObject({ id, entropy, pid: String(process.pid), hostname: os.hostname(), tries: 0 })
    expect(item.args).toEqual(['args', 'to', 'enqueue'])
  })

  test('never takes a name that is taken', async () => {
    // A timestamp that never changes, so that the names to come are known.
    const queue = await bed.install({ timefmt: 'now', durability: 'none' })
    const first = await enqueue(queue, data, ['x'])
    const [, , entropy = '', ...rest] = first.split('_')
    const taken: string[] = []
    for (let ahead = 1; ahead <= 2000; ahead++) {
      taken.push(['', 'now', Number(entropy) + ahead, ...rest].join('_'))
    }
    for (const name of taken) plant(queue, name, 'planted')
    const ids = []
    for (let count = 0; count < 20; count++) ids.push(await enqueue(queue, data, ['x']))

    expect(new Set([...taken, ...ids, first]).size).toBe(2021)
    expect(names(queue, 'queue')).toEqual([...taken, ...ids, first].sort())
    expect(taken.filter((name) => contentOf(queue, 'queue', name) !== 'planted')).toEqual([])
    expect(ids.map((id) => contentOf(queue, 'queue', id))).toEqual(ids.map(() => data ?? ''))
    expect(names(queue, 'tmp')).toEqual([])
    // Those that follow are still in order.
    expect([...ids].sort(compareItemNames)).toEqual(ids)
  })

  test('takes a name that something else than a file has for taken', async () => {
    const queue = await bed.install({ timefmt: 'now' })
    const first = await enqueue(queue, data, [])
    const [, , entropy = '', ...rest] = first.split('_')
    const nameAhead = (ahead: number): string => ['', 'now', Number(entropy) + ahead, ...rest].join('_')
    fs.symlinkSync('../../elsewhere', pathOf(queue, 'queue', nameAhead(1)))
    const id = await enqueue(queue, data, [])
    expect(id).not.toBe(nameAhead(1))
    expect(fs.lstatSync(pathOf(queue, 'queue', id)).isFile()).toBe(true)
    expect(fs.existsSync(bed.path('elsewhere'))).toBe(false)
  })
})

describe('arguments', () => {
  const texts = [
    '',
    'plain',
    'a\0b',
    'a\nb',
    'a/b',
    '/',
    '../../../etc/passwd',
    '.',
    '..',
    '_',
    'a_b__c',
    '%',
    '%5f',
    '%%00',
    '100%',
    '😀',
    'été',
    'e\u0301',
    '\u202egnp.exe',
    '中文',
    ' ',
    '\\',
    '\'"`$(rm -rf /)*?',
    '-rf',
    '\x7f\x1b[31m',
    '\ufeff',
    '\u{10ffff}',
  ]

  describe.each(ways)('%s', (_way, enqueue) => {
    test.each(texts.map((text) => [JSON.stringify(text), text] as const))('%s', async (_shown, text) => {
      const queue = await bed.install()
      const id = await enqueue(queue, 'x', [text, 'next'])
      const [name = ''] = names(queue, 'queue')
      expect(name).toBe(toRaw(id, 'utf8'))
      const item = await takeOne(queue)
      expect(item.args).toEqual([text, 'next'])
      expect(item.id).toBe(id)
      await item.done()
      expect(names(queue, 'done')).toEqual([name])
    })

    test('all together, and numbers and the like', async () => {
      const queue = await bed.install()
      await enqueue(queue, 'x', texts)
      await enqueue(queue, 'x', [0, -1.5, 12345678901234567890n, true])
      const items = []
      for await (const item of queue.scan()) items.push(item.args)
      expect(items).toEqual([texts, ['0', '-1.5', '12345678901234567890', 'True']])
    })

    const strange: readonly (readonly [string, unknown])[] = [
      ['a lone surrogate', ['a', 'b\ud83d']],
      ['the other half', ['\ude00b', 'c']],
      ['undefined', [undefined]],
      ['null', [null]],
      ['an object', [{}]],
      ['an array', [['x']]],
      ['a symbol', [Symbol('x')]],
      ['no array at all', 'xy'],
      ['something like an array', { length: 1, 0: 'x' }],
      ['NaN', [Number.NaN]],
    ]

    test.each(strange)('%s cannot be written, and nothing is', async (_what, args) => {
      const queue = await bed.install()
      const error = await refusal(enqueue, queue, args as string[])
      checkError(error, { type: EncodingError, says: /expected|lone surrogate/ })
      expect(contents(queue)).toEqual(EMPTY)
    })
  })

  test('a bad one is named by its position', async () => {
    const queue = await bed.install()
    await expect(queue.enqueue('x', ['fine', '\ud800'])).rejects.toThrow(/^Argument 1: .*lone surrogate/)
    expect(contents(queue)).toEqual(EMPTY)
  })
})

describe.each(waysAndPayloads)('the length of a name: %s', (_what, enqueue, data) => {
  /** An argument that makes the next name `bytes` long. */
  async function fill(queue: Queue, bytes: number, character: string): Promise<string> {
    const probe = await enqueue(queue, data, [''])
    const [, , entropy = ''] = probe.split('_')
    const grown = String(Number(entropy) + 1).length - entropy.length
    const room = bytes - Buffer.byteLength(probe) - grown
    const width = Buffer.byteLength(character)
    return character.repeat(Math.floor(room / width)) + 'x'.repeat(room % width)
  }

  test.each(['a', 'é', '😀'])('255 bytes of %s fit', async (character) => {
    const queue = await bed.install()
    const id = await enqueue(queue, data, [await fill(queue, 255, character)])
    expect(Buffer.byteLength(id)).toBe(255)
    expect(names(queue, 'queue')).toContain(toRaw(id, 'utf8'))
    expect(await drain(queue)).toContain(id)
  })

  test.each(['a', 'é', '😀'])('256 bytes of %s do not', async (character) => {
    const queue = await bed.install()
    const arg = await fill(queue, 256, character)
    const before = contents(queue)
    const error = await refusal(enqueue, queue, [arg])
    checkError(error, {
      type: NameTooLongError,
      cause: 'ENAMETOOLONG',
      says: /256 bytes.*255.*into the payload/,
    })
    expect(error).toMatchObject({ bytes: 256, limit: 255 })
    expect(contents(queue)).toEqual(before)
  })

  test('escapes count as they are written', async () => {
    const queue = await bed.install()
    const error = await refusal(enqueue, queue, ['_'.repeat(100)])
    expect(error).toBeInstanceOf(NameTooLongError)
    expect((error as NameTooLongError).bytes).toBeGreaterThan(300)
    expect(contents(queue)).toEqual(EMPTY)
  })

  test('a megabyte of arguments is as clear', async () => {
    const queue = await bed.install()
    const error = await refusal(enqueue, queue, ['x'.repeat(1 << 20)])
    checkError(error, { type: NameTooLongError, says: /Put long values into the payload/ })
    expect((error as NameTooLongError).bytes).toBeGreaterThan(1 << 20)
    expect(contents(queue)).toEqual(EMPTY)
  })
})

describe('the mode is exact', () => {
  interface Seen {
    readonly mode: number
    readonly what: string
  }

  const body = `
    process.umask(given.umask)
    const queue = new Queue('q', { root: given.root, ...given.options })
    const seen = []
    for (const late of [given.umask, 0o027, 0]) {
      process.umask(late)
      for (const data of [null, 'x', { path: process.execPath.length > 0 ? given.file : '' }]) {
        const ids = [await queue.enqueue(data), queue.enqueueSync(data), ...(await queue.enqueueMany([{ data }]))]
        for (const id of ids) {
          const { mode } = fs.statSync(path.join(queue.path, 'queue', id))
          seen.push({ mode: mode & 0o7777, what: JSON.stringify(data) + ' under ' + late.toString(8) })
        }
      }
    }
    return seen`

  const cases = [0o077, 0o000, 0o777].flatMap((umask) =>
    [undefined, '0666', '02600'].map((itemMode) => [umask.toString(8), umask, itemMode] as const),
  )

  test.each(cases)('under umask %s (%i), with FSQ_ITEM_MODE %p', async (_octal, umask, itemMode) => {
    const queue = await bed.install({ itemMode })
    fs.writeFileSync(bed.path('file'), 'x')
    const given = { umask, root: bed.root, options: { itemMode }, file: bed.path('file') }
    const seen = await inProgram<Seen[]>(body, { given })
    expect(seen).toHaveLength(27)
    expect(seen.filter(({ mode }) => mode !== queue.settings.itemMode)).toEqual([])
  })
})

describe('the owner', () => {
  ifRoot.each(waysAndPayloads)(
    'of %s, by ids and by names, with all bits of the mode',
    async (_what, enqueue, data) => {
      const group = execFileSync('id', ['-gn', String(NOBODY)], { encoding: 'utf8' }).trim()
      const options = { itemUser: NOBODY, itemGroup: group, itemMode: '6750' }
      const queue = await bed.install(options)
      const id = await enqueue(queue, data, [])
      const info = fs.statSync(pathOf(queue, 'queue', id))
      expect(info).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o106750 })
    },
  )

  ifRoot('is left where it is not set', async () => {
    const queue = await bed.install({ itemGroup: NOBODY })
    const id = await queue.enqueue('x')
    expect(fs.statSync(pathOf(queue, 'queue', id))).toMatchObject({ uid: process.getuid?.(), gid: NOBODY })
  })

  test.each([
    ['itemUser', 'FSQ_ITEM_USER', 'user'],
    ['itemGroup', 'FSQ_ITEM_GROUP', 'group'],
  ])('%s that nobody has is an error, and nothing is written', async (option, variable, what) => {
    const name = 'nobody-has-this-name'
    await bed.install()
    const queue = bed.open({ [option]: name })
    for (const [, enqueue] of ways) {
      const error = await errorOf(async () => enqueue(queue, 'x', []))
      const says = new RegExp(`${variable} is '${name}', expected the name of a ${what}.*Or give an id`)
      checkError(error, { type: SettingError, says })
    }
    expect(contents(queue)).toEqual(EMPTY)
  })
})

describe('a delay', () => {
  test.each(payloads)('of an item with %s keeps it back until it is due', async (_what, data) => {
    const queue = await bed.install()
    const before = Date.now()
    const id = await queue.enqueue(data, [], { delay: HOUR })
    const { mtimeMs, ctimeMs } = fs.statSync(pathOf(queue, 'queue', id))
    expect(mtimeMs).toBeGreaterThanOrEqual(before + HOUR)
    expect(mtimeMs).toBeLessThanOrEqual(Date.now() + HOUR)
    expect(mtimeMs).toBeGreaterThan(ctimeMs)
    expect(await drain(queue)).toEqual([])
    expect(names(queue, 'queue')).toEqual([id])
    // Its hour has passed.
    fs.utimesSync(pathOf(queue, 'queue', id), new Date(), new Date(Date.now() - 1))
    expect(await drain(queue)).toEqual([id])
  })

  test('ends by itself', async () => {
    const queue = await bed.install()
    const before = Date.now()
    const ids = [
      await queue.enqueue('x', [], { delay: 60 }),
      queue.enqueueSync('x', [], { delay: 60.5 }),
      ...(await queue.enqueueMany([{ data: 'x', delay: 60 }])),
    ]
    const got: string[] = []
    await until('the items are due', async () => {
      for await (const item of queue.scan()) {
        expect(Date.now()).toBeGreaterThanOrEqual(before + 60)
        got.push(item.id)
        await item.done()
      }
      return got.length === ids.length
    })
    expect(got.sort()).toEqual(ids.sort())
  })

  test('of one item lets the others pass', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([
      { args: ['later'], delay: HOUR },
      { args: ['now'] },
      { args: ['zero'], delay: 0 },
    ])
    const ready = []
    for await (const item of queue.scan()) ready.push(item.args)
    expect(ready).toEqual([['now'], ['zero']])
  })

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1e15, '5', null])('cannot be %p', async (delay) => {
    const queue = await bed.install()
    const options = { delay: delay as number }
    const errors = [
      await errorOf(async () => queue.enqueue('x', [], options)),
      await errorOf(() => queue.enqueueSync('x', [], options)),
      await errorOf(async () => queue.enqueueMany([options])),
    ]
    for (const error of errors)
      expect(error).toMatchObject({ message: expect.stringMatching(/delay is .*expected milli/) })
    expect(errors.slice(0, 2).map((error) => error instanceof SettingError)).toEqual([true, true])
    expect(contents(queue)).toEqual(EMPTY)
  })

  // The program's own clock is an hour behind the one that stamped the files.
  test('is not what a clock that steps back makes of the others', async () => {
    const source = `
      #include <dlfcn.h>
      #include <sys/time.h>
      #include <time.h>
      extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
        using Real = int (*)(clockid_t, timespec*);
        static const Real real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "clock_gettime"));
        const int result = real(clock, now);
        if (clock == CLOCK_REALTIME) now->tv_sec -= 3600;
        return result;
      }
      extern "C" int gettimeofday(timeval* now, void*) noexcept {
        timespec precise;
        const int result = clock_gettime(CLOCK_REALTIME, &precise);
        *now = {precise.tv_sec, precise.tv_nsec / 1000};
        return result;
      }`
    fs.writeFileSync(bed.path('clock.cc'), source)
    const library = bed.path('clock.so')
    execFileSync('g++', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, bed.path('clock.cc'), '-ldl'])
    const queue = await bed.install()
    const plain = await queue.enqueue('x')
    const empty = await queue.enqueue(null)
    const delayed = await queue.enqueue('x', [], { delay: 1800_000 })
    const body = `
      const queue = new Queue('q', { root: given.root })
      const ids = []
      for await (const item of queue.scan()) ids.push(item.id), await item.done()
      return { now: Date.now(), ids }`
    const seen = await inProgram<{ now: number; ids: string[] }>(body, {
      given: { root: bed.root },
      env: { LD_PRELOAD: [process.env['LD_PRELOAD'], library].filter(Boolean).join(':') },
    })
    expect(seen.now).toBeLessThan(Date.now() - HOUR / 2)
    expect(seen.ids).toEqual([plain, empty])
    expect(names(queue, 'queue')).toEqual([delayed])
  })
})

describe('enqueueMany', () => {
  test('adds in the order of the array', async () => {
    const queue = await bed.install()
    const entries = Array.from({ length: 50 }, (_, index) => ({
      data: index % 3 === 0 ? null : `data ${index}`,
      args: [index],
    }))
    const ids = await queue.enqueueMany(entries)
    expect(new Set(ids).size).toBe(50)
    expect([...ids].sort(compareItemNames)).toEqual(ids)
    const seen = []
    for await (const item of queue.scan()) {
      seen.push({ data: (await item.text()) || null, args: item.args.map(Number) })
      expect(item.id).toBe(ids[seen.length - 1])
    }
    expect(seen).toEqual(entries)
  })

  test('of nothing adds nothing', async () => {
    const queue = await bed.install()
    expect(await queue.enqueueMany([])).toEqual([])
    expect(contents(queue)).toEqual(EMPTY)
  })

  test.each(['enqueue', 'none'])('of 3,000 at durability %s', async (durability) => {
    const queue = await bed.install({ durability })
    const entries = Array.from({ length: 3000 }, (_, index) => ({ data: String(index), args: [index] }))
    const ids = await queue.enqueueMany(entries)
    expect(new Set(ids).size).toBe(3000)
    expect(names(queue, 'queue').sort(compareItemNames)).toEqual(ids)
    expect(names(queue, 'tmp')).toEqual([])
    const wrong = ids.filter((id, index) => contentOf(queue, 'queue', id) !== String(index))
    expect(wrong).toEqual([])
  })

  test('says what became of each where some fail', async () => {
    const queue = await bed.install()
    const missing = bed.path('missing')
    const error = await errorOf(async () =>
      queue.enqueueMany([
        { data: 'a', args: ['first'] },
        { data: 'b', args: ['\ud800'] },
        { data: 'c', args: ['x'.repeat(300)] },
        { data: { path: missing } },
        { data: null, args: ['middle'] },
        { data: 5 as unknown as string },
        { data: 'd', delay: -5 },
        null as unknown as object,
        'text' as unknown as object,
        { data: 'e', args: ['last'] },
      ]),
    )
    expect(error).toBeInstanceOf(EnqueueManyError)
    const { outcomes, message, code } = error as EnqueueManyError
    expect(code).toBe('ERR_FSQ_ENQUEUE_MANY')
    expect(message).toMatch(/^7 of 10 items failed.*lone surrogate.*'outcomes' has the result of each entry/)
    const kinds = outcomes.map((outcome) => ('id' in outcome ? 'id' : outcome.error.name))
    expect(kinds).toEqual([
      'id',
      'EncodingError',
      'NameTooLongError',
      'PayloadError',
      'id',
      'PayloadError',
      'SettingError',
      'SettingError',
      'SettingError',
      'id',
    ])
    const ids = outcomes.flatMap((outcome) => ('id' in outcome ? [outcome.id] : []))
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [...ids].sort() })
    const args = []
    for await (const item of queue.scan()) args.push(item.args)
    expect(args).toEqual([['first'], ['middle'], ['last']])
  })

  test.each([undefined, null, 'entries', 5, {}, new Set([{ data: 'x' }])])(
    'does not take %p',
    async (entries) => {
      const queue = await bed.install()
      const error = await errorOf(async () => queue.enqueueMany(entries as []))
      checkError(error, { type: PayloadError, says: /expected an array of \{ data, args \}/ })
      expect(contents(queue)).toEqual(EMPTY)
    },
  )

  test('takes one entry twice', async () => {
    const queue = await bed.install()
    const entry = { data: 'x' }
    const ids = await queue.enqueueMany([entry, entry])
    expect(new Set(ids).size).toBe(2)
    expect(names(queue, 'queue')).toEqual([...ids].sort())
  })
})

describe('calls at the same time', () => {
  test('keep the order of the calls', async () => {
    const queue = await bed.install()
    const calls = Array.from({ length: 700 }, async (_, index) =>
      queue.enqueue(index % 2 === 0 ? null : 'x', [index]),
    )
    const ids = await Promise.all(calls)
    const order = []
    for await (const item of queue.scan()) order.push(Number(item.args[0]))
    expect(order).toEqual(ids.map((_, index) => index))
    expect(new Set(ids).size).toBe(700)
  })

  test('keep it also from tick to tick', async () => {
    const queue = await bed.install()
    const calls: Promise<string>[] = []
    for (let index = 0; index < 200; index++) {
      calls.push(queue.enqueue('x', [index]))
      if (index % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const ids = await Promise.all(calls)
    expect([...ids].sort(compareItemNames)).toEqual(ids)
  })

  test('a bad one among them spoils none of the others', async () => {
    const queue = await bed.install()
    const results = await Promise.allSettled([
      queue.enqueue('a', ['1']),
      queue.enqueue('b', ['\udfff']),
      queue.enqueue('c', ['x'.repeat(300)]),
      queue.enqueue({ path: bed.path('missing') }),
      queue.enqueue('d', ['2']),
    ])
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ])
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as FsqError] : [],
    )
    expect(errors.map(({ code }) => code)).toEqual([
      'ERR_FSQ_ENCODING',
      'ERR_FSQ_NAME_TOO_LONG',
      'ERR_FSQ_PAYLOAD',
    ])
    expect(names(queue, 'queue')).toHaveLength(2)
    expect(names(queue, 'tmp')).toEqual([])
  })

  test('through two handles never meet', async () => {
    const queue = await bed.install({ timefmt: 'now' })
    const other = bed.open({ timefmt: 'now' })
    const calls = Array.from({ length: 200 }, async (_, index) => (index % 2 ? queue : other).enqueue('x'))
    const ids = await Promise.all(calls)
    expect(names(queue, 'queue')).toEqual([...new Set(ids)].sort())
    expect(ids).toHaveLength(200)
  })
})

test('an id is the name of its file, and reading it gives the fields back', async () => {
  const queue = await bed.install({ delimiter: '-', encode: '+', utc: true })
  const id = await queue.enqueue('x', ['a-b', 'c+d', 'e/f', 'é_%'])
  const [raw = ''] = names(queue, 'queue')
  expect(fromRaw(raw, 'utf8')).toBe(id)
  expect(parseItemName(raw, queue.settings)).toMatchObject({
    delimiter: '-',
    tries: 0,
    args: ['a-b', 'c+d', 'e/f', 'é_%'],
  })
})

test('the file is there, whole, when the id is', async () => {
  const queue = await bed.install()
  const seen = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const id = await queue.enqueue(`data ${index}`)
      return contentOf(queue, 'queue', id) === `data ${index}`
    }),
  )
  expect(seen).not.toContain(false)
})

describe('a timestamp', () => {
  test.each([
    ['none', 'enqueue', '%Y%m%d%H%M%S'],
    ['none', 'enqueueMany', '%Y%m%d%H%M%S'],
    ['enqueue', 'enqueue', '%Y%m%d%H%M%S'],
    ['enqueue', 'enqueueMany', '%Y%m%d%H%M%S'],
    ['none', 'enqueue', '%Y%m%d%H%M%S%f'],
  ])(
    'is that of the moment before the link (durability %s, %s, %s), not that at which it was begun',
    async (durability, way, timefmt) => {
      await bed.install()
      const pause = bed.path('paused')
      const answer = await inProgram<{ resumed: number; stamped: number[] }>(
        `
        const { durability, timefmt } = given
        const queue = new Queue('q', { root: given.root, durability, timefmt, utc: true })
        const adding = given.way === 'enqueue' ? queue.enqueue('x') : queue.enqueueMany([{ data: 'x' }, { data: 'y' }])
        await until(() => fs.existsSync(given.pause))
        const second = () => Math.floor(Date.now() / 1000)
        const begun = second()
        await until(() => second() > begun)
        const resumed = Date.now()
        fs.unlinkSync(given.pause)
        await adding
        const stamped = []
        for await (const item of queue.items()) stamped.push(item.enqueuedAt.getTime())
        return { resumed, stamped }`,
        {
          given: { root: bed.root, pause, durability, way, timefmt },
          flags: ['--require', `${import.meta.dirname}/../support/fault-build.cjs`],
          env: { FSQ_FAULTS: `enqueue.write#1=pause:${pause}` },
        },
      )
      const least = timefmt.endsWith('%f') ? answer.resumed : Math.floor(answer.resumed / 1000) * 1000
      expect(answer.stamped.length).toBe(way === 'enqueue' ? 1 : 2)
      for (const at of answer.stamped) expect(at).toBeGreaterThanOrEqual(least)
    },
  )

  test('is written again each second, and tells the microseconds where they are asked for', async () => {
    const queue = await bed.install({ durability: 'none', timefmt: '%S%f' })
    const ids = Array.from({ length: 50 }, () => queue.enqueueSync('x'))
    expect(new Set(ids.map((id) => id.split('_')[1])).size).toBeGreaterThan(1)
  })
})
