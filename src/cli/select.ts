/**
 * Which items a command is about.
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import type { ItemState } from '../inspect/lister.js'
import { type RawName, toRaw } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { type Arguments, type OptionTable, UsageError } from './arguments.js'
import { type Item, itemNamed, itemsOf } from '../inspect/items.js'
import { say } from './output.js'
import { LONGEST_NAME } from '../name/limits.js'

export const SELECT_OPTIONS: OptionTable = {
  all: { short: 'a' },
  argument: { short: 'A', value: 'an argument' },
  'older-than': { short: 'o', value: 'an age, as 90s, 5m, 12h or 30d' },
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Milliseconds of an age such as `90s`. */
export function ageOption(given: Arguments, name: string): number | undefined {
  const text = given.text(name)
  if (text === undefined) return undefined
  const [, number, unit = 's'] = /^([0-9]{1,9})([smhdw])?$/.exec(text) ?? []
  if (number === undefined) return given.refuse(name, 'an age, as 90s, 5m, 12h or 30d')
  return Number(number) * (UNITS[unit] ?? 1) * 1000
}

/** Checks that something was asked for, and not all beside something. */
export function checkSelection(given: Arguments): void {
  const isByNames = given.operands.length > 1
  const isByProperty = given.has('argument') || given.has('older-than')
  if (given.has('all') && (isByNames || isByProperty))
    throw new UsageError('-a is all items, so that it goes alone')
  if (!given.has('all') && !isByNames && !isByProperty) {
    throw new UsageError('which items? Name them by id or key, or use -A, -o or -a')
  }
}

/** The items of a queue that were asked for: by id or key, by an argument, by age since they were last moved, or all. */
export class Selection {
  readonly #layout: Layout
  readonly #settings: Settings
  readonly #ids: readonly string[]
  readonly #argument: string | undefined
  readonly #latest: number
  #isWhole = true

  constructor(given: Arguments, layout: Layout, settings: Settings) {
    const [, ...ids] = given.operands
    const age = ageOption(given, 'older-than')
    this.#layout = layout
    this.#settings = settings
    this.#ids = [...new Set(ids)]
    this.#argument = given.text('argument')
    this.#latest = age === undefined ? Number.POSITIVE_INFINITY : Date.now() - age
  }

  /** In FIFO order, state by state; those that were named, as they were named. Says which of those are not there. */
  async *items(states: readonly ItemState[]): AsyncGenerator<Item, void, undefined> {
    if (this.#ids.length > 0) {
      for (const item of await this.#named(states)) if (this.#isFit(item)) yield item
      return
    }
    for (const state of states) {
      for await (const item of itemsOf(this.#layout, this.#settings, state)) if (this.#isFit(item)) yield item
    }
  }

  /** Whether each item that was named has been found; after {@link items}. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  #isFit({ parsed, entry }: Item): boolean {
    if (this.#argument !== undefined && !parsed.args.includes(this.#argument)) return false
    return entry.info.ctimeMs <= this.#latest
  }

  async #named(states: readonly ItemState[]): Promise<ReadonlySet<Item>> {
    const found = new Map(this.#ids.map((id) => [id, this.#findExactly(id, states)]))
    const missing = this.#ids.filter((id) => found.get(id)?.length === 0)
    if (missing.length > 0) await this.#findByKeys(missing, states, found)
    for (const id of missing) {
      if (found.get(id)?.length !== 0) continue
      this.#isWhole = false
      say(`there is no such item in ${this.#layout.path}: ${id}; 'fsq list -s all' has those that there are`)
    }
    return new Set([...found.values()].flat())
  }

  #findExactly(id: string, states: readonly ItemState[]): Item[] {
    const raw = toRaw(id, this.#settings.charset)
    // What is no name of a file must not lead to another one.
    if (raw === '' || raw.length > LONGEST_NAME || /[/\0]/.test(raw)) return []
    for (const state of states) {
      const item = itemNamed(this.#layout, this.#settings, state, raw)
      if (item !== undefined) return [item]
    }
    return []
  }

  /** An id changes with the tries, and what was given may be a key from the first; a key may look like an id, too. */
  async #findByKeys(
    ids: readonly string[],
    states: readonly ItemState[],
    found: ReadonlyMap<string, Item[]>,
  ): Promise<void> {
    const { charset, encode } = this.#settings
    const wanted = new Map<RawName, string>()
    for (const id of ids) {
      const raw = toRaw(id, charset)
      wanted.set(itemKey(raw, encode), id)
      wanted.set(raw, id)
    }
    const isWanted = (raw: RawName): boolean => wanted.has(itemKey(raw, encode))
    for (const state of states) {
      for await (const item of itemsOf(this.#layout, this.#settings, state, isWanted))
        found.get(wanted.get(itemKey(item.parsed.raw, encode)) ?? '')?.push(item)
    }
  }
}
