/**
 * Removes items.
 *
 * @module
 */
import fs from 'node:fs'

import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { HERE } from '../directory/calls.js'
import { claimKindOf } from '../directory/claim-kind.js'
import type { Layout } from '../directory/layout.js'
import { isStillWaiting } from '../inspect/entries.js'
import type { Item } from '../inspect/items.js'
import { MetaDirectory } from '../meta/directory.js'
import { removeLog } from '../meta/log.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { type Unchanged, underLock } from './under-lock.js'

/**
 * Removes an item and its log, unless a worker holds it. Where workers rename items, the first call has the item: the removal, or the
 * claim of a worker. An item whose move was cut in half stays, too: without its name in done/ or fail/, it would run again.
 *
 * @returns Why it was not removed.
 */
export async function removeItem(
  item: Item,
  layout: Layout,
  settings: Settings,
): Promise<Unchanged | undefined> {
  const { entry, parsed, state, workers } = item
  const isRename = state === 'waiting' && (await claimKindOf(layout)) === 'rename'
  if (isRename && workers !== undefined && workers.length > 0) return 'busy'
  if (state !== 'waiting' && (await isStillWaiting(layout, entry, HERE))) return 'busy'
  const unchanged = await removeFile(entry.path, state === 'waiting' && !isRename ? layout : undefined)
  if (unchanged === undefined) {
    const meta = new MetaDirectory(layout)
    meta.attempt('log', () => {
      removeLog(layout, itemKey(parsed.raw, settings.encode))
    })
  }
  return unchanged
}

/** @param layout - Of an item that a worker may hold. */
async function removeFile(file: Buffer, layout: Layout | undefined): Promise<Unchanged | undefined> {
  try {
    if (layout !== undefined) return await underLock(file, layout, HERE, () => fs.unlinkSync(file))
    fs.unlinkSync(file)
    return undefined
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'gone'
    if (error instanceof FsqError) throw error
    throw fileSystemError(failureOf(error, 'unlink', file.toString()), 'remove an item')
  }
}
