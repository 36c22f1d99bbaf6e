/**
 * Looks at items without claiming them. Nothing here locks anything: a worker would skip an item while it is locked, however
 * short that is.
 *
 * @module
 */
import fs from 'node:fs/promises'
import path from 'node:path'
import { inspect } from 'node:util'

import type { QueueDirectory } from '../directory/open-directory.js'
import { SettingError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { claimKindOf } from '../directory/claim-kind.js'
import { claimedIn } from '../directory/claimed.js'
import { isDeleted, placePath } from '../directory/layout.js'
import { type RawName, pathText } from '../name/charset.js'
import type { ParsedName } from '../name/item-name.js'
import { type ItemSummary, NamedItem } from '../item/named-item.js'
import { Place } from '../addon/native.js'
import { checkIdOrKey, checkOptions } from '../options.js'
import type { Settings } from '../settings.js'
import { Finder } from './find.js'
import { namesIn, namesOf, pathOf } from './names.js'
import { Slices } from './slices.js'
import { type ItemState, STATES, parseIfItem } from './states.js'

/** An item as it was when it was looked at. It may have moved since. */
export class ListedItem extends NamedItem {
  /** The directory that it was seen in. */
  readonly state: ItemState
  readonly #directory: QueueDirectory
  readonly #worker: RawName | undefined

  /**
   * @internal
   * @param worker - The name of the directory in claimed/ that it is in.
   */
  constructor(
    directory: QueueDirectory,
    settings: Settings,
    state: ItemState,
    parsed: ParsedName,
    worker: RawName | undefined,
  ) {
    super(parsed, settings)
    this.#directory = directory
    this.state = state
    this.#worker = worker
  }

  override toJSON(): ItemSummary {
    return { ...super.toJSON(), state: this.state }
  }

  /** The path at which its file was seen. */
  get path(): string {
    const directory = pathOf(this.#directory.layout, this.state, this.#worker)
    return path.join(directory, pathText(this.parsed.raw))
  }
}

/** Which items are listed. */
export interface ItemsOptions {
  /** Default: `waiting`. */
  readonly state?: ItemState | undefined
}

/** How many files there are in each directory of a queue. */
export interface Counts {
  /** In queue/, and in claimed/: all items that wait, with those that are delayed or that workers hold. */
  readonly waiting: number
  /** In done/. */
  readonly done: number
  /** In fail/. */
  readonly failed: number
  /** In tmp/: items under construction, and files left by crashed producers. */
  readonly tmp: number
}

/** Lists the items of one queue. */
export class Lister {
  readonly #directory: QueueDirectory
  readonly #settings: Settings

  constructor(directory: QueueDirectory, settings: Settings) {
    this.#directory = directory
    this.#settings = settings
  }

  async *items(options: ItemsOptions): AsyncGenerator<ListedItem, void, undefined> {
    checkOptions('items', options, ['state'])
    const { state = 'waiting' } = options
    if (!STATES.includes(state)) {
      throw new SettingError('state', state, `one of ${STATES.map((known) => inspect(known)).join(', ')}`)
    }
    for await (const { raw, worker } of namesOf(this.#directory, state, new Slices())) {
      const parsed = parseIfItem(raw, this.#settings)
      if (parsed !== undefined) yield new ListedItem(this.#directory, this.#settings, state, parsed, worker)
    }
  }

  async find(idOrKey: unknown): Promise<ListedItem | undefined> {
    checkIdOrKey(idOrKey)
    this.#directory.checkOpen()
    const found = await new Finder(this.#directory, this.#settings, new Slices()).find(idOrKey, STATES)
    if (found === undefined) return undefined
    return new ListedItem(this.#directory, this.#settings, found.state, found.parsed, found.worker)
  }

  async counts(): Promise<Counts> {
    const [waiting, done, failed, tmp] = await Promise.all([
      count(namesOf(this.#directory, 'waiting', new Slices())),
      ...[Place.done, Place.fail, Place.tmp].map(async (place) => this.#count(place)),
    ])
    return { waiting, done: done ?? 0, failed: failed ?? 0, tmp: tmp ?? 0 }
  }

  async isEmpty(): Promise<boolean> {
    await this.#directory.open()
    const { layout } = this.#directory
    if (!(await this.#isQueueEmpty())) return false
    if ((await claimKindOf(layout)) === 'lock') return true
    // An item that is claimed or given back in between is seen in one of these looks.
    return (await claimedIn(layout.claimedPath)).length === 0 && (await this.#isQueueEmpty())
  }

  async #isQueueEmpty(): Promise<boolean> {
    const queue = placePath(this.#directory.layout, Place.queue)
    try {
      // Not by a native listing, which reads and sorts all names.
      for await (const entry of await fs.opendir(queue))
        if (entry.isFile() && !isDeleted(entry.name)) return false
      return true
    } catch (error) {
      const failure = failureOf(error, 'opendir', queue)
      // On file systems without types in directories, Node calls lstat by itself, and fails if the entry has gone by then.
      if (failure.syscall === 'lstat') return (await this.#count(Place.queue)) === 0
      throw fileSystemError(failure, 'look into the queue')
    }
  }

  async #count(place: Place): Promise<number> {
    return count(namesIn(this.#directory, place, new Slices()))
  }
}

async function count(names: AsyncIterable<unknown>): Promise<number> {
  let found = 0
  for await (const name of names) if (name !== '') found++
  return found
}
