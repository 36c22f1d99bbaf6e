/**
 * Turns: a limit on how many operations are in flight.
 *
 * @module
 */

/** Gives out a number of turns, in the order of the requests. */
export class Turns {
  readonly #count: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#count = count
    this.#free = count
  }

  /** How many turns are taken. */
  get taken(): number {
    return this.#count - this.#free
  }

  /** Takes a turn. The promise, if there is one, resolves when the caller has it. */
  take(): Promise<void> | undefined {
    if (this.#free === 0) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#free--
    return undefined
  }

  giveBack(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
