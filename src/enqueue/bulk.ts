/**
 * Adds many items in one call. Its phases:
 *
 * 1. Prepare: each given entry becomes an {@link Entry}, or the error that is its outcome. The call prepares all of them before
 *    it returns, as the caller may change them afterwards. If the items need not be durable and the queue is open already, the
 *    first parts begin here: native code adds them while the rest is prepared.
 * 2. Add: the other entries are added in parts, in order. A part is a run of entries for one native call, or one streamed
 *    entry. If the items need not be durable, a part whose contents are in memory overlaps with such a part before it: native
 *    code receives it before the earlier one has ended, so that it has no pause between them, and still adds them in order. Any
 *    other part runs alone: a durable one waits for the disk anyway, and a file can be large.
 * 3. Clean up: wait for the parts that are running, and stop the sources that were not reached.
 * 4. Answer: the ids, or one {@link EnqueueManyError} with the outcome of each entry.
 *
 * @module
 */
import { inspect } from 'node:util'

import { Cancellation } from '../cancellation.js'
import type { Enqueuer } from './enqueuer.js'
import {
  type EnqueueEntry,
  type EnqueueManyOptions,
  type Entry,
  type LargeEntry,
  type ReadyEntry,
  checkOptionsOf,
  isLarge,
  isSmall,
  isStreamed,
} from './entry.js'
import {
  EnqueueAbortedError,
  EnqueueManyError,
  type EnqueueOutcome,
  FsqError,
  PayloadError,
} from '../errors/classes.js'
import { type Result, abortedError, asFsqError, isCancelled } from './outcome.js'

const PART_LIMIT = 1024
// A large entry holds a descriptor from its write to the end of its part.
const LARGE_LIMIT = 32
// Early parts: the first one is small, to begin soon, and there are few of them.
const EARLY_PARTS = [128, PART_LIMIT, PART_LIMIT]

/**
 * Adds items in the order of the array.
 *
 * @returns Their ids, in the same order.
 * @throws {@link EnqueueManyError}, if some of them could not be added.
 */
export async function enqueueMany(
  enqueuer: Enqueuer,
  entries: readonly EnqueueEntry[],
  options: EnqueueManyOptions,
): Promise<string[]> {
  checkOptionsOf('enqueueMany', options)
  if (!Array.isArray(entries)) {
    throw new PayloadError(
      `The entries are ${inspect(entries, { depth: 0 })}, expected an array of { data, args }`,
    )
  }
  return new BulkEnqueue(enqueuer, options.signal).run(entries as readonly EnqueueEntry[])
}

class BulkEnqueue {
  readonly #enqueuer: Enqueuer
  readonly #signal: AbortSignal | undefined
  readonly #cancellation: Cancellation
  /** The given entries, prepared, or their errors. */
  #entries: readonly (Entry | FsqError)[] = []
  /** The ones without an error. */
  #good: readonly Entry[] = []
  /** How many of the good entries belong to parts that have begun. */
  #begun = 0
  /** Parts that have begun and were not awaited yet, in order. */
  readonly #running: Promise<readonly Result[]>[] = []
  /** One result for each entry of the parts that were awaited. */
  readonly #results: Result[] = []

  constructor(enqueuer: Enqueuer, signal: AbortSignal | undefined) {
    this.#enqueuer = enqueuer
    this.#signal = signal
    this.#cancellation = new Cancellation(signal)
  }

  async run(given: readonly EnqueueEntry[]): Promise<string[]> {
    // Nothing may be awaited before: see phase 1 above.
    this.#prepare(given)
    try {
      this.#cancellation.check()
      // Without the queue no entry can be added: one error says so better than one per entry.
      await this.#enqueuer.open()
      await this.#addRest()
    } finally {
      await this.#cleanUp()
    }
    return this.#ids() ?? this.#fail()
  }

  #prepare(given: readonly EnqueueEntry[]): void {
    const { isDurable, isOpen } = this.#enqueuer
    const earlyParts = isDurable || !isOpen ? [] : EARLY_PARTS
    let from = 0
    for (const size of earlyParts) {
      if (given.length - from < size) break
      this.#prepareSome(given, from, from + size)
      from += size
      const part = this.#good.slice(this.#begun)
      if (!part.every(isSmall) || this.#cancellation.raised !== undefined) break
      if (part.length > 0) this.#begin(part, true)
    }
    this.#prepareSome(given, from, given.length)
  }

  #prepareSome(given: readonly EnqueueEntry[], from: number, to: number): void {
    const entries = this.#enqueuer.entryMaker.makeAll(given, from, to)
    // No loops over the entries here: see makeAll().
    this.#entries = this.#entries.concat(entries)
    this.#good = this.#good.concat(entries.filter(isGood))
  }

  async #addRest(): Promise<void> {
    // The early parts overlap, if there are any.
    let lastOverlaps = true
    for (const part of partsOf(this.#good.slice(this.#begun))) {
      // Drafts of two parts could hold all descriptors.
      const overlaps = !this.#enqueuer.isDurable && part.every(isSmall)
      await this.#awaitParts(overlaps && lastOverlaps ? 1 : 0)
      this.#begin(part, overlaps)
      lastOverlaps = overlaps
    }
    await this.#awaitParts(0)
  }

  /** Awaits the earliest parts until at most `mostRunning` are left. */
  async #awaitParts(mostRunning: number): Promise<void> {
    while (this.#running.length > mostRunning) {
      const results = await this.#running.shift()
      this.#results.push(...(results as readonly Result[]))
    }
  }

  #begin(part: readonly Entry[], overlaps: boolean): void {
    const adding = this.#add(part, overlaps)
    // awaitParts() or cleanUp() handles a rejection. Until then Node must not treat it as unhandled.
    adding.catch(() => undefined)
    this.#running.push(adding)
    this.#begun += part.length
  }

  /** Adds a part. Returns one result per entry. */
  async #add(part: readonly Entry[], overlaps: boolean): Promise<readonly Result[]> {
    try {
      this.#cancellation.check()
      const [first] = part
      if (first !== undefined && isStreamed(first)) {
        return [await this.#enqueuer.enqueueStreamed(first, this.#signal)]
      }
      const entries = this.#cancellable(part as readonly (ReadyEntry | LargeEntry)[])
      const results = await this.#enqueuer.enqueueMixed(entries, overlaps ? 'enqueueBulk' : 'enqueue')
      return results.map((result) => (isCancelled(result) ? abortedError(this.#cancellation) : result))
    } catch (error) {
      const failure = this.#isReason(error) ? abortedError(this.#cancellation) : asFsqError(error)
      return part.map(() => failure)
    }
  }

  #cancellable(entries: readonly (ReadyEntry | LargeEntry)[]): readonly (ReadyEntry | LargeEntry)[] {
    if (this.#signal === undefined) return entries
    const stop = this.#cancellation.handle
    return entries.map((entry) => ({ ...entry, stop }))
  }

  #isReason(error: unknown): boolean {
    const { raised } = this.#cancellation
    return raised !== undefined && raised.reason === error
  }

  async #cleanUp(): Promise<void> {
    await Promise.allSettled(this.#running)
    // Including the sources of parts that have not begun. Harmless for a source that has ended.
    const left = Promise.all(this.#good.filter(isStreamed).map(({ payload }) => payload.stop()))
    await this.#cancellation.wait(left).catch(() => undefined)
    this.#cancellation.end()
  }

  /** The ids of all items; `undefined` if one has an error. */
  #ids(): string[] | undefined {
    if (this.#good.length < this.#entries.length) return undefined
    if (!this.#results.every((result) => typeof result === 'string')) return undefined
    return this.#results.map((name) => this.#enqueuer.outcomes.idOfName(name))
  }

  /** @throws {@link EnqueueManyError}, or the signal's reason if that is the cause for each entry. */
  #fail(): never {
    let next = 0
    const outcomes = this.#entries.map((entry): EnqueueOutcome =>
      entry instanceof FsqError
        ? { error: entry }
        : this.#enqueuer.outcomes.outcomeOf(this.#results[next++] as Result, entry),
    )
    if (outcomes.every((outcome) => 'error' in outcome && outcome.error instanceof EnqueueAbortedError)) {
      this.#cancellation.check()
    }
    throw new EnqueueManyError(outcomes)
  }
}

/** Cuts entries into parts: runs that native code can take at once, and each streamed entry alone. */
function* partsOf(entries: readonly Entry[]): Generator<readonly Entry[], void, undefined> {
  let part: Entry[] = []
  let large = 0
  for (const entry of entries) {
    if (part.length > 0 && (part.length === PART_LIMIT || large === LARGE_LIMIT || isStreamed(entry))) {
      yield part
      part = []
      large = 0
    }
    part.push(entry)
    if (isLarge(entry)) large++
    if (!isStreamed(entry)) continue
    yield part
    part = []
    large = 0
  }
  if (part.length > 0) yield part
}

function isGood(entry: Entry | FsqError): entry is Entry {
  return !(entry instanceof FsqError)
}
