// Failures of a bulk on its way into the queue, and the files that a kill leaves.
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, argsIn, filesOf, makeDirectory, until } from '../support/child.js'
import { compareItemNames } from '../support/fifo-order.js'

const COUNT = 1000
const NUMBERS = Array.from({ length: COUNT }, (_, index) => index)

interface Bed {
  readonly root: string
  readonly pause: string
  readonly begin: (faults: string) => Child
  /** The numbers of the items in queue/, in their order of work. */
  readonly waiting: () => number[]
}

/** `empty`: each so manieth item is. */
async function makeBed(durability = 'none', empty = 0): Promise<Bed> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root })
  await queue.close()
  return {
    root,
    pause: path.join(root, 'paused'),
    begin: (faults) => new Child('enqueue-many.mjs', { root, count: COUNT, durability, empty }, { faults }),
    waiting: () =>
      filesOf(queue.path, 'queue')
        .map(({ name }) => name)
        .sort(compareItemNames)
        .map((name) => Number(argsIn(name)[0])),
  }
}

function isWhole(root: string): boolean {
  return filesOf(path.join(root, 'q'), 'queue').every(
    ({ name, path: file }) => fs.readFileSync(file, 'utf8') === `payload ${argsIn(name)[0] ?? ''}`,
  )
}

test('items are linked in the order of the entries', async () => {
  const { root, pause, begin, waiting } = await makeBed()
  const child = begin(`enqueue.link#500=pause:${pause}`)
  await until('the 500th is about to be linked', () => fs.existsSync(pause))
  expect(waiting()).toEqual(NUMBERS.slice(0, 499))
  fs.unlinkSync(pause)
  expect(await child.says('failed')).toEqual({ failed: [] })
  expect(waiting()).toEqual(NUMBERS)
  expect(isWhole(root)).toBe(true)
})

test('one that cannot be written fails alone', async () => {
  const { root, begin, waiting } = await makeBed()
  const { failed } = (await begin('enqueue.write#300=errno:28').says('failed')) as { failed: unknown[][] }
  expect(failed).toEqual([[expect.any(Number), 'ERR_FSQ_DISK_FULL']])
  expect(waiting()).toEqual(NUMBERS.filter((number) => number !== failed[0]?.[0]))
  expect(isWhole(root)).toBe(true)
  expect(filesOf(path.join(root, 'q'), 'tmp')).toEqual([])
})

test('where descriptors run out, those that are built are linked first', async () => {
  const { begin, waiting } = await makeBed('enqueue')
  const child = begin('enqueue.open#40=errno:24;enqueue.open#700=errno:23')
  expect(await child.says('failed')).toEqual({ failed: [] })
  expect(waiting()).toEqual(NUMBERS)
})

describe.each(['none', 'enqueue'])('durability %s', (durability) => {
  test.each([
    ['an item', 'enqueue.link#100=errno:17'],
    ['the first and the last one of a group', 'enqueue.link#1=errno:17;enqueue.link#65=errno:17'],
    ['one in tmp/', 'enqueue.open#1=errno:95;enqueue.open#100=errno:17'],
    [
      'one in tmp/ and then in queue/',
      'enqueue.open#1=errno:95;enqueue.open#80=errno:17;enqueue.link#90=errno:17',
    ],
    ['one that is built again', 'enqueue.link#70=errno:2;enqueue.link#71=errno:2;enqueue.link#72=errno:17'],
  ])(
    '%s whose name was taken gets another one, and those after it still come after it',
    async (_, faults) => {
      const { root, begin, waiting } = await makeBed(durability)
      expect(await begin(faults).says('failed')).toEqual({ failed: [] })
      expect(waiting()).toEqual(NUMBERS)
      expect(isWhole(root)).toBe(true)
    },
  )

  // An empty one is made in queue/ at once, when those before it have been linked.
  test.each(['enqueue.link#5=errno:17', 'enqueue.link#8=errno:17', 'enqueue.open#11=errno:17'])(
    '%s: so it is among empty ones',
    async (faults) => {
      const { begin, waiting } = await makeBed(durability, 10)
      expect(await begin(faults).says('failed')).toEqual({ failed: [] })
      expect(waiting()).toEqual(NUMBERS)
    },
  )
})

test('killed in the middle, all that can be seen is whole, and nothing is missing before it', async () => {
  const { root, begin, waiting } = await makeBed()
  const child = begin('enqueue.link#400=kill')
  expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL' })
  expect(waiting()).toEqual(NUMBERS.slice(0, 399))
  expect(isWhole(root)).toBe(true)
})
