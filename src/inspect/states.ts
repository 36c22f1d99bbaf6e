/**
 * The states of an item, as told by its directory, and which files are items.
 *
 * @module
 */
import { Place } from '../addon/native.js'
import { MalformedNameError } from '../errors/classes.js'
import type { RawName } from '../name/charset.js'
import { type ParsedName, parseItemName } from '../name/item-name.js'
import type { Settings } from '../settings.js'

/** Where an item can be. One that a worker holds is still waiting: its file is still in queue/, or in claimed/. */
export type ItemState = 'waiting' | 'done' | 'failed'

/** The directory of the items in each state. */
export const PLACES: Readonly<Record<ItemState, Place>> = {
  waiting: Place.queue,
  done: Place.done,
  failed: Place.fail,
}

/** All of them, in the order of an item's life. */
export const STATES = Object.keys(PLACES) as ItemState[]

/** What a name says; `undefined`: it is not that of an item. */
export function parseIfItem(raw: RawName, settings: Settings): ParsedName | undefined {
  try {
    return parseItemName(raw, settings)
  } catch (error) {
    if (error instanceof MalformedNameError) return undefined
    throw error
  }
}
