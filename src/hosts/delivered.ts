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
import { FsqError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'

// Names that one call into the kernel's directory stream fetches.
const PAGE = 4096

/**
 * The keys of the waiting items that a host has or has had, by the path of the host. `true`: an item waits there under the same name,
 * and may be another one. An error: the host cannot be looked at, and so must not get any item.
 */
export type Delivered = ReadonlyMap<string, ReadonlyMap<string, boolean> | FsqError>

/**
 * Looks which of the items that wait in the queue each host has or has had. Costs memory for those alone, however many items the hosts
 * keep.
 *
 * @throws A file system error of the queue. A host that lacks a directory has nothing there.
 */
export async function findDelivered(
  queue: Layout,
  hosts: readonly Layout[],
  settings: Settings,
): Promise<Delivered> {
  const { encode } = settings
  const waiting = new Map<string, RawName>()
  const wait = (raw: RawName): void => {
    waiting.set(itemKey(raw, encode), raw)
  }
  // Twice, as other workers may claim an item and give it back meanwhile.
  await namesIn(queue, Place.queue, wait)
  for (const { raw } of await claimedIn(queue.claimedPath)) wait(raw)
  await namesIn(queue, Place.queue, wait)
  const delivered = new Map<string, ReadonlyMap<string, boolean> | FsqError>()
  for (const host of hosts) {
    const found = await findIn(host, waiting, encode).catch((error: unknown) => {
      if (error instanceof FsqError) return error
      throw error
    })
    delivered.set(host.path, found)
  }
  return delivered
}

async function findIn(
  host: Layout,
  waiting: ReadonlyMap<string, RawName>,
  encode: string,
): Promise<ReadonlyMap<string, boolean>> {
  const found = new Map<string, boolean>()
  if (waiting.size === 0) return found
  const note = (raw: RawName, waits: boolean): void => {
    const key = itemKey(raw, encode)
    const name = waiting.get(key)
    if (name !== undefined && !found.has(key)) found.set(key, waits && name === raw)
  }
  const noteWaiting = (raw: RawName): void => {
    note(raw, true)
  }
  const noteOther = (raw: RawName): void => {
    note(raw, false)
  }
  // In the direction in which items move. A claimed item may also go back to queue/, so that is read twice.
  await namesIn(host, Place.queue, noteWaiting)
  for (const { raw } of await claimedIn(host.claimedPath)) noteOther(raw)
  await namesIn(host, Place.queue, noteWaiting)
  await namesIn(host, Place.done, noteOther)
  await namesIn(host, Place.fail, noteOther)
  return found
}

async function namesIn(layout: Layout, place: Place, note: (raw: RawName) => void): Promise<void> {
  const directory = placePath(layout, place)
  try {
    const names = await fs.opendir(directory, { encoding: 'latin1', bufferSize: PAGE })
    for await (const { name } of names) note(name)
  } catch (error) {
    if (!isMissing(error))
      throw fileSystemError(failureOf(error, 'scandir', directory), 'look for delivered items')
  }
}
