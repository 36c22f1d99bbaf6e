/**
 * What is under way in native code with the descriptors of a queue handle, which must stay open so long.
 *
 * @module
 */
export class Pending {
  #count = 0
  readonly #idle: (() => void)[] = []

  begin(): void {
    this.#count++
  }

  end(): void {
    this.#count--
    if (this.#count === 0) for (const callback of this.#idle.splice(0)) callback()
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.#count === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }
}
