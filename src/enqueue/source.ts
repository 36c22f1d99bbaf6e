/**
 * Contents that are read once, chunk by chunk: streams, generators, pipes.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import os from 'node:os'
import type { Readable } from 'node:stream'
import { setTimeout as later } from 'node:timers/promises'

import { PayloadError } from '../errors/classes.js'
import { systemError } from '../errors/system-error.js'
import { isFailure, native } from '../addon/native.js'

const { EAGAIN } = os.constants.errno
const PIPE_READ = 64 * 1024
const LONGEST_PAUSE_MS = 32
const OPEN_AGAIN = 'Open it again'
const PASS_UNREAD = 'Pass a stream that nothing else reads'

/** The part of a Web stream's reader that this package uses. Declared here because not all Web streams are Node's. */
export interface WebReader {
  read(): Promise<{ done: boolean; value?: unknown }>
  cancel(): Promise<void>
  releaseLock(): void
}

/** The part of a Web ReadableStream that this package uses. */
export interface WebStream {
  readonly locked: boolean
  getReader(): WebReader
  cancel(): Promise<void>
}

/** The part of a Blob that this package uses. Declared here because the Blob of the DOM's types differs from Node's. */
export interface WebBlob {
  arrayBuffer(): Promise<ArrayBuffer>
  stream(): WebStream
}

/** Why a stream cannot be a payload. */
interface Trouble {
  /** Completes the sentence 'The payload is a stream that ...'. */
  readonly says: string
  readonly advice: string
  readonly cause?: unknown
}

/** A source of contents, read by one reader from its current position to its end. */
export abstract class Source {
  #over = false
  #reading = false

  /**
   * Checks that the source can be read. One that cannot may belong to another reader: {@link stop} then leaves it alone.
   *
   * @throws {@link PayloadError} if it cannot.
   */
  check(): void {
    const trouble = this.trouble()
    if (trouble === undefined) return
    this.#over = true
    const { says, advice, cause } = trouble
    throw new PayloadError(`The payload is a stream that ${says}`, {
      advice,
      ...(cause === undefined ? {} : { cause }),
    })
  }

  /** Reads the next chunk, of whatever kind; `undefined` at the end. Rejects with the error of the source. */
  async next(): Promise<{ readonly chunk: unknown } | undefined> {
    this.#reading = true
    try {
      const { done, value } = await this.read()
      if (done !== true) return { chunk: value }
      this.#over = true
      return undefined
    } catch (error) {
      this.#over = true
      throw error
    } finally {
      this.#reading = false
    }
  }

  /**
   * Ends the source before its end. Like leaving a `for await`, it waits until the source has cleaned up, unless a read is in
   * flight, which may never be answered. Does nothing if the source has ended. Never rejects.
   */
  async stop(): Promise<void> {
    if (this.#over) return
    this.#over = true
    const stopping = Promise.resolve()
      .then(() => this.leave())
      .catch(() => undefined)
    if (!this.#reading) await stopping
  }

  protected abstract read(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>
  protected abstract leave(): unknown
  protected trouble(): Trouble | undefined {
    return undefined
  }
}

/** A generator, or any other object for `for await`. */
export class IterableSource extends Source {
  readonly #iterable: AsyncIterable<unknown>
  #iterator: AsyncIterator<unknown> | undefined

  constructor(iterable: AsyncIterable<unknown>) {
    super()
    this.#iterable = iterable
  }

  protected override read(): Promise<IteratorResult<unknown>> {
    this.#iterator ??= this.#iterable[Symbol.asyncIterator]()
    return this.#iterator.next()
  }

  protected override leave(): unknown {
    // Before the first read: an iterable has nothing to clean up, but an object that is an iterator itself may have.
    const iterator = this.#iterator ?? (this.#iterable as Partial<AsyncIterator<unknown>>)
    return iterator.return?.()
  }
}

/** A Readable of Node. */
export class NodeSource extends IterableSource {
  readonly #stream: Readable

  constructor(stream: Readable) {
    super(stream)
    this.#stream = stream
    this.check()
    // It may fail before it is read, and an 'error' event without a listener would end the process.
    stream.on('error', () => undefined)
  }

  protected override leave(): void {
    this.#stream.destroy()
  }

  protected override trouble(): Trouble | undefined {
    const { errored, readableEnded, destroyed, readable, readableFlowing } = this.#stream
    if (errored) return { says: `has already failed: ${errored.message}`, advice: OPEN_AGAIN, cause: errored }
    if (readableEnded) return { says: 'is at its end: nothing can be read from it', advice: OPEN_AGAIN }
    if (destroyed) return { says: 'has already been destroyed', advice: OPEN_AGAIN }
    if (!readable) return { says: 'is not readable', advice: 'Pass a readable stream' }
    if (readableFlowing === true || this.#stream.listenerCount('readable') > 0) {
      return {
        says: "is already being read (a pipe(), a 'data' or 'readable' listener)",
        advice: PASS_UNREAD,
      }
    }
    return undefined
  }
}

/** A Web ReadableStream. */
export class WebSource extends Source {
  readonly #stream: WebStream
  #reader: WebReader | undefined

  constructor(stream: WebStream) {
    super()
    this.#stream = stream
    this.check()
  }

  protected override async read(): Promise<{ readonly done: boolean; readonly value?: unknown }> {
    // A reader, not an iterator: return() of an iterator waits while a read is in flight, cancel() does not.
    this.#reader ??= this.#stream.getReader()
    const result = await this.#reader.read()
    if (result.done) this.#reader.releaseLock()
    return result
  }

  protected override leave(): Promise<void> {
    return (this.#reader ?? this.#stream).cancel()
  }

  protected override trouble(): Trouble | undefined {
    if (this.#stream.locked) return { says: 'is locked by another reader', advice: PASS_UNREAD }
    // Both functions accept Web streams, which their types omit.
    const stream = this.#stream as unknown as Readable
    const { Readable, isReadable } = process.getBuiltinModule('node:stream') // as in content-stream.ts
    if (Readable.isDisturbed(stream) && !isReadable(stream)) {
      return { says: 'has already been read to its end, or cancelled', advice: OPEN_AGAIN }
    }
    return undefined
  }
}

/** The descriptor of a pipe, a socket or a terminal. It belongs to the caller, and is never closed here. */
export class PipeSource extends Source {
  readonly #descriptor: number
  readonly #buffer = Buffer.allocUnsafeSlow(PIPE_READ)
  #left = false

  constructor(descriptor: number) {
    super()
    this.#descriptor = descriptor
  }

  /** The bytes are valid until the next call. */
  protected override async read(): Promise<{ readonly done: boolean; readonly value?: Buffer }> {
    for (let pause = 1; !this.#left; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const result = await native.readPipe(this.#descriptor, this.#buffer)
      if (!isFailure(result)) return { done: result === 0, value: this.#buffer.subarray(0, result) }
      if (result.errno !== -EAGAIN) throw systemError(result)
      await later(pause)
    }
    return { done: true }
  }

  protected override leave(): void {
    this.#left = true
  }
}
