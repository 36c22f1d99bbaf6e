/**
 * A worker that has died with items in hand, and the mark that each of these items gets in its log. Pure.
 *
 * @module
 */
import os from 'node:os'

import { nameText } from '../inspect/entries.js'
import { parseIfItem } from '../inspect/states.js'
import type { Crash } from '../item/dead-workers.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { BOOT } from './boot.js'
import type { CrashLine } from './log.js'
import type { HeldItem, WorkerLine } from './worker-lines.js'

/** A crash, and the line that marks it in the log of the item. */
export interface CrashMark {
  readonly crash: Crash
  readonly key: RawName
  readonly line: CrashLine
}

/**
 * The mark of an item.
 *
 * @param worker - The dead worker, by the name of its file or directory and by its first line.
 * @param together - How many items it had in hand.
 */
export function crashMark(
  worker: WorkerLine & { readonly name: string },
  { id, since }: HeldItem,
  together: number,
  settings: Settings,
): CrashMark {
  const { name, host, pid } = worker
  const key = itemKey(id, settings.encode)
  const now = Date.now()
  const ms = Math.max(0, now - Date.parse(since)) || 0
  const crash = { key: nameText(key), id: nameText(id), host, pid, together, ms }
  const tries = (parseIfItem(id, settings)?.tries ?? 0) + 1
  const at = new Date(now).toISOString()
  const line = {
    at,
    crashed: true,
    together,
    try: tries,
    host,
    pid,
    id: crash.id,
    worker: name,
    since,
  } as const
  return { crash, key, line }
}

/**
 * Whether a dead worker may have died of its items: it was not closing, and its machine has not restarted since.
 *
 * @param isShared - Several machines share the queue. Whether another machine has restarted is not known, so its workers may have died of their
 * items.
 */
export function diesOfItems({ state, boot, host }: WorkerLine, isShared = false): boolean {
  if (state === 'closing' || state === 'closed') return false
  return boot === undefined || boot === BOOT || (isShared && host !== os.hostname())
}
