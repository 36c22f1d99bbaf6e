/**
 * Large contents that are in memory already. They are written straight from there, by several threads, before their item gets its name.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'

import type { BufferPool } from './buffer-pool.js'

/**
 * Bytes, or UTF-16 units of a text. Up to here a copy costs no more than the second native call, which large contents take. Users are
 * told a lower limit, 65,536 bytes, from which on they must not change the bytes.
 */
export const LARGE = 128 * 1024

/** Bytes that belong to the caller, or a text, which is encoded when its turn comes. */
export class LargeContents {
  readonly #contents: Uint8Array | string

  /** How much there is to write, roughly: a text may have more bytes. */
  readonly size: number

  constructor(contents: Uint8Array | string) {
    // A view of our own: a subclass can have a length of its own.
    this.#contents =
      typeof contents === 'string'
        ? contents
        : new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength)
    this.size = this.#contents.length
  }

  /** Whether the buffer of the bytes has been transferred away: its views have length 0 then. */
  get isGone(): boolean {
    return this.#contents.length !== this.size
  }

  /** @param pool - Has the memory for the bytes of a text; takes it back by {@link BufferPool.giveBack}. */
  bytes(pool: BufferPool): Uint8Array {
    return typeof this.#contents === 'string' ? pool.encode(this.#contents) : this.#contents
  }
}

/** Whether the memory of a buffer stays where and as it is, unless it is taken away as a whole. */
export function isFixed(buffer: Buffer['buffer']): boolean {
  const { resizable = false, growable = false } = buffer as { resizable?: boolean; growable?: boolean }
  return !resizable && !growable
}
