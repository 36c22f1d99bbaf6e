/**
 * The close of a sink or of a source, which is code of the caller: it may never end.
 *
 * @module
 */
import { FsqError } from '../errors/classes.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

const CLOSE_MS = 5000

/**
 * Waits for a close, and not for ever.
 *
 * @param what - Names what closes, for the error: `The sink nats-ORDERS`.
 * @throws Its rejection; {@link FsqError} after five seconds.
 */
export async function closeInTime(what: string, closing: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new FsqError(`${what} has not closed within ${CLOSE_MS} ms`, {
          advice: 'Nothing waits for it any more. Let its close() end what it waits for',
        }),
      )
    }, CLOSE_MS)
  })
  try {
    await Promise.race([closing, late])
  } finally {
    clearTimeout(timer)
  }
}
