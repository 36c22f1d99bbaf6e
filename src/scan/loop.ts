/**
 * The loop over the items of a queue: an async generator that hands them out one by one.
 *
 *     begins ──> a pass ──> hands out its items ──> the pass has ended ──> ends (scan)
 *                  ^                                       │
 *                  └────── something to claim ── waits <───┘               (scanForever)
 *
 * The loop ends at an error, at the abort of its signal, at the close of the queue handle, and when its caller leaves it: then it
 * releases the items claimed ahead, and the item handed out last unless that is finished or being finished, or the loop hands items over.
 *
 * @module
 */
import { Cancellation } from '../cancellation.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { InFlight } from '../in-flight.js'
import type { ItemContext } from '../item/context.js'
import type { Limits } from '../item/limits.js'
import type { WorkItem } from '../item/work-item.js'
import { Ahead } from './ahead.js'
import { Claimer } from './claimer.js'
import { Pass } from './pass.js'
import type { Prefetch } from './prefetch.js'
import { Rejects } from './rejects.js'
import { ScannedQueue } from './scanned-queue.js'
import { Waiter } from './waiter.js'

/** How a loop runs: the options of a scan, checked. */
export interface LoopOptions {
  /** With the reporter of this scan. */
  readonly context: ItemContext
  readonly prefetch: Prefetch
  readonly limits: Limits
  readonly relaxed: boolean
  readonly waits: boolean
  readonly signal: AbortSignal | undefined
  /** Called when a loop that waits has looked at all items, has none to hand out, and goes to sleep. */
  readonly onSleep?: (() => void) | undefined
  /** An item is its caller's once it is handed out: the end of the loop does not release the last one. */
  readonly handsOver?: boolean | undefined
}

// The caller of an abandoned loop has neither ended it nor kept a reference to it.
const abandonedLoops = new FinalizationRegistry<LoopResources>((resources) => {
  resources.release()
})

/**
 * The resources of a loop that must not outlive it: the listeners that cancel its calls into native code, and the queue that it scans.
 * Keeps no reference to the loop, so that an abandoned loop can be garbage-collected.
 */
class LoopResources {
  readonly cancellation: Cancellation
  readonly queue: ScannedQueue
  readonly #stopListening: () => void

  constructor(directory: QueueDirectory, signal: AbortSignal | undefined) {
    this.cancellation = new Cancellation(signal)
    this.queue = new ScannedQueue(directory)
    this.#stopListening = directory.onClose(() => {
      this.cancellation.raise(undefined)
    })
  }

  release(): void {
    this.cancellation.end()
    this.#stopListening()
    this.queue.handle = undefined
  }
}

/** One loop. See {@link Queue.scan}. */
export class ScanLoop implements AsyncGenerator<WorkItem, void, undefined> {
  readonly #begin: () => LoopOptions
  /** The loops of the queue handle. */
  readonly #scans: InFlight
  readonly #items: AsyncGenerator<WorkItem, void, undefined>
  /** How many calls of {@link next} the generator has yet to answer. */
  #asked = 0
  readonly #answered = (): void => {
    this.#asked--
  }
  /** `undefined`: the loop has not begun, or it has ended. */
  #ahead: Ahead | undefined
  #signal: AbortSignal | undefined
  /** Of a loop that waits: leaving it must end its sleep. Leaving another loop must not cancel its pass. */
  #cancellation: Cancellation | undefined
  /** The item handed out last. */
  #current: WorkItem | undefined
  #isLeft = false
  #handsOver = false

  /**
   * @param scans - Counts the loops of the queue handle.
   * @param begin - Called by the first {@link next}, which rejects with its error.
   */
  constructor(scans: InFlight, begin: () => LoopOptions) {
    this.#scans = scans
    this.#begin = begin
    this.#items = this.#run()
  }

  next(): Promise<IteratorResult<WorkItem, void>> {
    try {
      const item = this.#tryTake()
      if (item !== undefined) return Promise.resolve({ value: item, done: false })
    } catch (error) {
      return this.throw(error)
    }
    this.#asked++
    const result = this.#items.next()
    result.then(this.#answered, this.#answered)
    return result
  }

  /** The next item, if it is ready. Throws as {@link next} rejects, and ends the loop then. */
  tryNext(): WorkItem | undefined {
    try {
      return this.#tryTake()
    } catch (error) {
      this.throw(error).catch(() => undefined)
      throw error
    }
  }

  /** An item that is ready need not go through the generator, which takes as long as all else that is done for an item. */
  #tryTake(): WorkItem | undefined {
    if (this.#asked > 0 || this.#isLeft || this.#signal?.aborted === true) return undefined
    try {
      const item = this.#ahead?.tryTake()
      if (item !== undefined) this.#current = this.#handsOver ? undefined : item
      return item
    } catch (error) {
      // The caller has gone on to the next item: the last one stays claimed.
      this.#current = undefined
      throw error
    }
  }

  return(value?: void | PromiseLike<void>): Promise<IteratorResult<WorkItem, void>> {
    this.#isLeft = true
    // A generator learns of this only at its next yield, which may be days away in a loop that waits.
    this.#cancellation?.raise(undefined)
    return this.#items.return(value)
  }

  throw(error: unknown): Promise<IteratorResult<WorkItem, void>> {
    return this.#items.throw(error)
  }

  get [Symbol.toStringTag](): string {
    return 'AsyncGenerator'
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Ends the loop, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async *#run(): AsyncGenerator<WorkItem, void, undefined> {
    const { context, limits, prefetch, relaxed, waits, signal, onSleep, handsOver } = this.#begin()
    this.#handsOver = handsOver === true
    signal?.throwIfAborted()
    const resources = new LoopResources(context.directory, signal)
    const { cancellation, queue } = resources
    const pass = new Pass(context.directory, { relaxed, waits, cancellation, queue })
    const rejects = new Rejects(context)
    const claimer = new Claimer(context, { limits, waits, cancellation, pass, rejects })
    const ahead = new Ahead(context, { waits, prefetch, cancellation, pass, rejects, claimer })
    // The pass, not this object: the generator refers to both, but the pass lives as long as the generator, also when the caller keeps
    // only a promise of next(). The resources must not refer to the pass.
    abandonedLoops.register(pass, resources, pass)
    const waiter = waits ? new Waiter(context, pass, cancellation, onSleep) : undefined
    this.#scans.begin()
    if (waits) this.#cancellation = cancellation
    try {
      await (waiter ?? pass).begin()
      this.#signal = signal
      this.#ahead = ahead
      for (;;) {
        this.#current = undefined
        this.#current = await ahead.take()
        signal?.throwIfAborted()
        if (waits && this.#isLeft) return
        if (this.#current !== undefined) yield this.#handOut(this.#current)
        else if (waiter === undefined) return
        else if (await waiter.wait()) ahead.restart()
        signal?.throwIfAborted()
      }
    } finally {
      this.#ahead = undefined
      waiter?.end()
      await ahead.close()
      pass.close()
      abandonedLoops.unregister(pass)
      resources.release()
      this.#scans.end()
      this.#current?.release()
    }
  }

  #handOut(item: WorkItem): WorkItem {
    if (this.#handsOver) this.#current = undefined
    return item
  }
}
