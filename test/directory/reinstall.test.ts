import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { ItemGoneError, QueueMissingError } from '../../src/errors/classes.js'
import type { Queue } from '../../src/queue.js'
import type { QueueOptions } from '../../src/queue.js'
import {
  EMPTY,
  checkError,
  contents,
  drain,
  errorOf,
  inProgram,
  plant,
  takeOne,
  useTestBed,
} from '../support/queue.js'
import { tree } from './tree.js'

const bed = useTestBed()

describe('installed anew under an open handle', () => {
  const ways: readonly (readonly [string, (options?: QueueOptions) => Promise<void>])[] = [
    [
      'uninstalled and installed',
      async () => {
        await bed.open().uninstall({ force: true })
        await bed.install()
      },
    ],
    [
      'replaced by force',
      async () => {
        await bed.install({ force: true })
      },
    ],
    [
      'moved away and installed',
      async () => {
        fs.renameSync(bed.path('q'), bed.path('old'))
        await bed.install()
      },
    ],
    [
      'a link that leads to another queue now',
      async () => {
        fs.renameSync(bed.path('q'), bed.path('old'))
        await bed.install({}, 'new')
        fs.symlinkSync('new', bed.path('q'))
      },
    ],
  ]

  async function used(): Promise<Queue> {
    const queue = await bed.install()
    const [item] = [await queue.enqueueMany([{ data: 'old' }, { data: 'old' }]), await takeOne(queue)].slice(
      1,
    )
    if (item !== undefined && 'done' in item) await item.done()
    await queue.counts()
    return queue
  }

  test('again and again: at most one more than is in use is open', async () => {
    const answer = await inProgram<Record<string, number>>(
      `const queue = new Queue('q', { root: given.root })
      const descriptors = () => fs.readdirSync('/dev/fd').length
      const uses = {
        enqueueSync: () => queue.enqueueSync('x'),
        enqueue: () => queue.enqueue('x'),
        scan: async () => {
          queue.enqueueSync('x')
          for await (const item of queue.scan()) await item.done()
        },
        counts: () => queue.counts(),
      }
      await Queue.install('q', { root: given.root })
      await uses.scan()
      const loop = queue.scanForever()
      queue.enqueueSync('claimed')
      const { value: claimed } = await loop.next()
      const before = descriptors()
      const open = {}
      for (const [name, use] of Object.entries(uses)) {
        for (let time = 0; time < 60; time++) {
          fs.renameSync(given.root + '/q', given.root + '/old' + name + time)
          await Queue.install('q', { root: given.root }).then((other) => other.close())
          await use()
        }
        open[name] = descriptors() - before
      }
      // An item that was claimed long ago is finished where it was claimed.
      await claimed.done()
      open.finished = fs.readdirSync(given.root + '/oldenqueueSync0/done').length - 1
      queue.enqueueSync('new')
      const { value } = await loop.next()
      open.new = (await value.text()) === 'new' ? 0 : 1
      await value.done()
      await loop.return()
      await queue.close()
      return open`,
      { given: { root: bed.root }, shell: 'ulimit -n 100' },
    )
    // A queue has five. That of the item is in use all along, that of the last call is, and one more may be.
    for (const count of Object.values(answer)) expect(count).toBeLessThanOrEqual(10)
    expect(answer).toMatchObject({ finished: 1, new: 0 })
  })

  describe.each(ways)('%s', (_how, again) => {
    test.each([
      ['enqueue', async (queue: Queue) => queue.enqueue('new')],
      ['enqueue of nothing', async (queue: Queue) => queue.enqueue(null)],
      ['enqueueSync', async (queue: Queue) => queue.enqueueSync('new')],
      ['enqueueMany', async (queue: Queue) => (await queue.enqueueMany([{ data: 'new' }]))[0] ?? ''],
    ])('%s goes to the new one', async (_what, enqueue) => {
      const queue = await used()
      await again()
      const ids = [await enqueue(queue), await enqueue(queue)]
      expect(contents(bed.open())).toEqual({ ...EMPTY, queue: [...ids].sort() })
    })

    test('enqueues at the same time do, all of them', async () => {
      const queue = await used()
      await again()
      const ids = await Promise.all(Array.from({ length: 300 }, async () => queue.enqueue('new')))
      expect(contents(bed.open())).toEqual({ ...EMPTY, queue: [...ids].sort() })
    })

    test('scan works the new one', async () => {
      const queue = await used()
      await again()
      const id = await bed.open().enqueue('new')
      expect(await drain(queue)).toEqual([id])
      expect(contents(bed.open())).toEqual({ ...EMPTY, done: [id] })
    })

    test('lists, finds and counts the new one', async () => {
      const queue = await used()
      await again()
      const anew = bed.open()
      expect(await queue.counts()).toEqual({ waiting: 0, done: 0, failed: 0, tmp: 0 })
      const id = await anew.enqueue('new')
      plant(anew, id, 'new', 'done')
      plant(anew, id, 'new', 'fail')
      for (const state of ['waiting', 'done', 'failed'] as const) {
        const ids = []
        for await (const item of queue.items({ state })) ids.push(item.id)
        expect(ids).toEqual([id])
      }
      expect((await queue.find(id))?.state).toBe('waiting')
      expect(await queue.counts()).toEqual({ waiting: 1, done: 1, failed: 1, tmp: 0 })
    })
  })

  test('an item claimed before has gone with the old one', async () => {
    const queue = await bed.install()
    await queue.enqueue('old')
    const item = await takeOne(queue)
    await bed.install({ force: true })
    const id = await queue.enqueue('new')
    checkError(await errorOf(async () => item.done()), {
      type: ItemGoneError,
      cause: 'ESTALE',
      says: /another process has moved or removed/,
    })
    expect(contents(bed.open())).toEqual({ ...EMPTY, queue: [id] })
    expect(await drain(queue)).toEqual([id])
  })

  test('items of both are finished in one tick, each in its own', async () => {
    const queue = await bed.install()
    const old = await queue.enqueue('old')
    const items = [await takeOne(queue)]
    fs.renameSync(bed.path('q'), bed.path('old'))
    await bed.install()
    const anew = await queue.enqueue('new')
    items.push(await takeOne(queue))
    await Promise.all(items.map(async (item) => item.done()))
    expect(tree(bed.root)).toEqual({
      old: { queue: {}, tmp: {}, done: { [old]: 'old' }, fail: {} },
      q: { queue: {}, tmp: {}, done: { [anew]: 'new' }, fail: {} },
    })
  })

  test('and gone for good is an error', async () => {
    const queue = await bed.install()
    await queue.enqueue('x')
    await bed.open().uninstall({ force: true })
    const isMissing = {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('q'),
      says: /Install it with Queue\.install/,
    } as const
    checkError(await errorOf(async () => queue.enqueue('x')), isMissing)
    checkError(await errorOf(() => queue.enqueueSync('x')), isMissing)
    checkError(await errorOf(async () => drain(queue)), isMissing)
    checkError(await errorOf(async () => queue.counts()), isMissing)
    // Once it is back, the handle is good again.
    await bed.install()
    const id = await queue.enqueue('x')
    expect(await drain(queue)).toEqual([id])
  })
})
