// Outcomes of queue.work() that need files, a process of its own or another user.
import fs from 'node:fs'
import { setTimeout as later } from 'node:timers/promises'

import { describe, expect, test } from '@jest/globals'

import { RetryLater } from '../../src/errors/classes.js'
import { Queue } from '../../src/queue.js'
import type { Worker } from '../../src/work/handle.js'
import { Child } from '../support/child.js'
import { ifRoot } from '../support/needs.js'
import {
  EMPTY,
  contents,
  drain,
  inProgram,
  itemName,
  names,
  plant,
  until,
  useTestBed,
} from '../support/queue.js'
import { SINCE, leaveDeadWorker, logFiles } from '../meta/dead-workers.js'

const bed = useTestBed()
const HOUR = 3_600_000

test('it discarded the item itself: that counts as done, and nothing of the item stays', async () => {
  const queue = await bed.install({ maxTries: 3 })
  await queue.enqueue('a')
  const worker = await queue.work(
    async (item) => {
      if (item.tries === 0) throw new Error('once')
      await item.discard()
    },
    { backoff: 0 },
  )
  await until('it is gone', () => worker.counters.done === 1)
  await worker.close()
  expect(contents(queue)).toEqual(EMPTY)
  expect(logFiles(queue)).toEqual([])
})

test('ungrowable: fail/ instead of a name that is too long, and the log says so', async () => {
  const queue = await bed.install({ maxTries: 0 })
  const short = itemName({ tries: 9, args: [''] })
  const name = itemName({ tries: 9, args: ['x'.repeat(255 - short.length)] })
  plant(queue, name)
  const reasons: unknown[] = []
  const worker = await queue.work(() => {
    throw new Error('no luck')
  })
  worker.on('failed', ({ reason, id }) => reasons.push([reason, id]))
  await until('it has failed', () => reasons.length === 1)
  expect(reasons).toEqual([['ungrowable', name]])
  expect(names(queue, 'fail')).toEqual([name])
  expect(await queue.attempts(name)).toMatchObject([{ reason: 'ungrowable', error: { message: 'no luck' } }])
})

test('CPU-bound handler in process: its timers are late, and its item stays its own', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('a')
  const options = { timeout: 10, closeOn: ['SIGTERM'] }
  const child = new Child('work.mjs', { root: bed.root, handler: 'busy', ms: 600, options })
  await child.says('started')
  expect(await drain(queue)).toEqual([])
  expect(child.said('done')).toEqual([])
  await child.says('done')
  expect([names(queue, 'queue'), names(queue, 'done')]).toEqual([[], [id]])
  child.kill('SIGTERM')
  await child.ended
  expect(child.said('retried')).toEqual([])
})

test('crashed: the event says which worker has died, with what, and since when', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('a', ['x'])
  leaveDeadWorker(queue, [id])
  const crashes: unknown[] = []
  const worker = await queue.work(() => undefined)
  worker.on('crashed', (crash) => crashes.push(crash))
  await worker.idle()
  const { key } = (await queue.find(id)) ?? {}
  expect(crashes).toEqual([{ key, id, pid: 4711, host: 'web1', together: 1, ms: expect.any(Number) }])
  expect((crashes as { ms: number }[])[0]?.ms).toBeGreaterThan(Date.now() - Date.parse(SINCE) - 60_000)
  expect(worker.counters).toMatchObject({ crashed: 1, done: 1 })
})

/** An item that a worker has died with, alone. */
async function suspect(queue: Queue, arg: string): Promise<string> {
  const id = await queue.enqueue(null, [arg])
  leaveDeadWorker(queue, [id])
  return id
}

test('an item with marks is run alone: items that arrive meanwhile wait', async () => {
  const queue = await bed.install({ durability: 'none' })
  await suspect(queue, 'suspect')
  const order: string[] = []
  let free = (): void => undefined
  const worker = await queue.work(
    async ({ args: [arg = ''] }) => {
      order.push(`${arg} begins`)
      if (arg === 'suspect') await new Promise<void>((resolve) => (free = resolve))
      order.push(`${arg} ends`)
    },
    { concurrency: 4 },
  )
  await until('it runs', () => order.length === 1)
  await queue.enqueueMany([
    { data: null, args: ['a'] },
    { data: null, args: ['b'] },
  ])
  // Long enough for a worker that does not wait.
  await later(100)
  expect(order).toEqual(['suspect begins'])
  free()
  await worker.idle()
  expect(order.slice(0, 2)).toEqual(['suspect begins', 'suspect ends'])
  expect(order).toHaveLength(6)
})

test('fewer places: an item that was asked for before waits, too', async () => {
  const queue = await bed.install({ durability: 'none' })
  let running = 0
  let most = 0
  let free = (): void => undefined
  const worker = await queue.work(
    async ({ args: [arg] }) => {
      most = Math.max(most, ++running)
      if (arg === 'long') await new Promise<void>((resolve) => (free = resolve))
      running--
    },
    { concurrency: 2 },
  )
  await queue.enqueue(null, ['long'])
  await until('it runs', () => running === 1)
  worker.concurrency = 1
  await queue.enqueue(null, ['short'])
  await later(100)
  free()
  await worker.idle()
  expect([most, names(queue, 'done').length]).toEqual([1, 2])
})

test('close() by a handler: the other items of its tick do not start', async () => {
  const queue = await bed.install({ durability: 'none' })
  await queue.enqueueMany(Array.from({ length: 8 }, () => ({ data: null })))
  const states: string[] = []
  const worker: Worker = await queue.work(
    () => {
      states.push(worker.state)
      void worker.close()
    },
    { concurrency: 8, paused: true },
  )
  worker.resume()
  await worker.gone
  expect(states).toEqual(['running'])
  expect([names(queue, 'queue').length, names(queue, 'done').length]).toEqual([7, 1])
})

test('a result whose `then` throws counts as an error of the handler, and so does an error that cannot be read', async () => {
  const queue = await bed.install({ durability: 'none' })
  await queue.enqueueMany([
    { data: null, args: ['result'] },
    { data: null, args: ['error'] },
    { data: null, args: ['good'] },
  ])
  const lazy = (name: string): Error =>
    Object.defineProperty(new Error('lazy'), name, {
      get() {
        throw new Error(`no ${name}`)
      },
    })
  const worker = await queue.work(
    ({ args: [how] }) => {
      if (how === 'error') throw lazy('code')
      return how === 'result' ? lazy('then') : undefined
    },
    { concurrency: 3 },
  )
  await worker.idle()
  expect([names(queue, 'fail').length, names(queue, 'done').length]).toEqual([2, 1])
})

test('a parser that hangs: at the timeout the try has failed', async () => {
  const queue = await bed.install({ durability: 'none' })
  await queue.enqueue('{}')
  const typed = new Queue('q', { root: bed.root, body: () => new Promise<never>(() => undefined) })
  const errors: unknown[] = []
  const worker = await typed.work(() => undefined, { timeout: 20 })
  worker.on('failed', ({ reason, error }) => errors.push(reason, error))
  await worker.idle()
  expect(errors).toEqual(['exhausted', expect.objectContaining({ name: 'TimeoutError' })])
  await typed.close()
})

describe("another owner's item", () => {
  ifRoot('release({ delay }): it is due at once, which is reported', async () => {
    const queue = await bed.install({ queueMode: 0o777 })
    fs.chmodSync(plant(queue, itemName(), 'x'), 0o644)
    fs.chmodSync(bed.root, 0o755)
    const seen = await inProgram(
      `
      const reports = []
      const queue = new Queue('q', { root: given, onReport: ({ type, name }) => reports.push([type, name]) })
      const { value: item } = await queue.scan().next()
      item.release({ delay: ${HOUR} })
      const again = []
      for await (const { id, tries } of queue.scan()) again.push([id, tries])
      await queue.close()
      return { outcome: item.outcome, reports, again }
      `,
      { given: bed.root, nobody: true },
    )
    expect(seen).toEqual({
      outcome: 'released',
      reports: [['undelayed', itemName()]],
      again: [[itemName(), 0]],
    })
  })

  ifRoot('RetryLater and a retry: both are due at once, and reported', async () => {
    const queue = await bed.install({ queueMode: 0o777 })
    fs.chmodSync(plant(queue, itemName(), 'x'), 0o644)
    fs.chmodSync(bed.root, 0o755)
    const seen = await inProgram(
      `
      const reports = []
      const queue = new Queue('q', { root: given, maxTries: 3, onReport: ({ type, name }) => reports.push([type, name]) })
      let runs = 0
      const worker = await queue.work(() => {
        if (++runs === 1) throw new fsq.RetryLater({ after: ${HOUR} })
        if (runs === 2) throw new Error('no luck')
      }, { backoff: ${HOUR} })
      await until(() => worker.counters.done === 1)
      await queue.close()
      const { postponed, retried } = worker.counters
      return { runs, postponed, retried, reports }
      `,
      { given: bed.root, nobody: true },
    )
    const undelayed = ['undelayed', itemName()]
    expect(seen).toEqual({ runs: 3, postponed: 1, retried: 1, reports: expect.arrayContaining([undelayed]) })
    expect(names(queue, 'done')).toEqual([itemName({ tries: 1 })])
  })
})

test.each(['lock', 'rename'] as const)(
  'a RetryLater of longer than an item can wait, claims by %s: the item waits as long as it can, and others run',
  async (claims) => {
    const queue = await bed.install({ claims })
    await queue.enqueue('', ['far'])
    await queue.enqueue('', ['near'])
    const worker = await queue.work(({ args }) => {
      if (args[0] === 'far') throw new RetryLater({ after: 1e16 })
    })
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error))
    await until('both have ended', () => worker.counters.done + worker.counters.postponed === 2)
    await worker.close()
    expect(errors).toEqual([])
    expect(await queue.stats()).toMatchObject({ waiting: 0, delayed: 1, done: { total: 1 } })
  },
)
