// Items that kill their worker, in fleets whose supervisor replaces a dead worker at once.
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { Child, makeDirectory, until } from '../support/child.js'
import { logFiles, workerFiles } from '../meta/dead-workers.js'

const MAX_CRASHES = 3
const FLEET = 3

interface Bench {
  readonly root: string
  readonly queue: Queue
}

const queues: Queue[] = []

afterEach(async () => {
  await Promise.all(queues.splice(0).map(async (queue) => queue.close({ force: true })))
})

async function bench(items: readonly (readonly string[])[]): Promise<Bench> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root, durability: 'none' })
  queues.push(queue)
  await queue.enqueueMany(items.map((args) => ({ data: null, args })))
  return { root, queue }
}

/** Keeps workers running until the queue is empty, and gives back all that there were. */
async function supervise({ root, queue }: Bench, workers: number, concurrency: number): Promise<Child[]> {
  const all: Child[] = []
  let isOver = false
  const keepOne = async (): Promise<void> => {
    while (!isOver) {
      const options = { concurrency, closeOn: ['SIGTERM'], maxCrashes: MAX_CRASHES }
      const job = { root, handler: 'poison', queue: { durability: 'none' }, options }
      const child = new Child('work.mjs', job, { node: ['--max-old-space-size=32'] })
      all.push(child)
      await child.ended
    }
  }
  const keepers = Array.from({ length: workers }, keepOne)
  await until('the queue is empty', () => fs.readdirSync(path.join(queue.path, 'queue')).length === 0)
  isOver = true
  for (const child of all) child.kill('SIGTERM')
  await Promise.all(keepers)
  return all
}

/** How the poison items have ended, and how many others have not. */
async function endings(queue: Queue): Promise<{ failed: string[]; innocent: number }> {
  const failed: string[] = []
  for await (const { args } of queue.items({ state: 'failed' })) failed.push(args.join(' '))
  return { failed: failed.sort(), innocent: (await queue.counts()).done }
}

/** How many workers have died of their items: the supervisor ends the others by SIGTERM. */
async function deathsOf(workers: readonly Child[]): Promise<number> {
  const ends = await Promise.all(workers.map(async ({ ended }) => ended))
  return ends.filter(({ code, signal }) => code !== 0 && signal !== 'SIGTERM').length
}

describe('a fleet whose workers are replaced at once', () => {
  test.each([1, 16])(
    'does each innocent item, and fails each one that kills, however it kills (concurrency %i)',
    async (concurrency) => {
      const manners = ['kill', 'abort', 'heap', 'exception', 'exit']
      const items = Array.from({ length: 120 }, (_, number) => ['innocent', String(number)])
      for (const [index, manner] of manners.entries()) items.splice(10 + 24 * index, 0, ['poison', manner])
      const shop = await bench(items)
      const workers = await supervise(shop, FLEET, concurrency)
      expect(await endings(shop.queue)).toEqual({
        failed: manners.map((manner) => `poison ${manner}`).sort(),
        innocent: 120,
      })
      for await (const { id } of shop.queue.items({ state: 'failed' }))
        expect((await shop.queue.attempts(id)).at(-1)).toMatchObject({ outcome: 'failed', reason: 'crashed' })
      // One more for an item that a worker takes over before it can know of the death.
      const deaths = await deathsOf(workers)
      expect(deaths).toBeGreaterThanOrEqual(manners.length * (MAX_CRASHES - 1))
      expect(deaths).toBeLessThanOrEqual(manners.length * (MAX_CRASHES + 1))
    },
  )

  test('tells two candidates in one worker apart: both run alone', async () => {
    const items = [
      ['poison', 'kill'],
      ['innocent', '1'],
      ['poison', 'abort'],
      ['innocent', '2'],
    ]
    const shop = await bench(items)
    const workers = await supervise(shop, 1, 4)
    expect(await endings(shop.queue)).toEqual({ failed: ['poison abort', 'poison kill'], innocent: 2 })
    // One death with all four in hand, then two of each poison item alone.
    expect(await deathsOf(workers)).toBe(1 + 2 + 2)
    for (const [state, marks] of [
      ['done', [4]],
      ['failed', [4, 1, 1]],
    ] as const) {
      for await (const { id } of shop.queue.items({ state })) {
        const crashes = (await shop.queue.attempts(id)).filter(({ outcome }) => outcome === 'crashed')
        expect(crashes.map(({ together }) => together)).toEqual(marks)
      }
    }
  })
})

test('SIGTERM, and SIGKILL before the handlers have ended: no item has a mark', async () => {
  const { root, queue } = await bench(Array.from({ length: 40 }, (_, number) => [String(number)]))
  const start = (): Child =>
    new Child('work.mjs', { root, handler: 'deaf', options: { concurrency: 16, closeOn: ['SIGTERM'] } })
  const workers = [start(), start()]
  await until('32 items run', () => workers.flatMap((child) => child.said('started')).length === 32)
  for (const child of workers) child.kill('SIGTERM')
  await Promise.all(workers.map(async (child) => child.says('state')))
  for (const child of workers) child.kill('SIGKILL')
  await Promise.all(workers.map(async ({ ended }) => ended))
  const worker = await queue.work(() => undefined, { concurrency: 16 })
  await worker.idle()
  expect(worker.counters).toMatchObject({ crashed: 0, done: 40, started: 40 })
  await queue.close()
  expect([logFiles(queue), workerFiles(queue)]).toEqual([[], []])
})
