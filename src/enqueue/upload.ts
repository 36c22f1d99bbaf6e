/**
 * A source on its way into an item.
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

// The sweeper takes files in tmp/ that are older than 36 hours (fsq standard, section 3): the two must never meet.
const LONGEST_MS = 24 * 3600 * 1000

/** Reads a source to its end. What is small goes with other items; what is not, into a draft. */
export class Upload {
  readonly #source: Source
  readonly #cancellation: Cancellation
  readonly #directory: QueueDirectory
  readonly #end = Date.now() + LONGEST_MS
  readonly #timer: NodeJS.Timeout
  #draft: DraftHandle | undefined
  #writing: Promise<void> | undefined

  /** @param cancellation - Ends it, and is raised when it takes too long. */
  constructor(source: Source, cancellation: Cancellation, directory: QueueDirectory) {
    this.#source = source
    this.#cancellation = cancellation
    this.#directory = directory
    this.#timer = setTimeout(() => this.#cancellation.raise(tooLong()), LONGEST_MS)
    this.#timer.unref()
  }

  /**
   * @param open - Makes a draft.
   * @returns What native code enqueues. {@link end} is for afterwards.
   * @throws {@link PayloadError} if the source fails or is not made of text and bytes; what the stop was raised with; a file
   * system error.
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
      // The next piece is read meanwhile.
      this.#writing = this.#write(this.#draft, piece)
      this.#writing.catch(() => undefined)
    }
    await this.#writing
    // The timer does not count the hours that a machine sleeps.
    if (Date.now() > this.#end) this.#cancellation.raise(tooLong())
    this.#cancellation.check()
    return this.#draft ?? first ?? null
  }

  /** Lets go of the source, and of what has been written and not enqueued. Never rejects, and is over once the stop is raised. */
  async end(): Promise<void> {
    clearTimeout(this.#timer)
    // Whoever has given up does not wait for a source that takes its time to clean up.
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
    advice: 'Nothing was enqueued; open it anew and try again',
  })
}

function tooLong(): PayloadError {
  return new PayloadError('The source of the payload has not ended within 24 hours', {
    advice: 'Nothing was enqueued; write it into a file first, and enqueue that by { path }',
  })
}
