import fs from 'node:fs'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  type Directory,
  EMPTY,
  contentOf,
  contents,
  drain,
  itemName,
  names,
  pathOf,
  plant,
  useTestBed,
} from '../support/queue.js'
import { type Action, finish, claim } from './finishes.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

describe('a name that is taken', () => {
  const places: readonly (readonly [Action, Directory, string])[] = [
    ['done', 'done', '0'],
    ['fail', 'fail', '0'],
    ['retry', 'queue', '1'],
  ]

  describe.each(['5', '17', '000', '999', 'abc', ''])('with the entropy %p', (entropy) => {
    test.each(places)('is never overwritten by %s', async (action, place, tries) => {
      const queue = await bed.install({ maxTries: 0 })
      const item = await claim(queue, itemName({ entropy }), 'mine')
      const taken = itemName({ entropy, tries })
      plant(queue, taken, 'other', place)
      const { key } = item
      await finish(item, action)
      // Anything that an application has stored under the key stays valid.
      expect(item.key).toBe(key)
      expect(names(queue, place)).toHaveLength(2)
      expect(contentOf(queue, place, taken)).toBe('other')
      expect(item.id).not.toBe(taken)
      expect(contentOf(queue, place, item.id)).toBe('mine')
      // Only the entropy is another, of no more digits.
      const [, , other = '', ...rest] = item.id.split('_')
      expect(['', '20120710213904', entropy, ...rest].join('_')).toBe(taken)
      expect(other).toMatch(/^\d+$/)
      expect(other.length).toBeLessThanOrEqual(Math.max(entropy.length, 1))
      expect(place === 'queue' ? contents(queue).done : contents(queue).queue).toEqual([])
    })
  })

  test.each(places)('hundreds of times is never overwritten by %s', async (action, place, tries) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue, itemName({ entropy: 20 }), 'mine')
    const taken = Array.from({ length: 90 }, (_, index) => itemName({ entropy: 10 + index, tries }))
    for (const name of taken) plant(queue, name, 'other', place)
    await finish(item, action)
    expect(taken.filter((name) => contentOf(queue, place, name) !== 'other')).toEqual([])
    expect(contentOf(queue, place, item.id)).toBe('mine')
    expect(names(queue, place)).toHaveLength(91)
  })

  test('by a directory or a dangling link is taken as well', async () => {
    const queue = await bed.install()
    fs.mkdirSync(pathOf(queue, 'done', itemName({ entropy: 1 })))
    fs.symlinkSync(bed.path('nowhere'), pathOf(queue, 'done', itemName({ entropy: 2 })))
    plant(queue, itemName({ entropy: 1 }), 'one')
    plant(queue, itemName({ entropy: 2 }), 'two')
    const ids: string[] = []
    for await (const item of queue.scan()) {
      await item.done()
      ids.push(item.id)
    }
    expect(ids.map((id) => contentOf(queue, 'done', id))).toEqual(['one', 'two'])
    expect(fs.existsSync(bed.path('nowhere'))).toBe(false)
    expect(names(queue, 'done')).toHaveLength(4)
  })
})

describe('two names of one file', () => {
  test.each(['done', 'fail'] as const)(
    'here and in %s/: it was finished, and does not run again',
    async (place) => {
      const queue = await bed.install()
      const name = itemName({ entropy: 1 })
      fs.linkSync(plant(queue, name, 'content'), pathOf(queue, place, name))
      const other = itemName({ entropy: 2 })
      plant(queue, other)
      expect(await drain(queue)).toEqual([other])
      expect(names(queue, 'queue')).toEqual([])
      expect(names(queue, place)).toContain(name)
      expect(fs.statSync(pathOf(queue, place, name)).nlink).toBe(1)
      expect(bed.reports.map(({ type, rawName }) => [type, rawName])).toEqual([['completed', name]])
    },
  )

  test.each([
    [0, 1],
    [9, 10],
  ])('of %i and %i tries: the one with fewer goes', async (fewer, more) => {
    const queue = await bed.install({ maxTries: 0 })
    const [left, meant] = [itemName({ tries: fewer }), itemName({ tries: more })]
    fs.linkSync(plant(queue, left, 'content'), pathOf(queue, 'queue', meant))
    const ids: string[] = []
    for await (const item of queue.scan()) {
      ids.push(item.id)
      item.release()
    }
    expect(ids).toEqual([meant])
    expect(names(queue, 'queue')).toEqual([meant])
    expect(fs.statSync(pathOf(queue, 'queue', meant))).toMatchObject({ nlink: 1 })
    expect(bed.reportTypes().filter((type) => type !== 'completed')).toEqual([])
  })

  test('here and in a backup: an item like any other', async () => {
    const queue = await bed.install()
    const name = itemName()
    fs.mkdirSync(bed.path('backup'))
    fs.linkSync(plant(queue, name, 'content'), bed.path('backup', name))
    expect(await drain(queue)).toEqual([name])
    expect(contents(queue)).toEqual({ ...EMPTY, done: [name] })
    expect(fs.readFileSync(bed.path('backup', name), 'utf8')).toBe('content')
    expect(bed.reports).toEqual([])
  })

  test('here and in tmp/: its producer is about to remove the other', async () => {
    const queue = await bed.install()
    const name = itemName()
    fs.linkSync(plant(queue, name, 'content', 'tmp'), pathOf(queue, 'queue', name))
    expect(await drain(queue)).toEqual([name])
    expect(contents(queue)).toEqual({ ...EMPTY, tmp: [name], done: [name] })
  })

  test('here and in a fellow of done/ that only has the same name', async () => {
    const queue = await bed.install()
    const name = itemName({ entropy: 3 })
    plant(queue, name, 'other', 'done')
    fs.linkSync(plant(queue, name, 'content'), bed.path('backup'))
    expect(await drain(queue)).toEqual([name])
    expect(names(queue, 'done')).toHaveLength(2)
    expect(contentOf(queue, 'done', name)).toBe('other')
  })

  test.each([
    ['done', 'done', itemName()],
    ['fail', 'fail', itemName()],
    ['retry', 'queue', itemName({ tries: 1 })],
  ] as const)('a %s that finds its own file there completes the move', async (action, place, name) => {
    const queue = await bed.install({ maxTries: 0 })
    const item = await claim(queue)
    fs.linkSync(item.path, pathOf(queue, place, name))
    await finish(item, action)
    expect(contents(queue)).toEqual({ ...EMPTY, [place]: [name] })
    expect(fs.statSync(pathOf(queue, place, name)).nlink).toBe(1)
    expect(item.id).toBe(name)
  })
})
