/**
 * The looks of one process at the meta/ of one queue: for workers that have died, for logs, and for the files of its own workers, which
 * another program may have removed. All workers of the process share them: one timer, one list of files, one burial. In a queue whose
 * claims are renames, a take-over buries the dead (take-over.ts).
 *
 * @module
 */
import fs from 'node:fs/promises'

import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
import type { Settings } from '../settings.js'
import { Graveyard } from './burial.js'
import type { Crash } from '../item/dead-workers.js'
import { DirectoryChanges } from './directory-changes.js'
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

  /** The keys of the items that have crash marks, as of the last look. */
  get crashed(): ReadonlySet<RawName> {
    return this.#crashed.keys
  }

  /** The log of an item of {@link crashed}, as it was when the item was claimed or, on a local file system, is now. Never throws. */
  logOf(key: RawName): readonly LogLine[] {
    if (this.#isFar) return this.#crashed.linesOf(key)
    return this.#crashed.readNow(key)
  }

  /** For items that are about to be in hand: {@link crashed} and {@link logOf} are those of now, and {@link logs} is ready. Never rejects. */
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
    if (!this.crashed.has(key)) return
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

const NO_KEYS: ReadonlySet<RawName> = new Set()

/** The names in meta/crashed/, and the logs of these items. */
class CrashedKeys {
  readonly #meta: MetaDirectory
  readonly #directory: string
  readonly #changes: DirectoryChanges
  #keys = NO_KEYS
  /** When meta/crashed/ was changed, as {@link lookLater} has found it. */
  #changedAt = Number.NaN
  /** The logs that {@link readLater} has read. */
  readonly #lines = new Map<RawName, readonly LogLine[]>()

  constructor(meta: MetaDirectory) {
    this.#meta = meta
    this.#directory = partPath(meta.layout, 'crashed')
    this.#changes = new DirectoryChanges(this.#directory)
  }

  /** As of the last look. */
  get keys(): ReadonlySet<RawName> {
    return this.#keys
  }

  /** Never throws. */
  look(): void {
    this.#meta.attempt('log', () => {
      if (this.#changes.take()) this.#keys = new Set(namesAt(this.#directory))
    })
  }

  /** {@link look} beside this thread. Never rejects. */
  async lookLater(): Promise<void> {
    await this.#attemptLater(async () => {
      const { mtimeMs } = await fs.stat(this.#directory)
      if (mtimeMs === this.#changedAt) return
      this.#keys = new Set(await fs.readdir(this.#directory, 'latin1'))
      this.#changedAt = mtimeMs
      for (const key of this.#lines.keys()) if (!this.#keys.has(key)) this.#lines.delete(key)
    })
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
    if (!this.#keys.has(key)) return
    await this.#attemptLater(async () => {
      this.#lines.set(key, await readLogLater(this.#meta.layout, key))
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
