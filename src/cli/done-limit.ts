/**
 * Removes done items above the limit of a scan.
 *
 * @module
 */
import type { Keep } from '../maintain/prune.js'
import type { Queue } from '../queue.js'
import { clearInterval, setInterval } from '../real-timers.js'

const EVERY_MS = 60_000
const EVERY_ITEMS = 1000

/** The limit of one scan. Removes each minute, each 1,000 items, and at the end of the scan, unless no item was done. */
export class DoneLimit {
  readonly #queue: Queue
  readonly #keep: Keep
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout
  #done = 0
  #removal: Promise<void> | undefined

  /** @param onError - Called with an error that has ended a removal. The next one comes all the same. */
  constructor(queue: Queue, keep: Keep, onError: (error: unknown) => void) {
    this.#queue = queue
    this.#keep = keep
    this.#onError = onError
    this.#timer = setInterval(() => void this.#remove(), EVERY_MS)
    this.#timer.unref()
  }

  /** Counts an item that is done. */
  count(): void {
    if (++this.#done >= EVERY_ITEMS) void this.#remove()
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.#removal
    if (this.#done > 0) await this.#remove()
  }

  async #remove(): Promise<void> {
    if (this.#removal !== undefined) return this.#removal
    this.#done = 0
    this.#removal = this.#queue
      .prune({ done: this.#keep })
      .then(() => undefined, this.#onError)
      .finally(() => (this.#removal = undefined))
    return this.#removal
  }
}
