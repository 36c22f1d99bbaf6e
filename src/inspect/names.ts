/**
 * The names in a directory of a queue.
 *
 * @module
 */
import { type Place, REGULAR_FILE, native } from '../addon/native.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { RawName } from '../name/charset.js'
import type { Slices } from './slices.js'

const PAGE = 1000

/**
 * The names of the regular files, in FIFO order, as they were at one moment. They are read and sorted beside the event loop, and
 * kept outside of the JavaScript heap.
 *
 * @throws As {@link QueueDirectory.use}.
 */
export async function* namesIn(
  directory: QueueDirectory,
  place: Place,
  slices: Slices,
): AsyncGenerator<RawName, void, undefined> {
  const listing = await directory.use((handle) => native.list(handle, place, 0), 'list')
  try {
    const size = native.listingSize(listing)
    for (let from = 0; from < size; from += PAGE) {
      const entries = native.listingEntries(listing, from, PAGE)
      for (let at = 0; at < entries.length; at += 2) {
        if (entries[at + 1] !== REGULAR_FILE) continue
        if (slices.isOver) await slices.next()
        yield entries[at] as RawName
      }
    }
  } finally {
    native.closeListing(listing)
  }
}
