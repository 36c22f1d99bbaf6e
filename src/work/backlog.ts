/**
 * Warns of a done/ that keeps growing, because its worker keeps all done items by default.
 *
 * The names are counted by a thread of the pool, at the start of a worker and each minute. A directory that is small, or that has not
 * changed, is not listed: one stat(2) tells.
 *
 * @module
 */
import fs from 'node:fs'
import process from 'node:process'

import { Place } from '../addon/native.js'
import { type Layout, placePath, shownName } from '../directory/layout.js'
import { clearInterval, setInterval } from '../real-timers.js'

/** Files in done/ above which looking at the directory takes a noticeable time. */
const MANY = 100_000
const EVERY_MS = 60_000

// Once for each queue of the process, however many workers it has.
const warned = new Set<string>()

/** Looks at the done/ of one queue, until it has warned. Never throws. */
export class DoneBacklog {
  readonly #layout: Layout
  readonly #limit: number
  readonly #timer: NodeJS.Timeout
  #changed: number | undefined

  constructor(layout: Layout, limit = MANY) {
    this.#layout = layout
    this.#limit = limit
    this.#timer = setInterval(() => void this.look(), EVERY_MS)
    this.#timer.unref()
  }

  end(): void {
    clearInterval(this.#timer)
  }

  /** Warns if there are too many files. */
  async look(): Promise<void> {
    const { path: queue } = this.#layout
    if (warned.has(queue)) {
      this.end()
      return
    }
    const count = await this.#count(placePath(this.#layout, Place.done))
    if (count <= this.#limit || warned.has(queue)) return
    warned.add(queue)
    this.end()
    process.emitWarning(
      `${count} files are in done/ of the ${shownName(this.#layout)}, and its workers keep all done items. Let them remove old ones: ` +
        `keepDone: { age: 86_400_000 }, in milliseconds, or keepDone: { count: 10_000 }; or keep none: keepDone: false`,
      { type: 'FsqWarning', code: 'FSQ_MANY_DONE' },
    )
  }

  /** The number of files; 0: it is surely below the limit, or as at the last look, or cannot be told. */
  async #count(done: string): Promise<number> {
    try {
      const { size, mtimeMs } = await fs.promises.stat(done)
      // A name takes more than a byte of the size of a directory. Where the size is a number of names (ZFS), it is that of the files.
      if (size < this.#limit || mtimeMs === this.#changed) return 0
      this.#changed = mtimeMs
      return (await fs.promises.readdir(done, 'latin1')).length
    } catch {
      // Of a queue that was removed, its scan tells.
      return 0
    }
  }
}
