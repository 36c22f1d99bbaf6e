/**
 * Contents that are read bit by bit, and only once: streams, generators, pipes.
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

/** What the methods of a Web stream's reader give; of its own, as there are streams that are not Node's. */
export interface WebReader {
  read(): Promise<{ done: boolean; value?: unknown }>
  cancel(): Promise<void>
  releaseLock(): void
}

/** As much of a Web ReadableStream as is needed. */
export interface WebStream {
  readonly locked: boolean
  getReader(): WebReader
  cancel(): Promise<void>
}

/** As much of a Blob as is needed; of its own, as that of the DOM's types is another than Node's. */
export interface WebBlob {
  arrayBuffer(): Promise<ArrayBuffer>
  stream(): WebStream
}

/** Why a stream cannot be a payload. */
interface Trouble {
  /** Follows 'a stream that'. */
  readonly says: string
  readonly advice: string
  readonly cause?: unknown
}

/** Something to read, by one reader, from where it is to its end. */
export abstract class Source {
  #over = false
  #reading = false

  /**
   * Checks that it can be read. One that cannot belongs to somebody else: {@link stop} leaves it alone.
   *
   * @throws {@link PayloadError}
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

  /** The next chunk, whatever it is; `undefined` at the end. Rejects as the source does. */
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
   * Nobody will read the rest. As leaving a `for await` does, this waits for the source to clean up, but not for one that
   * has yet to answer. Harmless if it has ended. Never rejects.
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

/** A generator, or whatever else can be iterated with `for await`. */
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
    // Not begun: what has yet to make an iterator has nothing to clean up, but an iterator may.
    const iterator = this.#iterator ?? (this.#iterable as Partial<AsyncIterator<unknown>>)
    return iterator.return?.()
  }
}

/** A stream of Node. */
export class NodeSource extends IterableSource {
  readonly #stream: Readable

  constructor(stream: Readable) {
    super(stream)
    this.#stream = stream
    this.check()
    // It may fail before its turn has come, and would take the process with it.
    stream.on('error', () => undefined)
  }

  protected override leave(): void {
    this.#stream.destroy()
  }

  protected override trouble(): Trouble | undefined {
    const { errored, readableEnded, destroyed, readable, readableFlowing } = this.#stream
    if (errored)
      return { says: `has failed before: ${errored.message}`, advice: 'Open it anew', cause: errored }
    if (readableEnded) return { says: 'is at its end: nothing can be read from it', advice: 'Open it anew' }
    if (destroyed) return { says: 'has been destroyed before', advice: 'Open it anew' }
    if (!readable) return { says: 'cannot be read from', advice: 'Pass one that can' }
    if (readableFlowing === true || this.#stream.listenerCount('readable') > 0) {
      return {
        says: "is being read already (a pipe(), a 'data' or 'readable' listener)",
        advice: 'Pass it untouched',
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
    // Not by its iterator: that cannot be left while it waits for a chunk.
    this.#reader ??= this.#stream.getReader()
    const result = await this.#reader.read()
    if (result.done) this.#reader.releaseLock()
    return result
  }

  protected override leave(): Promise<void> {
    return (this.#reader ?? this.#stream).cancel()
  }

  protected override trouble(): Trouble | undefined {
    if (this.#stream.locked) return { says: 'is locked: somebody else reads it', advice: 'Pass it untouched' }
    // Both take Web streams, whatever their types say.
    const stream = this.#stream as unknown as Readable
    const { Readable, isReadable } = process.getBuiltinModule('node:stream') // as in content-stream.ts
    if (Readable.isDisturbed(stream) && !isReadable(stream)) {
      return { says: 'has been read to its end, or cancelled, before', advice: 'Open it anew' }
    }
    return undefined
  }
}

/** A descriptor of a pipe, a socket or a terminal; lent, and never closed. */
export class PipeSource extends Source {
  readonly #descriptor: number
  readonly #buffer = Buffer.allocUnsafeSlow(PIPE_READ)
  #left = false

  constructor(descriptor: number) {
    super()
    this.#descriptor = descriptor
  }

  /** The bytes are good until the next call. */
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
