/** Calls `run(index)` for each index below `count`, at most `width` at a time. */
export async function lanes(count, width, run) {
  let next = 0
  const lane = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: width }, lane))
}

/** A limit on how many operations may be in flight. */
export class Slots {
  #free
  #wake
  #error

  constructor(count) {
    this.count = count
    this.#free = count
  }

  /** Resolves when a slot is free; rejects with the error of an operation that has failed in one. */
  async take() {
    while (this.#free === 0 && this.#error === undefined) {
      await new Promise((resolve) => (this.#wake = resolve))
    }
    if (this.#error !== undefined) throw this.#error
    this.#free--
  }

  /** Frees the slot when the promise has settled. */
  async hold(promise) {
    try {
      await promise
    } catch (error) {
      this.#error ??= error
    }
    this.#free++
    this.#wake?.()
  }

  /** Resolves when all slots are free. */
  async drain() {
    for (let slot = 0; slot < this.count; slot++) await this.take()
  }
}
