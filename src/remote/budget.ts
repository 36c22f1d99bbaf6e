/**
 * Bounds what is used together: others wait.
 *
 * @module
 */

interface Waiting {
  readonly bytes: number
  readonly start: () => void
}

/** For what is taken at once. Those that wait go on in their order. */
export class Budget {
  #free: number
  #waiting: Waiting[] = []

  constructor(total: number) {
    this.#free = total
  }

  /** Resolves when as much is free. Not more than the total. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes
      return
    }
    await new Promise<void>((start) => this.#waiting.push({ bytes, start }))
  }

  giveBack(bytes: number): void {
    this.#free += bytes
    for (
      let [first] = this.#waiting;
      first !== undefined && first.bytes <= this.#free;
      [first] = this.#waiting
    ) {
      this.#waiting.shift()
      this.#free -= first.bytes
      first.start()
    }
  }
}

/** A body on its way. */
interface Body {
  held: number
  /** How many bytes are still to come. */
  missing: number
}

interface WaitingBody {
  readonly body: Body
  readonly bytes: number
  readonly start: () => void
}

/** A share of a {@link BodyBudget}. */
export interface BodyShare {
  /** Resolves when there is room for bytes that have come. */
  grow(bytes: number): Promise<void>
  /** Gives everything back. */
  end(): void
}

/**
 * Bounds the bytes of bodies that are in memory together. Each body takes what has come of it, so that a slow one of which much is to come
 * keeps no other waiting. A body gets more only if all of them can still be completed afterwards, one after the other (the banker's
 * algorithm), so that one of those that wait can always go on.
 */
export class BodyBudget {
  #free: number
  /** Of all bodies. */
  #missing = 0
  readonly #bodies = new Set<Body>()
  #waiting: WaitingBody[] = []

  /** @param total - In bytes. */
  constructor(total: number) {
    this.#free = total
  }

  /** @param size - Of the body, in bytes. Not more than the total. */
  begin(size: number): BodyShare {
    const body: Body = { held: 0, missing: size }
    this.#bodies.add(body)
    this.#missing += size
    return {
      grow: async (bytes) => this.#grow(body, bytes),
      end: () => this.#end(body),
    }
  }

  async #grow(body: Body, bytes: number): Promise<void> {
    if (this.#take(body, bytes)) return
    await new Promise<void>((start) => this.#waiting.push({ body, bytes, start }))
  }

  #end(body: Body): void {
    this.#bodies.delete(body)
    this.#free += body.held
    this.#missing -= body.missing
    this.#waiting = this.#waiting.filter(({ body: other, bytes, start }) => {
      if (!this.#take(other, bytes)) return true
      start()
      return false
    })
  }

  #take(body: Body, bytes: number): boolean {
    this.#move(body, bytes)
    if (this.#isSafe()) return true
    this.#move(body, -bytes)
    return false
  }

  #move(body: Body, bytes: number): void {
    this.#free -= bytes
    this.#missing -= bytes
    body.held += bytes
    body.missing -= bytes
  }

  /** Whether all bodies can be completed. */
  #isSafe(): boolean {
    if (this.#missing <= this.#free) return true
    let free = this.#free
    const bodies = [...this.#bodies].sort((one, other) => one.missing - other.missing)
    return bodies.every(({ held, missing }) => {
      if (missing > free) return false
      free += held
      return true
    })
  }
}
