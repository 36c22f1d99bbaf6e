/**
 * Gives items to one host: copies, or hard links, under the names that they have.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'

import { type ItemForm, type NativePayload, Place, isFailure, native } from '../addon/native.js'
import { claimedIn, workerPath } from '../directory/claimed.js'
import { type Layout, placePath, shownName } from '../directory/layout.js'
import { QueueDirectory, isStale } from '../directory/open-directory.js'
import { isMissing } from '../directory/presence.js'
import { itemFormOf } from '../enqueue/item-form.js'
import { ContentError, FsqError } from '../errors/classes.js'
import { errnoOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { WorkItem } from '../item/work-item.js'
import { type RawName, bytePath } from '../name/charset.js'
import type { Settings } from '../settings.js'

const { EEXIST } = os.constants.errno
/** Contents of up to so many bytes are read once for all hosts. */
const MOST_IN_MEMORY = 65_536
const COMPARED_AT_ONCE = 1024 * 1024

/** An item on its way to another queue, where it gets the same name. */
export interface Outgoing {
  readonly id: string
  readonly raw: RawName
  readonly size: number
  /** Its contents, or its descriptor. */
  readonly payload: NativePayload
  /** The directory that its file is in; for hard links. */
  readonly directory: string | undefined
  /** Reads the contents, to compare them. */
  readonly read: () => AsyncIterable<Uint8Array>
}

/** A claimed item on its way. */
export async function outgoingOf(item: WorkItem, isLinked: boolean): Promise<Outgoing> {
  const { id, rawId: raw, size } = item
  const payload = isLinked ? null : size <= MOST_IN_MEMORY ? await item.bytes() : await item.openFd()
  const read = (): AsyncIterable<Uint8Array> => item.stream({ highWaterMark: COMPARED_AT_ONCE })
  return { id, raw, size, payload, directory: isLinked ? path.dirname(item.path) : undefined, read }
}

/** One queue that gets items: that of a host, mostly. */
export class Copier {
  readonly layout: Layout
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #isLinked: boolean
  #form: ItemForm | undefined

  /** @param isLinked - The host gets another name of the same file instead of a copy. */
  constructor(layout: Layout, settings: Settings, isLinked: boolean) {
    this.layout = layout
    this.#settings = settings
    this.#directory = new QueueDirectory(layout, settings)
    this.#isLinked = isLinked
  }

  /** @throws If the queue is missing or cannot be used. */
  async open(): Promise<void> {
    await this.#directory.open()
  }

  /** @returns For each item what keeps the host from having it; `undefined`: the host has it, as durable as the settings say. */
  async give(items: readonly Outgoing[]): Promise<readonly (FsqError | undefined)[]> {
    if (items.length === 0) return []
    try {
      return await (this.#isLinked ? this.#link(items) : this.#copy(items))
    } catch (error) {
      if (!(error instanceof FsqError)) throw error
      return items.map(() => error)
    }
  }

  close(): void {
    this.#directory.close()
    this.#directory.closeDescriptors()
  }

  async #copy(items: readonly Outgoing[]): Promise<readonly (FsqError | undefined)[]> {
    const handle = await this.#directory.open()
    const [results] = await native.enqueueBulk(
      handle,
      this.#itemForm(),
      items.map(({ raw }) => raw),
      items.map(({ payload }) => payload),
    )
    return Promise.all(
      results.map(async (result, index) => {
        if (!isFailure(result)) return undefined
        if (isStale(result)) this.#directory.forget(handle)
        return result.errno === -EEXIST
          ? this.compare(items[index] as Outgoing)
          : this.#directory.error(result, 'give an item to')
      }),
    )
  }

  async #link(items: readonly Outgoing[]): Promise<readonly (FsqError | undefined)[]> {
    const problems: (FsqError | undefined)[] = []
    for (const outgoing of items) problems.push(await this.#linkOne(outgoing))
    if (this.#settings.durability !== 'none') await this.#sync()
    return problems
  }

  async #linkOne(outgoing: Outgoing): Promise<FsqError | undefined> {
    const { directory = '', raw } = outgoing
    const from = bytePath(directory, raw)
    const to = this.#pathOf(Place.queue, raw)
    try {
      for (const place of [Place.done, Place.fail])
        if (await isThere(this.#pathOf(place, raw))) return undefined
      // Its producer may not have made the contents durable.
      if (this.#settings.durability !== 'none') await syncFile(from)
      await fs.link(from, to)
      return undefined
    } catch (error) {
      if (errnoOf(error) === -EEXIST) return this.compare(outgoing)
      const failure = failureOf(error, 'link', to.toString())
      return fileSystemError(failure, `give an item to the ${shownName(this.layout)}`)
    }
  }

  async #sync(): Promise<void> {
    const directory = placePath(this.layout, Place.queue)
    try {
      await syncFile(directory)
    } catch (error) {
      throw fileSystemError(
        failureOf(error, 'fsync', directory),
        `give items to the ${shownName(this.layout)}`,
      )
    }
  }

  /**
   * The path of an item of this name that a worker of the queue holds, if its claims are renames: queue/ lacks it then. An item that a worker
   * claims at this moment may be missed.
   */
  async claimedPath({ raw }: Outgoing): Promise<Buffer | undefined> {
    const claimed = await claimedIn(this.layout.claimedPath)
    const found = claimed.find((item) => item.raw === raw)
    return found === undefined ? undefined : bytePath(workerPath(this.layout, found.worker), raw)
  }

  /**
   * Looks whether an item that the host has under this name is the same one.
   *
   * @param there - Its path. Default: in queue/.
   * @returns The error if it is not. `undefined`: it is, or it does not wait any more.
   */
  async compare(
    outgoing: Outgoing,
    there = this.#pathOf(Place.queue, outgoing.raw),
  ): Promise<FsqError | undefined> {
    try {
      if (await hasContents(there, outgoing)) return undefined
    } catch (error) {
      // It is worked on or finished.
      if (isMissing(error)) return undefined
      if (error instanceof FsqError) return error
      return fileSystemError(failureOf(error, 'read', there.toString()), 'compare an item')
    }
    return new ContentError(
      `The ${shownName(this.layout)} has another item with the name ${inspect(outgoing.id)}, whose contents differ`,
      { path: there.toString(), advice: 'Look at both of them, and remove one' },
    )
  }

  #pathOf(place: Place, raw: RawName): Buffer {
    return bytePath(placePath(this.layout, place), raw)
  }

  #itemForm(): ItemForm {
    this.#form ??= itemFormOf(this.#settings, true)
    return this.#form
  }
}

/** @throws The error of a system call. */
async function syncFile(file: string | Buffer): Promise<void> {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  const handle = await fs.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  await handle.sync().finally(async () => handle.close())
}

async function isThere(file: Buffer): Promise<boolean> {
  return fs.lstat(file).then(
    () => true,
    (error: unknown) => {
      if (isMissing(error)) return false
      throw error
    },
  )
}

/** Whether a file has the contents of an item. @throws The error of a system call. */
async function hasContents(file: Buffer, { size, read }: Outgoing): Promise<boolean> {
  const handle = await fs.open(
    file,
    fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK,
  )
  try {
    const info = await handle.stat()
    if (!info.isFile() || info.size !== size) return false
    for await (const expected of read()) {
      const buffer = Buffer.allocUnsafe(expected.length)
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled)
        if (bytesRead === 0) return false
        filled += bytesRead
      }
      if (!buffer.equals(expected)) return false
    }
    return true
  } finally {
    await handle.close()
  }
}
