/**
 * Large contents that are in memory already. They are written straight from there, by several threads, before their item gets its name.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'

import type { BufferPool } from './buffer-pool.js'

/** Bytes, or UTF-16 units of a text. Up to here a copy costs less than the second way through the pool, which large contents take. */
export const LARGE = 256 * 1024

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
    this.size = contents.length
  }

  /**
   * @param pool - Has the memory for the bytes of a text; takes it back by {@link BufferPool.giveBack}.
   * @returns `undefined`: the buffer of the bytes has been transferred away.
   */
  bytes(pool: BufferPool): Uint8Array | undefined {
    if (typeof this.#contents === 'string') return pool.encode(this.#contents)
    return this.#contents.length === this.size ? this.#contents : undefined
  }
}

/** Whether the memory of a buffer stays where and as it is, unless it is taken away as a whole. */
export function isFixed(buffer: Buffer['buffer']): boolean {
  const { resizable = false, growable = false } = buffer as { resizable?: boolean; growable?: boolean }
  return !resizable && !growable
}
