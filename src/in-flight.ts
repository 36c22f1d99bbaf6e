/**
 * Counts the operations that use the descriptors of a queue handle. The descriptors may be closed only when none is
 * in flight.
 *
 * @module
 */
export class InFlight {
  #count = 0
  readonly #idle: (() => void)[] = []

  get isIdle(): boolean {
    return this.#count === 0
  }

  begin(): void {
    this.#count++
  }

  end(): void {
    this.#count--
    if (this.#count === 0) for (const callback of this.#idle.splice(0)) callback()
  }

  /** Resolves when no operation is in flight. */
  async idle(): Promise<void> {
    if (this.isIdle) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}
