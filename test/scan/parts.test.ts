// A scan that lists some names at a time, so that its memory stays the same however many items wait.
import fs from 'node:fs'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import type { WorkItem } from '../../src/item/work-item.js'
import type { Queue } from '../../src/queue.js'
import type { ScanLoop } from '../../src/scan/loop.js'
import { type ScanOptions, scanQueue } from '../../src/scan/options.js'
import { Taker, lockedNames, names, pathOf, plantNumbered, until, useTestBed } from '../support/queue.js'

const bed = useTestBed()

function scan(queue: Queue, namesAtOnce: number, options: ScanOptions = {}): ScanLoop {
  const { context, scans } = queue.worked
  return scanQueue(context, scans, options, options.wait === true, { namesAtOnce })
}

/** Claims the items at these places of the queue, as another process does. */
async function claimByOther(isMeant: (place: number) => boolean): Promise<WorkItem[]> {
  const taker = new Taker(bed.open(), { prefetch: 1 })
  const claimed: WorkItem[] = []
  for (let place = 0; ; place++) {
    const item = await taker.next()
    if (item === undefined) return claimed
    if (isMeant(place)) claimed.push(item)
    else item.release()
  }
}

const ends = ['done', 'retry', 'release', 'later', 'keep'] as const

async function end(item: WorkItem, how: (typeof ends)[number]): Promise<void> {
  if (how === 'done') await item.done()
  else if (how === 'retry') await item.retry({ delay: 0 })
  else if (how === 'later') item.release({ delay: 60_000 })
  else if (how === 'release') item.release()
}

test('hands out each item that was there once, in order, however many names it lists at a time', async () => {
  const queue = await bed.install({ maxTries: 0, durability: 'none' })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ isHeld: fc.boolean(), how: fc.constantFrom(...ends) }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom(1, 3, 32),
      async (items, namesAtOnce, prefetch) => {
        const all = plantNumbered(queue, items.length)
        const kept = await claimByOther((place) => items[place]?.isHeld === true)
        const seen: string[] = []
        for await (const item of scan(queue, namesAtOnce, { prefetch })) {
          seen.push(item.id)
          const { how } = items[all.indexOf(item.id)] ?? { how: 'done' }
          if (how === 'keep') kept.push(item)
          await end(item, how)
          // Behind all others, so in no part of this pass.
          await queue.enqueue('', [])
        }
        expect(seen).toEqual(all.filter((_, place) => items[place]?.isHeld !== true))
        for (const item of kept) item.release()
        for (const name of names(queue, 'queue')) fs.rmSync(pathOf(queue, 'queue', name))
      },
    ),
    { numRuns: 40 },
  )
})

test('claims that a busy loop gives up come again, also those of an earlier part', async () => {
  const queue = await bed.install()
  const all = plantNumbered(queue, 12)
  const seen: string[] = []
  for await (const item of scan(queue, 3, { prefetch: 4 })) {
    seen.push(item.id)
    await until('the idle claims are free', () => lockedNames(queue).length === 1)
    await item.done()
  }
  expect(seen).toEqual(all)
})

test('in relaxed order each item comes once', async () => {
  const queue = await bed.install()
  const all = plantNumbered(queue, 700)
  const seen: string[] = []
  for await (const item of scan(queue, 320, { order: 'relaxed' })) {
    seen.push(item.id)
    await item.done()
  }
  // In FIFO order by chance: once in 10! ** 2, as each of the two large parts has ten blocks.
  expect(seen).not.toEqual(all)
  expect(seen.sort()).toEqual(all.sort())
})

test('a loop that waits comes back to the items of all parts: held, released, delayed and new ones', async () => {
  const queue = await bed.install({ maxTries: 0 })
  const all = plantNumbered(queue, 20)
  const held = await claimByOther((place) => place < 8)
  const loop = scan(queue, 3, { wait: true })
  const delayed: string[] = []
  for (const id of all.slice(8)) {
    const { value: item } = await loop.next()
    expect(item?.id).toBe(id)
    if (delayed.length < 5) {
      delayed.push(id)
      item?.release({ delay: 50 })
    } else await item?.done()
  }
  const expected = new Set([...all.slice(0, 8), ...delayed])
  let next = loop.next()
  for (const item of held) item.release()
  while (expected.size > 0) {
    const { value: item } = await next
    expect(expected.delete(item?.id ?? '')).toBe(true)
    await item?.done()
    next = loop.next()
  }
  const last = await queue.enqueue('')
  expect((await next).value?.id).toBe(last)
  await loop.return()
})
