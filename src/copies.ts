/**
 * Copies of large contents, in memory that is used again: the pages of new memory cost several times what the copying does.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

// Smaller ones come from memory that is at hand anyway.
const LARGE = 64 * 1024
// Kept for the next ones.
const MOST_KEPT = 8 * 1024 * 1024
// A copy may take memory of up to so many times its size.
const MOST_WASTE = 4

/** Memory for copies, given back after use. */
export class Copies {
  readonly #free: ArrayBuffer[] = []
  #kept = 0

  /** The bytes as they are now. */
  copy(bytes: Uint8Array): Uint8Array {
    const size = bytes.byteLength
    if (size < LARGE) return Buffer.from(bytes)
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= size && byteLength <= size * MOST_WASTE)
    const [found] = at === -1 ? [] : this.#free.splice(at, 1)
    if (found !== undefined) this.#kept -= found.byteLength
    const copied = new Uint8Array(found ?? Buffer.allocUnsafeSlow(size).buffer, 0, size)
    copied.set(bytes)
    return copied
  }

  /** Takes back what {@link copy} gave, once nobody reads it any more. Anything else is left alone. */
  giveBack(copied: unknown): void {
    if (!(copied instanceof Uint8Array) || copied.byteLength < LARGE) return
    const { buffer } = copied
    if (!(buffer instanceof ArrayBuffer) || this.#kept + buffer.byteLength > MOST_KEPT) return
    this.#kept += buffer.byteLength
    this.#free.push(buffer)
  }
}
