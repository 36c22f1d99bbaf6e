/**
 * The looks of one process at the meta/ of one queue: for workers that have died, for logs, and for the files of its own workers, which
 * another program may have removed. All workers of the process share them: one timer, one list of files, one burial. In a queue whose
 * claims are renames, a take-over buries the dead (take-over.ts).
 *
 * @module
 */
import fs from 'node:fs/promises'

import { BESIDE, askForNames } from '../directory/calls.js'
import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
import type { Settings } from '../settings.js'
import { Graveyard } from './burial.js'
import type { Crash } from '../item/dead-workers.js'
import { CLOCK_TICK_MS, DirectoryChanges } from './directory-changes.js'
import { MetaDirectory } from './directory.js'
import { hasNames, infoAt, isMissing, namesAt, removeFile } from './files.js'
import { crashedPath, logPath, partPath } from './layout.js'
import { type LogLine, readLog, removeLog } from './log.js'
import { readLogLater, removeLogLater } from './log-later.js'
import { LogWriter } from './log-writer.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

/** How often a process looks in any case. A random part keeps the processes apart. */
const LOOK_MS = 10_000

/** A worker of this process. */
export interface Looker {
  readonly meta: MetaDirectory
  /** The name of its file; `undefined`: it has none. */
  readonly fileName: string | undefined
  /** Makes its file anew if that is missing. Never throws. */
  ensureFile(): void
  /** Another worker has died. */
  onCrashed(crash: Crash): void
}

/** What the looks at a queue depend on. */
export interface LooksPlace {
  /** Workers lock items, and files in meta/workers/. */
  readonly buriesDead: boolean
  /** Claims are renames, and a file server may keep a call waiting: this thread makes none. */
  readonly isFar: boolean
}

/** The looks of this process, by queue. */
const shared = new Map<string, Looks>()

/** See the module comment. */
export class Looks {
  readonly logs: LogWriter
  readonly #key: string
  readonly #lookers = new Set<Looker>()
  /** `undefined`: the claims of the queue are renames. */
  readonly #graveyard: Graveyard | undefined
  readonly #isFar: boolean
  readonly #presence: LogPresence
  readonly #crashed: CrashedKeys
  #timer: NodeJS.Timeout | undefined

  /** The looks at a queue, which last until {@link leave}. */
  static join(looker: Looker, layout: Layout, settings: Settings, place: LooksPlace): Looks {
    const key = JSON.stringify([layout.path, settings, place])
    let looks = shared.get(key)
    if (looks === undefined) shared.set(key, (looks = new this(key, layout, settings, place)))
    looks.#lookers.add(looker)
    return looks
  }

  private constructor(key: string, layout: Layout, settings: Settings, { buriesDead, isFar }: LooksPlace) {
    this.#key = key
    this.#isFar = isFar
    const meta = new MetaDirectory(layout, {
      reportBeside: (...report) => {
        const [first] = this.#lookers
        first?.meta.reporter?.reportBeside(...report)
      },
    })
    this.logs = new LogWriter(meta, isFar)
    this.#presence = new LogPresence(meta)
    this.#crashed = new CrashedKeys(meta)
    if (buriesDead) this.#graveyard = new Graveyard(meta, settings, () => this.#ownNames())
  }

  leave(looker: Looker): void {
    this.#lookers.delete(looker)
    if (this.#lookers.size > 0) return
    if (shared.get(this.#key) === this) shared.delete(this.#key)
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#graveyard?.close()
  }

  /** Whether meta/log/ has files. */
  get areLogs(): boolean {
    return this.#presence.isThere()
  }

  /** Whether any items have crash marks, as of the last look. */
  get areMarks(): boolean {
    return this.#crashed.areAny
  }

  /** Whether an item has crash marks, as of the last look. Never throws. */
  isMarked(key: RawName): boolean {
    return this.#isFar ? this.#crashed.wasRead(key) : this.#crashed.has(key)
  }

  /** The log of an item that is marked, as it was when the item was claimed or, on a local file system, is now. Never throws. */
  logOf(key: RawName): readonly LogLine[] {
    if (this.#isFar) return this.#crashed.linesOf(key)
    return this.#crashed.readNow(key)
  }

  /** For items that are about to be in hand: {@link isMarked} and {@link logOf} are those of now, and {@link logs} is ready. Never rejects. */
  async readMarks(keys: readonly RawName[]): Promise<void> {
    await Promise.all([this.#crashed.lookLater(), this.logs.prepareLater()])
    await Promise.all(keys.map(async (key) => this.#crashed.readLater(key)))
  }

  /** Nothing is kept of a discarded item. Never throws. */
  forgetLog(key: RawName): void {
    if (this.#isFar) this.#crashed.removeLater(key, true)
    else if (this.areLogs) this.#crashed.removeNow(key, true)
  }

  /** The marks of an item that is finished no longer count. Never throws. */
  forgetMarks(key: RawName): void {
    if (!this.isMarked(key)) return
    if (this.#isFar) this.#crashed.removeLater(key, false)
    else this.#crashed.removeNow(key, false)
  }

  /**
   * For a worker that is about to run items: looks unless the last look was a moment ago. Never throws.
   *
   * @param always - Looks in any case: another worker may have died with one of the items just now.
   */
  lookSoon(looker: Looker, always: boolean): void {
    if (this.#isFar) return
    const graveyard = this.#graveyard
    if (graveyard !== undefined) {
      if (!always && !graveyard.isDue) return
      this.#tell(looker, graveyard.lookSoon())
      if (graveyard.isOwnMissing) this.#ensureFiles()
    }
    this.#crashed.look()
  }

  /** Looks at everything, and plans the next look. Never throws. */
  look(looker: Looker): void {
    this.logs.forgetForm()
    this.#ensureFiles()
    if (this.#graveyard !== undefined) this.#tell(looker, this.#graveyard.look())
    this.#presence.forget()
    if (!this.#isFar) this.#crashed.look()
    this.#plan()
  }

  #plan(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        const [first] = this.#lookers
        if (first !== undefined) this.look(first)
      },
      LOOK_MS * (0.75 + Math.random() / 2),
    ).unref()
  }

  #ensureFiles(): void {
    for (const looker of this.#lookers) looker.ensureFile()
  }

  #tell(looker: Looker, crashes: readonly Crash[]): void {
    for (const crash of crashes) looker.onCrashed(crash)
  }

  #ownNames(): ReadonlySet<string> {
    const names = new Set<string>()
    for (const { fileName } of this.#lookers) if (fileName !== undefined) names.add(fileName)
    return names
  }
}

/** Whether meta/log/ has files. */
class LogPresence {
  readonly #meta: MetaDirectory
  readonly #directory: string
  readonly #changes: DirectoryChanges
  #areThere = false

  constructor(meta: MetaDirectory) {
    this.#meta = meta
    this.#directory = partPath(meta.layout, 'log')
    this.#changes = new DirectoryChanges(this.#directory)
  }

  /** Never throws. Once there are files, it looks again only after {@link forget}: they seldom go, and each new one changes the directory. */
  isThere(): boolean {
    if (this.#areThere) return true
    this.#meta.attempt('log', () => {
      if (this.#changes.take()) this.#areThere = this.#changes.exists && hasNames(this.#directory)
    })
    return this.#areThere
  }

  forget(): void {
    this.#areThere = false
    this.#changes.forget()
  }
}

/**
 * With more marks than this, a change of meta/crashed/ is not answered by a list of it, as each item that ends makes such a change: then each
 * item is looked up by its name.
 */
const MOST_LISTED = 256
/** After such a time, also a large directory is listed again. */
const LIST_MS = 10_000

/** The names in meta/crashed/, and the logs of these items. */
class CrashedKeys {
  readonly #meta: MetaDirectory
  readonly #directory: string
  readonly #changes: DirectoryChanges
  #keys: ReadonlySet<RawName> = new Set()
  #listedAt = Number.NEGATIVE_INFINITY
  /** The directory has changed since it was listed. */
  #isBehind = false
  /** When meta/crashed/ was changed, as {@link lookLater} has found it; when it found that; whether no other change can have the same time. */
  #changedAt = Number.NaN
  #foundAt = 0
  #isSettled = false
  /** The logs that {@link readLater} has read. */
  readonly #lines = new Map<RawName, readonly LogLine[]>()

  constructor(meta: MetaDirectory) {
    this.#meta = meta
    this.#directory = partPath(meta.layout, 'crashed')
    this.#changes = new DirectoryChanges(this.#directory)
  }

  /** Whether there were any at the last list. */
  get areAny(): boolean {
    return this.#keys.size > 0
  }

  /** Whether an item has marks, as of the last look. Never throws. */
  has(key: RawName): boolean {
    if (!this.#isBehind) return this.#keys.has(key)
    return this.#meta.attempt('log', () => infoAt(crashedPath(this.#meta.layout, key)) !== undefined) ?? false
  }

  /** {@link has} where this thread makes no calls: for an item that {@link readLater} has looked at. */
  wasRead(key: RawName): boolean {
    return this.#isBehind ? this.#lines.has(key) : this.#keys.has(key)
  }

  /** Never throws. */
  look(): void {
    this.#meta.attempt('log', () => {
      if (!this.#changes.take() && !this.#isBehind) return
      if (!this.#fallBehind()) this.#take(namesAt(this.#directory))
    })
  }

  /** {@link look} beside this thread. Never rejects. */
  async lookLater(): Promise<void> {
    await this.#attemptLater(async () => {
      await askForNames([this.#directory])
      const { mtimeMs } = await fs.stat(this.#directory)
      if (mtimeMs !== this.#changedAt) {
        this.#changedAt = mtimeMs
        this.#foundAt = performance.now()
        this.#isSettled = false
      } else if (this.#isSettled && !this.#isBehind) return
      const isSettled = performance.now() - this.#foundAt > CLOCK_TICK_MS
      if (this.#fallBehind()) return
      this.#take(await fs.readdir(this.#directory, 'latin1'))
      this.#isSettled = isSettled
      for (const key of this.#lines.keys()) if (!this.#keys.has(key)) this.#lines.delete(key)
    })
  }

  /** @returns False: the directory is to be listed. */
  #fallBehind(): boolean {
    this.#isBehind = this.#keys.size > MOST_LISTED && performance.now() - this.#listedAt < LIST_MS
    return this.#isBehind
  }

  #take(names: readonly RawName[]): void {
    this.#keys = new Set(names)
    this.#listedAt = performance.now()
  }

  /** What {@link readLater} has read. */
  linesOf(key: RawName): readonly LogLine[] {
    return this.#lines.get(key) ?? []
  }

  /** Never throws. */
  readNow(key: RawName): readonly LogLine[] {
    return this.#meta.attempt('log', () => readLog(this.#meta.layout, key)) ?? []
  }

  /** Reads the log of an item with marks, beside this thread. Never rejects. */
  async readLater(key: RawName): Promise<void> {
    if (!this.#isBehind && !this.#keys.has(key)) return
    const { layout } = this.#meta
    await this.#attemptLater(async () => {
      this.#lines.delete(key)
      if (this.#isBehind && (await BESIDE.lstat(crashedPath(layout, key))) === undefined) return
      await askForNames([partPath(layout, 'log')])
      this.#lines.set(key, await readLogLater(layout, key))
    })
  }

  /** Never throws. @param withLog - Removes the log, too. */
  removeNow(key: RawName, withLog: boolean): void {
    const { layout } = this.#meta
    this.#meta.attempt('log', () => {
      if (!withLog) removeFile(crashedPath(layout, key))
      else if (infoAt(logPath(layout, key)) !== undefined) removeLog(layout, key)
    })
  }

  /** {@link removeNow} beside this thread. */
  removeLater(key: RawName, withLog: boolean): void {
    const { layout } = this.#meta
    this.#lines.delete(key)
    void this.#attemptLater(async () => {
      if (withLog) await removeLogLater(layout, key)
      else await fs.rm(crashedPath(layout, key), { force: true })
    })
  }

  async #attemptLater(operation: () => Promise<void>): Promise<void> {
    try {
      await operation()
    } catch (error) {
      if (isMissing(error)) return
      this.#meta.attempt('log', () => {
        throw error
      })
    }
  }
}
