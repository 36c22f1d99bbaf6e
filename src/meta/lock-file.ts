/**
 * The file in which a worker writes what it has in hand, in a queue whose claims are renames: the `.lock` of its directory in claimed/, which
 * native code has made and holds locked. So no second file has to be locked, and a take-over finds it beside the items.
 *
 * If the fence falls, the worker gets another directory with its next claim, and so another file.
 *
 * @module
 */
import path from 'node:path'

import { native } from '../addon/native.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { pathText } from '../name/charset.js'
import { CLAIMED_DIRECTORY } from '../settings.js'
import type { MetaDirectory } from './directory.js'
import { closeFile, openFile, writeAt } from './files.js'
import type { WorkerLines } from './worker-lines.js'

interface Open {
  readonly path: string
  readonly descriptor: number
}

/** As a {@link WorkerFile}. */
export class LockFile {
  /** It is in claimed/, not in workers/. */
  readonly name = undefined
  readonly #directory: QueueDirectory
  readonly #meta: MetaDirectory
  readonly #lines: WorkerLines
  #open: Open | undefined

  constructor(directory: QueueDirectory, meta: MetaDirectory, lines: WorkerLines) {
    this.#directory = directory
    this.#meta = meta
    this.#lines = lines
  }

  /** Opens the file of the present directory of this worker. Never throws. */
  ensure(): void {
    const at = this.#path
    if (at === undefined || at === this.#open?.path) return
    this.close()
    this.#open = this.#meta.attempt('workers', () => ({ path: at, descriptor: openFile(at, 'write') }))
    this.#lines.markAll()
  }

  /** Writes the lines that have changed, in one call. Never throws. */
  flush(): void {
    this.ensure()
    if (this.#open === undefined) return
    const { descriptor } = this.#open
    const { start, end } = this.#lines.takeChange()
    if (start >= end) return
    const isWritten = this.#meta.attempt('workers', () => {
      writeAt(descriptor, this.#lines.bytes, start, end)
      return true
    })
    // What is in memory is right, and the next write tells of it.
    if (isWritten !== true) this.#lines.markAll()
  }

  /** Closes the file. Native code removes it with the directory. Never throws. */
  close(): void {
    if (this.#open === undefined) return
    const { descriptor } = this.#open
    this.#meta.attempt('workers', () => closeFile(descriptor))
    this.#open = undefined
  }

  get #path(): string | undefined {
    const { opened, layout } = this.#directory
    const worker = opened === undefined ? undefined : native.workerName(opened)
    if (worker === undefined) return undefined
    return path.join(layout.path, CLAIMED_DIRECTORY, pathText(worker), '.lock')
  }
}
