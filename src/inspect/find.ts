/**
 * Finding items by their ids and keys.
 *
 * @module
 */
import { Place } from '../addon/native.js'
import { HERE, askForNames } from '../directory/calls.js'
import { claimKindOf } from '../directory/claim-kind.js'
import { claimedIn, workerPath, workersIn } from '../directory/claimed.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { placePath } from '../directory/layout.js'
import { type RawName, toRaw } from '../name/charset.js'
import { type ParsedName, itemKey } from '../name/item-name.js'
import { isFileName } from '../name/limits.js'
import type { Settings } from '../settings.js'
import { type PlacedName, isFile, namesIn, namesOf } from './names.js'
import type { Slices } from './slices.js'
import { type ItemState, PLACES, parseIfItem } from './states.js'

// An item that moves meanwhile may be missed where it was and where it comes to be: one that is retried while a large directory is listed, in
// several steps, or moved from fail/ to queue/ after the look into queue/. A caller that takes it for gone may add it a second time.
const ROUNDS = 3
// About 8 MB.
const NAMES_AT_ONCE = 65_536

/** Where an item was seen. */
export interface FoundItem {
  readonly state: ItemState
  readonly parsed: ParsedName
  /** The name of the directory in claimed/ that it is in; `undefined`: it is in the directory of its state. */
  readonly worker: RawName | undefined
}

/** Finds items of one queue without locking anything. */
export class Finder {
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #slices: Slices

  constructor(directory: QueueDirectory, settings: Settings, slices: Slices) {
    this.#directory = directory
    this.#settings = settings
    this.#slices = slices
  }

  /**
   * The item with an id or a key.
   *
   * @throws {@link EncodingError} for a text that no name can have; as {@link QueueDirectory.use}; a file system error.
   */
  async find(idOrKey: string, states: readonly ItemState[]): Promise<FoundItem | undefined> {
    const wanted = toRaw(idOrKey, this.#settings.charset)
    await this.#askForStates(states)
    const found = await this.#findById(wanted, states)
    if (found !== undefined) return found
    const keys = new Set(this.#keysOf(wanted))
    if (keys.size === 0) return undefined
    for (let round = 0; round < ROUNDS; round++) {
      for (const state of states) {
        for await (const item of this.#withKeys(keys, state)) return item
      }
    }
    return undefined
  }

  /**
   * All items with these ids and keys. Several items can have one key: an entropy may come again.
   *
   * @returns For each id or key, none, one or several.
   * @throws As {@link find}.
   */
  async findAll(
    idsOrKeys: readonly string[],
    states: readonly ItemState[],
  ): Promise<ReadonlyMap<string, readonly FoundItem[]>> {
    const found = new Map<string, FoundItem[]>()
    await this.#askForStates(states)
    // Two ids that differ only in their tries have one key.
    const wanted = new Map<RawName, FoundItem[][]>()
    for (const idOrKey of idsOrKeys) {
      const raw = toRaw(idOrKey, this.#settings.charset)
      const item = await this.#findById(raw, states)
      const items = item === undefined ? [] : [item]
      found.set(idOrKey, items)
      if (item !== undefined) continue
      for (const key of this.#keysOf(raw)) wanted.set(key, [...(wanted.get(key) ?? []), items])
    }
    for (let round = 0; round < ROUNDS && wanted.size > 0; round++) {
      for (const state of states) {
        for await (const item of this.#withKeys(wanted, state)) {
          const lists = wanted.get(itemKey(item.parsed.raw, this.#settings.encode)) ?? []
          for (const items of lists) items.push(item)
        }
      }
      for (const [key, lists] of wanted) if (lists.every(({ length }) => length > 0)) wanted.delete(key)
    }
    return found
  }

  /**
   * Which of these items wait or are claimed, with any tries. Takes the same memory however many items there are. The names need not be of
   * items.
   *
   * @throws As {@link QueueDirectory.use}; a file system error.
   */
  async waitingOf(names: readonly RawName[]): Promise<ReadonlySet<RawName>> {
    const { layout } = this.#directory
    const waiting = new Set<RawName>()
    const ofKey = new Map<RawName, RawName[]>()
    for (const raw of names.filter(isFileName)) {
      const key = itemKey(raw, this.#settings.encode)
      ofKey.set(key, [...(ofKey.get(key) ?? []), raw])
    }
    const note = (raw: RawName): void => {
      for (const one of ofKey.get(itemKey(raw, this.#settings.encode)) ?? []) waiting.add(one)
    }
    const lookByName = async (): Promise<boolean> => {
      for (const raw of [...ofKey.values()].flat())
        if (!waiting.has(raw) && (await isFile(placePath(layout, Place.queue), raw))) waiting.add(raw)
      return waiting.size === names.length
    }
    // Its errors tell what is wrong with a queue that cannot be opened.
    await this.#directory.open()
    await this.#askForNames([placePath(layout, Place.queue)])
    if (await lookByName()) return waiting
    const lookAtClaimed = async (): Promise<void> => {
      if ((await claimKindOf(layout)) === 'rename')
        for (const { raw } of await claimedIn(layout.claimedPath)) note(raw)
    }
    // One that is claimed or given back meanwhile is seen before the listing or after it.
    await lookAtClaimed()
    for await (const raw of namesIn(this.#directory, Place.queue, this.#slices, NAMES_AT_ONCE)) note(raw)
    await lookAtClaimed()
    await lookByName()
    return waiting
  }

  /** Looks by name in these directories are of now, even if this machine has looked at these names before. */
  async #askForNames(directories: readonly string[]): Promise<void> {
    if ((await this.#directory.findCalls()) !== HERE) await askForNames(directories)
  }

  async #askForStates(states: readonly ItemState[]): Promise<void> {
    const { layout } = this.#directory
    await this.#askForNames([layout.path, ...states.map((state) => placePath(layout, PLACES[state]))])
  }

  async #findById(wanted: RawName, states: readonly ItemState[]): Promise<FoundItem | undefined> {
    const parsed = isFileName(wanted) ? parseIfItem(wanted, this.#settings) : undefined
    if (parsed === undefined) return undefined
    for (let round = 0; round < ROUNDS; round++) {
      for (const state of states) {
        const place = await this.#placeOf(state, wanted)
        if (place !== undefined) return { state, parsed, worker: place.worker }
      }
    }
    return undefined
  }

  /** An id changes with the tries, and a key whose first argument is a number looks like an id. */
  #keysOf(wanted: RawName): readonly RawName[] {
    if (!isFileName(wanted)) return []
    const isLikeId = parseIfItem(wanted, this.#settings) !== undefined
    return isLikeId ? [itemKey(wanted, this.#settings.encode), wanted] : [wanted]
  }

  async *#withKeys(
    keys: { has: (key: RawName) => boolean },
    state: ItemState,
  ): AsyncGenerator<FoundItem, void, undefined> {
    for await (const { raw, worker } of namesOf(this.#directory, state, this.#slices)) {
      if (!keys.has(itemKey(raw, this.#settings.encode))) continue
      const parsed = parseIfItem(raw, this.#settings)
      if (parsed !== undefined) yield { state, parsed, worker }
    }
  }

  /** Where the item is; `undefined`: it is not in this state. */
  async #placeOf(state: ItemState, raw: RawName): Promise<PlacedName | undefined> {
    const { layout } = this.#directory
    if (await isFile(placePath(layout, PLACES[state]), raw)) return { raw, worker: undefined }
    // Perhaps the queue is missing, not the item.
    await this.#directory.open()
    if (state !== 'waiting' || (await claimKindOf(layout)) === 'lock') return undefined
    for (const worker of await workersIn(layout.claimedPath)) {
      const claimed = workerPath(layout, worker)
      await this.#askForNames([claimed])
      if (await isFile(claimed, raw)) return { raw, worker }
    }
    return undefined
  }
}
