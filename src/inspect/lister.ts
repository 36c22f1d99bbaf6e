/**
 * Looking at items without claiming them. Nothing here locks anything: a lock taken for a look, however short, would make
 * a worker pass the item by.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs/promises'
import { inspect } from 'node:util'

import type { QueueDirectory } from '../directory/open-directory.js'
import { MalformedNameError, SettingError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { isDeleted, placePath } from '../directory/layout.js'
import { type RawName, pathText, toRaw } from '../name/charset.js'
import { type ParsedName, itemKey, parseItemName } from '../name/item-name.js'
import { NamedItem } from '../item/named-item.js'
import { type ListingHandle, Place, REGULAR_FILE, native } from '../addon/native.js'
import { checkOptions } from '../options.js'
import type { Settings } from '../settings.js'

/** Where an item can be. One that a worker holds is still waiting, as its file is still in queue/. */
export type ItemState = 'waiting' | 'done' | 'failed'

const PLACE_OF: Readonly<Record<ItemState, Place>> = {
  waiting: Place.queue,
  done: Place.done,
  failed: Place.fail,
}
const STATES = Object.keys(PLACE_OF) as ItemState[]
const PAGE = 1000
// An item that moves while we look may be missed where it was and where it comes to be.
const ROUNDS = 3

/** An item as it was seen, which may be somewhere else by now. */
export class ListedItem extends NamedItem {
  /** Which of the directories it was seen in. */
  readonly state: ItemState
  readonly #directory: QueueDirectory

  /** @internal */
  constructor(directory: QueueDirectory, settings: Settings, state: ItemState, parsed: ParsedName) {
    super(parsed, settings)
    this.#directory = directory
    this.state = state
  }

  /** Where its file was seen. */
  get path(): string {
    return placePath(this.#directory.layout, PLACE_OF[this.state], pathText(this.parsed.raw))
  }
}

/** Which items are listed. */
export interface ItemsOptions {
  /** Left out: `waiting`. */
  readonly state?: ItemState | undefined
}

/** How many files there are in each directory of a queue. */
export interface Counts {
  /** In queue/: all that wait, those that are worked on or delayed included. */
  readonly waiting: number
  /** In done/. */
  readonly done: number
  /** In fail/. */
  readonly failed: number
  /** In tmp/: items under construction, and what crashed producers left. */
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
    for await (const name of this.#names(PLACE_OF[state])) {
      const parsed = this.#parse(name)
      if (parsed !== undefined) yield new ListedItem(this.#directory, this.#settings, state, parsed)
    }
  }

  async find(idOrKey: unknown): Promise<ListedItem | undefined> {
    if (typeof idOrKey !== 'string')
      throw new SettingError('id', idOrKey, 'the id or the key of an item, a string')
    this.#directory.checkOpen()
    const wanted = toRaw(idOrKey, this.#settings.charset)
    if (wanted.includes('/') || wanted.includes('\0') || wanted === '') return undefined
    for (let round = 0; round < ROUNDS; round++) {
      for (const state of STATES) {
        const parsed = (await this.#exists(state, wanted)) ? this.#parse(wanted) : undefined
        if (parsed !== undefined) return new ListedItem(this.#directory, this.#settings, state, parsed)
      }
    }
    return this.#findByKey(wanted)
  }

  async counts(): Promise<Counts> {
    const [waiting, done, failed, tmp] = await Promise.all(
      [Place.queue, Place.done, Place.fail, Place.tmp].map(async (place) => this.#count(place)),
    )
    return { waiting: waiting ?? 0, done: done ?? 0, failed: failed ?? 0, tmp: tmp ?? 0 }
  }

  async isEmpty(): Promise<boolean> {
    await this.#directory.open()
    const path = placePath(this.#directory.layout, Place.queue)
    try {
      // Not by a listing, which reads and sorts every name.
      for await (const entry of await fs.opendir(path))
        if (entry.isFile() && !isDeleted(entry.name)) return false
      return true
    } catch (error) {
      const failure = failureOf(error, 'opendir', path)
      // Where a directory says nothing of types, Node looks for itself, and fails if an entry has gone by then.
      if (failure.syscall === 'lstat') return (await this.#count(Place.queue)) === 0
      throw fileSystemError(failure, 'look into the queue')
    }
  }

  /** The id has changed with the tries, or it was a key from the first. */
  async #findByKey(wanted: RawName): Promise<ListedItem | undefined> {
    const { encode } = this.#settings
    const key = this.#parse(wanted) === undefined ? wanted : itemKey(wanted, encode)
    for (const state of STATES) {
      for await (const name of this.#names(PLACE_OF[state])) {
        if (itemKey(name, encode) !== key) continue
        const parsed = this.#parse(name)
        if (parsed !== undefined) return new ListedItem(this.#directory, this.#settings, state, parsed)
      }
    }
    return undefined
  }

  async #exists(state: ItemState, name: RawName): Promise<boolean> {
    const directory = placePath(this.#directory.layout, PLACE_OF[state])
    const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')])
    try {
      return (await fs.lstat(path)).isFile()
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP'].includes(codeOf(error) ?? '')) {
        // Not the item is missing, perhaps, but the queue.
        await this.#directory.open()
        return false
      }
      throw fileSystemError(failureOf(error, 'lstat', path.toString()), 'look for an item')
    }
  }

  #parse(name: RawName): ParsedName | undefined {
    try {
      return parseItemName(name, this.#settings)
    } catch (error) {
      if (error instanceof MalformedNameError) return undefined
      throw error
    }
  }

  async #list(place: Place): Promise<ListingHandle> {
    return this.#directory.use((handle) => native.list(handle, place, 0), 'list')
  }

  /** The names of the regular files, in FIFO order. */
  async *#names(place: Place): AsyncGenerator<RawName, void, undefined> {
    const listing = await this.#list(place)
    try {
      yield* fileNames(listing)
    } finally {
      native.closeListing(listing)
    }
  }

  async #count(place: Place): Promise<number> {
    let count = 0
    for await (const name of this.#names(place)) if (name !== '') count++
    return count
  }
}

/** The names of the regular files of a listing, in its order. */
export function* fileNames(listing: ListingHandle): Generator<RawName, void, undefined> {
  const size = native.listingSize(listing)
  for (let from = 0; from < size; from += PAGE) {
    const entries = native.listingEntries(listing, from, PAGE)
    for (let at = 0; at < entries.length; at += 2) {
      if (entries[at + 1] === REGULAR_FILE) yield entries[at] as RawName
    }
  }
}
