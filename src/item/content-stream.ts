/**
 * The contents of a claimed item as a stream.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import type { Readable } from 'node:stream'

import { SettingError } from '../errors/classes.js'
import { checkOptions, checkSignal } from '../options.js'

/** What of an item is streamed, and how. */
export interface StreamOptions {
  /** The first byte; left out: 0. */
  readonly start?: number | undefined
  /** The last byte, which is part of it, as for `fs.createReadStream`; left out: the last one of the item. */
  readonly end?: number | undefined
  /** How many bytes are read at a time, and ahead; left out: 131,072. */
  readonly highWaterMark?: number | undefined
  /** Destroys the stream with an AbortError. */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS = ['start', 'end', 'highWaterMark', 'signal'] as const
const READ_AHEAD = 128 * 1024

/** Reads up to so many bytes from this position on, and at least one. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>

/**
 * A stream of the bytes of an item. It owns nothing: closing it closes no descriptor.
 *
 * @throws {@link SettingError}
 */
export function contentStream(size: number, readAt: ReadAt, options: StreamOptions): Readable {
  checkOptions('stream', options, OPTIONS)
  const { start = 0, end, highWaterMark = READ_AHEAD, signal } = options
  checkWhole('start', start, 0)
  if (end !== undefined) checkWhole('end', end, start)
  checkWhole('highWaterMark', highWaterMark, 1)
  checkSignal(signal)
  const limit = end === undefined ? size : Math.min(end + 1, size)
  let position = start
  // Only here: a program that has no use of streams need not wait until they are loaded.
  const { Readable } = process.getBuiltinModule('node:stream')
  return new Readable({
    highWaterMark,
    ...(signal === undefined ? {} : { signal }),
    read(length) {
      const wanted = Math.min(length, limit - position)
      if (wanted <= 0) {
        this.push(null)
        return
      }
      readAt(position, wanted).then(
        (bytes) => {
          position += bytes.length
          this.push(bytes)
          // Said along with the last bytes: the item may be finished as soon as they are there.
          if (position >= limit) this.push(null)
        },
        (error: unknown) => this.destroy(error as Error),
      )
    },
  })
}

function checkWhole(name: string, value: unknown, least: number): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return
  throw new SettingError(name, value, `a whole number of bytes, at least ${least}`)
}
