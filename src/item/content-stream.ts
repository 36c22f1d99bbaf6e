/**
 * The contents of a claimed item as a stream.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import type { Readable } from 'node:stream'

import { SettingError } from '../errors/classes.js'
import { checkOptions, checkSignal } from '../options.js'

/** Options of {@link WorkItem.stream}. */
export interface StreamOptions {
  /** The position of the first byte. Default: 0. */
  readonly start?: number | undefined
  /** The position of the last byte, inclusive as for `fs.createReadStream`. Default: the last byte of the item. */
  readonly end?: number | undefined
  /** How many bytes one read takes, and how many are read ahead. Default: 131,072. */
  readonly highWaterMark?: number | undefined
  /** Its abort destroys the stream with an AbortError. */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS = ['start', 'end', 'highWaterMark', 'signal'] as const
const READ_AHEAD = 128 * 1024

/** Reads at least one and at most `length` bytes from `position` on. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>

/**
 * A stream of the bytes of an item. It does not own the descriptor and never closes it.
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
  // Not an import: loading streams takes time, and many programs never need one.
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
          // The end goes out together with the last bytes: the caller may finish the item as soon as it has them.
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
