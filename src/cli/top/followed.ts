/**
 * A directory that is looked at again and again. Only names that are new are looked up, and the directory is listed only if its
 * time has changed. A listing that takes long is repeated less often, so that a million files cost no more than ten thousand.
 *
 * @module
 */
import { readdir } from 'node:fs/promises'
import process from 'node:process'

import { isDeleted } from '../../directory/layout.js'
import { failureOf } from '../../errors/errno.js'
import { fileSystemError } from '../../errors/system-error.js'
import { type Entry, entryNamed } from '../../inspect/entries.js'
import type { Slices } from '../../inspect/slices.js'
import { DirectoryChanges } from '../../meta/directory-changes.js'
import type { RawName } from '../../name/charset.js'

/** The share of a processor that the listings of one directory may take. */
const MOST_SHARE = 0.02
const MICROSECONDS = 1000

/** What is known of the files in a directory, by their names. */
export class FollowedDirectory<Fact> {
  readonly facts = new Map<RawName, Fact>()
  readonly #path: string
  readonly #factOf: (entry: Entry) => Fact | undefined
  readonly #changes: DirectoryChanges
  /** Entries without a fact, so that they are not looked up again. */
  #others = new Set<RawName>()
  #nextListing = 0
  #listedAt = 0

  /** @param factOf - What is to be known of an entry; `undefined`: the entry is none of those that count. */
  constructor(path: string, factOf: (entry: Entry) => Fact | undefined) {
    this.#path = path
    this.#factOf = factOf
    this.#changes = new DirectoryChanges(path)
  }

  /** When {@link facts} were last known to be true, in milliseconds since the epoch. */
  get listedAt(): number {
    return this.#listedAt
  }

  /**
   * Looks for names that have come and gone.
   *
   * @returns Whether there may be some.
   * @throws A file system error.
   */
  async look(slices: Slices): Promise<boolean> {
    if (performance.now() < this.#nextListing) return false
    const now = Date.now()
    if (!this.#changes.take() && this.#listedAt > 0) {
      this.#listedAt = now
      return false
    }
    const before = process.cpuUsage()
    // After a listing that fails, the next look lists again.
    this.#listedAt = 0
    await this.#list(slices)
    const { user, system } = process.cpuUsage(before)
    this.#nextListing = performance.now() + (user + system) / MICROSECONDS / MOST_SHARE
    this.#listedAt = now
    return true
  }

  /** Looks an entry up again whose times may have changed without a change of the directory. */
  lookUp(raw: RawName): void {
    const entry = entryNamed(this.#path, raw)
    const fact = entry && this.#factOf(entry)
    if (fact === undefined) this.facts.delete(raw)
    else this.facts.set(raw, fact)
  }

  async #list(slices: Slices): Promise<void> {
    const names = await this.#names()
    const others = new Set<RawName>()
    let known = 0
    for (const raw of names) {
      if (this.facts.has(raw)) {
        known++
        continue
      }
      if (slices.isOver) await slices.next()
      const entry = this.#others.has(raw) || isDeleted(raw) ? undefined : entryNamed(this.#path, raw)
      const fact = entry && this.#factOf(entry)
      if (fact === undefined) others.add(raw)
      else {
        this.facts.set(raw, fact)
        known++
      }
    }
    this.#others = others
    if (known < this.facts.size) this.#forgetAllBut(new Set(names))
  }

  #forgetAllBut(names: ReadonlySet<RawName>): void {
    for (const raw of this.facts.keys()) if (!names.has(raw)) this.facts.delete(raw)
  }

  async #names(): Promise<readonly RawName[]> {
    try {
      return await readdir(this.#path, 'latin1')
    } catch (error) {
      throw fileSystemError(failureOf(error, 'scandir', this.#path), 'list a directory')
    }
  }
}

const SECOND = 1000
const MINUTE = 60

/** How many events there were in each of the last minutes. */
export class Rates {
  readonly #minutes: number
  /** By second since the epoch. */
  readonly #seconds = new Map<number, number>()

  constructor(minutes: number) {
    this.#minutes = minutes
  }

  /** Counts an event, whose time is in milliseconds since the epoch. */
  add(at: number, now = Date.now()): void {
    if (now - at > this.#minutes * MINUTE * SECOND) return
    const second = Math.floor(at / SECOND)
    this.#seconds.set(second, (this.#seconds.get(second) ?? 0) + 1)
  }

  /** The counts of the minutes before a time, the oldest first. The last one is that of the 60 seconds up to it. */
  until(time: number): readonly number[] {
    const counts = Array.from({ length: this.#minutes }, () => 0)
    const last = Math.floor(time / SECOND)
    for (const [second, count] of this.#seconds) {
      // Clocks may be set: an event of the future has just happened.
      const minute = Math.floor(Math.max(0, last - second) / MINUTE)
      if (minute >= this.#minutes) this.#seconds.delete(second)
      else counts[this.#minutes - 1 - minute] = (counts[this.#minutes - 1 - minute] ?? 0) + count
    }
    return counts
  }
}
