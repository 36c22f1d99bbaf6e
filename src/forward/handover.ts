/**
 * Hands the items of a worker over to a sink.
 *
 *     claimed ──> waiting ──> written down ──> in flight ──> stored, duplicate ──> done/
 *                    ^             │               ├──> refused ──> fail/
 *                    │             └── in doubt ───│──> fail/
 *                    └── again, after a pause ─────┘
 *
 * Items wait for the end of the tick, and while the ones before them are written down. So one write and one fsync serve many. A put has at most
 * 64 items, and the contents of all puts in flight have at most 8 MiB together; an item that is larger goes alone.
 *
 * Of the target:
 *
 *     here ── a put stores nothing ──> away: nothing is claimed, and one put tries again after 50 ms, 100 ms ... 30 s
 *       ^                               │
 *       └────── a put stores an item ───┘
 *
 * @module
 */
import { inspect } from 'node:util'

import { FsqError, InDoubtError, PermanentFailure, RetryLater } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { WorkItem } from '../item/work-item.js'
import type { Charset } from '../name/charset.js'
import { clearTimeout, nextTick, setTimeout } from '../real-timers.js'
import type { WorkerEvents } from '../work/events.js'
import { type Moment, isForgotten, momentNow } from './doubt.js'
import type { Doubtful, Doubts } from './doubts.js'
import type { ForwarderEvents, ForwarderNumbers } from './events.js'
import { Outgoing } from './outgoing.js'
import type { PutOutcome, Sink } from './sink.js'

const MOST_ITEMS = 64
const MOST_BYTES = 8 * 1024 * 1024
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 30_000
const JITTER = 0.25
// How long a put may take to answer after its signal was aborted. The engine waits for a second.
const LAST_ANSWER_MS = 500

/** An item in hand. */
interface Put extends Doubtful {
  readonly item: WorkItem
  readonly claimedAt: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
  outgoing: Outgoing | undefined
  /** {@link since} before the put in flight. */
  before: Moment | undefined
  isWaiting: boolean
  /** What it takes of the bytes in flight. */
  room: number
  /** The handler of the item has ended. */
  isSettled: boolean
  isDuplicate: boolean
  /** By `performance.now()`. */
  notBefore: number
  failures: number
}

/** What a handover needs. */
export interface HandoverParts {
  readonly sink: Sink
  readonly doubts: Doubts
  readonly inDoubt: 'hold' | 'publish'
  readonly charset: Charset
  /** Whether a claim can be lost: in a queue that several machines share. */
  readonly mayLoseClaims: boolean
  readonly tell: <Name extends keyof ForwarderEvents>(name: Name, ...event: ForwarderEvents[Name]) => void
  /** {@link Handover.isAway} has changed. */
  readonly onAway: (error?: unknown) => void
}

export class Handover {
  readonly #parts: HandoverParts
  readonly #numbers = { forwarded: 0, duplicates: 0, refused: 0, held: 0, failed: 0 }
  #lastSuccess: Date | undefined
  /** The items whose handlers run. */
  readonly #open = new Set<Put>()
  readonly #puts = new WeakMap<WorkItem, Put>()
  #waiting: Put[] = []
  /** The sizes of the items that are written down or in flight. */
  #bytes = 0
  /** There was no room for the contents of the next item. */
  #isFull = false
  #isPlanned = false
  #isPumping = false
  #timer: NodeJS.Timeout | undefined
  #isClosing = false
  readonly #abort = new AbortController()
  /** When the target went away; `undefined`: it is here. */
  #awaySince: number | undefined
  /** How many puts in a row have failed since it went away, less one. */
  #failures = 0
  /** While the target is away: when the next put tries. */
  #nextTry = 0

  constructor(parts: HandoverParts) {
    this.#parts = parts
  }

  /** Whether the last put has stored nothing. */
  get isAway(): boolean {
    return this.#awaySince !== undefined
  }

  get numbers(): Omit<ForwarderNumbers, 'inFlight'> {
    return { ...this.#numbers, lastSuccess: this.#lastSuccess, connected: this.#parts.sink.connected }
  }

  /** The handler of the worker. */
  readonly handle = (item: WorkItem): Promise<void> =>
    new Promise((resolve, reject) => {
      const put: Put = {
        item,
        id: item.rawId,
        key: item.rawKey,
        claimedAt: performance.now(),
        resolve,
        reject,
        since: undefined,
        line: undefined,
        isOfOthers: false,
        outgoing: undefined,
        before: undefined,
        isWaiting: true,
        room: 0,
        isSettled: false,
        isDuplicate: false,
        notBefore: 0,
        failures: 0,
      }
      this.#puts.set(item, put)
      this.#open.add(put)
      this.#waiting.push(put)
      if (this.#parts.mayLoseClaims) this.#obeySignal(put)
      this.#plan()
    })

  /** An event of the worker. */
  readonly onEvent = (name: keyof WorkerEvents<WorkItem>, event: readonly unknown[]): void => {
    switch (name) {
      case 'done':
        this.#onDone(event[0] as WorkerEvents<WorkItem>['done'][0])
        break
      case 'failed':
        this.#onFailed(event[0] as WorkerEvents<WorkItem>['failed'][0])
        break
      case 'released': {
        const put = this.#puts.get((event[0] as WorkerEvents<WorkItem>['released'][0]).item)
        if (put !== undefined) this.#parts.doubts.released(put)
        break
      }
      case 'state':
        if ((event[0] as WorkerEvents<WorkItem>['state'][0]).state === 'closing') this.#onClosing()
        break
      default:
    }
  }

  #onDone({ item, ms }: WorkerEvents<WorkItem>['done'][0]): void {
    const put = this.#puts.get(item)
    if (put === undefined) return
    this.#parts.doubts.finished(put)
    this.#numbers.forwarded++
    if (put.isDuplicate) this.#numbers.duplicates++
    this.#parts.tell('forwarded', { item, duplicate: put.isDuplicate, ms })
  }

  #onFailed({ item, id, reason, error }: WorkerEvents<WorkItem>['failed'][0]): void {
    const { doubts, tell } = this.#parts
    const put = item === undefined ? undefined : this.#puts.get(item)
    if (put !== undefined) doubts.finished(put)
    if (item !== undefined && error instanceof InDoubtError) {
      this.#numbers.held++
      tell('held', { item, since: error.since, error })
    } else if (item !== undefined && error instanceof PermanentFailure) {
      this.#numbers.refused++
      tell('refused', { item, error: error.cause instanceof Error ? error.cause : error })
    } else {
      this.#numbers.failed++
      tell('failed', { id, reason, error })
    }
  }

  /** Items that wait go back at once. Those in flight have until the end of the grace. */
  #onClosing(): void {
    this.#isClosing = true
    clearTimeout(this.#timer)
    for (const put of this.#open) {
      if (put.isWaiting) this.#giveBack(put)
      else if (!this.#parts.mayLoseClaims) this.#obeySignal(put)
    }
  }

  #giveBack(put: Put): void {
    this.#settle(put, () => put.reject(new RetryLater({ after: 0 })))
  }

  /** At the end of the grace, and when the claim is lost. */
  #obeySignal(put: Put): void {
    const { signal } = put.item
    const obey = (): void => {
      if (put.isSettled) return
      const end = (): void => this.#settle(put, () => put.reject(signal.reason))
      if (put.item.claimed) {
        this.#abort.abort(signal.reason)
        setTimeout(end, LAST_ANSWER_MS).unref()
      } else {
        this.#parts.doubts.released(put)
        end()
      }
    }
    if (signal.aborted) obey()
    else signal.addEventListener('abort', obey, { once: true })
  }

  #settle(put: Put, settle: () => void): void {
    if (put.isSettled) return
    put.isSettled = true
    this.#open.delete(put)
    this.#leave(put)
    if (put.isWaiting) this.#waiting = this.#waiting.filter((other) => other !== put)
    settle()
  }

  #plan(): void {
    if (this.#isPlanned || this.#isPumping) return
    this.#isPlanned = true
    nextTick(() => {
      this.#isPlanned = false
      void this.#pump()
    })
  }

  /** Never rejects. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return
    this.#isPumping = true
    for (;;) {
      const isTry = this.isAway
      const batch = this.#take()
      if (batch.length === 0) break
      // Once more, as it may have taken long to write them down, or the target has told of a shorter memory meanwhile.
      const going = (await this.#prepare(batch, isTry)).filter((put) => this.#isAllowed(put, put.before))
      // None of this try goes: all of them are held, say.
      if (going.length === 0 && this.#nextTry === Infinity) this.#nextTry = 0
      for (let start = 0; start < going.length; start += MOST_ITEMS)
        void this.#put(going.slice(start, start + MOST_ITEMS), isTry)
    }
    this.#isPumping = false
    this.#sleep()
  }

  /** Takes the items whose turn it is, and for whose contents there is room. */
  #take(): readonly Put[] {
    const now = performance.now()
    this.#isFull = false
    if (this.isAway && now < this.#nextTry) return []
    const most = this.isAway ? MOST_ITEMS : Infinity
    const taken: Put[] = []
    const left: Put[] = []
    for (const put of this.#waiting) {
      const { size } = put.item
      this.#isFull ||= this.#bytes > 0 && this.#bytes + size > MOST_BYTES
      if (this.#isFull || taken.length >= most || (!this.isAway && put.notBefore > now)) {
        left.push(put)
        continue
      }
      put.isWaiting = false
      put.room = size
      this.#bytes += size
      taken.push(put)
    }
    this.#waiting = left
    // The end of this put decides.
    if (this.isAway && taken.length > 0) this.#nextTry = Infinity
    return taken
  }

  /** Wakes the pump when the turn of an item comes. This timer keeps the process alive while the worker is paused. */
  #sleep(): void {
    clearTimeout(this.#timer)
    if (this.#waiting.length === 0) return
    const next = this.isAway
      ? this.#nextTry
      : this.#waiting.reduce((least, { notBefore }) => Math.min(least, notBefore), Infinity)
    // The end of a put wakes it.
    if (next === Infinity || this.#isFull) return
    this.#timer = setTimeout(() => void this.#pump(), Math.max(1, Math.ceil(next - performance.now())))
  }

  /**
   * Identifies items, finds out which are in doubt, and writes down which are put. Never rejects.
   *
   * @returns The items that can be put now.
   */
  async #prepare(batch: readonly Put[], isTry: boolean): Promise<readonly Put[]> {
    const { doubts } = this.#parts
    // If this fails, what was known of the puts before it must stay.
    for (const put of batch) put.before = put.since
    try {
      await doubts.open()
      const known = await this.#identify(batch)
      await doubts.look(known)
      const going = known.filter((put) => this.#isAllowed(put, put.since))
      for (const put of going) put.before = put.since
      await doubts.write(going)
      return going.filter((put) => !put.isSettled)
    } catch (thrown) {
      for (const put of batch) this.#again(put, true)
      this.#note(false, this.#queueError(thrown), isTry, 'queue')
      return []
    }
  }

  /** The target is not to blame: the file system of the queue is. */
  #queueError(thrown: unknown): Error {
    if (thrown instanceof FsqError || codeOf(thrown) === undefined) return asError(thrown)
    const { doubts, sink } = this.#parts
    const failure = failureOf(thrown, 'write', (thrown as NodeJS.ErrnoException).path ?? doubts.path)
    return fileSystemError(failure, `write down which items are put into ${sink.name}`)
  }

  async #identify(batch: readonly Put[]): Promise<readonly Put[]> {
    const { doubts, charset } = this.#parts
    const identity = doubts.identity
    await Promise.all(
      batch.map(async (put) => {
        if (put.outgoing !== undefined) return
        try {
          put.outgoing = new Outgoing(put.item, charset, identity, await put.item.fileInfo())
        } catch (error) {
          // The claim is gone. An error of the file system is one of all items.
          if (put.item.claimed) throw error
          this.#settle(put, () => put.reject(error))
        }
      }),
    )
    return batch.filter((put) => !put.isSettled)
  }

  /**
   * Whether an item may be put. Otherwise it fails now.
   *
   * @param since - Its first put without an answer, before this one.
   */
  #isAllowed(put: Put, since: Moment | undefined): boolean {
    const { sink, inDoubt } = this.#parts
    const { size, id } = put.item
    if (sink.maxSize !== undefined && size > sink.maxSize) {
      this.#refuse(put, new FsqError(`The item has ${size} bytes, and ${sink.name} takes ${sink.maxSize}`))
      return false
    }
    if (since === undefined || inDoubt === 'publish' || !isForgotten(since, momentNow(), sink.remembers))
      return true
    this.#settle(put, () => put.reject(new InDoubtError(id, sink.name, new Date(since.at))))
    return false
  }

  #refuse(put: Put, error: Error): void {
    const message = `${this.#parts.sink.name} refuses the item: ${error.message}`
    this.#settle(put, () => put.reject(new PermanentFailure(message, { cause: error })))
  }

  /** Never rejects. */
  async #put(puts: readonly Put[], isTry: boolean): Promise<void> {
    const outcomes = await this.#outcomesOf(puts)
    let error: Error | undefined
    let hasAnswered = false
    puts.forEach((put, index) => {
      const result = outcomes[index] as PutOutcome
      if (result.outcome === 'again') {
        error ??= result.error
        this.#again(put, result.isUnsent === true)
        return
      }
      hasAnswered = true
      if (result.outcome === 'refused') {
        this.#refuse(put, result.error)
        return
      }
      this.#lastSuccess = new Date()
      put.isDuplicate = result.outcome === 'duplicate'
      this.#settle(put, put.resolve)
    })
    this.#note(hasAnswered, error, isTry)
    void this.#pump()
  }

  /** As many outcomes as items. Never rejects. */
  async #outcomesOf(puts: readonly Put[]): Promise<readonly PutOutcome[]> {
    const { sink } = this.#parts
    try {
      // All of them have been identified.
      const items = puts.map(({ outgoing }) => outgoing as Outgoing)
      const outcomes: unknown = await sink.put(items, { signal: this.#abort.signal })
      return checkedOutcomes(outcomes, puts.length, sink)
    } catch (error) {
      return puts.map(() => ({ outcome: 'again', error: asError(error) }))
    }
  }

  /** @param isUnsent - The target has certainly not stored it. */
  #again(put: Put, isUnsent: boolean): void {
    if (isUnsent) put.since = put.before
    this.#leave(put)
    // The doubt of an item that has gone back was written down with the put.
    if (put.isSettled) return
    if (this.#isClosing) {
      this.#giveBack(put)
      return
    }
    put.notBefore = performance.now() + pauseAfter(put.failures++)
    put.isWaiting = true
    this.#waiting.unshift(put)
  }

  #leave(put: Put): void {
    this.#bytes -= put.room
    put.room = 0
  }

  /** A put has ended. */
  #note(
    hasAnswered: boolean,
    error: Error | undefined,
    isTry: boolean,
    by: ForwarderEvents['away'][0]['by'] = 'target',
  ): void {
    const { tell, onAway } = this.#parts
    if (hasAnswered) {
      if (this.#awaySince === undefined) return
      const ms = performance.now() - this.#awaySince
      this.#awaySince = undefined
      for (const put of this.#waiting) {
        put.notBefore = 0
        put.failures = 0
      }
      tell('back', { ms })
      onAway()
      return
    }
    if (error === undefined || this.#isClosing) return
    const wasAway = this.isAway
    if (wasAway && !isTry) return
    this.#failures = wasAway ? this.#failures + 1 : 0
    this.#nextTry = performance.now() + pauseAfter(this.#failures)
    if (wasAway) return
    this.#awaySince = performance.now()
    tell('away', { error, by })
    onAway(error)
  }
}

/** Milliseconds. */
function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures) * (1 - JITTER * Math.random())
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error
    ? thrown
    : new FsqError(`The sink threw ${inspect(thrown)}`, { cause: thrown })
}

/** @throws {@link FsqError} if the sink has not answered as it must: what it has stored is not known then. */
function checkedOutcomes(outcomes: unknown, count: number, { name }: Sink): readonly PutOutcome[] {
  if (!Array.isArray(outcomes) || outcomes.length !== count)
    throw new FsqError(
      `The sink ${name} has answered ${Array.isArray(outcomes) ? `${outcomes.length} outcomes` : inspect(outcomes)} for ${count} items`,
    )
  return outcomes.map((one: unknown) => checkedOutcome(one, name))
}

function checkedOutcome(given: unknown, name: string): PutOutcome {
  const { outcome, error, isUnsent } = (given ?? {}) as Partial<Record<string, unknown>>
  switch (outcome) {
    case 'stored':
    case 'duplicate':
      return { outcome }
    case 'refused':
      return { outcome, error: error === undefined ? strange(given, name) : asError(error) }
    case 'again':
      return {
        outcome,
        error: error === undefined ? strange(given, name) : asError(error),
        isUnsent: isUnsent === true,
      }
    default:
      return { outcome: 'again', error: strange(given, name) }
  }
}

/** An answer that is no outcome, or lacks its error. */
function strange(given: unknown, name: string): FsqError {
  return new FsqError(`The sink ${name} has answered ${inspect(given)} for an item`)
}
