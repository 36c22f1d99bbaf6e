import fs from 'node:fs'
import { PassThrough } from 'node:stream'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { z } from 'zod'

import {
  ContentError,
  type EnqueueManyError,
  ItemFinishedError,
  PayloadError,
  SettingError,
} from '../../src/errors/classes.js'
import { Queue } from '../../src/queue.js'
import type { WorkItem } from '../../src/item/work-item.js'
import type { Payload } from '../../src/enqueue/payload.js'
import type { WorkerEvents } from '../../src/work/events.js'
import {
  EMPTY,
  contentOf,
  contents,
  errorOf,
  itemName,
  names,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'
import { gate } from '../work/workshop.js'
import {
  INVALID,
  type Invoice,
  VALID,
  arktypeInvoice,
  invoiceOf,
  exactly,
  valibotInvoice,
  zodInvoice,
} from './schemas.js'

const bed = useTestBed({ quick: true })

type Failed = WorkerEvents<WorkItem>['failed'][0]

/** What the queue keeps of its only item in a directory. */
const stored = (queue: { name: string }, directory: 'queue' | 'fail' | 'done' = 'queue') => {
  const untyped = bed.open({}, queue.name)
  const [name = ''] = names(untyped, directory)
  return JSON.parse(contentOf(untyped, directory, name)) as unknown
}

/** Works the queue until nothing can be claimed. */
async function workAll(
  queue: Queue | Queue<{ body: unknown }>,
): Promise<{ seen: unknown[]; failed: Failed[] }> {
  const seen: unknown[] = []
  const failed: Failed[] = []
  const worker = await (queue as Queue<{ body: unknown }>).work((item) => void seen.push(item.body), {
    paused: true,
  })
  worker.on('failed', (event) => failed.push(event))
  worker.resume()
  await worker.idle()
  await worker.close()
  return { seen, failed }
}

const parsers = { zod: zodInvoice, valibot: valibotInvoice, arktype: arktypeInvoice, function: invoiceOf }

describe.each(Object.entries(parsers))('a body parser: %s', (_library, parser) => {
  const install = async () => Queue.install<{ body: Invoice }>('q', { root: bed.root, body: parser })

  test('what fits is added, and the handler gets the output', async () => {
    await using queue = await install()
    await queue.enqueue({ json: VALID })
    queue.enqueueSync({ json: VALID })
    await queue.enqueueMany([{ data: { json: VALID }, args: ['x'] }])
    const { seen, failed } = await workAll(queue)
    expect(seen).toEqual([VALID, VALID, VALID])
    expect(failed).toEqual([])
  })

  test('what does not fit is not added: the error lists the issues with their paths', async () => {
    await using queue = await install()
    const wrong = { json: INVALID as unknown as Invoice }
    const errors = [
      await errorOf(async () => queue.enqueue(wrong)),
      await errorOf(() => queue.enqueueSync(wrong)),
      ((await errorOf(async () => queue.enqueueMany([{ data: wrong }]))) as EnqueueManyError).cause,
    ]
    for (const error of errors) {
      expect(error).toBeInstanceOf(PayloadError)
      expect((error as PayloadError).message).toMatch(/^The body is not valid: .*lines\[1\]\.text/)
      expect((error as PayloadError).issues).toHaveLength(1)
    }
    expect(contents(queue)).toEqual(EMPTY)
  })

  test('what another program has added and does not fit goes to fail/ unrun, with the issues in its log', async () => {
    await using queue = await install()
    const id = await bed.open().enqueue({ json: INVALID })
    const { seen, failed } = await workAll(queue)
    expect(seen).toEqual([])
    expect(failed).toMatchObject([{ id, reason: 'invalid', error: expect.any(PayloadError) }])
    expect(await queue.attempts(id)).toMatchObject([
      {
        reason: 'invalid',
        outcome: 'failed',
        error: { name: 'PayloadError', message: expect.stringContaining('lines[1].text') },
      },
    ])
    expect(await queue.counts()).toMatchObject({ waiting: 0, failed: 1 })
  })
})

describe('types follow from the parsers', () => {
  test('zod: input and output', async () => {
    const body = z.object({
      at: z.coerce.date(),
      tries: z.number().default(3),
      n: z.string().transform(Number),
    })
    await using queue = await Queue.install('q', {
      root: bed.root,
      body,
      args: z.tuple([z.string(), z.string().optional()]),
    })
    await queue.enqueue({ json: { at: '2026-01-01T00:00:00Z', n: '5' } }, ['user'])
    // The input is stored, and not the output.
    expect(stored(queue)).toEqual({ at: '2026-01-01T00:00:00Z', n: '5' })
    const worker = await queue.work((item) => {
      exactly<{ at: Date; tries: number; n: number }>()(item.body)
      const [user, locale] = item.args
      exactly<string>()(user)
      exactly<string | undefined>()(locale)
      expect(item.body).toEqual({ at: new Date('2026-01-01T00:00:00Z'), tries: 3, n: 5 })
      expect([user, locale]).toEqual(['user', undefined])
    })
    await worker.idle()
    expect(worker.counters).toMatchObject({ done: 1, failed: 0 })
    // @ts-expect-error: the input has no number
    expect(await errorOf(async () => queue.enqueue({ json: { at: '', n: 5 } }))).toBeInstanceOf(PayloadError)
    // @ts-expect-error: with a body parser, a payload is { json }
    expect(await errorOf(async () => queue.enqueue('text'))).toBeInstanceOf(PayloadError)
  })

  test('valibot, arktype, functions, and types that are given', async () => {
    const options = { root: bed.root }
    await using valibot = await Queue.install('v', { ...options, body: valibotInvoice })
    await using arktype = await Queue.install('a', { ...options, body: arktypeInvoice })
    await using made = await Queue.install('f', {
      ...options,
      body: async (value) => Promise.resolve(String(value)),
    })
    await using given = await Queue.install<{ args: [user: string]; body: Invoice }>('g', {
      ...options,
      body: zodInvoice,
      args: z.tuple([z.string()]),
    })
    await valibot.work((item) => exactly<{ text: string }[]>()(item.body.lines))
    await arktype.work((item) => exactly<{ text: string }[]>()(item.body.lines))
    await made.work((item) => exactly<string>()(item.body))
    await given.work((item) => {
      exactly<Invoice>()(item.body)
      exactly<[user: string]>()(item.args)
    })
    // @ts-expect-error: no type is any
    await made.work((item) => exactly<number>()(item.body))
    const handle = (item: WorkItem) => item.args
    await given.work(handle)
    const toInvoice = (item: WorkItem<Invoice>): string => item.body.to
    await given.work(toInvoice)
    const untyped = bed.open({}, 'g')
    const isUntyped = new Queue('g', options)
    exactly<Queue>()(isUntyped)
    // @ts-expect-error: the items of an untyped queue have no such body
    await untyped.work(toInvoice)
    // @ts-expect-error: the parser gives no invoice
    expect(() => new Queue<{ body: Invoice }>('g', { ...options, body: z.string() })).not.toThrow()
    // @ts-expect-error: the type of the body needs a parser
    expect(() => new Queue<{ body: Invoice }>('g', { ...options })).not.toThrow()
    // @ts-expect-error: arguments are texts
    expect(() => new Queue('g', { ...options, args: z.tuple([z.coerce.number()]) })).not.toThrow()
    await isUntyped.close()
  })

  test('of anything else there is no parser', () => {
    for (const body of [
      null,
      5,
      'x',
      {},
      { '~standard': { version: 2, validate: String } },
      { '~standard': { version: 1 } },
    ])
      expect(() => new Queue('q', { body: body as never })).toThrow(SettingError)
    expect(() => new Queue('q', { args: [] as never })).toThrow(
      'args is [], expected a schema that implements Standard Schema 1 (zod, valibot, arktype ...), or a function',
    )
  })
})

describe('enqueue', () => {
  const install = async <Body>(body: (value: unknown) => Body | Promise<Body>) =>
    Queue.install('q', { root: bed.root, body })

  test('with a body parser takes { json } and nothing else, and releases the sources that it refuses', async () => {
    await using queue = await install(String)
    const stream = new PassThrough()
    const others: unknown[] = [
      'x',
      null,
      Buffer.of(1),
      { path: '/etc/hosts' },
      { json: 1, path: '/etc/hosts' },
      stream,
    ]
    for (const data of others)
      expect(await errorOf(async () => queue.enqueue(data as never))).toMatchObject({
        code: 'ERR_FSQ_PAYLOAD',
        message: expect.stringContaining('expected { json: body } and nothing else'),
      })
    await until('the stream is destroyed', () => stream.destroyed)
    expect(await queue.isEmpty()).toBe(true)
  })

  test('checks what a worker will read: the value as it comes back from JSON', async () => {
    await using queue = await Queue.install('q', { root: bed.root, body: z.object({ at: z.date() }) })
    const error = await errorOf(async () => queue.enqueue({ json: { at: new Date() } }))
    expect(error).toMatchObject({
      issues: [{ path: ['at'], message: expect.stringContaining('expected date') }],
    })
    expect(await errorOf(async () => queue.enqueue({ json: undefined as never }))).toBeInstanceOf(
      PayloadError,
    )
  })

  test('awaits a parser that gives a promise; enqueueSync does not, and adds nothing', async () => {
    let opens = gate()
    await using queue = await install(async (value) => {
      await opens.opened
      if (value === 'bad') throw new Error('it is bad')
      return value
    })
    const added = queue.enqueue({ json: 'good' }, ['a'])
    const refused = errorOf(async () => queue.enqueue({ json: 'bad' }))
    const many = errorOf(async () =>
      queue.enqueueMany([{ data: { json: 'bad' } }, { data: { json: 'good' } }]),
    )
    expect(() => queue.enqueueSync({ json: 'bad' })).toThrow(
      'A parser of the queue is asynchronous, and enqueueSync cannot wait for it. Use enqueue',
    )
    expect(await queue.isEmpty()).toBe(true)
    opens.open()
    const id = await added
    expect(await refused).toMatchObject({
      code: 'ERR_FSQ_PAYLOAD',
      message: 'The body is not valid: it is bad',
    })
    expect(await many).toMatchObject({
      outcomes: [{ error: expect.any(PayloadError) }, { id: expect.any(String) }],
    })
    expect(await queue.counts()).toMatchObject({ waiting: 2 })
    expect(await queue.find(id)).toBeDefined()
    opens = gate()
    const stop = new AbortController()
    const aborted = errorOf(async () => queue.enqueue({ json: 1 }, [], { signal: stop.signal }))
    const abortedMany = errorOf(async () =>
      queue.enqueueMany([{ data: { json: 1 } }], { signal: stop.signal }),
    )
    stop.abort(new Error('enough'))
    expect(await aborted).toEqual(new Error('enough'))
    expect(await abortedMany).toEqual(new Error('enough'))
    expect(await queue.counts()).toMatchObject({ waiting: 2 })
    opens.open()
  })

  test('a schema that throws, or that answers nonsense, is told from a value that does not fit', async () => {
    const schemaOf = (validate: () => unknown) =>
      ({ '~standard': { version: 1, vendor: 'test', validate } }) as never
    const boom = (): never => {
      throw new TypeError('boom')
    }
    for (const [validate, message] of [
      [boom, 'The schema of the body threw an error: boom'],
      [async () => boom(), 'The schema of the body threw an error: boom'],
      [() => undefined, 'The schema of the body gave undefined, expected { value } or { issues }'],
    ] as const) {
      await using queue = new Queue('q', { root: bed.root, body: schemaOf(validate) })
      const error = await errorOf(async () => queue.enqueue({ json: 1 } as never))
      expect(error).toMatchObject({ code: 'ERR_FSQ_PAYLOAD', message })
      expect((error as PayloadError).issues).toBeUndefined()
    }
  })

  test('a message lists ten issues, the error all of them', async () => {
    await using queue = await Queue.install('q', { root: bed.root, body: z.array(z.number()) })
    const error = await errorOf(async () => queue.enqueue({ json: Array<never>(12).fill('x' as never) }))
    expect((error as PayloadError).issues).toHaveLength(12)
    expect((error as PayloadError).message).toMatch(/\[9\]: [^;]*; and 2 more$/)
    const odd = new Queue('q', { root: bed.root, body: z.object({ 'a b': z.object({ c: z.number() }) }) })
    expect(await errorOf(async () => odd.enqueue({ json: {} as never }))).toMatchObject({
      message: expect.stringContaining("['a b']:"),
    })
    await odd.close()
  })

  test('args: the parser sees texts, and any payload goes with them', async () => {
    const given: unknown[] = []
    await using queue = await Queue.install('q', {
      root: bed.root,
      args: (value): readonly string[] => {
        given.push(value)
        const texts = value as string[]
        if (texts.length !== 2) throw new Error('two are needed')
        return texts.splice(0).map((text) => text.toUpperCase())
      },
    })
    await queue.enqueue('x', ['a', 5 as never])
    expect(given).toEqual([[]]) // the parser has taken its own copy apart
    const stream = new PassThrough()
    expect(await errorOf(async () => queue.enqueue(stream, ['a']))).toMatchObject({
      message: 'The arguments are not valid: two are needed',
    })
    await until('the stream is destroyed', () => stream.destroyed)
    expect(await errorOf(async () => queue.enqueue('x'))).toBeInstanceOf(PayloadError)
    expect(await errorOf(async () => queue.enqueue('x', 5 as never))).toMatchObject({
      code: 'ERR_FSQ_ENCODING',
    })
    const worker = await queue.work(async (item) => {
      expect(item.args).toEqual(['A', '5'])
      expect(item.arguments).toEqual(['a', '5'])
      expect(await item.text()).toBe('x')
      expect(() => item.body).toThrow(ContentError)
    })
    await worker.idle()
    expect(worker.counters).toMatchObject({ done: 1, failed: 0 })
  })

  test('while an asynchronous parser runs, the caller may change the bytes and the arguments', async () => {
    const opens = gate()
    await using queue = await Queue.install('q', {
      root: bed.root,
      args: async (value) => {
        await opens.opened
        return value as string[]
      },
    })
    const data = Buffer.from('before')
    const args = ['before']
    const added = queue.enqueue(data as Payload, args)
    data.write('AFTER!')
    args[0] = 'after'
    opens.open()
    await added
    const item = await takeOne(queue)
    expect([await item.text(), item.args]).toEqual(['before', ['before']])
    await item.done()
  })
})

describe('work', () => {
  test('what is not JSON is invalid; the handler of a valid item beside it runs', async () => {
    await using queue = await Queue.install('q', { root: bed.root, body: z.number() })
    plant(bed.open(), itemName({ timestamp: '20270101000000' }), '{')
    await queue.enqueue({ json: 5 })
    const { seen, failed } = await workAll(queue)
    expect(seen).toEqual([5])
    expect(failed).toMatchObject([
      { reason: 'invalid', error: { message: expect.stringMatching(/^The body is not JSON: /) } },
    ])
  })

  test('invalid at the first of several tries: it is not tried again', async () => {
    await using queue = await Queue.install('q', { root: bed.root, body: z.number(), maxTries: 5 })
    const id = await bed.open().enqueue({ json: 'x' })
    const { failed } = await workAll(queue)
    expect(failed).toMatchObject([{ id, reason: 'invalid' }])
  })

  test('an item that the worker has not parsed when it closes goes back', async () => {
    const opens = gate()
    const begun = gate()
    await using queue = await Queue.install('q', {
      root: bed.root,
      body: async (value) => {
        begun.open()
        await opens.opened
        return value
      },
    })
    const id = await bed.open().enqueue({ json: 1 })
    const ran: unknown[] = []
    const worker = await queue.work((item) => ran.push(item))
    const released: unknown[] = []
    worker.on('released', ({ item, why }) => released.push([item.id, why]))
    await begun.opened
    const closed = worker.close()
    opens.open()
    expect(await closed).toEqual({ left: [] })
    expect(ran).toEqual([])
    expect(released).toEqual([[id, 'closing']])
    expect(await queue.counts()).toMatchObject({ waiting: 1 })
  })

  test('contents that cannot be read are a failed try, and the item does not run', async () => {
    const opens = gate()
    const begun = gate()
    await using queue = await Queue.install('q', {
      root: bed.root,
      body: z.string(),
      args: async (value) => {
        begun.open()
        await opens.opened
        return value as string[]
      },
    })
    // Too large to come with the claim.
    await bed.open().enqueue({ json: 'x'.repeat(200_000) })
    const events: unknown[] = []
    const worker = await queue.work(() => undefined)
    worker.on('started', () => events.push('started'))
    worker.on('failed', ({ reason, error }) => events.push([reason, (error as Error).name]))
    await begun.opened
    fs.truncateSync(`${queue.paths.queue}/${names(bed.open(), 'queue')[0] ?? ''}`)
    opens.open()
    await worker.idle()
    expect(events).toEqual([['exhausted', 'ContentError']])
  })
})

describe('scan', () => {
  test('hands out items unparsed; parse() parses one, which stays claimed', async () => {
    await using queue = await Queue.install('q', { root: bed.root, body: zodInvoice })
    await queue.enqueue({ json: VALID }, ['x'])
    await bed.open().enqueue({ json: INVALID })
    const bodies: unknown[] = []
    for await (const item of queue.scan({ prefetch: 1 })) {
      expect(() => item.body).toThrow('await queue.parse(item) first')
      try {
        const parsed = await queue.parse(item)
        exactly<number>()(parsed.body.cents)
        expect(parsed).toBe(item)
        bodies.push(parsed.body)
        await item.done()
        expect(await errorOf(async () => queue.parse(item))).toBeInstanceOf(ItemFinishedError)
      } catch (error) {
        expect(error).toBeInstanceOf(PayloadError)
        expect(item.claimed).toBe(true)
        await item.fail()
      }
    }
    expect(bodies).toEqual([VALID])
    expect(await queue.counts()).toMatchObject({ done: 1, failed: 1 })
  })

  test('parse() of a queue without parsers changes nothing', async () => {
    const queue = await bed.install()
    await queue.enqueue('x')
    const item = await takeOne(queue)
    expect(await queue.parse(item)).toBe(item)
    expect(() => item.body).toThrow(ContentError)
    await item.done()
  })
})

test('property: what enqueue accepts, work() parses', async () => {
  const body = z.union([
    z.number().transform((number) => ({ number })),
    z.string().trim().min(1),
    z.array(z.coerce.number()).max(3),
    z.strictObject({ a: z.unknown(), b: z.boolean().default(true) }),
  ])
  const args = z.array(z.string().max(3)).max(2)
  await using queue = await Queue.install('q', { root: bed.root, durability: 'none', body, args })
  const values = fc.oneof(
    fc.jsonValue(),
    fc.record({ a: fc.anything(), b: fc.boolean() }, { requiredKeys: [] }),
    fc.array(fc.oneof(fc.integer(), fc.string(), fc.date())),
    fc.anything(),
  )
  let added = 0
  await fc.assert(
    fc.asyncProperty(
      values,
      fc.array(fc.string({ maxLength: 4, unit: 'binary' }), { maxLength: 3 }),
      async (json, texts) => {
        try {
          await queue.enqueue({ json: json as never }, texts)
          added++
        } catch (error) {
          if (!/^ERR_FSQ_(PAYLOAD|ENCODING)$/.test((error as PayloadError).code)) throw error
        }
      },
    ),
    { numRuns: 500 },
  )
  const { seen, failed } = await workAll(queue)
  expect(added).toBeGreaterThan(50)
  expect(seen).toHaveLength(added)
  expect(failed).toEqual([])
})
