import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { MalformedNameError } from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { fromRaw, toRaw } from '../../src/name/charset.js'
import { parseItemName } from '../../src/name/item-name.js'
import { formatTimestamp } from '../../src/name/timestamp.js'
import {
  EMPTY,
  contentOf,
  contents,
  drain,
  isLocked,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()

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

test('native code reads the same in names as parseItemName', async () => {
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
