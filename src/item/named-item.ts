/**
 * What an item's name says of it.
 *
 * @module
 */
import { fromRaw } from '../name/charset.js'
import { type ParsedName, itemKey } from '../name/item-name.js'
import { parseTimestamp } from '../name/timestamp.js'
import type { Settings } from '../settings.js'

/** An item, by its name. */
export abstract class NamedItem {
  #parsed: ParsedName
  readonly #first: ParsedName
  readonly #settings: Settings

  constructor(parsed: ParsedName, settings: Settings) {
    this.#parsed = parsed
    this.#first = parsed
    this.#settings = settings
  }

  /** The name of the item's file. It changes with the tries; {@link key} does not. */
  get id(): string {
    return fromRaw(this.#parsed.raw, this.#settings.charset)
  }

  /**
   * The name without the tries: the same from try to try, and for this object whatever happens. Only an item whose name is taken
   * where it is moved to, by a file that somebody else has put there, gets another one and with it another key.
   */
  get key(): string {
    return fromRaw(itemKey(this.#first.raw, this.#settings.encode), this.#settings.charset)
  }

  /** What the item was enqueued with. */
  get args(): readonly string[] {
    return this.#parsed.args
  }

  /** {@link args}, by the name that the first implementation has for it. */
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

  /** What makes the name unique; opaque. */
  get entropy(): string {
    return this.#parsed.entropy
  }

  /** @internal When the item was enqueued, as its name has it. */
  get timestamp(): string {
    return this.#parsed.timestamp
  }

  /** @internal */
  protected get parsed(): ParsedName {
    return this.#parsed
  }

  /** @internal */
  protected rename(parsed: ParsedName): void {
    this.#parsed = parsed
  }
}
