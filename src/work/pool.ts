/**
 * The items that a worker has in hand. First there is a place, and then an item is claimed for it.
 *
 *     claimed ──> starting ── end of the tick: the journal is asked ──> running ──> gone
 *                    │                                  │                  ^
 *                    │     workers have died with it    v                  │ alone, when the others have ended
 *                    │                               suspect ──────────────┘ or after 30 s, beside them
 *                    └── the worker closes ──> released (so is a suspect)
 *
 * While there is a suspect, no place is free. So the next death of a worker tells whether that item is the cause.
 *
 * @module
 */
import { PermanentFailure } from '../errors/classes.js'
import type { Suspicion } from './journal.js'
import { type Desk, Run } from './run.js'
import type { WorkableItem } from './source.js'
import { clearTimeout, nextTick, queueMicrotask, setTimeout } from '../real-timers.js'

// The longest time that a suspect waits for the others.
const ALONE_MS = 30_000

/** The items in hand, and the places for more. */
export class Pool<Item extends WorkableItem> {
  /** The runs of the items whose handlers run, or that cannot be finished. */
  readonly #runs = new Map<Item, Run<Item>>()
  readonly #desk: Desk<Item>
  readonly #onEmpty: () => void
  #concurrency: number
  /** Claimed in this tick. */
  #starting: Item[] = []
  /** Out of the worker's hands in this tick. */
  #ended: Item[] = []
  #isTickPlanned = false
  #suspects: Item[] = []
  /** The suspect that runs. */
  #alone: Item | undefined
  /** Runs the first suspect although others still run. */
  #patience: NodeJS.Timeout | undefined
  /** The first suspect has waited for long enough. */
  #isLate = false
  /** The callers that wait for a place. */
  #queue: (() => void)[] = []

  /** @param onEmpty - Called each time that the last item has left. */
  constructor(desk: Desk<Item>, onEmpty: () => void) {
    this.#desk = desk
    this.#concurrency = desk.options.concurrency
    this.#onEmpty = onEmpty
  }

  get concurrency(): number {
    return this.#concurrency
  }

  /** Takes effect at once for more places, and as items end for fewer. */
  set concurrency(concurrency: number) {
    this.#concurrency = concurrency
    this.#notifyQueue()
  }

  /** The items whose handlers run, and those that cannot be finished. */
  get running(): ReadonlySet<Item> {
    return new Set(this.#runs.keys())
  }

  /** Whether the handler of the item runs. */
  isHandled(item: Item): boolean {
    return this.#runs.get(item)?.hasEnded === false
  }

  /** Asks all handlers to end. */
  abort(reason: unknown): void {
    for (const run of this.#runs.values()) run.abort(reason)
  }

  /** Whether no item is in hand, and the journal knows that. */
  get isEmpty(): boolean {
    return this.#runs.size + this.#starting.length + this.#suspects.length + this.#ended.length === 0
  }

  /** How many more items there is a place for. */
  get room(): number {
    if (this.#suspects.length > 0 || this.#alone !== undefined) return 0
    return Math.max(0, this.#concurrency - this.#runs.size - this.#starting.length)
  }

  /** How many items it has taken that are not gone. */
  get size(): number {
    return this.#runs.size + this.#starting.length + this.#suspects.length
  }

  /** Whether there is no place for another item. */
  get isFull(): boolean {
    return this.room === 0
  }

  /** Resolves when there may be a place again, or at {@link giveUp}. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      this.#queue.push(resolve)
    })
  }

  /** Takes an item that was just claimed. It starts at the end of this tick, together with the others. */
  add(item: Item): void {
    this.#starting.push(item)
    this.#planTick()
  }

  /** Releases all items that have not started. */
  giveUp(): void {
    clearTimeout(this.#patience)
    const items = [...this.#starting, ...this.#suspects]
    this.#starting = []
    this.#suspects = []
    for (const item of items) this.giveBack(item)
    this.#notifyQueue()
  }

  /** Releases an item that has not started, because the worker closes. */
  giveBack(item: Item): void {
    const { tell, count } = this.#desk
    this.turnAway(item)
    count('released')
    tell('released', { item, why: 'closing' })
  }

  /** Releases an item that was never in hand: there is no place for it. */
  turnAway(item: Item): void {
    const { tell } = this.#desk
    void (async () => item.release())().catch((error: unknown) => tell('error', error))
  }

  #planTick(): void {
    if (this.#isTickPlanned) return
    this.#isTickPlanned = true
    // Not a microtask: the items that are ready come one microtask after the other, and the journal writes once for all of them.
    nextTick(this.#tick)
  }

  /** Starts the items that were added in this tick. For a caller that has no more of them, and goes to sleep. */
  startNow(): void {
    if (this.#starting.length > 0) this.#tick()
  }

  readonly #tick = (): void => {
    // startNow() has been faster.
    if (!this.#isTickPlanned) return
    this.#isTickPlanned = false
    const { journal } = this.#desk
    const ended = this.#ended
    const starting = this.#starting
    this.#ended = []
    this.#starting = []
    const runs = starting.length > 0 ? this.#runsOf(starting, journal.begin(starting, ended)) : []
    if (starting.length === 0 && ended.length > 0) journal.end(ended)
    this.#startWritten(runs)
    if (ended.length > 0) this.#desk.counted()
    this.#runSuspect()
    if (this.isEmpty) this.#onEmpty()
  }

  /** Starts runs as soon as the journal has written down their items. */
  #startWritten(runs: readonly Run<Item>[]): void {
    const { written } = this.#desk.journal
    if (written === undefined || runs.length === 0) this.#start(runs)
    else
      void written.then(() => {
        this.#start(runs)
        if (this.isEmpty) this.#onEmpty()
      })
  }

  #start(runs: readonly Run<Item>[]): void {
    for (const run of runs) {
      // A handler of this tick may have closed the worker.
      if (this.#desk.closing.begun) this.#giveBackUnrun(run)
      else run.start()
    }
  }

  /** The runs of the items that are to run now. */
  #runsOf(items: readonly Item[], suspicions: readonly Suspicion[]): readonly Run<Item>[] {
    const runs: Run<Item>[] = []
    let index = 0
    for (const item of items) {
      const suspicion = suspicions[index++]
      if (suspicion === 'crashed') this.#reject(item)
      else if (suspicion === 'alone') this.#suspect(item)
      else runs.push(this.#runOf(item))
    }
    return runs
  }

  #runOf(item: Item): Run<Item> {
    const run = new Run(this.#desk, item, this.#onGone)
    this.#runs.set(item, run)
    return run
  }

  #giveBackUnrun({ item }: Run<Item>): void {
    this.#runs.delete(item)
    this.#desk.journal.end([item])
    this.giveBack(item)
  }

  #reject(item: Item): void {
    const error = new PermanentFailure(
      'Too many workers have died with this item in hand, so it is not run again',
    )
    this.#runOf(item).reject('crashed', error)
  }

  readonly #onGone = ({ item }: Run<Item>): void => {
    this.#runs.delete(item)
    if (this.#alone === item) this.#alone = undefined
    this.#ended.push(item)
    this.#planTick()
    this.#notifyQueue()
  }

  #suspect(item: Item): void {
    // It does not run yet: if the worker dies now, one of the others is the cause.
    this.#desk.journal.end([item])
    this.#suspects.push(item)
    if (this.#suspects.length === 1) this.#waitForOthers()
  }

  #waitForOthers(): void {
    clearTimeout(this.#patience)
    this.#isLate = false
    this.#patience = setTimeout(() => {
      this.#isLate = true
      this.#runSuspect()
    }, ALONE_MS)
    this.#patience.unref()
  }

  #runSuspect(): void {
    const [item] = this.#suspects
    if (item === undefined || this.#alone !== undefined) return
    if (!this.#isLate && this.#runs.size > 0) return
    this.#suspects.shift()
    clearTimeout(this.#patience)
    if (this.#suspects.length > 0) this.#waitForOthers()
    this.#alone = item
    const [suspicion] = this.#desk.journal.begin([item])
    if (suspicion === 'crashed') this.#reject(item)
    else this.#startWritten([this.#runOf(item)])
  }

  #notifyQueue(): void {
    if (this.#queue.length === 0) return
    const queue = this.#queue
    this.#queue = []
    // Not at once: a listener that closes the worker because of this item comes before the feed, which asks the source for another one.
    for (const resolve of queue) queueMicrotask(resolve)
  }
}
