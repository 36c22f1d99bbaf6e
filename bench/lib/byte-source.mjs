import { Buffer } from 'node:buffer'
import { Readable } from 'node:stream'

const CHUNK = 64 * 1024

/**
 * A stream of this many bytes.
 *
 * @param chunkOf - Makes a chunk of a part of one buffer that all chunks share. Default: the part itself.
 */
export function byteSource(bytes, chunkOf = (part) => part) {
  const pattern = Buffer.alloc(CHUNK, 'x')
  let left = bytes
  return new Readable({
    highWaterMark: CHUNK,
    read() {
      const length = Math.min(left, CHUNK)
      left -= length
      this.push(length === 0 ? null : chunkOf(pattern.subarray(0, length)))
    },
  })
}
