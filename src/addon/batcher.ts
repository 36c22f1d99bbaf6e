/**
 * Joins the calls of one tick, so that they cross into native code together. A lone call never waits for others.
 *
 * @module
 */

interface Waiting<Entry, Outcome> {
  readonly entry: Entry
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

// Kept from the real process: a test may replace process.nextTick with a fake that never runs.
const nextTick = process.nextTick.bind(process)

/** Runs entries in batches, in the order in which they were submitted. */
export class Batcher<Entry, Outcome> {
  readonly #run: (entries: readonly Entry[]) => Promise<readonly Outcome[]>
  readonly #limit: number
  readonly #overlapping: boolean
  #waiting: Waiting<Entry, Outcome>[] = []
  #running = false

  /**
   * @param run - Returns one outcome for each entry, in the same order. If it rejects, all its entries reject.
   * @param limit - The most entries of a batch.
   * @param overlapping - False: one batch at a time, and the next one gathers meanwhile. This suits batches that cost
   * much, and little more for each further entry. True: a batch begins as soon as it is full, and at the end of the
   * tick, without waiting for earlier ones: while one is in flight, the outcomes of the last one prepare the next.
   * The limit is small in this case.
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
      // Neither now nor among the microtasks: those handle item after item, and may submit more.
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
