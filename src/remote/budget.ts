/**
 * Bounds the bytes that requests have in memory together: others wait, in their order.
 *
 * @module
 */

interface Waiting {
  readonly bytes: number
  readonly start: () => void
}

export class Budget {
  #free: number
  #waiting: Waiting[] = []

  /** @param total - In bytes. */
  constructor(total: number) {
    this.#free = total
  }

  /** Resolves when the bytes are free. Not more than the total. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes
      return
    }
    await new Promise<void>((start) => this.#waiting.push({ bytes, start }))
  }

  giveBack(bytes: number): void {
    this.#free += bytes
    for (
      let [first] = this.#waiting;
      first !== undefined && first.bytes <= this.#free;
      [first] = this.#waiting
    ) {
      this.#waiting.shift()
      this.#free -= first.bytes
      first.start()
    }
  }
}
