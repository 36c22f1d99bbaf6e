/**
 * The contents of a claimed item.
 *
 * @module
 */
import { Buffer, constants } from 'node:buffer'
import fs from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import os from 'node:os'
import type { Readable } from 'node:stream'
import { inspect, promisify } from 'node:util'

import { ContentError } from '../errors/classes.js'
import { errnoOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { Claim } from './claims.js'
import { closeItemLater } from './descriptors.js'
import { type StreamOptions, contentStream } from './content-stream.js'

const read = promisify(fs.read)
// The node:fs of Deno reads only from descriptors that it has opened itself.
const isDeno = 'deno' in process.versions

const READ_STEP = 1024 * 1024

/** The item that has the contents, as errors name it. */
interface Named {
  readonly id: string
  readonly path: string
}

/** Reads the contents of one item, by position: the offset of the descriptor stays 0 for a child that inherits it. */
export class Contents {
  readonly #claim: Claim
  readonly #item: Named

  constructor(claim: Claim, item: Named) {
    this.#claim = claim
    this.#item = item
  }

  /** See {@link WorkItem.bytes}. */
  async bytes(): Promise<Buffer> {
    const { contents, offset, size } = this.#claim.file
    if (offset < 0) return this.#claim.read(async () => this.#readAll(constants.MAX_LENGTH))
    this.#claim.check('read')
    // A copy: `contents` is shared with other items.
    return Buffer.from(contents.subarray(offset, offset + size))
  }

  /** See {@link WorkItem.text}. */
  async text(): Promise<string> {
    const { contents, offset, size } = this.#claim.file
    if (offset < 0) {
      const bytes = await this.#claim.read(async () => this.#readAll(constants.MAX_STRING_LENGTH))
      return bytes.toString('utf8')
    }
    this.#claim.check('read')
    return contents.toString('utf8', offset, offset + size)
  }

  /** See {@link WorkItem.stream}. */
  stream(options: StreamOptions): Readable {
    this.#claim.check('read')
    const { size, contents, offset } = this.#claim.file
    if (offset >= 0) {
      const readKnown = async (position: number, length: number): Promise<Buffer> => {
        this.#claim.check('read')
        return Buffer.from(contents.subarray(offset + position, offset + position + length))
      }
      return contentStream(size, readKnown, options)
    }
    const descriptor = this.#descriptorOfStream()
    const stream = contentStream(
      size,
      async (position, length) => this.#readPart(descriptor.get, position, length),
      options,
    )
    return stream.once('close', descriptor.close)
  }

  /** Where claims are renames, the item is open from the first read of a stream to its end. */
  #descriptorOfStream(): { readonly get: () => Promise<number>; readonly close: () => void } {
    const claim = this.#claim
    let opening: Promise<number> | undefined
    return {
      get: async () => (claim.isRename ? (opening ??= claim.open()) : claim.file.descriptor),
      close: () => {
        opening?.then(closeItemLater, () => undefined)
      },
    }
  }

  async #readPart(descriptor: () => Promise<number>, position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length)
    const { bytesRead } = await this.#claim.read(async () =>
      this.#readAt(await descriptor(), buffer, 0, length, position),
    )
    return buffer.subarray(0, bytesRead)
  }

  async #readAll(most: number): Promise<Buffer> {
    const { size } = this.#claim.file
    if (size > most) {
      throw new ContentError(
        `The item ${inspect(this.#item.id)} has ${size} bytes, and one value can hold ${most}`,
        { advice: 'Read it with item.stream(), or give item.fd to a program' },
      )
    }
    const buffer = Buffer.allocUnsafe(size)
    await this.#withDescriptor(async (descriptor) => {
      let filled = 0
      while (filled < buffer.length) {
        const length = Math.min(buffer.length - filled, READ_STEP)
        const { bytesRead } = await this.#readAt(descriptor, buffer, filled, length, filled)
        this.#claim.checkNotReleased('read')
        filled += bytesRead
      }
    })
    return buffer
  }

  /** Where claims are renames, an item is open only as long as it is read. */
  async #withDescriptor<Result>(use: (descriptor: number) => Promise<Result>): Promise<Result> {
    const claim = this.#claim
    if (!claim.isRename) return use(claim.file.descriptor)
    const descriptor = await claim.open()
    try {
      return await use(descriptor)
    } finally {
      closeItemLater(descriptor)
    }
  }

  async #readAt(
    descriptor: number,
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ bytesRead: number }> {
    const { id, path } = this.#item
    try {
      if (isDeno) return await readFrom(path, buffer, offset, length, position)
      const result = await read(descriptor, buffer, offset, length, position)
      // An item is complete when it is claimed. A shorter file must not pass for the item.
      if (result.bytesRead === 0) throw this.#cutError(position)
      return result
    } catch (error) {
      if (error instanceof ContentError) throw error
      const errno = errnoOf(error) || -os.constants.errno.EIO
      throw fileSystemError({ errno, syscall: 'read', path }, `read the item ${inspect(id)}`)
    }
  }

  #cutError(position: number): ContentError {
    return new ContentError(
      `The item ${inspect(this.#item.id)} had ${this.#claim.file.size} bytes when it was claimed, and has no more than ` +
        `${position} now: its file was cut short meanwhile`,
      { advice: 'Find the program that writes to items in queue/, and stop it; retry or fail this item' },
    )
  }
}

async function readFrom(
  path: string,
  ...range: [Buffer, number, number, number]
): Promise<{ bytesRead: number }> {
  const file = await openFile(path)
  try {
    return await file.read(...range)
  } finally {
    await file.close()
  }
}
