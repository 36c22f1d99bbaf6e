import { Buffer } from 'node:buffer'
import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { type ListingHandle, Place, REGULAR_FILE, isFailure, native } from '../../src/addon/native.js'
import type { Queue } from '../../src/queue.js'
import { CLAIMED_DIRECTORY, LOCK_MARKER, RENAME_MARKER } from '../../src/settings.js'
import { Child } from '../support/child.js'
import {
  type Directory,
  itemName,
  names,
  pathOf,
  plant,
  plantNumbered,
  useTestBed,
} from '../support/queue.js'
import { compareItemNames } from '../support/fifo-order.js'

const bed = useTestBed()

/** The order in which native code lists the names, and that all of them are files. */
async function listed(queue: Queue, place: Directory): Promise<string[]> {
  return (await listedInParts(queue, place)).flat()
}

/**
 * @param least - How many names a part of the listing has. Default: all.
 * @param between - Called behind each part.
 */
async function listedInParts(
  queue: Queue,
  place: Directory,
  least?: number,
  between: (part: readonly string[]) => void = () => undefined,
): Promise<string[][]> {
  const { settings, path } = queue
  const names = [
    settings.queue,
    settings.tmp,
    settings.done,
    settings.fail,
    settings.down,
    LOCK_MARKER,
    RENAME_MARKER,
    CLAIMED_DIRECTORY,
    'down-rename',
  ]
  const handle = await native.openQueue(path, names, true)
  if (isFailure(handle)) throw new Error(handle.syscall)
  const parts: string[][] = []
  let listing: ListingHandle | undefined
  do {
    const after = listing
    const next = await native.list(handle, Place[place], 0, undefined, undefined, least, after)
    if (isFailure(next)) throw new Error(next.syscall)
    if (after !== undefined) native.closeListing(after)
    listing = next
    const entries = native.listingEntries(listing, 0, native.listingSize(listing))
    const found = entries.filter((_, index) => index % 2 === 0) as string[]
    expect(entries.filter((_, index) => index % 2 === 1)).toEqual(found.map(() => REGULAR_FILE))
    parts.push(found)
    between(found)
  } while (least !== undefined && parts.at(-1)?.length !== 0)
  native.closeListing(listing)
  native.closeQueue(handle)
  return parts
}

const byte = fc.integer({ min: 1, max: 255 }).filter((code) => code !== 0x2f)
const isEntry = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && name.length <= 255
const bytes = (maxLength: number): fc.Arbitrary<string> =>
  fc.array(byte, { maxLength }).map((codes) => Buffer.from(codes).toString('latin1'))
const digits = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.nat(9).map(String), maxLength })

// Few values, so that names differ late and numbers in more than their digits.
const entropy = fc.oneof(
  digits(3),
  digits(25),
  fc.nat(20).map(String),
  fc.nat(9).map((digit) => `000${digit}`),
  fc.constantFrom('', 'abc', '-1', '1a', ' 1', '\xd9\xa1', '18446744073709551615', '18446744073709551616'),
  bytes(4),
)
const fields = fc.tuple(
  fc.constantFrom('20120710213904', '20120710213905', '2012', '', 'x'),
  entropy,
  fc.constantFrom('1', '10', '2', 'p'),
  fc.constantFrom('h', 'host', ''),
  fc.constantFrom('0', '1', '10', '007'),
)
const structured = fc
  .tuple(fc.constantFrom('_', '-', '~', '5', '\xc3'), fields, fc.array(bytes(3), { maxLength: 3 }))
  .map(([delimiter, required, args]) => delimiter + [...required, ...args].join(delimiter))
const short = fc
  .tuple(fc.constantFrom('_', '-', '5'), fc.array(fc.constantFrom('1', '2', '10', 'x', ''), { maxLength: 5 }))
  .map(([delimiter, parts]) => delimiter + parts.join(delimiter))
const anyName = fc
  .oneof({ weight: 5, arbitrary: structured }, { weight: 2, arbitrary: short }, bytes(30), bytes(255))
  .filter((name) => isEntry(name) && !name.includes('/') && !name.includes('\0'))

/** A name without the value of its tries. */
function untried(name: string): string {
  const delimiter = name.charAt(0)
  const parts = name.split(delimiter)
  if (parts.length > 5) parts[5] = ''
  return parts.join(delimiter)
}

describe.each(['queue', 'done', 'fail', 'tmp'] as const)('%s/', (place) => {
  test('is listed in the order of compareItemNames, whatever the names', async () => {
    const queue = await bed.install()
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(anyName, { maxLength: 40 }), async (all) => {
        for (const name of all) plant(queue, name, '', place)
        try {
          expect(await listed(queue, place)).toEqual([...all].sort(compareItemNames))
        } finally {
          for (const name of names(queue, place)) fs.rmSync(pathOf(queue, place, name))
        }
      }),
      { numRuns: 60 },
    )
  })

  test('has the same order in parts, and what is added behind the last name is in none', async () => {
    const queue = await bed.install()
    const later = itemName({ timestamp: '20991231235959' })
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyName, { maxLength: 40, selector: untried }),
        fc.integer({ min: 1, max: 9 }),
        async (all, least) => {
          const isLast = all.every((name) => compareItemNames(name, later) < 0)
          for (const name of all) plant(queue, name, '', place)
          try {
            const parts = await listedInParts(queue, place, least, () => {
              if (isLast) fs.writeFileSync(pathOf(queue, place, later), '')
            })
            expect(parts.flat()).toEqual([...all].sort(compareItemNames))
          } finally {
            for (const name of names(queue, place)) fs.rmSync(pathOf(queue, place, name))
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})

test.each([1, 2, 3])(
  'no part ends between names that differ in their tries (%i names a part)',
  async (least) => {
    const queue = await bed.install()
    const numbered = plantNumbered(queue, 9)
    const all = [1, 2, 10, 9].map((tries) => itemName({ entropy: 5, tries }))
    for (const name of all) plant(queue, name)
    const parts = await listedInParts(queue, 'queue', least, (part) => {
      // A worker retries the last item of the part.
      if (part.includes(all[0] ?? '')) plant(queue, itemName({ entropy: 5, tries: 11 }))
    })
    expect(parts.flat()).toEqual([...numbered, ...all].sort(compareItemNames))
    expect(parts.find((part) => part.includes(all[0] ?? ''))).toEqual(expect.arrayContaining(all))
  },
)

test('a part of a listing has at least as many names as wanted, and at most twice as many', async () => {
  const queue = await bed.install()
  const all = plantNumbered(queue, 1000)
  const parts = await listedInParts(queue, 'queue', 70)
  expect(parts.flat()).toEqual(all)
  const sizes = parts.map(({ length }) => length)
  expect(Math.min(...sizes.slice(0, -2))).toBeGreaterThanOrEqual(70)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(140)
})

test('a scan hands out in that order', async () => {
  const queue = await bed.install({ maxTries: 0, durability: 'none' })
  const valid = fc
    .tuple(
      fc.constantFrom('_', '-'),
      fc.constantFrom('20120710213904', '20120710213905', '19991231235959'),
      fc.oneof(digits(25), fc.constantFrom('abc', 'b')),
      fc.constantFrom('1', '10', '2'),
      fc.nat(12),
    )
    .map(([delimiter, timestamp, number, pid, tries]) =>
      ['', timestamp, number, pid, 'host', tries].join(delimiter),
    )
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(valid, { maxLength: 40 }), async (all) => {
      for (const name of all) plant(queue, name)
      const order: string[] = []
      for await (const item of queue.scan()) {
        order.push(item.id)
        await item.discard()
      }
      expect(order).toEqual([...all].sort(compareItemNames))
      expect(names(queue, 'queue')).toEqual([])
    }),
    { numRuns: 30 },
  )
})

test('names that only look like numbers in order', async () => {
  const queue = await bed.install()
  const expected = [
    ...['0', '1', '9', '10', '0100', '101', '9007199254740993', '18446744073709551616'].map((number) =>
      itemName({ entropy: number }),
    ),
    itemName({ entropy: '' }),
    itemName({ entropy: '-1' }),
    itemName({ entropy: '1a' }),
    itemName({ entropy: 'a' }),
    // Malformed, so last, and by their bytes.
    '_20120710213903_0_1_h',
    'x',
  ]
  for (const name of [...expected].reverse()) plant(queue, name)
  expect(await listed(queue, 'queue')).toEqual(expected)
})

// Node unloads an addon with the last thread that has loaded it, unless that says that it stays.
test('entropies go on when the only thread that has loaded the package ends', async () => {
  await bed.install()
  // Several, as a thread may have ended before the addon is unloaded.
  const job = { root: bed.root, threads: 5, count: 4 }
  const child = new Child('enqueue-in-threads.mjs', job)
  const { ids } = (await child.says('ids')) as { ids: string[] }
  const entropies = ids.map((id) => Number(id.split('_')[2]))
  expect(entropies).toEqual(Array.from({ length: 20 }, (_, index) => (entropies[0] ?? 0) + index))
})

describe('relaxed', () => {
  async function order(queue: Queue): Promise<number[]> {
    const taken: number[] = []
    for await (const item of queue.scan({ order: 'relaxed' })) {
      taken.push(Number(item.args[0]))
      item.release()
    }
    return taken
  }

  test.each([0, 1, 31, 32, 33, 200])(
    'of %i items each comes once, in FIFO order within a block',
    async (count) => {
      const queue = await bed.install()
      await queue.enqueueMany(Array.from({ length: count }, (_, index) => ({ args: [index] })))
      const taken = await order(queue)
      const sorted = taken.toSorted((left, right) => left - right)
      expect(sorted).toEqual(Array.from({ length: count }, (_, index) => index))
      const blocks = Array.from({ length: Math.ceil(count / 32) }, (_, block) =>
        taken.filter((index) => Math.floor(index / 32) === block),
      )
      for (const block of blocks) expect(block).toEqual(block.toSorted((left, right) => left - right))
    },
  )

  test('workers do not all begin with the same items', async () => {
    const queue = await bed.install()
    await queue.enqueueMany(Array.from({ length: 640 }, (_, index) => ({ args: [index] })))
    const beginnings = new Set<number | undefined>()
    // All ten alike: once in 20 ** 9.
    for (let scan = 0; scan < 10; scan++) beginnings.add((await order(queue))[0])
    expect(beginnings.size).toBeGreaterThan(1)
  })

  test('another order is refused', async () => {
    const queue = await bed.install()
    const scan = queue.scan({ order: 'random' as 'fifo' })
    await expect(scan.next()).rejects.toMatchObject({ name: 'SettingError', message: /'fifo' or 'relaxed'/ })
  })
})
