/**
 * The logs of items that are removed: they go with the items.
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import { MetaDirectory } from './directory.js'
import { loggedKeys, removeLog } from './log.js'

/** The logs of one queue. They are listed once: most items have none. */
export class Logs {
  readonly #meta: MetaDirectory
  readonly #keys: ReadonlySet<RawName>

  constructor(layout: Layout) {
    this.#meta = new MetaDirectory(layout)
    this.#keys = new Set(this.#meta.attempt('log', () => loggedKeys(layout)) ?? [])
  }

  /** Removes the log of an item, if it has one. A log that cannot be removed keeps no item from being removed, so this never throws. */
  removeOf(raw: RawName, { encode }: { readonly encode: string }): void {
    if (this.#keys.size === 0) return
    const key = itemKey(raw, encode)
    if (!this.#keys.has(key)) return
    this.#meta.attempt('log', () => {
      removeLog(this.#meta.layout, key)
    })
  }
}
