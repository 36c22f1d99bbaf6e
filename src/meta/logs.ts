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
import { loggedKeysLater, removeLogLater } from './log-later.js'

/** The logs of one queue. They are listed once: most items have none. */
export class Logs {
  readonly #meta: MetaDirectory
  readonly #keys: ReadonlySet<RawName>
  readonly #isLocal: boolean

  private constructor(meta: MetaDirectory, isLocal: boolean, keys: ReadonlySet<RawName>) {
    this.#meta = meta
    this.#isLocal = isLocal
    this.#keys = keys
  }

  /** @param isLocal - Whether this thread may read and remove them. */
  static async list(layout: Layout, isLocal: boolean): Promise<Logs> {
    const meta = new MetaDirectory(layout)
    const keys = isLocal
      ? meta.attempt('log', () => loggedKeys(layout))
      : await meta.attemptLater('log', async () => loggedKeysLater(layout))
    return new this(meta, isLocal, new Set(keys))
  }

  /** Whether any item has a log. */
  get areAny(): boolean {
    return this.#keys.size > 0
  }

  /** Removes the log of an item, if it has one. A log that cannot be removed keeps no item from being removed, so this never rejects. */
  async removeOf(raw: RawName, { encode }: { readonly encode: string }): Promise<void> {
    const key = itemKey(raw, encode)
    if (!this.#keys.has(key)) return
    const { layout } = this.#meta
    if (this.#isLocal) this.#meta.attempt('log', () => removeLog(layout, key))
    else await this.#meta.attemptLater('log', async () => removeLogLater(layout, key))
  }
}
