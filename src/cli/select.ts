/**
 * Which items a command is about.
 *
 * @module
 */
import type { Layout } from '../layout.js'
import type { ItemState } from '../lister.js'
import { type RawName, toRaw } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { type Arguments, type OptionTable, UsageError } from './arguments.js'
import { type Item, itemsOf } from './items.js'
import { say } from './output.js'

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
  readonly #argument: string | undefined
  readonly #latest: number
  readonly #wanted: ReadonlyMap<RawName, string>
  readonly #missing: Set<string>

  constructor(given: Arguments, layout: Layout, settings: Settings) {
    const [, ...ids] = given.operands
    const age = ageOption(given, 'older-than')
    this.#layout = layout
    this.#settings = settings
    this.#argument = given.text('argument')
    this.#latest = age === undefined ? Number.POSITIVE_INFINITY : Date.now() - age
    this.#wanted = namesOf(ids, settings)
    this.#missing = new Set(ids)
  }

  /** At its end it says which of those that were named are not there. */
  async *items(states: readonly ItemState[]): AsyncGenerator<Item, void, undefined> {
    const isNamed = this.#missing.size > 0
    for (const state of states) {
      const isWanted = (raw: RawName): boolean => !isNamed || this.#idOf(raw) !== undefined
      for await (const item of itemsOf(this.#layout, this.#settings, state, isWanted)) {
        const { parsed, entry } = item
        if (this.#argument !== undefined && !parsed.args.includes(this.#argument)) continue
        if (entry.info.ctimeMs > this.#latest) continue
        this.#missing.delete(this.#idOf(parsed.raw) ?? '')
        yield item
      }
    }
    for (const id of this.#missing) say(`there is no such item in ${this.#layout.path}: ${id}`)
  }

  /** Whether each item that was named has been found; after {@link items}. */
  get isWhole(): boolean {
    return this.#missing.size === 0
  }

  #idOf(raw: RawName): string | undefined {
    return this.#wanted.get(raw) ?? this.#wanted.get(itemKey(raw, this.#settings.encode))
  }
}

/** By what the items that were named can be found: an id changes with the tries, and may be a key from the first. */
function namesOf(ids: readonly string[], settings: Settings): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const id of ids) {
    const raw = toRaw(id, settings.charset)
    if (raw === '') continue
    names.set(raw, id)
    names.set(itemKey(raw, settings.encode), id)
  }
  return names
}
