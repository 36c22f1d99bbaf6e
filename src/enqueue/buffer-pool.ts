/**
 * Copies large contents into memory that is reused: getting the pages of new memory costs several times as much as the copy.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import { setTimeout } from '../real-timers.js'

// In bytes. Smaller copies come from memory that the process has already.
const LARGE = 64 * 1024
// Free memory is kept for the next copies, up to this many bytes, until no copy was returned for this time.
const MOST_KEPT = 64 * 1024 * 1024
const KEPT_MS = 1000
// A copy may use a buffer of up to this many times its size.
const MOST_WASTE = 4

/** Memory for copies, which callers give back after use. */
export class BufferPool {
  #free: ArrayBuffer[] = []
  /** Buffers that are in use. Any other large buffer may share its memory with others, so it is not taken back. */
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #kept = 0
  #isUsed = false
  #forgetsSoon = false

  /** How many bytes are kept for the next copies. */
  get kept(): number {
    return this.#kept
  }

  /** Copies the bytes as they are now. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength < LARGE) return Buffer.from(bytes)
    const copied = this.#take(bytes.byteLength)
    copied.set(bytes)
    return copied
  }

  /** Encodes a text in UTF-8. */
  encode(text: string): Uint8Array {
    // In bytes, a shorter text may exceed this limit, but not threefold.
    if (text.length < LARGE) return Buffer.from(text, 'utf8')
    const bytes = this.#take(Buffer.byteLength(text, 'utf8'))
    bytes.write(text, 'utf8')
    return bytes
  }

  /** Takes back a result of {@link copy} or {@link encode}, which must not be read any more. Ignores any other value. */
  giveBack(copied: unknown): void {
    if (!(copied instanceof Uint8Array) || copied.byteLength < LARGE) return
    const { buffer } = copied
    if (!this.#lent.delete(buffer) || !(buffer instanceof ArrayBuffer)) return
    if (this.#kept + buffer.byteLength > MOST_KEPT) return
    this.#kept += buffer.byteLength
    this.#free.push(buffer)
    this.#isUsed = true
    if (!this.#forgetsSoon) this.#forgetLater()
  }

  #take(size: number): Buffer {
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= size && byteLength <= size * MOST_WASTE)
    const [found] = at === -1 ? [] : this.#free.splice(at, 1)
    if (found !== undefined) this.#kept -= found.byteLength
    const buffer = found ?? Buffer.allocUnsafeSlow(size).buffer
    this.#lent.add(buffer)
    return Buffer.from(buffer, 0, size)
  }

  #forgetLater(): void {
    this.#forgetsSoon = true
    setTimeout(() => {
      this.#forgetsSoon = false
      if (this.#isUsed) this.#forgetLater()
      else this.#forget()
      this.#isUsed = false
    }, KEPT_MS).unref()
  }

  #forget(): void {
    this.#free = []
    this.#kept = 0
  }
}
