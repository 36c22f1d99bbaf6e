/**
 * Copies of large contents, in memory that is used again: the pages of new memory cost several times what the copying does.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
// Not the global one, which a test may have replaced by one that stands still.
import { setTimeout } from 'node:timers'

// Smaller ones come from memory that is at hand anyway.
const LARGE = 64 * 1024
// Kept for the next ones, while they come.
const MOST_KEPT = 64 * 1024 * 1024
const KEPT_MS = 1000
// A copy may take memory of up to so many times its size.
const MOST_WASTE = 4

/** Memory for copies, given back after use. */
export class BufferPool {
  #free: ArrayBuffer[] = []
  /** Given out: what is large and not among them may share its memory with others. */
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #kept = 0
  #isUsed = false
  #forgetsSoon = false

  /** Bytes that are kept for the next copies. */
  get kept(): number {
    return this.#kept
  }

  /** The bytes as they are now. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength < LARGE) return Buffer.from(bytes)
    const copied = this.#take(bytes.byteLength)
    copied.set(bytes)
    return copied
  }

  /** A text in UTF-8. */
  encode(text: string): Uint8Array {
    // What is shorter may be as large, but not by much.
    if (text.length < LARGE) return Buffer.from(text, 'utf8')
    const bytes = this.#take(Buffer.byteLength(text, 'utf8'))
    bytes.write(text, 'utf8')
    return bytes
  }

  /** Takes back what {@link copy} or {@link encode} gave, once nobody reads it any more. Anything else is left alone. */
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
