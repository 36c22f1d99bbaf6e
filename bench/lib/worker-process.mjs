import { once } from 'node:events'
import { basename, dirname, join } from 'node:path'
import process from 'node:process'

import { end, start } from './children.mjs'

const PROGRAM = join(import.meta.dirname, 'worker.mjs')

/** A process that drains one queue after the other. */
export class WorkerProcess {
  #child = start(process.execPath, [PROGRAM], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })

  /**
   * Drains the queue in this folder.
   *
   * @param order - `width`: how many items are finished while the loop continues; `steps`: computed for each item.
   * @returns `{ begin, first, end, taken, bytes, numbers, peakMB }`: times in milliseconds.
   */
  async drain(folder, { width, steps = 0 }) {
    const ended = new AbortController()
    const onExit = () => ended.abort(new Error('A worker process has ended'))
    this.#child.once('exit', onExit)
    this.#child.send({ root: dirname(folder), name: basename(folder), width, steps })
    const [tally] = await once(this.#child, 'message', { signal: ended.signal })
    this.#child.off('exit', onExit)
    return tally
  }

  async end() {
    await end(this.#child)
  }
}
