/** What queues with claims by renaming show of items that workers have claimed. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import type { Queue } from '../../src/queue.js'
import { itemName, names, plant, useTestBed } from '../support/queue.js'
import { HandWorker } from './by-hand.js'

const bed = useTestBed()

interface Stage {
  readonly queue: Queue
  readonly worker: HandWorker
  readonly claimed: string
  readonly waiting: string
  readonly delayed: string
}

/** One item of each kind; that of the worker is the first one. */
async function stage(): Promise<Stage> {
  const queue = await bed.install({ claims: 'rename' })
  const [claimed, waiting] = [itemName({ entropy: 1 }), itemName({ entropy: 2 })]
  plant(queue, claimed, 'claimed')
  plant(queue, waiting, 'waiting')
  const delayed = await queue.enqueue('delayed', ['x'], { delay: 3_600_000 })
  const worker = new HandWorker(queue)
  worker.claim(claimed)
  return { queue, worker, claimed, waiting, delayed }
}

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of list) found.push(one)
  return found
}

describe('items', () => {
  test('that are claimed are waiting ones, and have the path in claimed/', async () => {
    const { queue, worker, claimed, waiting, delayed } = await stage()
    const items = await all(queue.items())
    expect(items.map(({ id, state, path: file }) => [id, state, file])).toEqual([
      [claimed, 'waiting', path.join(worker.path, claimed)],
      [waiting, 'waiting', path.join(queue.paths.queue, waiting)],
      [delayed, 'waiting', path.join(queue.paths.queue, delayed)],
    ])
    for (const item of items) expect(fs.existsSync(item.path)).toBe(true)
    expect(await all(queue.items({ state: 'done' }))).toEqual([])
  })

  test('with the same name in queue/ and in claimed/ are two', async () => {
    const { queue, worker, claimed, waiting, delayed } = await stage()
    plant(queue, claimed, 'another')
    const paths = (await all(queue.items())).map((item) => item.path)
    expect(paths).toEqual([
      path.join(worker.path, claimed),
      ...[claimed, waiting, delayed].map((id) => path.join(queue.paths.queue, id)),
    ])
    expect(await queue.counts()).toMatchObject({ waiting: 4 })
  })

  test('are counted', async () => {
    const { queue } = await stage()
    expect(await queue.counts()).toEqual({ waiting: 3, done: 0, failed: 0, tmp: 0 })
    expect(await queue.stats()).toMatchObject({ waiting: 1, working: 1, delayed: 1 })
  })

  test('isEmpty() knows of claimed ones', async () => {
    const { queue, worker, claimed, waiting, delayed } = await stage()
    for (const id of [waiting, delayed]) fs.unlinkSync(path.join(queue.paths.queue, id))
    expect(names(queue, 'queue')).toEqual([])
    expect(await queue.isEmpty()).toBe(false)
    worker.move(claimed, 'done')
    expect(await queue.isEmpty()).toBe(true)
  })

  test('without claimed/ the queue is an empty one', async () => {
    const queue = await bed.install({ claims: 'rename' })
    fs.rmdirSync(path.join(queue.path, 'claimed'))
    expect(await queue.isEmpty()).toBe(true)
    expect(await all(queue.items())).toEqual([])
    expect(await queue.workers()).toEqual([])
  })
})

describe('find', () => {
  test('finds a claimed item by its id and by its key', async () => {
    const { queue, worker, claimed } = await stage()
    const key = (await queue.find(claimed))?.key ?? ''
    for (const idOrKey of [claimed, key]) {
      const item = await queue.find(idOrKey)
      expect([item?.id, item?.state, item?.path]).toEqual([
        claimed,
        'waiting',
        path.join(worker.path, claimed),
      ])
    }
    worker.move(claimed, 'fail')
    expect((await queue.find(key))?.state).toBe('failed')
  })

  test('finished() waits for an item while a worker has it', async () => {
    const { queue, worker, claimed } = await stage()
    let end: unknown
    const finished = queue.finished(claimed).then((result) => (end = result))
    // It has had its first look by then.
    await queue.stats()
    await queue.stats()
    expect(end).toBeUndefined()
    worker.move(claimed, 'done')
    expect(await finished).toEqual({ state: 'done', id: claimed })
  })
})

describe('workers', () => {
  test('are those whose lock is taken', async () => {
    const { queue, worker, claimed } = await stage()
    new HandWorker(queue, { pid: 1, random: '00000000000000bb', alive: false })
    expect(await queue.workers()).toEqual([
      {
        id: worker.name,
        host: os.hostname(),
        pid: 4242,
        started: new Date(0),
        concurrency: 3,
        state: 'running',
        counters: expect.any(Object),
        items: [{ id: claimed, key: expect.any(String), since: new Date(0) }],
      },
    ])
  })

  test('a loop that writes nothing down has what it has claimed', async () => {
    const queue = await bed.install({ claims: 'rename' })
    const id = await queue.enqueue('x')
    const worker = new HandWorker(queue, { host: 'other-host', pid: 7, writes: 'blank' })
    worker.claim(id)
    expect(await queue.workers()).toEqual([
      { id: worker.name, host: 'other-host', pid: 7, items: [{ id, key: expect.any(String) }] },
    ])
  })
})

describe('finished items', () => {
  test('that are also in claimed/, as their move was cut in half, are neither pruned nor redriven', async () => {
    const { queue, worker, claimed } = await stage()
    fs.linkSync(path.join(worker.path, claimed), path.join(queue.paths.fail, claimed))
    expect(await queue.prune({ failed: { count: 0 } })).toEqual({ removed: 0 })
    expect(await queue.redrive('all')).toEqual({ moved: 0, gone: 1 })
    fs.unlinkSync(path.join(worker.path, claimed))
    expect(await queue.redrive('all')).toEqual({ moved: 1, gone: 0 })
  })
})
