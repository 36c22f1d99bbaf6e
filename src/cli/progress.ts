/**
 * How far long work is, on the terminal of whoever waits for it; on none, nothing.
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

  /** There are so many now. */
  show(count: number): void {
    if (!this.#isShown || performance.now() < this.#due) return
    this.#due = performance.now() + INTERVAL_MS
    this.#isOnScreen = true
    this.#put(`${CLEAR_LINE}${count.toLocaleString('en')} ${this.#doing}`)
  }

  /** Leaves the line to messages. */
  clear(): void {
    if (this.#isOnScreen) this.#put(CLEAR_LINE)
    this.#isOnScreen = false
  }

  #put(text: string): void {
    try {
      fs.writeSync(STDERR, text)
    } catch {
      // Whether the work is done does not hang on it.
    }
  }
}
