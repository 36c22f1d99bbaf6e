// What a log shows of the objects that users log first.
import path from 'node:path'
import { inspect } from 'node:util'

import { expect, test } from '@jest/globals'

import { FsqError, ItemFinishedError } from '../src/errors/classes.js'
import { forward } from '../src/forward/forward.js'
import { Forwarder } from '../src/forward/forwarder.js'
import { WorkItem } from '../src/item/work-item.js'
import { lockSync } from '../src/lock.js'
import { noCounts } from '../src/work/journal.js'
import { checkError, errorOf, takeOne, useTestBed } from './support/queue.js'

const bed = useTestBed({ quick: true })

test('an item, claimed and listed', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('text', ['a', 'b'])
  const item = await takeOne(queue)
  const { key, enqueuedAt } = item
  const known = { id, key, args: ['a', 'b'], tries: 0, enqueuedAt }
  expect(inspect(item)).toBe(`WorkItem ${inspect({ ...known, size: 4 })}`)
  expect(inspect({ in: { deep: { down: item } } })).toContain('[WorkItem]')
  expect(JSON.parse(JSON.stringify(item))).toEqual({
    ...known,
    enqueuedAt: enqueuedAt.toISOString(),
    size: 4,
  })
  await item.done()
  for await (const listed of queue.items({ state: 'done' }))
    expect(inspect(listed)).toBe(`ListedItem ${inspect({ ...known, state: 'done' })}`)
})

test('a queue and a lock', async () => {
  const queue = await bed.install()
  const { name, path: where } = queue
  expect(inspect(queue)).toBe(`Queue ${inspect({ name, path: where })}`)
  const file = path.join(where, 'a.lock')
  const lock = lockSync(file)
  lock.unlock()
  expect(inspect(lock)).toBe(`FileLock ${inspect({ path: file, kind: 'flock', shared: false, held: false })}`)
})

test('a worker and a forwarder, without the parts of an EventEmitter', async () => {
  const queue = await bed.install()
  const worker = await queue.work(() => undefined, { paused: true, concurrency: 2 })
  const parts = { id: worker.id, state: 'paused', concurrency: 2, running: 0, counters: noCounts() }
  expect(inspect(worker)).toBe(`Worker ${inspect(parts)}`)
  expect(inspect({ in: { deep: { down: worker } } })).toContain('[Worker]')
  const put = (): never => {
    throw new Error('no items')
  }
  const forwarder = await forward(queue, { name: 'sink', remembers: Infinity, put }, { paused: true })
  const { id, numbers, inFlight } = forwarder
  expect(inspect(forwarder)).toBe(
    `Forwarder ${inspect({ id, sink: 'sink', state: 'paused', inFlight, numbers })}`,
  )
  await forwarder.close()
  await worker.close()
})

test.each([
  [WorkItem, /^new WorkItem\(\) makes no item\. Get claimed items from queue\.work/],
  [Forwarder, /^new Forwarder\(\) makes no forwarder\. Call forward\(queue, sink\)$/],
])('%p is made by calls', async (made, says) => {
  const Made = made as unknown as new () => unknown
  checkError(await errorOf(async () => new Made()), { type: FsqError, says })
})

test('a read of a finished item: the error says to read before the finish', async () => {
  const queue = await bed.install()
  await queue.enqueue('text')
  const item = await takeOne(queue)
  await item.done()
  checkError(await errorOf(async () => item.text()), { type: ItemFinishedError, says: /Read an item before/ })
})
