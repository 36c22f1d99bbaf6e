/**
 * The file in which a worker writes what it has in hand. Its lock is what lives and dies with the worker.
 *
 *     closed ── open(): made as `.NAME`, written, locked, renamed ──> open ── close(): removed ──> closed
 *                 ^                                                    │
 *                 └── looked after: another program has removed it ────┘
 *
 * A reader that sees NAME therefore sees whole lines, and a lock. If the worker dies between two of the steps, `.NAME` stays, which
 * no process reads; burial.ts removes it later.
 *
 * @module
 */
import type { LockKind } from '../addon/native.js'
import { FsqError } from '../errors/classes.js'
import type { MetaAccess, MetaDirectory } from './directory.js'
import {
  closeFile,
  infoAt,
  isAt,
  isTaken,
  makeFile,
  raised,
  removeFile,
  rename,
  tryLock,
  writeAt,
} from './files.js'
import { hiddenName, partPath, workerFileName } from './layout.js'
import type { WorkerLine, WorkerLines } from './worker-lines.js'

/** More workers of one process than there will be, and more leftovers of processes with its number. */
const MOST_NUMBERS = 10_000

interface Open {
  readonly name: string
  readonly path: string
  readonly descriptor: number
}

export class WorkerFile {
  readonly #meta: MetaDirectory
  readonly lines: WorkerLines
  #open: Open | undefined

  constructor(meta: MetaDirectory, lines: WorkerLines) {
    this.#meta = meta
    this.lines = lines
  }

  /** The name of the file in workers/; `undefined`: there is none. */
  get name(): string | undefined {
    return this.#open?.name
  }

  /** Makes the file, unless it is there. Never throws. */
  ensure(): void {
    if (this.#open !== undefined && !this.#isInPlace(this.#open)) this.#forget(this.#open)
    if (this.#open !== undefined) return
    this.#open = this.#meta.attempt('workers', () => this.#make())
  }

  /** Its writes are over when {@link flush} returns. */
  readonly written = undefined

  /** Sets the line of the worker, which the next {@link flush} writes. */
  tell(worker: WorkerLine): void {
    this.lines.worker = worker
  }

  /** Writes the lines that have changed, in one call. Never throws. */
  flush(): void {
    if (this.#open === undefined) return
    const { descriptor } = this.#open
    const { start, end } = this.lines.takeChange()
    if (start >= end) return
    const isWritten = this.#meta.attempt('workers', () => {
      writeAt(descriptor, this.lines.bytes, start, end)
      return true
    })
    // What is in memory is right, and the next write tells of it.
    if (isWritten !== true) this.lines.markAll()
  }

  /** Removes the file. Never throws. */
  close(): void {
    if (this.#open === undefined) return
    const { path, descriptor } = this.#open
    this.#meta.attempt('workers', () => {
      if (this.#open !== undefined && this.#isInPlace(this.#open)) removeFile(path)
    })
    this.#meta.attempt('workers', () => closeFile(descriptor))
    this.#open = undefined
  }

  #make(): Open {
    const { access, lockKind } = this.#meta
    this.#meta.make('workers', access)
    for (let number = 1; number < MOST_NUMBERS; number++) {
      const made = this.#makeNumbered(number, access, lockKind)
      if (made !== undefined) return made
    }
    throw new FsqError(
      `All names of files of the process ${process.pid} are taken in ${partPath(this.#meta.layout, 'workers')}`,
    )
  }

  /** @returns `undefined`: another worker has the number, or has left a file with it. */
  #makeNumbered(number: number, access: MetaAccess, lockKind: LockKind): Open | undefined {
    const name = workerFileName(this.#meta.host, process.pid, number)
    const path = `${partPath(this.#meta.layout, 'workers')}/${name}`
    const hidden = `${partPath(this.#meta.layout, 'workers')}/${hiddenName(name)}`
    let descriptor: number
    try {
      descriptor = makeFile(hidden, access.fileMode, access.owner)
    } catch (error) {
      if (isTaken(error)) return undefined
      throw error
    }
    try {
      // With the hidden name taken, no other thread comes to have the name.
      const isFree = infoAt(path) === undefined
      if (isFree && tryLock(descriptor, lockKind)) {
        writeAt(descriptor, this.lines.bytes, 0, this.lines.bytes.length)
        this.lines.takeChange()
        rename(hidden, path)
        return { name, path, descriptor: raised(descriptor) }
      }
      removeFile(hidden)
      closeFile(descriptor)
      return undefined
    } catch (error) {
      this.lines.markAll()
      closeFile(descriptor)
      removeFile(hidden)
      throw error
    }
  }

  #isInPlace({ path, descriptor }: Open): boolean {
    return this.#meta.attempt('workers', () => isAt(path, descriptor)) === true
  }

  #forget({ descriptor }: Open): void {
    this.#meta.attempt('workers', () => closeFile(descriptor))
    this.#open = undefined
  }
}
