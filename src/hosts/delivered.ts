/**
 * What the hosts have already: after a crash between two of them, or after one of them was full, the next distribution must give an
 * item to the others alone.
 *
 * A host may have tried an item since, which changes its name, and it may have finished it. So the names are compared by their keys, and
 * done/ and fail/ of the host are its memory: an item is delivered again once it was pruned there and still waits in the queue.
 *
 * @module
 */
import fs from 'node:fs/promises'

import { Place } from '../addon/native.js'
import { claimedIn } from '../directory/claimed.js'
import { type Layout, placePath } from '../directory/layout.js'
import { isMissing } from '../directory/presence.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'

// Names that one call into the kernel's directory stream fetches.
const PAGE = 4096

/** The keys of the waiting items that a host has had, by the path of the host. */
export type Delivered = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Looks which of the items that wait in the queue each host has or has had. Costs memory for those alone, however many items the hosts
 * keep.
 *
 * @throws A file system error. A host that lacks a directory has nothing there.
 */
export async function findDelivered(
  queue: Layout,
  hosts: readonly Layout[],
  settings: Settings,
): Promise<Delivered> {
  const waiting = new Set<string>()
  await keysIn(queue, Place.queue, settings, (key) => waiting.add(key))
  for (const { raw } of await claimedIn(queue.claimedPath)) waiting.add(itemKey(raw, settings.encode))
  const delivered = new Map<string, ReadonlySet<string>>()
  for (const host of hosts) {
    const found = new Set<string>()
    delivered.set(host.path, found)
    if (waiting.size === 0) continue
    const note = (key: string): void => {
      if (waiting.has(key)) found.add(key)
    }
    // In the direction in which items move. A claimed item may also go back to queue/, so that is read twice.
    await keysIn(host, Place.queue, settings, note)
    for (const { raw } of await claimedIn(host.claimedPath)) note(itemKey(raw, settings.encode))
    await keysIn(host, Place.queue, settings, note)
    await keysIn(host, Place.done, settings, note)
    await keysIn(host, Place.fail, settings, note)
  }
  return delivered
}

async function keysIn(
  layout: Layout,
  place: Place,
  { encode }: Settings,
  note: (key: string) => void,
): Promise<void> {
  const directory = placePath(layout, place)
  try {
    const names = await fs.opendir(directory, { encoding: 'latin1', bufferSize: PAGE })
    for await (const { name } of names) note(itemKey(name, encode))
  } catch (error) {
    if (!isMissing(error))
      throw fileSystemError(failureOf(error, 'scandir', directory), 'look for delivered items')
  }
}
