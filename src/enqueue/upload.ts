/**
 * Reads a source and writes it into a new item.
 *
 * @module
 */
import { types } from 'node:util'

import { PayloadError } from '../errors/classes.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { piecesOf } from './chunks.js'
import { type DraftHandle, type NativePayload, isFailure, native } from '../addon/native.js'
import type { Source } from './source.js'
import type { Cancellation } from '../cancellation.js'

// Sweepers, such as `fsq repair`, remove files in tmp/ that are older than 36 hours (fsq standard, section 3). An upload must end
// well before that.
const LONGEST_MS = 24 * 3600 * 1000

/** Reads a source to its end: small contents into memory, so that they can share a batch, larger ones into a draft. */
export class Upload {
  readonly #source: Source
  readonly #cancellation: Cancellation
  readonly #directory: QueueDirectory
  readonly #end = Date.now() + LONGEST_MS
  readonly #timer: NodeJS.Timeout
  #draft: DraftHandle | undefined
  #writing: Promise<void> | undefined

  /** @param cancellation - Ends the upload. The upload raises it itself after 24 hours. */
  constructor(source: Source, cancellation: Cancellation, directory: QueueDirectory) {
    this.#source = source
    this.#cancellation = cancellation
    this.#directory = directory
    this.#timer = setTimeout(() => this.#cancellation.raise(tooLong()), LONGEST_MS)
    this.#timer.unref()
  }

  /**
   * Reads the source. Call {@link end} after the returned payload has been enqueued, and after an error.
   *
   * @param open - Opens a draft.
   * @returns The payload for native code.
   * @throws {@link PayloadError} if the source fails or yields anything but text and bytes; the reason of the cancellation; a
   * file system error.
   */
  async read(open: () => Promise<DraftHandle>): Promise<NativePayload> {
    this.#cancellation.check()
    this.#source.check()
    let first: Uint8Array | undefined
    for await (const piece of piecesOf(() => this.#next())) {
      if (first === undefined) {
        first = piece
        continue
      }
      if (this.#draft === undefined) {
        this.#draft = await open()
        await this.#write(this.#draft, first)
      }
      await this.#writing
      this.#cancellation.check()
      // Not awaited here: the next piece is read meanwhile.
      this.#writing = this.#write(this.#draft, piece)
      this.#writing.catch(() => undefined)
    }
    await this.#writing
    // The timer does not count the time for which the machine was suspended.
    if (Date.now() > this.#end) this.#cancellation.raise(tooLong())
    this.#cancellation.check()
    return this.#draft ?? first ?? null
  }

  /** Stops the source, and discards a draft that was not enqueued. Never rejects. Does not wait for the source once cancelled. */
  async end(): Promise<void> {
    clearTimeout(this.#timer)
    // A caller who has cancelled must not wait for a source that is slow to clean up.
    await Promise.allSettled([this.#cancellation.wait(this.#source.stop()), this.#writing])
    if (this.#draft !== undefined) await native.discardDraft(this.#draft)
  }

  #next(): Promise<{ readonly chunk: unknown } | undefined> {
    return this.#cancellation.wait(this.#source.next().catch(sourceError))
  }

  async #write(draft: DraftHandle, piece: Uint8Array): Promise<void> {
    const failure = await native.writeDraft(draft, piece)
    if (isFailure(failure)) throw this.#directory.error(failure, 'enqueue into')
  }
}

function sourceError(cause: unknown): never {
  const reason = types.isNativeError(cause) ? cause.message : String(cause)
  throw new PayloadError(`The source of the payload has failed: ${reason}`, {
    cause,
    advice: 'Nothing was enqueued; open the source again and retry',
  })
}

function tooLong(): PayloadError {
  return new PayloadError('The source of the payload has not ended within 24 hours', {
    advice: 'Nothing was enqueued; write the contents into a file first, and pass { path }',
  })
}
