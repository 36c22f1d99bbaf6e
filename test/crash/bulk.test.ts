// What a bulk meets on its way into the queue, and what a kill leaves.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { compareItemNames } from '../../src/name/item-name.js'
import { Child, argsIn, filesOf, makeDirectory, until } from '../support/child.js'

const COUNT = 1000
const NUMBERS = Array.from({ length: COUNT }, (_, index) => index)

interface Bed {
  readonly root: string
  readonly pause: string
  readonly begin: (faults: string) => Child
  /** The numbers of the items in queue/, in their order of work. */
  readonly waiting: () => number[]
}

async function makeBed(durability = 'none'): Promise<Bed> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root })
  await queue.close()
  return {
    root,
    pause: path.join(root, 'paused'),
    begin: (faults) => new Child('child-bulk.mjs', { root, count: COUNT, durability }, { faults }),
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

test('an item whose name was taken gets another one, and those after it still come after it', async () => {
  const { root, begin, waiting } = await makeBed()
  expect(await begin('enqueue.link#100=errno:17').says('failed')).toEqual({ failed: [] })
  expect(waiting()).toEqual(NUMBERS)
  expect(isWhole(root)).toBe(true)
})

test('so does one whose name in tmp/ was taken', async () => {
  const { root, begin, waiting } = await makeBed()
  const faults = 'enqueue.open#1=errno:95;enqueue.open#100=errno:17'
  expect(await begin(faults).says('failed')).toEqual({ failed: [] })
  expect(waiting()).toEqual(NUMBERS)
  expect(isWhole(root)).toBe(true)
})

test('killed in the middle, all that can be seen is whole, and nothing is missing before it', async () => {
  const { root, begin, waiting } = await makeBed()
  const child = begin('enqueue.link#400=kill')
  expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL' })
  expect(waiting()).toEqual(NUMBERS.slice(0, 399))
  expect(isWhole(root)).toBe(true)
})
