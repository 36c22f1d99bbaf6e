/**
 * The items of staged/: built there as in queue/, complete and durable, and moved on to queue/ without replacing one.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'

import { type EnqueueResult, type ItemForm, Place, isFailure, native } from '../addon/native.js'
import { isDeleted, placePath } from '../directory/layout.js'
import { QueueDirectory } from '../directory/open-directory.js'
import { pullQuietly } from '../directory/trigger.js'
import { Enqueuer } from '../enqueue/enqueuer.js'
import { itemFormOf } from '../enqueue/item-form.js'
import type { FsqError } from '../errors/classes.js'
import { Finder, type FoundItem } from '../inspect/find.js'
import { isFile } from '../inspect/names.js'
import { Slices } from '../inspect/slices.js'
import { STATES } from '../inspect/states.js'
import type { ItemContext } from '../item/context.js'
import { type RawName, bytePath } from '../name/charset.js'
import type { Settings } from '../settings.js'
import type { ReceivedLayout } from './layout.js'

const { EEXIST } = os.constants.errno
/** Directories of the staging handle; see {@link ReceivedLayout.staging}. */
const STAGED = Place.queue
const WAITING = Place.done

/** The staged items of one source. */
export class Staging {
  /** The handle whose queue/ is staged/. */
  readonly directory: QueueDirectory
  /** Builds items in staged/, under names of its own. */
  readonly enqueuer: Enqueuer
  readonly #settings: Settings
  readonly #path: string
  readonly #pulls: boolean
  readonly #finder: Finder
  #form: ItemForm | undefined

  constructor({ directory, settings, reporter }: ItemContext, received: ReceivedLayout) {
    // The sender forgets what is acknowledged, so it is durable in any case. Names go through as bytes.
    const staging: Settings = { ...settings, durability: 'enqueue', charset: 'latin-1', useTrigger: false }
    this.directory = new QueueDirectory(received.staging, staging)
    this.enqueuer = new Enqueuer(this.directory, staging, reporter)
    this.#settings = staging
    this.#path = received.stagedPath
    this.#pulls = settings.useTrigger
    this.#finder = new Finder(directory, staging, new Slices())
  }

  /** The path of queue/. */
  get waitingPath(): string {
    return placePath(this.directory.layout, WAITING)
  }

  /** The names of the items that are staged. */
  async names(): Promise<ReadonlySet<RawName>> {
    const entries = await fs.promises.readdir(this.#path, { encoding: 'latin1', withFileTypes: true })
    return new Set(
      entries.filter((entry) => entry.isFile() && !isDeleted(entry.name)).map(({ name }) => name),
    )
  }

  async has(name: RawName): Promise<boolean> {
    return isFile(this.#path, name)
  }

  pathOf(name: RawName): Buffer {
    return bytePath(this.#path, name)
  }

  /**
   * Builds items under these names, durably: all of them share one fsync. Each replaces a file that a dead receiver has left. The caller has
   * the turn.
   *
   * @returns For each the error because of which it is not there.
   */
  async put(
    names: readonly RawName[],
    payloads: readonly Uint8Array[],
  ): Promise<readonly (FsqError | undefined)[]> {
    if (names.length === 0) return []
    const results = await this.#build(names, payloads)
    const taken = results.flatMap((result, index) => (errnoOf(result) === -EEXIST ? [index] : []))
    if (taken.length > 0) {
      const left = taken.map((index) => names[index] as RawName)
      for (const name of left) await this.remove(name)
      const again = await this.#build(
        left,
        taken.map((index) => payloads[index] as Uint8Array),
      )
      taken.forEach((index, position) => (results[index] = again[position] as EnqueueResult))
    }
    return Promise.all(
      results.map(async (result, index) => {
        if (!isFailure(result)) return undefined
        // It is there, and not durable.
        if (result.name !== undefined) await this.remove(names[index] as RawName)
        return this.directory.error(result, 'build a received item in')
      }),
    )
  }

  async #build(names: readonly RawName[], payloads: readonly Uint8Array[]): Promise<EnqueueResult[]> {
    this.#form ??= itemFormOf(this.#settings, true)
    const [results] = await native.enqueue(await this.directory.open(), this.#form, names, payloads)
    return [...results]
  }

  /** Removes a staged item. Harmless if it is gone. */
  async remove(name: RawName): Promise<void> {
    await fs.promises.rm(this.pathOf(name), { force: true })
  }

  /** Finds an item in queue/, claimed/, done/ or fail/, also with other tries. */
  async find(name: RawName): Promise<FoundItem | undefined> {
    return this.#finder.find(name, STATES)
  }

  /** Whether an item is in queue/, claimed/, done/ or fail/, also with other tries. */
  async isAnywhere(name: RawName): Promise<boolean> {
    return (await this.find(name)) !== undefined
  }

  /** Moves staged items to queue/. Returns 0 or a negative error number for each. */
  async transfer(names: readonly RawName[]): Promise<readonly number[]> {
    const handle = await this.directory.open()
    const results = await native.transfer(handle, STAGED, WAITING, names)
    if (this.#pulls && results.includes(0)) pullQuietly(this.directory.layout)
    return results
  }

  /** The error for a move that {@link transfer} could not make. */
  moveError(errno: number, name: RawName): FsqError {
    const failure = { errno, syscall: 'renameat2', path: `${this.#path}/${name}`, dest: this.waitingPath }
    return this.directory.error(failure, 'move a received item into')
  }

  close(): void {
    this.directory.close()
    this.directory.closeDescriptors()
  }
}

function errnoOf(result: EnqueueResult): number {
  return isFailure(result) ? result.errno : 0
}
