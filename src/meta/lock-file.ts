/**
 * The file in which a worker writes what it has in hand, in a queue whose claims are renames: the `.lock` of its directory in claimed/, which
 * native code has made and holds locked. So no second file has to be locked, and a take-over finds it beside the items.
 *
 * All workers of a queue handle share the directory, and so the file. Its first line describes all of them together.
 *
 * If the fence falls, the handle gets another directory with its next claim, and so another file.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

import { native } from '../addon/native.js'
import { WORKER_LOCK, workerPath } from '../directory/claimed.js'
import { closeLater } from '../item/descriptors.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { pathText } from '../name/charset.js'
import type { Counters, WorkerState } from '../work/journal.js'
import type { MetaDirectory } from './directory.js'
import { openFile, writeAt } from './files.js'
import { type WorkerLine, WorkerLines } from './worker-lines.js'

const openLater = promisify(fs.open)
const write = promisify(fs.write)

/** The states, by how much a worker in them still does. The line of several workers has the first one of theirs. */
const STATES: readonly WorkerState[] = [
  'running',
  'paused',
  'unfinished',
  'down',
  'missing',
  'closing',
  'closed',
]

interface Open {
  readonly path: string
  readonly descriptor: number
}

/** The files of this process, by queue handle. */
const shared = new WeakMap<QueueDirectory, SharedFile>()

/** The part of one worker in the file; as a {@link WorkerFile}. */
export class LockFile {
  /** It is in claimed/, not in workers/. */
  readonly name = undefined
  readonly #file: SharedFile

  /** @param items - How many items there is room for at first. */
  constructor(directory: QueueDirectory, meta: MetaDirectory, items: number) {
    let file = shared.get(directory)
    if (file === undefined) shared.set(directory, (file = new SharedFile(directory, meta, items)))
    this.#file = file
  }

  get lines(): WorkerLines {
    return this.#file.lines
  }

  /** Opens the file of the present directory, unless it is open. Never throws. */
  ensure(): void {
    this.#file.flush()
  }

  /** Sets the line of the worker, which the next {@link flush} writes. */
  tell(worker: WorkerLine): void {
    this.#file.tell(this, worker)
  }

  /** Writes the lines that have changed. Never throws. */
  flush(): void {
    this.#file.flush()
  }

  /** Resolves when the changes so far are written, or cannot be. Never rejects. `undefined`: at once. */
  get written(): Promise<void> | undefined {
    return this.#file.written
  }

  /** The worker has closed. Native code removes the file, with the directory. Never throws. */
  close(): void {
    this.#file.leave(this)
  }
}

class SharedFile {
  readonly lines: WorkerLines
  readonly #directory: QueueDirectory
  readonly #meta: MetaDirectory
  readonly #workers = new Map<LockFile, WorkerLine>()
  #open: Open | undefined
  /** The write that has begun, and the one that comes after it, with the changes from now on. */
  #writing: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(directory: QueueDirectory, meta: MetaDirectory, items: number) {
    this.#directory = directory
    this.#meta = meta
    this.lines = new WorkerLines(items)
  }

  tell(file: LockFile, worker: WorkerLine): void {
    this.#workers.set(file, worker)
    const all = [...this.#workers.values()]
    this.lines.worker = all.reduce((one, other) => joined(one, other))
  }

  leave(file: LockFile): void {
    const last = this.#workers.get(file)
    this.#workers.delete(file)
    if (this.#workers.size > 0 || last === undefined) return
    this.#close()
  }

  flush(): void {
    if (this.#directory.isLocal) this.#meta.attempt('workers', () => this.#write())
    else this.#next ??= this.#writeNext()
  }

  get written(): Promise<void> | undefined {
    return this.#next ?? this.#writing
  }

  async #writeNext(): Promise<void> {
    await this.#writing
    this.#writing = this.#next
    this.#next = undefined
    await this.#writeLater()
    this.#writing = undefined
  }

  #write(): void {
    const at = this.#path
    if (at === undefined) return
    if (at !== this.#open?.path) {
      this.#close()
      this.#open = { path: at, descriptor: openFile(at, 'write') }
    }
    const { start, end } = this.lines.takeChange()
    if (start >= end) return
    try {
      writeAt(this.#open.descriptor, this.lines.bytes, start, end)
    } catch (error) {
      // The lines in memory are right, and the next write writes all of them.
      this.lines.markAll()
      throw error
    }
  }

  /** {@link #write} beside this thread, which a file server may keep waiting. */
  async #writeLater(): Promise<void> {
    try {
      const at = this.#path
      if (at === undefined) return
      if (at !== this.#open?.path) {
        this.#close()
        const { O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants
        this.#open = { path: at, descriptor: await openLater(at, O_RDWR | O_NOFOLLOW | O_NONBLOCK) }
      }
      // The last worker has closed meanwhile.
      if (this.#workers.size === 0) {
        this.#close()
        return
      }
      const { start, end } = this.lines.takeChange()
      if (start >= end) return
      const bytes = Buffer.from(this.lines.bytes.subarray(start, end))
      await write(this.#open.descriptor, bytes, 0, bytes.length, start)
    } catch (error) {
      this.lines.markAll()
      this.#meta.attempt('workers', () => {
        throw error
      })
    }
  }

  #close(): void {
    const { descriptor } = this.#open ?? {}
    this.#open = undefined
    if (descriptor !== undefined) {
      // Another file could have the descriptor by the time of a write in flight.
      if (this.#writing === undefined) closeLater(descriptor)
      else void this.#writing.then(() => closeLater(descriptor))
    }
    this.lines.markAll()
  }

  get #path(): string | undefined {
    const { opened, layout } = this.#directory
    const worker = opened === undefined ? undefined : native.workerName(opened)
    return worker === undefined ? undefined : path.join(workerPath(layout, pathText(worker)), WORKER_LOCK)
  }
}

/** The line of two workers of one handle. */
function joined(one: WorkerLine, other: WorkerLine): WorkerLine {
  const first = one.started <= other.started ? one : other
  const state = STATES[Math.min(STATES.indexOf(one.state), STATES.indexOf(other.state))] ?? one.state
  const counters = Object.fromEntries(
    Object.entries(one.counters).map(([key, count]) => [
      key,
      (count as number) + other.counters[key as keyof Counters],
    ]),
  ) as unknown as Counters
  return { ...first, concurrency: one.concurrency + other.concurrency, state, counters }
}
