/**
 * A claimed item, as a sink sees it.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import type { BigIntStats } from 'node:fs'

import type { WorkItem } from '../item/work-item.js'
import { type Charset, toRaw } from '../name/charset.js'
import { type QueueIdentity, itemIdentity } from './identity.js'
import type { OutgoingItem } from './sink.js'

export class Outgoing implements OutgoingItem {
  readonly #id: string
  readonly #item: WorkItem
  readonly #charset: Charset

  constructor(item: WorkItem, charset: Charset, queue: QueueIdentity, file: BigIntStats) {
    this.#item = item
    this.#charset = charset
    this.#id = itemIdentity(queue, item.rawKey, file)
  }

  /** A sink cannot change it: the next put of the item needs the same one. */
  get id(): string {
    return this.#id
  }

  get key(): string {
    return this.#item.key
  }

  get nameBytes(): Uint8Array {
    return Buffer.from(this.#item.rawUntried, 'latin1')
  }

  get args(): readonly string[] {
    return this.#item.arguments
  }

  get argBytes(): readonly Uint8Array[] {
    return this.args.map((text) => Buffer.from(toRaw(text, this.#charset), 'latin1'))
  }

  get enqueuedAt(): Date {
    return this.#item.enqueuedAt
  }

  get tries(): number {
    return this.#item.tries
  }

  get size(): number {
    return this.#item.size
  }

  async bytes(): Promise<Uint8Array> {
    return this.#item.bytes()
  }

  stream(): AsyncIterable<Uint8Array> {
    return this.#item.stream()
  }
}
