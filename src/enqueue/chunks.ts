/**
 * Joins chunks of text and bytes, of any size, into few large pieces of bytes.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { inspect, types } from 'node:util'

import { PayloadError } from '../errors/classes.js'
import { type Bytes, attachedBytes } from './payload.js'

/** The largest piece, in bytes: large enough that a call into native code costs little in comparison. */
export const PIECE = 256 * 1024

// In UTF-16 units. A string is encoded in parts, so that a huge one is not in memory twice.
const TEXT_PART = 64 * 1024

/**
 * Yields the bytes of the chunks in pieces, all of which are full except the last one. Two buffers take turns: the bytes of a
 * piece stay valid until the caller asks for the next piece but one.
 *
 * @param next - Gives the next chunk; `undefined` at the end.
 * @throws {@link PayloadError} for a chunk that is neither text nor bytes; any rejection of `next`.
 */
export async function* piecesOf(
  next: () => Promise<{ readonly chunk: unknown } | undefined>,
): AsyncGenerator<Buffer, void, undefined> {
  const encoder = new ChunkEncoder()
  let [current, other]: (Buffer | undefined)[] = []
  let filled = 0
  for (let read = await next(); read !== undefined; read = await next()) {
    for (const bytes of encoder.encode(read.chunk)) {
      for (let from = 0; from < bytes.length;) {
        current ??= Buffer.allocUnsafeSlow(PIECE)
        const part = bytes.subarray(from, from + PIECE - filled)
        current.set(part, filled)
        from += part.length
        filled += part.length
        if (filled < PIECE) continue
        yield current
        ;[current, other] = [other, current]
        filled = 0
      }
    }
  }
  encoder.end()
  if (current !== undefined && filled > 0) yield current.subarray(0, filled)
}

/** Turns chunks into bytes. Joins the two halves of a character that the end of a chunk has cut. */
class ChunkEncoder {
  #half = ''
  #chunks = 0

  /** @throws {@link PayloadError} if half a character is left. */
  end(): void {
    if (this.#half !== '') throw this.#loneSurrogate()
  }

  *encode(chunk: unknown): Generator<Uint8Array, void, undefined> {
    this.#chunks++
    if (typeof chunk === 'string') {
      for (let from = 0; from < chunk.length; from += TEXT_PART) {
        yield this.#encodeText(chunk.slice(from, from + TEXT_PART))
      }
      return
    }
    if (!ArrayBuffer.isView(chunk) && !types.isAnyArrayBuffer(chunk)) {
      throw new PayloadError(
        `Chunk ${this.#chunks} of the payload is ${inspect(chunk, { depth: 0, maxStringLength: 80 })}, expected ` +
          'a string or bytes',
        { advice: 'Turn the objects of a stream into text first, such as a line of JSON for each' },
      )
    }
    if (this.#half !== '') throw this.#loneSurrogate()
    yield attachedBytes(chunk as Bytes)
  }

  #encodeText(text: string): Uint8Array {
    let whole = this.#half + text
    this.#half = ''
    const last = whole.charCodeAt(whole.length - 1)
    if (last >= 0xd800 && last <= 0xdbff) {
      this.#half = whole.slice(-1)
      whole = whole.slice(0, -1)
    }
    if (!whole.isWellFormed()) throw this.#loneSurrogate()
    return Buffer.from(whole, 'utf8')
  }

  #loneSurrogate(): PayloadError {
    return new PayloadError(
      `Chunk ${this.#chunks} of the payload has a lone surrogate, half of a character`,
      { advice: 'Begin the next string with the other half, or pass bytes' },
    )
  }
}
