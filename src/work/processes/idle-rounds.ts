/**
 * Finds out whether a group of children is idle.
 *
 * Children that are idle one after the other need not be idle together: one may have added an item for another that has answered before.
 * So all are asked twice, and must not have begun a handler between their answers. Then none of them ran a handler at the moment
 * between the two rounds, and the looks of the second round began after it.
 *
 *     at rest ── ask() ──> first round ── all have answered ──> second round ── with the same numbers ──> onIdle()
 *                              ^                                   │
 *                              └── other numbers, or other children ┘
 *
 * @module
 */

export interface IdleRoundsOptions<Child> {
  /** Sends the question to all children that work. @returns Those children. */
  readonly ask: (round: number) => readonly Child[]
  readonly onIdle: () => void
}

export class IdleRounds<Child> {
  readonly #options: IdleRoundsOptions<Child>
  #isAsking = false
  #round = 0
  #asked: readonly Child[] = []
  /** How many handlers each child had begun when it answered. */
  #answers = new Map<Child, number>()
  #previous: ReadonlyMap<Child, number> | undefined

  constructor(options: IdleRoundsOptions<Child>) {
    this.#options = options
  }

  /** Begins, unless the question is open already. */
  ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#previous = undefined
    this.#askAll()
  }

  /** Other children work now. */
  onOthers(): void {
    if (!this.#isAsking) return
    this.#previous = undefined
    this.#askAll()
  }

  /** A child is idle. Answers to earlier rounds do not count. */
  onAnswer(child: Child, round: number, started: number): void {
    if (!this.#isAsking || round !== this.#round) return
    this.#answers.set(child, started)
    if (this.#answers.size < this.#asked.length) return
    const previous = this.#previous
    this.#previous = this.#answers
    if (previous === undefined || [...this.#answers].some(([each, count]) => previous.get(each) !== count)) {
      this.#askAll()
      return
    }
    this.#isAsking = false
    this.#options.onIdle()
  }

  /** Without children it waits for {@link onOthers}. */
  #askAll(): void {
    this.#answers = new Map()
    this.#asked = this.#options.ask(++this.#round)
  }
}
