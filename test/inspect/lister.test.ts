import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { QueueMissingError, SettingError } from '../../src/errors/classes.js'
import type { ListedItem } from '../../src/inspect/lister.js'
import type { ItemState } from '../../src/inspect/states.js'
import { native } from '../../src/addon/native.js'
import type { Queue } from '../../src/queue.js'
import {
  type Directory,
  checkError,
  drain,
  errorOf,
  isLocked,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  until,
  useTestBed,
} from '../support/queue.js'
import { compareItemNames } from '../support/fifo-order.js'

const bed = useTestBed()
const PLACES: readonly (readonly [ItemState, Directory])[] = [
  ['waiting', 'queue'],
  ['done', 'done'],
  ['failed', 'fail'],
]

async function list(queue: Queue, state?: ItemState): Promise<ListedItem[]> {
  const items: ListedItem[] = []
  for await (const item of queue.items(state === undefined ? {} : { state })) items.push(item)
  return items
}

const ids = async (queue: Queue, state?: ItemState): Promise<string[]> =>
  (await list(queue, state)).map(({ id }) => id)

describe('items', () => {
  test('are listed by their state, those that wait if none is given', async () => {
    const queue = await bed.install()
    for (const [state, place] of PLACES) plant(queue, itemName({ args: [state] }), '', place)
    plant(queue, itemName({ args: ['under-construction'] }), '', 'tmp')
    for (const [state] of PLACES) {
      const [item, ...more] = await list(queue, state)
      expect(more).toEqual([])
      expect(item).toMatchObject({ state, id: itemName({ args: [state] }) })
      expect(fs.existsSync(item?.path ?? '')).toBe(true)
    }
    expect(await ids(queue)).toEqual([itemName({ args: ['waiting'] })])
  })

  test('say what their names say', async () => {
    const queue = await bed.install({ utc: true })
    plant(queue, '-20120710213904-17-13044-mss-3-a%2db-\xc3\xa9')
    const [item] = await list(queue)
    expect(item).toMatchObject({
      id: '-20120710213904-17-13044-mss-3-a%2db-é',
      key: '-20120710213904-17-13044-mss-a%2db-é',
      args: ['a-b', 'é'],
      tries: 3,
      enqueuedAt: new Date('2012-07-10T21:39:04Z'),
      hostname: 'mss',
      pid: '13044',
      entropy: '17',
      path: bed.path('q', 'queue', '-20120710213904-17-13044-mss-3-a%2db-é'),
    })
  })

  test('are those that are items', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    plant(queue, itemName({ args: ['\xff'] }))
    fs.mkdirSync(pathOf(queue, 'queue', itemName({ entropy: 1 })))
    fs.symlinkSync('nowhere', pathOf(queue, 'queue', itemName({ entropy: 2 })))
    plant(queue, itemName({ entropy: 3 }))
    expect(await ids(queue)).toEqual([itemName({ entropy: 3 })])
    expect(bed.reports).toEqual([])
    // A look changes nothing.
    expect(names(queue, 'queue')).toHaveLength(5)
  })

  test('exhausted, expired, delayed and of a queue that is down are listed as well', async () => {
    const queue = await bed.install({ ttl: 1 })
    plant(queue, itemName({ tries: 7 }))
    const id = await queue.enqueue('x', [], { delay: 3_600_000 })
    await queue.down()
    expect(await ids(queue)).toEqual([itemName({ tries: 7 }), id])
  })

  describe.each(PLACES)('%s', (state, place) => {
    test('2,500 of them come in FIFO order, and page by page', async () => {
      const queue = await bed.install()
      const all = Array.from({ length: 2500 }, (_, index) => itemName({ entropy: index * 7919 }))
      for (const name of [...all].reverse()) plant(queue, name, '', place)
      expect(await ids(queue, state)).toEqual([...all].sort(compareItemNames))
      // An item that is gone by then is still listed: the list has the items that were there at its beginning.
      const walk = queue.items({ state })
      const first = (await walk.next()).value
      expect(first?.id).toBe(all[0])
      await walk.return()
      expect(await walk.next()).toEqual({ done: true, value: undefined })
    })
  })

  test('left early or walked twice at once', async () => {
    const queue = await bed.install()
    await queue.enqueueMany(Array.from({ length: 10 }, (_, index) => ({ args: [index] })))
    const one = queue.items()
    const two = queue.items()
    const seen: (string | undefined)[][] = []
    for (let step = 0; step < 10; step++) {
      seen.push([(await one.next()).value?.args[0], (await two.next()).value?.args[0]])
      if (step === 4) for await (const item of queue.items()) if (item.args[0] === '3') break
    }
    expect(seen).toEqual(Array.from({ length: 10 }, (_, index) => [String(index), String(index)]))
  })

  test.each(['', 'queue', 'tmp', 'toString', 5, null])('of the state %p there are none', async (state) => {
    const queue = await bed.install()
    const error = await errorOf(async () => list(queue, state as ItemState))
    checkError(error, { type: SettingError, says: /state is .*expected one of 'waiting', 'done', 'failed'/ })
  })

  test('that vanish while they are listed do no harm', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([{ args: ['a'] }, { args: ['b'] }])
    const seen: string[][] = []
    for await (const item of queue.items()) {
      seen.push([...item.args])
      await drain(queue)
    }
    expect(seen).toEqual([['a'], ['b']])
  })
})

describe('find', () => {
  test.each(PLACES)('finds an item that is %s, by its id and by its key', async (state, place) => {
    const queue = await bed.install()
    plant(queue, itemName({ entropy: 1 }), '', place)
    const name = itemName({ entropy: 2, tries: 3, args: ['a%5fb', '\xc3\xa9'] })
    plant(queue, name, '', place)
    const id = itemName({ entropy: 2, tries: 3, args: ['a%5fb', 'é'] })
    const key = id.replace('_mss_3_', '_mss_')
    for (const wanted of [id, key, id.replace('_mss_3_', '_mss_0_')]) {
      expect(await queue.find(wanted)).toMatchObject({ state, id, key, tries: 3, args: ['a_b', 'é'] })
    }
  })

  test('follows an item through its life', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const id = await queue.enqueue('x')
    expect(await queue.find(id)).toMatchObject({ state: 'waiting', id })
    const item = await takeOne(queue)
    expect(await queue.find(id)).toMatchObject({ state: 'waiting', id })
    await item.retry()
    expect(await queue.find(id)).toMatchObject({ state: 'waiting', id: item.id, tries: 1 })
    const again = await takeOne(queue)
    await again.done()
    expect(await queue.find(id)).toMatchObject({ state: 'done', id: again.id })
    expect(await queue.find(again.key)).toMatchObject({ state: 'done', id: again.id })
  })

  test.each(['', '.', '..', '/', '../done', 'a/b', 'a\0b', '_', 'x'.repeat(300), itemName(), '\n'])(
    'does not find %j',
    async (wanted) => {
      const queue = await bed.install()
      await queue.enqueue('x')
      expect(await queue.find(wanted)).toBeUndefined()
    },
  )

  test('does not find what is no item', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    fs.mkdirSync(pathOf(queue, 'queue', itemName()))
    expect(await queue.find('malformed')).toBeUndefined()
    expect(await queue.find(itemName())).toBeUndefined()
  })

  test('finds one among many whose names begin alike', async () => {
    const queue = await bed.install()
    for (let entropy = 0; entropy < 1200; entropy++) plant(queue, itemName({ entropy, tries: 2 }), '', 'done')
    expect(await queue.find(itemName({ entropy: 1150 }))).toMatchObject({ state: 'done', entropy: '1150' })
  })

  test('finds names of another charset', async () => {
    const queue = await bed.install({ charset: 'latin-1' })
    const id = await queue.enqueue('x', ['é'])
    expect(await queue.find(id)).toMatchObject({ id, args: ['é'] })
  })
})

describe('counts', () => {
  test('the files of each directory', async () => {
    const queue = await bed.install()
    expect(await queue.counts()).toEqual({ waiting: 0, done: 0, failed: 0, tmp: 0 })
    const many: readonly (readonly [Directory, number])[] = [
      ['queue', 4],
      ['done', 3],
      ['fail', 2],
      ['tmp', 1],
    ]
    for (const [place, count] of many) {
      for (let entropy = 0; entropy < count; entropy++) plant(queue, itemName({ entropy }), '', place)
      fs.mkdirSync(pathOf(queue, place, 'a-directory'))
    }
    expect(await queue.counts()).toEqual({ waiting: 4, done: 3, failed: 2, tmp: 1 })
  })

  test('thousands', async () => {
    const queue = await bed.install({ durability: 'none' })
    await queue.enqueueMany(Array.from({ length: 2500 }, () => ({})))
    expect(await queue.counts()).toMatchObject({ waiting: 2500 })
  })
})

describe('isEmpty', () => {
  test('until there is a file in queue/, whatever else there is', async () => {
    const queue = await bed.install()
    expect(await queue.isEmpty()).toBe(true)
    fs.mkdirSync(pathOf(queue, 'queue', 'a-directory'))
    fs.symlinkSync('/etc/passwd', pathOf(queue, 'queue', 'a-link'))
    plant(queue, itemName(), '', 'tmp')
    expect(await queue.isEmpty()).toBe(true)
    const id = await queue.enqueue('x', [], { delay: 1 })
    expect(await queue.isEmpty()).toBe(false)
    expect(await queue.find(id)).toBeDefined()
    await until('it is due', async () => (await drain(queue)).length > 0)
    expect(await queue.isEmpty()).toBe(true)
  })

  test('not while an item is being worked on', async () => {
    const queue = await bed.install()
    await queue.enqueue('x')
    const item = await takeOne(bed.open())
    expect(await queue.isEmpty()).toBe(false)
    await item.done()
    expect(await queue.isEmpty()).toBe(true)
  })
})

describe('a look', () => {
  const looks: readonly (readonly [string, (queue: Queue, id: string) => Promise<unknown>])[] = [
    ['items', async (queue) => list(queue)],
    ['find by id', async (queue, id) => queue.find(id)],
    ['find by key', async (queue, id) => queue.find(id.replace('_0_', '_'))],
    ['counts', async (queue) => queue.counts()],
    ['isEmpty', async (queue) => queue.isEmpty()],
  ]

  test.each(looks)('%s of a missing queue is an error', async (_what, look) => {
    const error = await errorOf(async () => look(bed.open(), itemName()))
    checkError(error, {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('q'),
      says: /There is no queue 'q' in .*Install it with Queue\.install/,
    })
  })

  test('sees what others hold', async () => {
    const queue = await bed.install()
    const all = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }, { data: 'c' }])
    bed.lock(pathOf(queue, 'queue', all[0] ?? ''))
    const item = await takeOne(bed.open())
    expect(item.id).toBe(all[1])
    expect(await ids(queue)).toEqual(all)
    expect(await queue.counts()).toMatchObject({ waiting: 3 })
    for (const id of all) expect(await queue.find(id)).toMatchObject({ state: 'waiting', id })
  })

  test('locks nothing and holds nothing, also half-way', async () => {
    const queue = await bed.install()
    const all = await queue.enqueueMany(Array.from({ length: 5 }, () => ({ data: 'x' })))
    const walk = queue.items()
    await walk.next()
    expect(all.map((id) => isLocked(pathOf(queue, 'queue', id)))).toEqual(all.map(() => false))
    expect(native.heldClaims()).toBe(0)
    expect(await drain(bed.open())).toEqual(all)
    await walk.return()
  })

  // A lock that is held for a moment would make the scan pass an item by.
  test('never disturbs a scan', async () => {
    const queue = await bed.install({ durability: 'none' })
    const other = bed.open()
    for (let round = 0; round < 25; round++) {
      const all = await queue.enqueueMany(Array.from({ length: 20 }, () => ({ data: 'x' })))
      let isOver = false
      const looking = async (): Promise<void> => {
        while (!isOver) for (const [, look] of looks) await look(other, all[19] ?? '')
      }
      const lookers = [looking(), looking(), looking()]
      expect(await drain(queue)).toEqual(all)
      isOver = true
      await Promise.all(lookers)
    }
  })
})
