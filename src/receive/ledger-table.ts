/**
 * The entries of one segment of a ledger in memory: for each, where its line stands in the file, found by a hash of its id. A hash
 * can belong to several ids, so the caller reads the line to be sure.
 *
 * Eight bytes a slot, and 11 to 22 bytes an entry, as 3/8 to 3/4 of the slots are taken: a Map with the ids would need 150.
 *
 * @module
 */

const { imul } = Math
const FIRST_SLOTS = 1024
const MOST_FULL = 0.75
/** Set in the second number of a slot: the entry is settled. */
const SETTLED = 2 ** 31

/** The longest segment in bytes: a position and the flag share 32 bits. */
export const LONGEST_SEGMENT = SETTLED - 2

/** An open hash table. A slot has the hash, and the position plus 1 with the flag; 0: it is free. */
export class LedgerTable {
  #slots = new Uint32Array(2 * FIRST_SLOTS)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The memory of the table in bytes. */
  get bytes(): number {
    return this.#slots.byteLength
  }

  /** Adds an entry, also beside others with its hash. */
  add(hash: number, position: number): void {
    if ((this.#size + 1) * 2 > this.#slots.length * MOST_FULL) this.#grow()
    put(this.#slots, hash, position + 1)
    this.#size++
  }

  /** The positions of the entries with this hash, in no order. */
  positions(hash: number): number[] {
    const found: number[] = []
    for (let at = this.#first(hash); this.#slots[at + 1] !== 0; at = this.#after(at))
      if (this.#slots[at] === hash) found.push(positionIn(this.#slots[at + 1] ?? 0))
    return found
  }

  isSettled(hash: number, position: number): boolean {
    const at = this.#slotOf(hash, position)
    return at !== undefined && (this.#slots[at + 1] ?? 0) >= SETTLED
  }

  /** Does nothing if there is no such entry. */
  settle(hash: number, position: number): void {
    const at = this.#slotOf(hash, position)
    if (at !== undefined) this.#slots[at + 1] = position + 1 + SETTLED
  }

  #slotOf(hash: number, position: number): number | undefined {
    for (let at = this.#first(hash); this.#slots[at + 1] !== 0; at = this.#after(at))
      if (this.#slots[at] === hash && positionIn(this.#slots[at + 1] ?? 0) === position) return at
    return undefined
  }

  #first(hash: number): number {
    return firstSlot(this.#slots, hash)
  }

  #after(at: number): number {
    return (at + 2) % this.#slots.length
  }

  #grow(): void {
    const old = this.#slots
    const slots = new Uint32Array(2 * old.length)
    for (let at = 0; at < old.length; at += 2)
      if (old[at + 1] !== 0) put(slots, old[at] ?? 0, old[at + 1] ?? 0)
    this.#slots = slots
  }
}

/** A hash of 32 bits: FNV-1a, with the bits of the last characters spread over all of them. */
export function hashOf(id: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at++) hash = imul(hash ^ id.charCodeAt(at), 0x01000193)
  hash = imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function firstSlot(slots: Uint32Array, hash: number): number {
  return 2 * (hash % (slots.length / 2))
}

function positionIn(number: number): number {
  return (number >= SETTLED ? number - SETTLED : number) - 1
}

function put(slots: Uint32Array, hash: number, value: number): void {
  let at = firstSlot(slots, hash)
  while (slots[at + 1] !== 0) at = (at + 2) % slots.length
  slots[at] = hash
  slots[at + 1] = value
}
