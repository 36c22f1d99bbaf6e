/**
 * The names in the directories of a queue.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { lstat } from 'node:fs/promises'

import { type ListingHandle, Place, REGULAR_FILE, native } from '../addon/native.js'
import { claimKindOf } from '../directory/claim-kind.js'
import { type ClaimedName, claimedIn, workerPath } from '../directory/claimed.js'
import { type Layout, placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'
import type { Slices } from './slices.js'
import { type ItemState, PLACES } from './states.js'

const PAGE = 1000

/**
 * The names of the regular files, in FIFO order, as they were at one moment. They are read and sorted beside the event loop, and
 * kept outside of the JavaScript heap.
 *
 * @param atOnce - Holds so many names at a time and at most twice as many, and reads the directory again for the next ones. So the names
 * are not those of one moment: one that is there all the time comes once. Default: holds all.
 * @throws As {@link QueueDirectory.use}.
 */
export async function* namesIn(
  directory: QueueDirectory,
  place: Place,
  slices: Slices,
  atOnce?: number,
): AsyncGenerator<RawName, void, undefined> {
  const list = async (after?: ListingHandle): Promise<ListingHandle> =>
    directory.use((handle) => native.list(handle, place, 0, undefined, undefined, atOnce, after), 'list')
  let listing = await list()
  try {
    for (;;) {
      const size = native.listingSize(listing)
      for (let from = 0; from < size; from += PAGE) {
        const entries = native.listingEntries(listing, from, PAGE)
        for (let at = 0; at < entries.length; at += 2) {
          if (entries[at + 1] !== REGULAR_FILE) continue
          if (slices.isOver) await slices.next()
          yield entries[at] as RawName
        }
      }
      if (atOnce === undefined || size < atOnce) return
      const before = listing
      listing = await list(before)
      native.closeListing(before)
    }
  } finally {
    native.closeListing(listing)
  }
}

/** A name of an item, and where it is. */
export interface PlacedName {
  readonly raw: RawName
  /** The name of the directory in claimed/ that it is in; `undefined`: it is in the directory of its state. */
  readonly worker: RawName | undefined
}

/** The directory of items of a state, or of a worker that has claimed them. */
export function pathOf(layout: Layout, state: ItemState, worker: RawName | undefined): string {
  return worker === undefined ? placePath(layout, PLACES[state]) : workerPath(layout, worker)
}

/**
 * The names of the items in a state, as {@link namesIn}. In a queue with claims by renaming, waiting items are in queue/ and in claimed/;
 * those in claimed/ come first.
 */
export async function* namesOf(
  directory: QueueDirectory,
  state: ItemState,
  slices: Slices,
): AsyncGenerator<PlacedName, void, undefined> {
  const { layout } = directory
  // Its errors tell what is wrong with a queue that cannot be opened.
  await directory.open()
  const names = namesIn(directory, PLACES[state], slices)
  if (state !== 'waiting' || (await claimKindOf(layout)) === 'lock') {
    for await (const raw of names) yield { raw, worker: undefined }
    return
  }
  // Items move between the two while they are listed. One that is claimed or given back once cannot be missed: claimed/ is listed before
  // queue/ and after it.
  const before = await claimedIn(layout.claimedPath)
  const first = await names.next()
  const after = await claimedIn(layout.claimedPath)
  yield* await stillClaimed(layout, before, after)
  const taken = new Set(after.map(({ raw }) => raw))
  const listed = new Set<RawName>()
  const isGivenBack = new Set(before.map(({ raw }) => raw))
  for (let next = first; next.done !== true; next = await names.next()) {
    const raw = next.value
    if (isGivenBack.has(raw)) listed.add(raw)
    // Claimed after queue/ was listed, or another item with the same name.
    if (taken.has(raw) && !(await isFile(placePath(layout, Place.queue), raw))) continue
    yield { raw, worker: undefined }
  }
  for (const { raw } of before)
    if (!taken.has(raw) && !listed.has(raw) && (await isFile(placePath(layout, Place.queue), raw)))
      yield { raw, worker: undefined }
}

/** The claimed items of the second list, and those of the first one that are there although the second one lacks them. Sorted. */
async function stillClaimed(
  layout: Layout,
  before: readonly ClaimedName[],
  after: readonly ClaimedName[],
): Promise<readonly ClaimedName[]> {
  const listed = new Set(after.map(({ raw, worker }) => `${worker}/${raw}`))
  const items = [...after]
  for (const item of before)
    if (
      !listed.has(`${item.worker}/${item.raw}`) &&
      (await isFile(workerPath(layout, item.worker), item.raw))
    )
      items.push(item)
  return items.sort((one, other) => (one.raw < other.raw ? -1 : 1))
}

/** Whether a directory has a regular file of a name. @throws A file system error. */
export async function isFile(directory: string, raw: RawName): Promise<boolean> {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(raw, 'latin1')])
  try {
    return (await lstat(path)).isFile()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].includes(codeOf(error) ?? '')) return false
    throw fileSystemError(failureOf(error, 'lstat', path.toString()), 'look for an item')
  }
}
