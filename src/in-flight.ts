/**
 * What is under way with the descriptors of a queue handle, which must stay open so long.
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

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.isIdle) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}
