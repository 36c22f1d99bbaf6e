/**
 * The way of a message into a queue: built in staged/, written into the ledger, renamed into queue/. Only then is it acknowledged.
 *
 * What the disk has, if the receiver is killed after a step, or the machine loses its power:
 *
 * | after                     | the disk has                              | the next start                | the next delivery of the message |
 * | ------------------------- | ----------------------------------------- | ----------------------------- | -------------------------------- |
 * | (1) build in staged/      | the item, its name and contents durable   | removes it                    | is new                           |
 * | (2) `+ ID NAME`, fsync    | the item and its entry, both durable      | `=`, and renames it           | is known                         |
 * | (3) `= ID`, no fsync      | the same; after a power cut perhaps no `=` | renames it                   | is known                         |
 * | (4) rename into queue/    | the item in queue/, and `=`               | nothing                       | is known                         |
 * | (4), power cut            | the rename or not, `=` or not:            |                               |                                  |
 * |                           | - neither, or `=` alone                   | renames it                    | is known                         |
 * |                           | - both                                    | nothing                       | is known                         |
 * |                           | - the rename alone                        | nothing                       | is known if a file with its key is in queue/, claimed/, done/ or fail/ |
 * | (5) acknowledgement       | the item in queue/, and `=`               | nothing                       | is known (the source has forgotten the acknowledgement) |
 *
 * `=` comes before the rename, so that a message whose item has run and left no trace (a discard) is known for certain: after the rename,
 * a kill could leave an item that has run without `=`. And `+` alone means that the item was never renamed, unless there was a power
 * cut. So if another program has removed the staged file, the message is enqueued from its new delivery, not acknowledged away.
 *
 * Two rests remain. After a power cut within the second in which `=` is not durable, an item that was already run and discarded, durably,
 * is not found, and a repeat of its message arrives a second time. And if the receiver is killed between (3) and (4), and another
 * program removes the staged file before the next start, the message is lost.
 *
 * The acknowledgement needs no fsync of the rename: until the rename is durable, the staged file and its entry are.
 *
 * Other cases:
 *
 * - The name is taken in queue/: the item takes the next entropy, and a new `+` with the new name comes ahead of its rename within staged/.
 * - The rename finds no staged file: if no file has the key of the item, another `+` takes back the `=`, and the message is built anew.
 * - The ledger cannot be written, or was removed: nothing is acknowledged; the receiver opens everything again, as a start does.
 * - The queue is removed or replaced: the same. A new queue has a new ledger.
 * - Claims by renaming: the item may have moved to claimed/. The search looks there, too. The steps are the same.
 * - No exclusive rename: a look for the name comes ahead of a plain rename (native/queue/transfer.h says why not a link).
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'
import os from 'node:os'
import { setTimeout as later } from 'node:timers/promises'
import { inspect } from 'node:util'

import { Batcher } from '../addon/batcher.js'
import { isQueueDown } from '../directory/down.js'
import { checkQueue } from '../directory/presence.js'
import {
  EncodingError,
  FsqError,
  NotAQueueError,
  NotDurableError,
  PayloadError,
  ReceivingError,
} from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { isFile } from '../inspect/names.js'
import type { ItemContext } from '../item/context.js'
import { type MetaAccess, MetaDirectory } from '../meta/directory.js'
import { infoAt, isAt, isTaken, makeDirectory, makeFile, openFile, tryLock } from '../meta/files.js'
import { type RawName, toRaw } from '../name/charset.js'
import { freeEntropies } from '../name/item-name.js'
import type { Delivery } from './delivery.js'
import { syncDirectory } from './files.js'
import { type ReceivedLayout, receivedLayout } from './layout.js'
import { Ledger, type LedgerEntry } from './ledger.js'
import { Staging } from './staging.js'

const { EEXIST, ENOENT } = os.constants.errno

/** Above this, contents are read as they come. */
const IN_MEMORY = 65_536
const MOST_MOVES = 256
const MOST_TRIES = 10
const TRY_MS = 50

/** The open directory of a receiver: its lock, its ledger and its staged items. */
export class Spool {
  /** How many staged items the start has moved to queue/. */
  recovered = 0
  readonly #context: ItemContext
  readonly #received: ReceivedLayout
  readonly #lock: number
  readonly #staging: Staging
  readonly #moves: Batcher<RawName, number>
  /** The items on their way from staged/ to queue/. */
  readonly #moving = new Set<Promise<boolean>>()
  #ledger: Ledger | undefined

  private constructor(context: ItemContext, received: ReceivedLayout, lock: number) {
    this.#context = context
    this.#received = received
    this.#lock = lock
    this.#staging = new Staging(context, received)
    this.#moves = new Batcher(async (names) => this.#staging.transfer(names), MOST_MOVES, false)
  }

  /**
   * Opens the directory of a source, makes it if it is missing, and moves the items that a dead receiver has left in staged/.
   *
   * @throws {@link ReceivingError}: a live receiver has it; {@link QueueMissingError}, {@link NotAQueueError} or a file system error.
   */
  static async open(context: ItemContext, source: string, keep: number): Promise<Spool> {
    const { layout } = context.directory
    await checkQueue(layout)
    await context.directory.open()
    const { access } = new MetaDirectory(layout)
    const received = receivedLayout(layout, source)
    for (const directory of received.directories) await makeDurably(directory, access)
    const lock = openLock(received.lockPath, access)
    const spool = new Spool(context, received, lock)
    try {
      // A lock on a file that was removed excludes no other receiver.
      if (!(await isLocked(lock)) || !isAt(received.lockPath, lock)) throw receiving(layout.name, source)
      await spool.#open(access, keep)
      return spool
    } catch (error) {
      await spool.close()
      throw error
    }
  }

  /** How many entries the ledger has. */
  get entries(): number {
    return this.#ledger?.size ?? 0
  }

  /** Whether everything is still in its place. If not, the spool has to be opened again. */
  isSound(): boolean {
    return this.#ledger?.failure === undefined && isAt(this.#received.lockPath, this.#lock)
  }

  /** @throws {@link QueueDownError}, {@link QueueMissingError}, {@link NotAQueueError} or a file system error. */
  async checkUp(): Promise<void> {
    const { directory } = this.#staging
    if (directory.isLocal) directory.checkUpByPath()
    else if (await isQueueDown(directory.layout)) throw directory.downError()
  }

  /**
   * Brings the item of a message into queue/, unless that has been done before. When this resolves, the message can be acknowledged.
   *
   * @returns Whether the message was known before.
   * @throws The error of the delivery, if its contents cannot be read; {@link NameTooLongError} or {@link EncodingError} if its arguments
   * cannot be those of an item; otherwise an error of the queue.
   */
  async take(delivery: Delivery): Promise<'taken' | 'known'> {
    const ledger = this.#opened
    const entry = await ledger.find(delivery.id)
    if (entry !== undefined && (await this.#tracked(this.#complete(entry)))) return 'known'
    for (;;) {
      const added = await ledger.add(delivery.id, [await this.#stage(delivery)])
      if (await this.#tracked(this.#publish(added))) return 'taken'
      // Another program has removed the staged file.
    }
  }

  /** Closes everything, and frees the lock. No item moves after that; {@link take} rejects. Never rejects. */
  async close(): Promise<void> {
    await this.#ledger?.close()
    await Promise.allSettled(this.#moving)
    this.#staging.close()
    fs.closeSync(this.#lock)
  }

  async #open(access: MetaAccess, keep: number): Promise<void> {
    const names = await this.#staging.names()
    /** The id of the message of each staged item. */
    const ids = new Map<RawName, string>()
    this.#ledger = await Ledger.open(this.#received.path, access, {
      keep,
      onEntry:
        names.size === 0
          ? undefined
          : (id, name) => {
              if (names.has(name)) ids.set(name, id)
            },
    })
    await this.#staging.directory.open()
    for (const name of names) await this.#recover(name, ids.get(name))
  }

  /** Contents that never end are not waited for, when this is closed; a move always is. */
  async #tracked(moving: Promise<boolean>): Promise<boolean> {
    this.#moving.add(moving)
    try {
      return await moving
    } finally {
      this.#moving.delete(moving)
    }
  }

  /** Moves a staged item on, or removes it if its message was not yet in the ledger: then the source delivers it again. */
  async #recover(staged: RawName, id: string | undefined): Promise<void> {
    const entry = id === undefined ? undefined : await this.#opened.find(id)
    const [name = ''] = entry?.fields ?? []
    // Killed while the item took another name: the ledger has the new one already.
    const isRenaming =
      entry !== undefined && !entry.isSettled && name !== staged && !(await this.#staging.has(name))
    if (entry === undefined || (name !== staged && !isRenaming)) {
      await this.#staging.remove(staged)
      return
    }
    if (isRenaming) await fs.promises.rename(this.#staging.pathOf(staged), this.#staging.pathOf(name))
    if (await this.#wasMovedByLink(name)) {
      await this.#staging.remove(name)
      return
    }
    if (await this.#publish(entry)) this.recovered++
  }

  /** Whether the rename was made, and a power cut has left the old name, too (btrfs). */
  async #wasMovedByLink(name: RawName): Promise<boolean> {
    return (infoAt(this.#staging.pathOf(name))?.nlink ?? 1) > 1 && (await this.#staging.isAnywhere(name))
  }

  /**
   * Brings the item of an entry to where the message can be acknowledged.
   *
   * @returns False: it was never renamed, and its staged file is gone.
   */
  async #complete(entry: LedgerEntry): Promise<boolean> {
    const [name = ''] = entry.fields
    if (await this.#staging.has(name)) return this.#publish(entry)
    if (entry.isSettled) return true
    // The rename may have outlived a power cut, and the `=` not.
    if (!(await this.#staging.isAnywhere(name))) return false
    await this.#opened.settle(entry)
    return true
  }

  /**
   * Moves a staged item to queue/.
   *
   * @returns False: its staged file is gone. The entry is not settled then.
   */
  async #publish(first: LedgerEntry): Promise<boolean> {
    for (let entry = first; ;) {
      const { id, fields, isSettled } = entry
      const [name = ''] = fields
      if (!isSettled) await this.#opened.settle(entry)
      const errno = await this.#move(name)
      if (errno === 0) return true
      if (errno === -EEXIST) {
        entry = await this.#rename(id, name)
        continue
      }
      if (errno !== -ENOENT) throw this.#staging.moveError(errno, name)
      // A server may have made a call whose answer was lost.
      if (await this.#staging.isAnywhere(name)) return true
      await this.#opened.add(id, fields)
      return false
    }
  }

  /** Gives a staged item another name, because its own is taken in queue/. */
  async #rename(id: string, name: RawName): Promise<LedgerEntry> {
    for (const free of freeEntropies(name, this.#context.settings.encode)) {
      if ((await this.#staging.has(free)) || (await isFile(this.#staging.waitingPath, free))) continue
      const entry = await this.#opened.add(id, [free])
      await fs.promises.rename(this.#staging.pathOf(name), this.#staging.pathOf(free))
      return entry
    }
    throw new FsqError(`There is no free name for the staged item ${this.#staging.pathOf(name).toString()}`)
  }

  /** Builds the item of a message in staged/, durably. */
  async #stage(delivery: Delivery): Promise<RawName> {
    const { args, stream } = this.#partsOf(delivery)
    const payload = stream ?? (await contentsOf(delivery))
    const isStreamed = stream !== undefined
    try {
      return await this.#staging.enqueuer.enqueue(
        payload,
        args,
        isStreamed ? { signal: delivery.signal } : undefined,
      )
    } catch (error) {
      if (error instanceof NotDurableError) await this.#staging.remove(error.id)
      const isOfDelivery = error instanceof PayloadError || (isStreamed && !(error instanceof FsqError))
      throw isOfDelivery ? new UnreadableDelivery(error) : error
    }
  }

  /** @throws {@link EncodingError}; {@link UnreadableDelivery} for what a source must not do. */
  #partsOf(delivery: Delivery): { args: readonly string[]; stream: AsyncIterable<Uint8Array> | undefined } {
    try {
      const args = this.#argsOf(delivery)
      return { args, stream: delivery.size > IN_MEMORY ? delivery.stream?.() : undefined }
    } catch (error) {
      throw error instanceof EncodingError ? error : new UnreadableDelivery(error)
    }
  }

  /** @throws {@link EncodingError} */
  #argsOf({ args, argBytes }: Delivery): readonly string[] {
    if (argBytes !== undefined) return argBytes.map((bytes) => Buffer.from(bytes).toString('latin1'))
    return args.map((text) => toRaw(text, this.#context.settings.charset))
  }

  async #move(name: RawName): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#moves.submit(name, resolve, reject)
    })
  }

  get #opened(): Ledger {
    if (this.#ledger === undefined) throw this.#staging.directory.closedError()
    return this.#ledger
  }
}

/** The contents of a delivery cannot be read: that is no trouble of the queue. */
export class UnreadableDelivery extends Error {
  constructor(cause: unknown) {
    super('A delivery cannot be read', { cause })
  }
}

async function contentsOf(delivery: Delivery): Promise<Uint8Array> {
  try {
    return await delivery.bytes()
  } catch (error) {
    throw new UnreadableDelivery(error)
  }
}

/** Makes a directory if it is missing. Its name is durable when this resolves, also if another process has made it. */
export async function makeDurably(directory: string, { directoryMode, owner }: MetaAccess): Promise<void> {
  try {
    makeDirectory(directory, directoryMode, owner)
  } catch (error) {
    if (!isTaken(error)) throw fileSystemError(failureOf(error, 'mkdir', directory), 'receive items')
    if (infoAt(directory)?.isDirectory() !== true)
      throw new NotAQueueError(`${directory} is not a directory`, { advice: 'Move it out of the way' })
  }
  await syncDirectory(path.dirname(directory))
}

export function openLock(file: string, { fileMode, owner }: MetaAccess): number {
  try {
    return makeFile(file, fileMode, owner)
  } catch (error) {
    if (isTaken(error)) return openFile(file, 'write')
    throw fileSystemError(failureOf(error, 'open', file), 'receive items')
  }
}

/** Waits for a moment: the receiver before this one may just be ending, and an audit tries the lock. */
async function isLocked(descriptor: number): Promise<boolean> {
  for (let tried = 1; !tryLock(descriptor, 'fcntl'); tried++) {
    if (tried === MOST_TRIES) return false
    await later(TRY_MS)
  }
  return true
}

function receiving(queue: string, source: string): ReceivingError {
  return new ReceivingError(
    `Another receiver fills the queue ${inspect(queue)} from the source ${inspect(source)}`,
    { advice: 'Close it first, or give each source a name of its own' },
  )
}
