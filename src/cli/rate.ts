/**
 * Limits how many things begin in a second.
 *
 * @module
 */
import { setTimeout as later } from 'node:timers/promises'

export class Rate {
  readonly #interval: number
  #next = 0

  /** @param perSecond - 0 or less: no limit. */
  constructor(perSecond: number) {
    this.#interval = perSecond > 0 ? 1000 / perSecond : 0
  }

  /** Waits until the next one may begin, or the signal is aborted. */
  async turn(signal: AbortSignal): Promise<void> {
    // Again after the wait: the scan of another host may have been faster.
    for (let wait = this.#wait; wait > 0 && !signal.aborted; wait = this.#wait)
      await later(wait, undefined, { signal }).catch(() => undefined)
  }

  get #wait(): number {
    return this.#next - performance.now()
  }

  /** Notes that one begins now. */
  count(): void {
    this.#next = performance.now() + this.#interval
  }
}
