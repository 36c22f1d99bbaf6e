/**
 * What a forwarder writes down before it puts items, and what it reads of others: the files of `forwarded/` (doubt.ts).
 *
 * @module
 */
import fs from 'node:fs/promises'
import path from 'node:path'

import type { QueueDirectory } from '../directory/open-directory.js'
import { codeOf } from '../errors/errno.js'
import { Finder } from '../inspect/find.js'
import { Slices } from '../inspect/slices.js'
import { MetaDirectory } from '../meta/directory.js'
import { isTaken, makeDirectory } from '../meta/files.js'
import { logPath } from '../meta/layout.js'
import { parseLog } from '../meta/log.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import { FORWARDED_DIRECTORY, type Settings } from '../settings.js'
import { clearTimeout, setTimeout } from '../real-timers.js'
import { type Moment, earlier, momentNow } from './doubt.js'
import { type QueueIdentity, queueIdentity } from './identity.js'
import { OtherFiles } from './other-files.js'
import { PutFile, type PutFileForm, syncDirectory } from './put-file.js'

const TIDY_MS = 250
const CLEAR_MS = 1000
/** Ends a clearing. */
const CUT_SHORT = new Error('The forwarder closes')

/** An item on its way, as this module sees it. */
export interface Doubtful {
  readonly id: RawName
  readonly key: RawName
  /** The first put that may have stored it; `undefined`: none has. */
  since: Moment | undefined
  /** The line of the item, and the moment that it tells. */
  line: { readonly number: number; readonly since: Moment } | undefined
  /** Another forwarder has a line of the item. */
  isOfOthers: boolean
}

/** What the forwarder has open. */
interface Open {
  readonly form: PutFileForm
  readonly identity: QueueIdentity
  readonly file: PutFile
  readonly others: OtherFiles
}

export class Doubts {
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #sink: string
  readonly #items: number
  #open: Open | undefined
  /** Items with lines: those in hand, and those that have left without an answer. */
  readonly #held = new Map<RawName, Doubtful>()
  readonly #onError: (error: unknown) => void
  #isTidy = true
  #clearing: NodeJS.Timeout | undefined
  /** The clearings that run. */
  readonly #clears = new Set<Promise<void>>()
  #isCutShort = false

  /**
   * @param sink - The name of the target.
   * @param items - How many items are in hand at most, at first.
   * @param onError - Called with an error that leaves lines of dead forwarders where they are.
   */
  constructor(
    directory: QueueDirectory,
    settings: Settings,
    sink: string,
    items: number,
    onError: (error: unknown) => void,
  ) {
    this.#onError = onError
    this.#directory = directory
    this.#settings = settings
    this.#sink = sink
    this.#items = items
  }

  /** The directory of the files. */
  get path(): string {
    return path.join(this.#directory.layout.path, FORWARDED_DIRECTORY, this.#sink)
  }

  /** The identity of the queue. Known after {@link open}. */
  get identity(): QueueIdentity {
    if (this.#open === undefined) throw new Error('Not open')
    return this.#open.identity
  }

  /**
   * Makes what is missing of `forwarded/`, and the file of this forwarder. Also after the queue has been installed anew.
   *
   * @throws {@link FsqError}, or as `node:fs`.
   */
  async open(): Promise<void> {
    if ((await this.#open?.file.isInPlace()) === true) return
    await this.#forget()
    const { layout } = this.#directory
    const { access, lockKind } = new MetaDirectory(layout)
    const above = path.join(layout.path, FORWARDED_DIRECTORY)
    const directory = this.path
    for (const one of [above, directory]) {
      try {
        makeDirectory(one, access.directoryMode, access.owner)
      } catch (error) {
        if (!isTaken(error)) throw error
      }
    }
    const isDurable = this.#settings.durability !== 'none'
    const form = { directory, mode: access.fileMode, lockKind, isDurable }
    const identity = await queueIdentity(above, access.fileMode)
    const file = await PutFile.make(form, this.#items)
    for (const one of [above, layout.path]) await syncDirectory({ directory: one, isDurable })
    this.#open = { form, identity, file, others: new OtherFiles(form) }
  }

  /** Removes what dead forwarders have left of items that are no longer in queue/. @throws As `node:fs`. */
  async clear(): Promise<void> {
    const clearing = this.#open?.others.clear(async (ids) => this.#notWaiting(ids))
    if (clearing === undefined) return
    this.#clears.add(clearing)
    try {
      await clearing
    } catch (error) {
      // The next forwarder does it.
      if (error !== CUT_SHORT) throw error
    } finally {
      this.#clears.delete(clearing)
    }
  }

  /**
   * Finds out since when items may have been put, by this forwarder or another one.
   *
   * @throws {@link FsqError}, or as `node:fs`: then they must not be put.
   */
  async look(items: readonly Doubtful[]): Promise<void> {
    if (this.#open === undefined) return
    const { others, file } = this.#open
    const wanted = new Map(items.map((item) => [item.key, item]))
    const now = momentNow()
    for (const { id, since } of await others.read(file.name)) {
      const item = wanted.get(itemKey(id, this.#settings.encode))
      if (item === undefined) continue
      item.isOfOthers = true
      await this.#mayHaveBeenPut(item, since, now)
    }
    for (const item of items) {
      const own = this.#held.get(item.key)
      if (own === undefined || own === item) continue
      this.#held.set(item.key, item)
      item.line = own.line
      if (own.since !== undefined) await this.#mayHaveBeenPut(item, own.since, now)
    }
  }

  /**
   * Writes down that items are put now. Durable when this resolves.
   *
   * @throws As `node:fs`: then they must not be put.
   */
  async write(items: readonly Doubtful[]): Promise<void> {
    if (this.#open === undefined) return
    const { file } = this.#open
    const now = momentNow()
    for (const item of items) {
      const since = (item.since ??= now)
      if (item.line?.since === since) continue
      const number = item.line?.number ?? file.hold(item.id, since)
      if (item.line !== undefined) file.update(number, item.id, since)
      item.line = { number, since }
      this.#held.set(item.key, item)
    }
    await file.write()
  }

  /** An item has left queue/: nothing needs to be known of it. */
  finished(item: Doubtful): void {
    this.#drop(item)
    if (item.isOfOthers) this.#clearSoon()
  }

  /** An item goes back to queue/. Its line stays if it may have been put. */
  released(item: Doubtful): void {
    if (item.since === undefined) this.#drop(item)
  }

  /** Closes the file, which stays if it has a line. */
  async close(): Promise<void> {
    clearTimeout(this.#clearing)
    // The caller may close the queue next.
    this.#isCutShort = true
    await Promise.allSettled(this.#clears)
    this.#isCutShort = false
    if (this.#clearing !== undefined) await this.clear().catch(this.#onError)
    const file = this.#open?.file
    this.#open = undefined
    await file?.close()
  }

  #drop(item: Doubtful): void {
    const { line } = item
    // Also without a line, which goes with a file that was removed.
    if (this.#held.get(item.key) === item) this.#held.delete(item.key)
    if (line === undefined) return
    item.line = undefined
    this.#open?.file.drop(line.number)
    this.#tidySoon()
  }

  /** For a person who reads the file: nothing depends on it. */
  #tidySoon(): void {
    if (!this.#isTidy) return
    this.#isTidy = false
    setTimeout(() => {
      this.#isTidy = true
      void this.#open?.file.tidy()
    }, TIDY_MS).unref()
  }

  /** The lines of dead forwarders, too. For all items that leave within a second. */
  #clearSoon(): void {
    this.#clearing ??= setTimeout(() => {
      this.#clearing = undefined
      this.clear().catch(this.#onError)
    }, CLEAR_MS).unref()
  }

  /** The file is gone, and its lines with it: what it said is still known here, and is written into the next one. */
  async #forget(): Promise<void> {
    const file = this.#open?.file
    if (file === undefined) return
    this.#open = undefined
    for (const item of this.#held.values()) item.line = undefined
    await file.close().catch(() => undefined)
  }

  /** A retry by hand ends the doubt of before. */
  async #mayHaveBeenPut(item: Doubtful, since: Moment, now: Moment): Promise<void> {
    if ((await this.#retriedAt(item.key)) > since.at) return
    item.since = earlier(item.since, since, now)
  }

  async #retriedAt(key: RawName): Promise<number> {
    let lines
    try {
      lines = parseLog(await fs.readFile(logPath(this.#directory.layout, key)))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return Number.NEGATIVE_INFINITY
      throw error
    }
    const last = lines.findLast((line) => 'redriven' in line)
    return last === undefined ? Number.NEGATIVE_INFINITY : Date.parse(last.at)
  }

  async #notWaiting(ids: readonly RawName[]): Promise<ReadonlySet<RawName>> {
    const slices = new Slices(() => {
      if (this.#isCutShort) throw CUT_SHORT
      this.#directory.checkOpen()
    })
    const finder = new Finder(this.#directory, this.#settings, slices)
    const waiting = await finder.waitingOf(ids)
    return new Set(ids.filter((id) => !waiting.has(id)))
  }
}
