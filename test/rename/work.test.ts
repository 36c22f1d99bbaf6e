// queue.work() in queues whose claims are renames: the crash guard. The file of a worker is the `.lock` of its directory in claimed/, and
// the worker that takes the directory over writes the marks.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { native } from '../../src/addon/native.js'
import { Queue } from '../../src/queue.js'
import type { Report } from '../../src/report.js'
import { Child, makeDirectory, until } from '../support/child.js'
import { logFiles } from '../meta/dead-workers.js'
import { claimedNames, workerNames } from './claimed.js'

const queues: Queue[] = []

afterEach(async () => {
  await Promise.all(queues.splice(0).map(async (queue) => queue.close({ force: true })))
})

interface Bench {
  readonly root: string
  readonly queue: Queue
  readonly ids: readonly string[]
}

async function bench(...items: readonly (readonly string[])[]): Promise<Bench> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root, durability: 'none', claims: 'rename', maxTries: 3 })
  queues.push(queue)
  const ids = await queue.enqueueMany(items.map((args) => ({ data: null, args })))
  return { root, queue, ids }
}

function worker({ root }: Bench, handler: string, options: object = {}): Child {
  return new Child('work.mjs', { root, handler, queue: { durability: 'none', maxTries: 3 }, options })
}

/** How the attempts of an item have ended. */
async function endings({ queue }: Bench, id: string): Promise<unknown[]> {
  return (await queue.attempts(id)).map(({ outcome }) => outcome)
}

async function marks(shop: Bench): Promise<unknown[]> {
  const all = await Promise.all(shop.ids.map(async (id) => endings(shop, id)))
  return all.flat().filter((outcome) => outcome === 'crashed')
}

describe('a worker that is killed in a handler', () => {
  test('leaves a mark on its item, which the one that takes over tells of; the item runs again', async () => {
    const shop = await bench(['a'])
    const [id = ''] = shop.ids
    const dead = worker(shop, 'deaf')
    await dead.says('started')
    dead.kill()
    await dead.ended
    const crashes: unknown[] = []
    const next = await shop.queue.work(() => undefined)
    next.on('crashed', (crash) => crashes.push(crash))
    await next.idle()
    expect(crashes).toMatchObject([{ id, pid: dead.pid, together: 1 }])
    expect(next.counters).toMatchObject({ crashed: 1, done: 1, started: 1 })
    await next.close()
    expect(fs.readdirSync(shop.queue.paths.done)).toEqual([id])
    expect(workerNames(shop.queue).length).toBeLessThanOrEqual(1)
  })

  test('the mark tells where it ran, and is there before the item is back', async () => {
    const shop = await bench(['a'])
    const [id = ''] = shop.ids
    const dead = worker(shop, 'deaf')
    await dead.says('started')
    const [name = ''] = workerNames(shop.queue)
    dead.kill()
    await dead.ended
    const seen: unknown[] = []
    const next = await shop.queue.work(async (item) => {
      seen.push(await shop.queue.attempts(item.id))
    })
    await next.idle()
    expect(seen).toMatchObject([[{ outcome: 'crashed', pid: dead.pid, together: 1, try: 1 }]])
    expect(name).toContain(`-${dead.pid}-`)
    expect(id).not.toBe('')
  })

  test.each([
    ['a full disk', 'ENOSPC', ['FSQ_UNMOVABLE']],
    ['a log that cannot be written', 'EIO', ['FSQ_META']],
  ] as const)('%s: no mark is lost that the next look can write', async (_, code, warnings) => {
    const shop = await bench(['a'], ['b'])
    const dead = worker(shop, 'deaf', { concurrency: 2 })
    await until('both run', () => dead.said('started').length === 2)
    dead.kill()
    await dead.ended
    const job = { root: shop.root, handler: 'quick', queue: { durability: 'none', maxTries: 3 } }
    const next = new Child('work.mjs', job, { faults: `log.write#1=errno:${os.constants.errno[code]}` })
    await until('both are done', () => next.said('done').length === 2)
    expect(next.said('warning').map(({ warning }) => warning)).toEqual(warnings)
    expect(await marks(shop)).toHaveLength(code === 'ENOSPC' ? 2 : 1)
    next.kill('SIGTERM')
  })

  test('a running loop learns of it', async () => {
    const shop = await bench(['a'])
    const dead = worker(shop, 'deaf')
    await dead.says('started')
    const next = await shop.queue.work(() => undefined)
    dead.kill()
    await until('the item is done', () => next.counters.done === 1)
    expect(next.counters).toMatchObject({ crashed: 1, started: 1 })
  })

  test('what it had only claimed ahead has no mark, and comes back at once', async () => {
    const shop = await bench(['a'], ['b'], ['c'], ['d'])
    const dead = worker(shop, 'deaf', { concurrency: 1, prefetch: 4 })
    dead.tell('')
    await until('it has claimed ahead', () => claimedNames(shop.queue).length > 1)
    await until('its handler runs', () => dead.said('started').length === 1)
    dead.kill()
    await dead.ended
    const next = await shop.queue.work(() => undefined)
    await next.idle()
    expect(next.counters).toMatchObject({ crashed: 1, done: 4 })
    expect(await marks(shop)).toEqual(['crashed'])
  })

  test('again and again: the item fails as the cause after maxCrashes, and the innocent one is done', async () => {
    const shop = await bench(['poison', 'kill'], ['innocent'])
    const [poison = '', innocent = ''] = shop.ids
    const options = { concurrency: 2, maxCrashes: 3 }
    let deaths = 0
    for (;;) {
      const child = worker(shop, 'poison', { ...options, closeOn: ['SIGTERM'] })
      const isOver = async (): Promise<void> =>
        until('the queue is empty, or the worker is dead', () => {
          const left = fs.readdirSync(shop.queue.paths.queue).length + claimedNames(shop.queue).length
          return left === 0 || child.said('ready').length > 1
        })
      const ended = await Promise.race([child.ended, isOver().then(() => undefined)])
      if (ended === undefined) {
        child.kill('SIGTERM')
        await child.ended
        break
      }
      deaths++
    }
    expect(deaths).toBe(3)
    expect(fs.readdirSync(shop.queue.paths.fail)).toEqual([poison])
    expect(fs.readdirSync(shop.queue.paths.done)).toEqual([innocent])
    expect((await shop.queue.attempts(poison)).at(-1)).toMatchObject({ outcome: 'failed', reason: 'crashed' })
    expect((await endings(shop, poison)).filter((outcome) => outcome === 'crashed')).toHaveLength(3)
  })
})

describe('a worker that closes', () => {
  test('leaves no marks when it is killed before its handlers have ended', async () => {
    const shop = await bench(...Array.from({ length: 8 }, (_, number) => [String(number)]))
    const closing = worker(shop, 'deaf', { concurrency: 8, closeOn: ['SIGTERM'] })
    await until('8 items run', () => closing.said('started').length === 8)
    closing.kill('SIGTERM')
    await closing.says('state')
    closing.kill()
    await closing.ended
    const next = await shop.queue.work(() => undefined, { concurrency: 8 })
    await next.idle()
    expect(next.counters).toMatchObject({ crashed: 0, done: 8 })
    expect([await marks(shop), logFiles(shop.queue)]).toEqual([[], []])
  })

  test('leaves nothing: neither its directory nor a file in meta/', async () => {
    const shop = await bench(['a'], ['b'])
    const closed = await shop.queue.work(() => undefined)
    await closed.idle()
    expect(workerNames(shop.queue)).toHaveLength(1)
    await closed.close()
    await shop.queue.close()
    expect(workerNames(shop.queue)).toEqual([])
    const workers = path.join(shop.queue.path, 'meta', 'workers')
    expect(fs.existsSync(workers) ? fs.readdirSync(workers) : []).toEqual([])
  })
})

test('a worker of a loop leaves no marks: only queue.work() says what it has in hand', async () => {
  const shop = await bench(['a'])
  const dead = new Child('hold-item.mjs', { root: shop.root })
  await dead.says('held')
  dead.kill()
  await dead.ended
  const next = await shop.queue.work(() => undefined)
  await next.idle()
  expect(next.counters).toMatchObject({ crashed: 0, done: 1 })
  expect(await marks(shop)).toEqual([])
})

test('two workers of one handle share a directory, and both tell what they have in hand', async () => {
  const shop = await bench(['a'], ['b'])
  const inHand: string[] = []
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  const run = async ({ id }: { id: string }): Promise<void> => {
    inHand.push(id)
    await opened
  }
  await shop.queue.work(run)
  await shop.queue.work(run)
  await until('both run', () => inHand.length === 2)
  expect(workerNames(shop.queue)).toHaveLength(1)
  const told = (await shop.queue.workers()).flatMap(({ items }) => items.map(({ id }) => id))
  expect(told.toSorted()).toEqual(shop.ids.toSorted())
  open()
  await until('both are done', () => fs.readdirSync(shop.queue.paths.done).length === 2)
})

test('claimed/ cannot be looked through: the report names it, and the items in queue/ are worked', async () => {
  const { root } = await bench(['a'])
  const reports: Report[] = []
  const queue = new Queue('q', { root, durability: 'none', onReport: (report) => void reports.push(report) })
  queues.push(queue)
  const failure = { errno: -os.constants.errno.EMFILE, syscall: 'openat', path: 'claimed' }
  const seize = jest.spyOn(native, 'seize').mockResolvedValue(failure)
  try {
    const worker = await queue.work(() => undefined)
    await until('it is done', () => worker.counters.done === 1)
    await until('it is reported', () => reports.length > 0)
  } finally {
    seize.mockRestore()
  }
  expect(reports).toEqual([
    expect.objectContaining({
      type: 'unmovable',
      name: 'claimed',
      message: expect.stringMatching(/^cannot be looked through.*EMFILE/),
    }),
  ])
})
