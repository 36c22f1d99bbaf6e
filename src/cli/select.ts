/**
 * Which items a command is about.
 *
 * @module
 */
import type { Layout } from '../layout.js'
import type { ItemState } from '../lister.js'
import { toRaw } from '../name/charset.js'
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

/** What was asked for. */
export interface Selection {
  readonly items: readonly Item[]
  /** Whether each item that was named has been found. */
  readonly isWhole: boolean
}

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

/** The items of the queue that were asked for: by id or key, by an argument, by age since they were last moved, or all. */
export function select(
  given: Arguments,
  layout: Layout,
  settings: Settings,
  states: readonly ItemState[],
): Selection {
  const [, ...ids] = given.operands
  const argument = given.text('argument')
  const age = ageOption(given, 'older-than')
  const latest = age === undefined ? Number.POSITIVE_INFINITY : Date.now() - age
  const missing = new Set(ids)
  const wanted = namesOf(ids, settings)
  const items: Item[] = []
  for (const state of states) {
    for (const item of itemsOf(layout, settings, state)) {
      const { raw } = item.parsed
      const id = wanted.get(raw) ?? wanted.get(itemKey(raw, settings.encode))
      if (ids.length > 0 && id === undefined) continue
      if (argument !== undefined && !item.parsed.args.includes(argument)) continue
      if (item.entry.info.ctimeMs > latest) continue
      if (id !== undefined) missing.delete(id)
      items.push(item)
    }
  }
  for (const id of missing) say(`there is no such item in ${layout.path}: ${id}`)
  return { items, isWhole: missing.size === 0 }
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
