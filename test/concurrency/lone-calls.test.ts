// Calls for a few items are made on the JavaScript thread only where they do not block it.
import { expect, test } from '@jest/globals'

import { Child, makeDirectory } from '../support/child.js'

type Counts = Record<
  'enqueueSync' | 'finishSync' | 'claimSync',
  { here: number; blocked: number; most: number }
>

async function countsOf(kind: string, fileSystem = 0x01021994, claims = 'lock'): Promise<Counts> {
  const root = makeDirectory({ quick: true })
  const faults = `open.fstatfs=answer:${fileSystem}`
  const child = new Child('lone-calls.mjs', { root, kind, claims }, { faults })
  expect(await child.ended).toEqual({ code: 0, signal: null })
  const [{ counts }] = child.said('counts') as unknown as [{ counts: Counts }]
  return counts
}

const here = (counts: Counts): number[] => Object.values(counts).map((count) => count.here)
const blocked = (counts: Counts): number[] => Object.values(counts).map((count) => count.blocked)

test('this thread makes lone calls while they are quick', async () => {
  const counts = await countsOf('quick')
  expect(Math.min(...here(counts))).toBeGreaterThan(0)
})

test('where each call takes 5 ms, it makes none', async () => {
  expect(here(await countsOf('slow'))).toEqual([0, 0, 0])
})

test('where calls begin to take 5 ms, it is blocked once', async () => {
  const counts = await countsOf('slow later')
  for (const count of blocked(counts)) expect(count).toBeLessThanOrEqual(1)
})

test('where one call in twenty takes 5 ms, one in a hundred blocks it at most', async () => {
  const counts = await countsOf('slow at times')
  for (const count of blocked(counts)) expect(count).toBeLessThanOrEqual(4)
})

test.each([
  ['NFS', 0x6969],
  ['FUSE', 0x65735546],
  ['an unknown file system', 0x12345678],
])('on %s it makes none, however quick they are', async (_name, fileSystem) => {
  expect(here(await countsOf('quick', fileSystem))).toEqual([0, 0, 0])
})

test('where claims are renames, this thread makes the moves of items that are finished together', async () => {
  const [renamed, locked] = await Promise.all([
    countsOf('together', undefined, 'rename'),
    countsOf('together'),
  ])
  expect(renamed.finishSync.most).toBeGreaterThan(1)
  expect(locked.finishSync.most).toBeLessThanOrEqual(1)
})

test.each(['together, slow', 'together, back'])('but not %s', async (kind) => {
  expect((await countsOf(kind, undefined, 'rename')).finishSync.here).toBe(0)
})

test('nor on NFS', async () => {
  expect((await countsOf('together', 0x6969, 'rename')).finishSync.here).toBe(0)
})
