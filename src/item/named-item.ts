/**
 * The parts of an item's name.
 *
 * @module
 */
import { type InspectOptions, inspect } from 'node:util'

import { type RawName, fromRaw } from '../name/charset.js'
import { type ParsedName, itemKey, parseItemName, withTries } from '../name/item-name.js'
import { parseTimestamp } from '../name/timestamp.js'
import type { Arguments } from '../schema/shape.js'
import type { Settings } from '../settings.js'
import { inspected } from '../inspected.js'

/** The method by which a finish gives an item another name; callers of the package must not have it. */
export const RENAME = Symbol('rename')

/** What a log shows of an item. */
export interface ItemSummary {
  readonly id: string
  readonly key: string
  /** As the item was enqueued, also where a parser made others. */
  readonly args: readonly string[]
  readonly tries: number
  readonly enqueuedAt: Date
  /** The size of the contents in bytes, of a claimed item. */
  readonly size?: number
  /** The directory in which a listed item was seen. */
  readonly state?: string
}

/** An item as its name describes it. */
export abstract class NamedItem<Args extends Arguments = readonly string[]> {
  #parsed: ParsedName
  readonly #first: ParsedName
  readonly #settings: Settings

  constructor(parsed: ParsedName, settings: Settings) {
    this.#parsed = parsed
    this.#first = parsed
    this.#settings = settings
  }

  /** The name of the item's file. It changes with the tries; {@link key} stays the same. */
  get id(): string {
    return fromRaw(this.#parsed.raw, this.#settings.charset)
  }

  /**
   * The name without the tries: the same from try to try. If the name is taken in the directory that the item moves to, the item gets
   * another name, and with it another key; `key` of this object stays as it was.
   */
  get key(): string {
    return fromRaw(this.rawKey, this.#settings.charset)
  }

  /** The arguments with which the item was enqueued. */
  get args(): Args {
    return this.#parsed.args as Arguments as Args
  }

  /** The arguments under the name that the first implementation uses: always as the name has them, also where a parser made others. */
  get arguments(): readonly string[] {
    return this.#parsed.args
  }

  /** How many attempts have failed. */
  get tries(): number {
    return this.#parsed.tries
  }

  /** When the item was enqueued, by the clock of the enqueuer. */
  get enqueuedAt(): Date {
    return new Date(parseTimestamp(this.#parsed.timestamp, this.#settings) ?? Number.NaN)
  }

  /** The host that enqueued the item. */
  get hostname(): string {
    return this.#parsed.hostname
  }

  /** The process that enqueued the item; opaque. */
  get pid(): string {
    return this.#parsed.pid
  }

  /** The part that makes the name unique; opaque. */
  get entropy(): string {
    return this.#parsed.entropy
  }

  /** What `JSON.stringify()` writes of the item, and `console.log()` shows: for logs. */
  toJSON(): ItemSummary {
    const { id, key, arguments: args, tries, enqueuedAt } = this
    return { id, key, args, tries, enqueuedAt }
  }

  /** @internal */
  [inspect.custom](depth: number, options: InspectOptions): string {
    return inspected(this.constructor.name, this.toJSON(), depth, options)
  }

  /** @internal When the item was enqueued, as its name has it. */
  get timestamp(): string {
    return this.#parsed.timestamp
  }

  /** @internal {@link id}, byte for byte. */
  get rawId(): RawName {
    return this.#parsed.raw
  }

  /** @internal {@link key}, byte for byte. */
  get rawKey(): RawName {
    return itemKey(this.#first.raw, this.#settings.encode)
  }

  /** @internal The name with tries 0, byte for byte. */
  get rawUntried(): RawName {
    return withTries(this.#first.raw, 0, this.#settings.encode)
  }

  /** @internal */
  protected get parsed(): ParsedName {
    return this.#parsed
  }

  /** @internal The item has another name from now on. */
  [RENAME](name: RawName): void {
    this.#parsed = parseItemName(name, this.#settings)
  }
}
