// The channels of node:diagnostics_channel.
import { AsyncLocalStorage } from 'node:async_hooks'
import diagnostics, { type TracingChannel } from 'node:diagnostics_channel'

import { afterEach, describe, expect, test } from '@jest/globals'

import type { EnqueueContext, FinishContext, ProcessContext } from '../src/tracing.js'
import { takeOne, until, useTestBed } from './support/queue.js'

type Call<Context> = Context & { readonly result?: unknown; readonly error?: unknown }

const bed = useTestBed()
const cleanUps: (() => void)[] = []

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp()
})

/** What a channel tells: the events in their order, and the context of each call as it is at its end. */
function listen<Context extends object>(
  name: string,
): {
  readonly events: string[]
  readonly calls: Call<Context>[]
  readonly channel: TracingChannel<unknown, Context>
} {
  const channel = diagnostics.tracingChannel<unknown, Context>(name)
  const events: string[] = []
  const calls: Call<Context>[] = []
  const hear = (event: string) => (context: object) => {
    events.push(event)
    if (event === 'start') calls.push(context as Call<Context>)
  }
  const listeners = {
    start: hear('start'),
    end: hear('end'),
    asyncStart: hear('asyncStart'),
    asyncEnd: hear('asyncEnd'),
    error: hear('error'),
  }
  channel.subscribe(listeners)
  cleanUps.push(() => channel.unsubscribe(listeners))
  return { events, calls, channel }
}

describe('fsq.enqueue', () => {
  test('enqueue(): the context has the item, and its id and key at the end', async () => {
    const queue = await bed.install()
    const { events, calls } = listen<EnqueueContext>('fsq.enqueue')
    const id = await queue.enqueue('dätä', ['a', 1])
    expect(events).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
    const { key } = (await queue.find(id)) ?? {}
    expect(calls).toEqual([
      { queue: 'q', path: queue.path, args: ['a', '1'], size: 6, count: 1, ids: [id], key, result: id },
    ])
  })

  test('a failure', async () => {
    const queue = await bed.install()
    const { events, calls } = listen<EnqueueContext>('fsq.enqueue')
    const name = 'x'.repeat(300)
    await expect(queue.enqueue('data', [name])).rejects.toMatchObject({ code: 'ERR_FSQ_NAME_TOO_LONG' })
    expect(events).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    expect(calls[0]).toMatchObject({ error: { code: 'ERR_FSQ_NAME_TOO_LONG' } })
    expect(calls[0]?.ids).toBeUndefined()
    expect(() => queue.enqueueSync('data', [name])).toThrow('bytes')
    // It is traced, however wrong it is.
    await expect(queue.enqueue(undefined as never, 'x' as never)).rejects.toThrow()
    expect(calls).toHaveLength(3)
  })

  test('enqueueSync() and enqueueMany()', async () => {
    const queue = await bed.install()
    const { events, calls } = listen<EnqueueContext>('fsq.enqueue')
    const id = queue.enqueueSync(Buffer.alloc(5))
    expect(events).toEqual(['start', 'end'])
    expect(calls[0]).toMatchObject({ args: [], size: 5, ids: [id] })
    const ids = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    expect(calls[1]).toEqual({ queue: 'q', path: queue.path, count: 2, ids, result: ids })
    await queue.enqueue({ json: 1 })
    await queue.enqueue(null)
    await queue.enqueue(new Blob(['abc']))
    expect(calls.slice(2).map(({ size }) => size)).toEqual([undefined, 0, 3])
  })
})

describe('fsq.process', () => {
  test('a handler runs between the events, in a store that is bound', async () => {
    const queue = await bed.install({ maxTries: 2 })
    const { events, calls, channel } = listen<ProcessContext>('fsq.process')
    const storage = new AsyncLocalStorage<string>()
    channel.start.bindStore(storage, (context) => `span of ${context.args[0] ?? ''}`)
    cleanUps.push(() => channel.start.unbindStore(storage))
    const id = await queue.enqueue('data', ['good'])
    await queue.enqueue('data', ['bad'])
    const stores: (string | undefined)[] = []
    const worker = await queue.work(
      async (item) => {
        stores.push(storage.getStore())
        await item.text()
        stores.push(storage.getStore())
        if (item.args[0] === 'bad') throw new Error('no luck')
        return 5
      },
      { backoff: 0 },
    )
    await worker.idle()
    await worker.close()
    expect(storage.getStore()).toBeUndefined()
    expect(stores).toEqual(['good', 'good', 'bad', 'bad', 'bad', 'bad'].map((arg) => `span of ${arg}`))
    const good = ['start', 'end', 'asyncStart', 'asyncEnd']
    const bad = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
    expect(events).toEqual([...good, ...bad, ...bad])
    const [first, second, third] = calls
    expect(first).toEqual({
      queue: 'q',
      path: queue.path,
      id,
      key: expect.any(String),
      args: ['good'],
      size: 4,
      try: 1,
      result: 5,
    })
    expect(second).toMatchObject({ try: 1, error: { message: 'no luck' } })
    expect(third).toMatchObject({ try: 2, key: second?.key })
  })

  test('a handler that is not async; one that nothing traces', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
    const worker = await queue.work(() => undefined)
    const { events } = listen<ProcessContext>('fsq.process')
    await worker.idle()
    expect(events).toEqual(Array.from({ length: 2 }, () => ['start', 'end', 'asyncStart', 'asyncEnd']).flat())
    for (const cleanUp of cleanUps.splice(0)) cleanUp()
    await queue.enqueue('c')
    await until('it is done', () => worker.counters.done === 3)
    expect(events).toHaveLength(8)
  })
})

describe('fsq.finish', () => {
  test('each way to finish an item', async () => {
    const queue = await bed.install({ maxTries: 2 })
    const { events, calls } = listen<FinishContext>('fsq.finish')
    await queue.enqueueMany(['done', 'fail', 'discard', 'retry'].map((arg) => ({ data: 'x', args: [arg] })))
    for await (const item of queue.scan()) await item[item.args[0] as 'done' | 'fail' | 'discard' | 'retry']()
    expect(events).toEqual(calls.flatMap(() => ['start', 'end', 'asyncStart', 'asyncEnd']))
    const told = calls.map((call) => [call.args[0], call.action, call.outcome, call.try])
    expect(told).toEqual([
      ['done', 'done', 'done', 1],
      ['fail', 'fail', 'failed', 1],
      ['discard', 'discard', 'done', 1],
      ['retry', 'retry', 'waiting', 1],
    ])
    const item = await takeOne(queue)
    item.release({ delay: 0 })
    // It is released already, so nothing happens.
    item.release()
    expect(calls.slice(4).map(({ action, outcome }) => [action, outcome])).toEqual([['release', 'released']])
    await (await takeOne(queue)).retry()
    expect(calls[5]).toMatchObject({
      action: 'retry',
      outcome: 'failed',
      try: 2,
      queue: 'q',
      path: queue.path,
    })
  })

  test('a finish that fails, and one that is in flight', async () => {
    const queue = await bed.install()
    await queue.enqueue('data')
    const { events, calls } = listen<FinishContext>('fsq.finish')
    const item = await takeOne(queue)
    const done = item.done()
    expect(item.finishing).toBeDefined()
    await expect(item.fail()).rejects.toMatchObject({ code: 'ERR_FSQ_ITEM_FINISHED' })
    await done
    expect(events.filter((event) => event === 'error')).toHaveLength(1)
    expect(calls.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['done', 'done'],
      ['fail', undefined],
    ])
  })

  test('in the store of the handler', async () => {
    const queue = await bed.install()
    await queue.enqueue('data')
    const storage = new AsyncLocalStorage<string>()
    const seen: (string | undefined)[] = []
    const hear = (): void => void seen.push(storage.getStore())
    diagnostics.subscribe('tracing:fsq.finish:start', hear)
    const start = diagnostics.channel('tracing:fsq.process:start')
    start.bindStore(storage, () => 'span')
    cleanUps.push(() => {
      diagnostics.unsubscribe('tracing:fsq.finish:start', hear)
      start.unbindStore(storage)
    })
    const worker = await queue.work(async (item) => item.done())
    await worker.idle()
    expect(seen).toEqual(['span'])
  })
})
