/**
 * The looks of one process at the meta/ of one queue: for workers that have died, for logs, and for the files of its own workers, which
 * another program may have removed. All workers of the process share them: one timer, one list of files, one burial. In a queue whose
 * claims are renames, a take-over buries the dead (take-over.ts).
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
import type { Settings } from '../settings.js'
import { Graveyard } from './burial.js'
import type { Crash } from '../item/dead-workers.js'
import { DirectoryChanges } from './directory-changes.js'
import { MetaDirectory } from './directory.js'
import { hasNames, namesAt } from './files.js'
import { partPath } from './layout.js'
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

/** The looks of this process, by queue. */
const shared = new Map<string, Looks>()

/** See the module comment. */
export class Looks {
  readonly logs: LogWriter
  readonly #key: string
  readonly #lookers = new Set<Looker>()
  /** `undefined`: the claims of the queue are renames. */
  readonly #graveyard: Graveyard | undefined
  readonly #presence: LogPresence
  readonly #crashed: CrashedKeys
  #timer: NodeJS.Timeout | undefined

  /** The looks at a queue, which last until {@link leave}. */
  static join(looker: Looker, layout: Layout, settings: Settings, buriesDead: boolean): Looks {
    const key = JSON.stringify([layout.path, settings, buriesDead])
    let looks = shared.get(key)
    if (looks === undefined) shared.set(key, (looks = new this(key, layout, settings, buriesDead)))
    looks.#lookers.add(looker)
    return looks
  }

  private constructor(key: string, layout: Layout, settings: Settings, buriesDead: boolean) {
    this.#key = key
    const meta = new MetaDirectory(layout, {
      reportBeside: (...report) => {
        const [first] = this.#lookers
        first?.meta.reporter?.reportBeside(...report)
      },
    })
    this.logs = new LogWriter(meta)
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

  /**
   * For a worker that is about to run items: looks unless the last look was a moment ago. Never throws.
   *
   * @param always - Looks in any case: another worker may have died with one of the items just now.
   */
  lookSoon(looker: Looker, always: boolean): void {
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
    this.#crashed.look()
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

/** The names in meta/crashed/. */
class CrashedKeys {
  readonly #meta: MetaDirectory
  readonly #directory: string
  readonly #changes: DirectoryChanges
  #keys = NO_KEYS

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
}
