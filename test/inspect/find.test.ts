/** Ids and keys: both are what operators type, and one can look like the other. */
import fs from 'node:fs'

import { describe, expect, jest, test } from '@jest/globals'

import { QueueDirectory } from '../../src/directory/open-directory.js'
import { layoutOf } from '../../src/directory/layout.js'
import { Finder } from '../../src/inspect/find.js'
import { Slices } from '../../src/inspect/slices.js'
import { STATES } from '../../src/inspect/states.js'
import type { Queue } from '../../src/queue.js'
import { itemName, pathOf, plant, useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })
const key = (args: string[]): string => itemName({ args }).replace('_mss_0', '_mss')

async function findAll(queue: Queue, ...ids: string[]): Promise<string[][]> {
  const directory = new QueueDirectory(layoutOf('q', queue.settings), queue.settings)
  try {
    const found = await new Finder(directory, queue.settings, new Slices()).findAll(ids, STATES)
    return ids.map((id) => (found.get(id) ?? []).map(({ state, parsed }) => `${state} ${parsed.raw}`).sort())
  } finally {
    directory.close()
    directory.closeDescriptors()
  }
}

describe('several items at once', () => {
  test('are found by ids, by ids of other tries, and by keys', async () => {
    const queue = await bed.install()
    for (const name of ['a', 'b', 'c']) plant(queue, itemName({ tries: 2, args: [name] }), '', 'fail')
    const [a, b, c] = ['a', 'b', 'c'].map((name) => [`failed ${itemName({ tries: 2, args: [name] })}`])
    expect(
      await findAll(queue, itemName({ tries: 2, args: ['a'] }), itemName({ args: ['b'] }), key(['c'])),
    ).toEqual([a, b, c])
  })

  test('are found by each of two ids that have one key', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ tries: 2 }))
    const found = [`waiting ${itemName({ tries: 2 })}`]
    expect(await findAll(queue, itemName({ tries: 0 }), itemName({ tries: 1 }))).toEqual([found, found])
  })

  test('that have one key are all found by it', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ tries: 1 }))
    plant(queue, itemName({ tries: 2 }), '', 'done')
    expect(await findAll(queue, key(['x']))).toEqual([
      [`done ${itemName({ tries: 2 })}`, `waiting ${itemName({ tries: 1 })}`],
    ])
  })

  test('are not found by what is no name', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    expect(await findAll(queue, '', '..', `../queue/${itemName()}`, 'a\0b', 'a'.repeat(256))).toEqual(
      Array.from({ length: 5 }, () => []),
    )
  })
})

describe('a key', () => {
  test('does not find an item that lacks its last argument', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ args: [] }))
    plant(queue, itemName({ args: ['x'] }))
    expect(await findAll(queue, key(['x']))).toEqual([[`waiting ${itemName({ args: ['x'] })}`]])
    expect((await queue.find(key(['x'])))?.args).toEqual(['x'])
  })

  test('whose first argument is a number finds its item, though it looks like an id', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ args: ['7', 'x'] }))
    expect(await findAll(queue, key(['7', 'x']))).toEqual([[`waiting ${itemName({ args: ['7', 'x'] })}`]])
    expect((await queue.find(key(['7', 'x'])))?.args).toEqual(['7', 'x'])
  })
})

/** An item that goes back to queue/ when the names in there have just been read. */
describe('an item that moves while it is looked for', () => {
  const moved = itemName({ args: ['moved'] })

  async function finderOf(queue: Queue): Promise<{ finder: Finder; close: () => void }> {
    plant(queue, itemName({ args: ['other'] }))
    plant(queue, moved, '', 'fail')
    const slices = new Slices()
    jest.spyOn(slices, 'isOver', 'get').mockImplementationOnce(() => {
      fs.renameSync(pathOf(queue, 'fail', moved), pathOf(queue, 'queue', moved))
      return false
    })
    const directory = new QueueDirectory(layoutOf('q', queue.settings), queue.settings)
    await directory.open()
    return {
      finder: new Finder(directory, queue.settings, slices),
      close: () => {
        directory.close()
        directory.closeDescriptors()
      },
    }
  }

  test('is found', async () => {
    const { finder, close } = await finderOf(await bed.install())
    expect(await finder.find(key(['moved']), STATES)).toMatchObject({ state: 'waiting' })
    close()
  })

  test('is found, once, among others', async () => {
    const { finder, close } = await finderOf(await bed.install())
    const ids = [key(['other']), key(['moved']), itemName({ args: ['moved'], tries: 1 }), key(['none'])]
    const found = await finder.findAll(ids, STATES)
    expect(ids.map((id) => found.get(id)?.map(({ state }) => state))).toEqual([
      ['waiting'],
      ['waiting'],
      ['waiting'],
      [],
    ])
    close()
  })
})
