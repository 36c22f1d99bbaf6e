/**
 * Calls that share a crossing into native code: those of one tick go together. A lone call never waits for company.
 *
 * @module
 */

interface Waiting<Entry, Outcome> {
  readonly entry: Entry
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

// Taken here and now: a test may put one in its place that stands still.
const nextTick = process.nextTick.bind(process)

/** Runs entries in batches, in the order they came. */
export class Batcher<Entry, Outcome> {
  readonly #run: (entries: readonly Entry[]) => Promise<readonly Outcome[]>
  readonly #limit: number
  readonly #overlapping: boolean
  #waiting: Waiting<Entry, Outcome>[] = []
  #running = false

  /**
   * @param run - Gives one outcome an entry, in their order. If it rejects, each of its entries does.
   * @param limit - The most entries of one batch.
   * @param overlapping - If not, one batch at a time, while the next one gathers: where a batch costs much and an entry more
   * costs little. Else one begins as soon as it is full, and at the end of the tick, on the heels of the others: while one is
   * under way, what comes of the last one prepares the next. Its limit is small, then.
   */
  constructor(
    run: (entries: readonly Entry[]) => Promise<readonly Outcome[]>,
    limit: number,
    overlapping: boolean,
  ) {
    this.#run = run
    this.#limit = limit
    this.#overlapping = overlapping
  }

  submit(entry: Entry): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      if (this.#overlapping && this.#waiting.length === this.#limit) void this.#runBatch(this.#take())
      if (this.#running || this.#waiting.length === 0) return
      this.#running = true
      // Not now, and not among the microtasks either: what those do, item by item, may have more.
      nextTick(() => void this.#drain())
    })
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const ended = this.#runBatch(this.#take())
      if (!this.#overlapping) await ended
    }
    this.#running = false
  }

  #take(): readonly Waiting<Entry, Outcome>[] {
    if (this.#waiting.length > this.#limit) return this.#waiting.splice(0, this.#limit)
    const all = this.#waiting
    this.#waiting = []
    return all
  }

  async #runBatch(batch: readonly Waiting<Entry, Outcome>[]): Promise<void> {
    try {
      const outcomes = await this.#run(batch.map(({ entry }) => entry))
      batch.forEach(({ resolve }, index) => {
        resolve(outcomes[index] as Outcome)
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}
