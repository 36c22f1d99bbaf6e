/**
 * Items as `--json` prints them.
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import { nameText } from '../inspect/entries.js'
import { type Item, activityOf } from '../inspect/items.js'
import { fromRaw } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'

/** All that is known of an item. */
export function itemJson(item: Item, layout: Layout, settings: Settings): Readonly<Record<string, unknown>> {
  const { entry, parsed, enqueuedAt, due, workers } = item
  const { raw, args, tries, hostname, pid, entropy } = parsed
  return {
    queue: layout.name,
    id: fromRaw(raw, settings.charset),
    key: fromRaw(itemKey(raw, settings.encode), settings.charset),
    state: activityOf(item),
    args,
    tries,
    enqueuedAt: new Date(enqueuedAt).toISOString(),
    due: due === undefined ? null : new Date(due).toISOString(),
    changedAt: entry.info.ctime.toISOString(),
    size: entry.info.size,
    hostname,
    pid,
    entropy,
    workers: workers ?? null,
    path: nameText(entry.path.toString('latin1')),
  }
}
