/**
 * Shows on a terminal how far long work has come. Without a terminal it shows nothing.
 *
 * @module
 */
import fs from 'node:fs'
import { isatty } from 'node:tty'

const STDERR = 2
const INTERVAL_MS = 100
const CLEAR_LINE = '\r\u001b[K'

export class Progress {
  readonly #doing: string
  readonly #isShown = isatty(STDERR)
  #due = 0
  #isOnScreen = false

  /** @param doing - What is counted, as 'items enqueued'. */
  constructor(doing: string) {
    this.#doing = doing
  }

  /** Shows a new count, at most ten times a second. */
  show(count: number): void {
    if (!this.#isShown || performance.now() < this.#due) return
    this.#due = performance.now() + INTERVAL_MS
    this.#isOnScreen = true
    this.#put(`${CLEAR_LINE}${this.#doing}: ${count.toLocaleString('en')}`)
  }

  /** Clears the line, so that a message can take it. */
  clear(): void {
    if (this.#isOnScreen) this.#put(CLEAR_LINE)
    this.#isOnScreen = false
  }

  #put(text: string): void {
    try {
      fs.writeSync(STDERR, text)
    } catch {
      // The work goes on without its progress.
    }
  }
}
