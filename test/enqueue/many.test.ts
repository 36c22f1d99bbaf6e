import { describe, expect, test } from '@jest/globals'

import { EnqueueManyError, type FsqError, PayloadError } from '../../src/errors/classes.js'
import { EMPTY, checkError, contentOf, contents, errorOf, names, useTestBed } from '../support/queue.js'
import { compareItemNames } from '../support/fifo-order.js'

const bed = useTestBed()

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
