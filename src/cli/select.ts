/**
 * The items that a command is about.
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { Finder } from '../inspect/find.js'
import { type Item, itemFound, itemsOf } from '../inspect/items.js'
import { Slices } from '../inspect/slices.js'
import type { ItemState } from '../inspect/states.js'
import type { Settings } from '../settings.js'
import { type Arguments, type OptionTable, UsageError } from './arguments.js'
import { say } from './output.js'
import { lookInto } from './queues.js'

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
  return milliseconds(text) ?? given.refuse(name, 'an age, as 90s, 5m, 12h or 30d')
}

/** Milliseconds of a text such as `90s`; a number alone is seconds. `undefined`: it is no age. */
export function milliseconds(text: string): number | undefined {
  const [, number, unit = 's'] = /^([0-9]{1,9})([smhdw])?$/.exec(text) ?? []
  return number === undefined ? undefined : Number(number) * (UNITS[unit] ?? 1) * 1000
}

/**
 * Checks that the command line selects items, and does not mix `-a` with other conditions.
 *
 * @param more - Further options that select items, with their short forms.
 */
export function checkSelection(given: Arguments, more: Readonly<Record<string, string>> = {}): void {
  const isByNames = given.operands.length > 1
  const isByProperty = ['argument', 'older-than', ...Object.keys(more)].some((option) => given.has(option))
  if (given.has('all') && (isByNames || isByProperty))
    throw new UsageError('-a means all items; use it alone')
  if (given.has('all') || isByNames || isByProperty) return
  const letters = ['A', 'o', ...Object.values(more)].map((letter) => `-${letter}`).join(', ')
  throw new UsageError(`which items? Name them by id or key, or use ${letters} or -a`)
}

/** Prints a message for an id or key without an item. */
export function sayMissing(id: string, layout: Layout): void {
  say(
    `there is no such item in ${layout.path}: ${id === '' ? "''" : id}; 'fsq list -s all ${layout.name}' lists the items`,
  )
}

/** The selected items of a queue: by id or key, by an argument, by the time since they were last moved, or all. */
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

  /**
   * The items in FIFO order, state by state; items selected by id in the order of the ids. Prints a message for each id
   * without an item.
   */
  items(states: readonly ItemState[]): AsyncGenerator<Item, void, undefined> {
    return lookInto(this.#layout, this.#settings, (directory) => this.#items(directory, states))
  }

  /** Whether each id has an item; after {@link items}. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  async *#items(
    directory: QueueDirectory,
    states: readonly ItemState[],
  ): AsyncGenerator<Item, void, undefined> {
    if (this.#ids.length > 0) {
      for (const item of await this.#named(directory, states)) if (this.#isFit(item)) yield item
      return
    }
    for (const state of states) {
      for await (const item of itemsOf(directory, this.#settings, state, new Slices()))
        if (this.#isFit(item)) yield item
    }
  }

  #isFit({ parsed, entry }: Item): boolean {
    if (this.#argument !== undefined && !parsed.args.includes(this.#argument)) return false
    return entry.info.ctimeMs <= this.#latest
  }

  async #named(directory: QueueDirectory, states: readonly ItemState[]): Promise<Iterable<Item>> {
    const finder = new Finder(directory, this.#settings, new Slices())
    // Several ids may lead to one item.
    const items = new Map<string, Item>()
    for (const [id, all] of await finder.findAll(this.#ids, states)) {
      const found: Item[] = []
      for (const one of all) {
        const item = await itemFound(one, this.#layout, this.#settings)
        if (item !== undefined) found.push(item)
      }
      for (const item of found) items.set(item.entry.path.toString('latin1'), item)
      if (found.length > 0) continue
      this.#isWhole = false
      sayMissing(id, this.#layout)
    }
    return items.values()
  }
}
