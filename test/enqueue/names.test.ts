import { describe, expect, test } from '@jest/globals'

import { EncodingError, NameTooLongError } from '../../src/errors/classes.js'
import { fromRaw, toRaw } from '../../src/name/charset.js'
import { parseItemName } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import {
  EMPTY,
  checkError,
  contents,
  drain,
  inProgram,
  names,
  takeOne,
  useTestBed,
} from '../support/queue.js'
import { ways, waysAndPayloads, refusal } from './ways.js'

const bed = useTestBed()

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
          flags: ['--require', FAULT_BUILD],
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
