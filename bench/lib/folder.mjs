import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

import { endAll } from './children.mjs'

/**
 * A folder of our own in `parent`. It and all programs started here are gone when this process ends, also by Ctrl-C.
 */
export class BenchFolder {
  #count = 0

  constructor(parent) {
    this.path = mkdtempSync(join(realpathSync(parent), 'fsq-bench-'))
    process.on('exit', () => this.#remove())
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => process.exit(128 + constants.signals[signal]))
    }
  }

  /** Creates a folder in it. */
  make() {
    const path = join(this.path, String(this.#count++))
    mkdirSync(path)
    return path
  }

  #remove() {
    endAll()
    // Retried, because operations in flight may still add a file.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
}
