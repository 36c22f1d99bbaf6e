// The clock of the day of child processes, which a test sets.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import type { ChildOptions } from './child.js'

const PRELOAD = pathToFileURL(fileURLToPath(new URL('set-clock.mjs', import.meta.url))).href

export class SetClock {
  readonly #file: string
  /** For a child that has this clock. */
  readonly options: ChildOptions

  constructor(directory: string) {
    this.#file = path.join(directory, 'clock')
    this.options = { node: ['--import', PRELOAD], env: { FSQ_TEST_CLOCK: this.#file } }
    this.set(0)
  }

  /** @param hours - Ahead of the true time. */
  set(hours: number): void {
    // At once: a child may read it at any moment.
    fs.writeFileSync(`${this.#file}.new`, String(hours))
    fs.renameSync(`${this.#file}.new`, this.#file)
  }
}
