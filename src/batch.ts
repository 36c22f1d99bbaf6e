/**
 * Calls that share a crossing into native code: those of one tick go together, and while one batch is under way the
 * next one gathers. A lone call never waits for company.
 *
 * @module
 */

interface Waiting<Entry, Outcome> {
  readonly entry: Entry
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

/** Runs entries in batches, in the order they came, one batch at a time. */
export class Batcher<Entry, Outcome> {
  readonly #run: (entries: readonly Entry[]) => Promise<readonly Outcome[]>
  readonly #limit: number
  #waiting: Waiting<Entry, Outcome>[] = []
  #running = false

  /**
   * @param run - Gives one outcome an entry, in their order. If it rejects, each of its entries does.
   * @param limit - The most entries of one batch.
   */
  constructor(run: (entries: readonly Entry[]) => Promise<readonly Outcome[]>, limit: number) {
    this.#run = run
    this.#limit = limit
  }

  submit(entry: Entry): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      if (this.#running) return
      this.#running = true
      // Not now: the rest of this tick may have more.
      queueMicrotask(() => void this.#drain())
    })
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#limit)
      try {
        const outcomes = await this.#run(batch.map(({ entry }) => entry))
        batch.forEach(({ resolve }, index) => {
          resolve(outcomes[index] as Outcome)
        })
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#running = false
  }
}
