/**
 * The burial of dead workers: each item that a dead worker had in hand gets a crash mark, and the file of the worker goes.
 *
 *     alive ── the kernel unlocks the file ──> dead ── locked by another worker ──> a mark for each item ──> removed
 *                                               ^                                         │
 *                                               └── that worker dies, or cannot write ────┘
 *
 * A line in the file of a dead worker whose item still stands in queue/ under the same name means: the worker has died with the item
 * in hand. If the item has gone or has another name, it had been finished. No item is marked if the worker had been told to close, or
 * if the machine was started anew.
 *
 * A burial that was cut short is done again from the beginning: readers of logs skip a mark that comes twice.
 *
 * @module
 */
import type { LockKind } from '../addon/native.js'
import type { Layout } from '../directory/layout.js'
import { codeOf } from '../errors/errno.js'
import type { RawName } from '../name/charset.js'
import { parseIfItem } from '../inspect/states.js'
import type { Settings } from '../settings.js'
import { BOOT } from './boot.js'
import type { Crash } from '../item/dead-workers.js'
import { crashMark, diesOfItems } from './crash.js'
import type { MetaDirectory } from './directory.js'
import { DirectoryChanges } from './directory-changes.js'
import { closeFile, infoAt, infoOf, isAt, namesAt, openFile, readAll, removeFile, tryLock } from './files.js'
import { isHidden, isWorkerFileName, partPath, waitingPath } from './layout.js'
import { appendMark } from './log.js'
import { type HeldItem, type WorkerLine, parseWorkerLines } from './worker-lines.js'

/** Descriptors that are kept open, to try the locks of other workers at little cost. Further files are opened for each look. */
const MOST_KEPT = 128
/** Milliseconds between two looks, for each file that is looked at: looks take less than a hundredth of the time. */
const PAUSE_A_FILE_MS = 0.5
/** A file that is being made is renamed within milliseconds. */
const LEFTOVER_MS = 3600 * 1000
/** The file of a worker of another machine, which may be alive. Its lock says nothing where locks hold on one machine only. */
const FOREIGN_MS = 24 * 3600 * 1000

const NOT_OPENED: readonly string[] = ['ENOENT', 'EACCES', 'EISDIR', 'ELOOP', 'ENXIO']

/** Watches the files of the other workers of one queue, and buries those that have died. */
export class Graveyard {
  readonly #meta: MetaDirectory
  readonly #settings: Settings
  readonly #directory: string
  readonly #ownNames: () => ReadonlySet<string>
  /** The descriptors of the files of other workers, by name. */
  readonly #kept = new Map<string, number>()
  #unkept: readonly string[] = []
  #lockKind: LockKind = 'flock'
  #isOwnMissing = false
  readonly #changes: DirectoryChanges
  #nextLook = 0

  /** @param ownNames - The names of the files of this process, which are not looked at. */
  constructor(meta: MetaDirectory, settings: Settings, ownNames: () => ReadonlySet<string>) {
    this.#meta = meta
    this.#settings = settings
    this.#directory = partPath(meta.layout, 'workers')
    this.#changes = new DirectoryChanges(this.#directory)
    this.#ownNames = ownNames
  }

  /** Whether the last look was more than a moment ago. */
  get isDue(): boolean {
    return performance.now() >= this.#nextLook
  }

  /** Whether another program has removed a file of this process. */
  get isOwnMissing(): boolean {
    return this.#isOwnMissing
  }

  /** {@link look}, which lists the files only if the directory has changed. For a look before each item. */
  lookSoon(): readonly Crash[] {
    return this.#look(false)
  }

  /** Buries the workers that have died. Never throws. */
  look(): readonly Crash[] {
    return this.#look(true)
  }

  close(): void {
    for (const descriptor of this.#kept.values()) this.#meta.attempt('workers', () => closeFile(descriptor))
    this.#kept.clear()
  }

  #look(lists: boolean): readonly Crash[] {
    const crashes: Crash[] = []
    this.#meta.attempt('workers', () => {
      this.#list(lists)
      for (const [name, descriptor] of this.#kept) {
        if (!tryLock(descriptor, this.#lockKind)) continue
        this.#kept.delete(name)
        this.#bury(name, descriptor, crashes)
      }
      for (const name of this.#unkept) {
        const descriptor = this.#open(name)
        if (descriptor === undefined) continue
        if (tryLock(descriptor, this.#lockKind)) this.#bury(name, descriptor, crashes)
        else closeFile(descriptor)
      }
    })
    this.#nextLook =
      performance.now() + PAUSE_A_FILE_MS * (1 + this.#kept.size) + this.#unkept.length * 10 * PAUSE_A_FILE_MS
    return crashes
  }

  /** Comes to know the workers that have started. */
  #list(always: boolean): void {
    const mayDiffer = this.#changes.take()
    if (!always && !mayDiffer) return
    this.#lockKind = this.#meta.lockKind
    const names = new Set(namesAt(this.#directory).filter(isWorkerFileName))
    this.#isOwnMissing = false
    for (const own of this.#ownNames()) if (!names.delete(own)) this.#isOwnMissing = true
    for (const [name, descriptor] of this.#kept) {
      if (names.has(name) && isAt(this.#pathOf(name), descriptor)) continue
      this.#kept.delete(name)
      closeFile(descriptor)
    }
    const unkept: string[] = []
    for (const name of names) {
      if (isHidden(name)) this.#removeLeftover(name)
      else if (this.#kept.size >= MOST_KEPT && !this.#kept.has(name)) unkept.push(name)
      else if (!this.#kept.has(name)) {
        const descriptor = this.#open(name)
        if (descriptor !== undefined) this.#kept.set(name, descriptor)
      }
    }
    this.#unkept = unkept
  }

  /** `undefined`: it has gone, this user may not open it, or it is no file. */
  #open(name: string): number | undefined {
    try {
      return openFile(this.#pathOf(name), 'write')
    } catch (error) {
      if (NOT_OPENED.includes(codeOf(error) ?? '')) return undefined
      throw error
    }
  }

  /** The lock has come to this process, so nothing else buries the worker. */
  #bury(name: string, descriptor: number, crashes: Crash[]): void {
    try {
      const path = this.#pathOf(name)
      if (!isAt(path, descriptor) || !infoOf(descriptor).isFile()) return
      const { worker, held } = parseWorkerLines(readAll(descriptor))
      if (worker !== undefined && isOfOtherMachine(worker, this.#meta.host)) {
        if (Date.now() - infoOf(descriptor).mtimeMs < FOREIGN_MS) return
      } else if (worker !== undefined && diesOfItems(worker)) {
        const standing = held.filter(({ id }) => isStanding(this.#meta.layout, id, this.#settings))
        const marked = standing.map((item) => this.#mark({ ...worker, name }, item, standing.length))
        crashes.push(...marked.filter((crash) => crash !== undefined))
        // A full disk must not lose a mark: the next look tries again.
        if (marked.includes(undefined)) return
      }
      removeFile(path)
    } finally {
      closeFile(descriptor)
    }
  }

  /** @returns `undefined`: it could not be written. */
  #mark(worker: WorkerLine & { readonly name: string }, item: HeldItem, together: number): Crash | undefined {
    return this.#meta.attempt('log', () => {
      const { crash, key, line } = crashMark(worker, item, together, this.#settings)
      appendMark(this.#meta, key, line)
      return crash
    })
  }

  #removeLeftover(name: string): void {
    const path = this.#pathOf(name)
    const info = infoAt(path)
    if (info !== undefined && Date.now() - info.mtimeMs > LEFTOVER_MS) removeFile(path)
  }

  #pathOf(name: string): string {
    return `${this.#directory}/${name}`
  }
}

function isOfOtherMachine({ host, boot }: WorkerLine, ownHost: string): boolean {
  return host !== ownHost && (boot === undefined || boot !== BOOT)
}

function isStanding(layout: Layout, id: RawName, settings: Settings): boolean {
  return parseIfItem(id, settings) !== undefined && infoAt(waitingPath(layout, id))?.isFile() === true
}
