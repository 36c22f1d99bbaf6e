/**
 * The loop over the items of a queue, which hands them out one by one. It has the methods of an async generator, and answers them in
 * their order; a generator would make a dozen promises where this makes one.
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
import { isPromise } from '../addon/promises.js'
import { Cancellation } from '../cancellation.js'
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
  /** Lists so many names at a time, and at most twice as many: for a caller whose memory is to stay the same however many items wait. */
  readonly namesAtOnce?: number | undefined
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
  readonly #endWaiting: (() => void) | undefined

  constructor({ directory, deadWorkers }: ItemContext, signal: AbortSignal | undefined, waits: boolean) {
    this.cancellation = new Cancellation(signal)
    this.queue = new ScannedQueue(directory)
    this.#stopListening = directory.onClose(() => {
      this.cancellation.raise(undefined)
    })
    this.#endWaiting = waits ? deadWorkers.beginWaiting() : undefined
  }

  release(): void {
    this.cancellation.end()
    this.#stopListening()
    this.#endWaiting?.()
    this.queue.handle = undefined
  }
}

/** The parts of a loop that has begun. */
interface Parts {
  readonly resources: LoopResources
  readonly pass: Pass
  readonly ahead: Ahead
  /** Of a loop that waits. */
  readonly waiter: Waiter | undefined
  readonly signal: AbortSignal | undefined
}

type Step = IteratorResult<WorkItem, void>

/** One loop. See {@link Queue.scan}. */
export class ScanLoop implements AsyncGenerator<WorkItem, void, undefined> {
  readonly #begin: () => LoopOptions
  /** The loops of the queue handle. */
  readonly #scans: InFlight
  /** How many steps have not ended. */
  #steps = 0
  #lastStep: Promise<unknown> | undefined
  /** `undefined`: the loop has not begun, or it has ended. */
  #parts: Parts | undefined
  /** Once the first pass has begun. */
  #ahead: Ahead | undefined
  #isEnded = false
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
  }

  next(): Promise<Step> {
    try {
      const item = this.#tryTake()
      if (item !== undefined) return Promise.resolve({ value: item, done: false })
    } catch (error) {
      return this.throw(error)
    }
    return this.#inTurn(this.#advance)
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

  /** Hot path: an item that is ready takes no step. */
  #tryTake(): WorkItem | undefined {
    if (this.#steps > 0 || this.#isLeft || this.#ahead === undefined) return undefined
    if (this.#parts?.signal?.aborted === true) return undefined
    try {
      const item = this.#ahead.tryTake()
      if (item !== undefined) this.#current = this.#handsOver ? undefined : item
      return item
    } catch (error) {
      // The caller has gone on to the next item: the last one stays claimed.
      this.#current = undefined
      throw error
    }
  }

  return(value?: void | PromiseLike<void>): Promise<Step> {
    this.#isLeft = true
    // The step in flight of a loop that waits may take days. Leaving another loop must not cancel its pass.
    if (this.#parts?.waiter !== undefined) this.#parts.resources.cancellation.raise(undefined)
    return this.#inTurn(async () => {
      try {
        return { value: await value, done: true }
      } finally {
        await this.#leave()
      }
    })
  }

  throw(error: unknown): Promise<Step> {
    return this.#inTurn(async () => {
      await this.#leave()
      throw error
    })
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

  /** Takes a step after the steps before it. It calls {@link #endStep} at its end. */
  #inTurn(step: () => Promise<Step>): Promise<Step> {
    this.#steps++
    const taken = this.#lastStep === undefined ? step() : this.#lastStep.then(step, step)
    if (this.#steps > 0) this.#lastStep = taken
    return taken
  }

  #endStep(): void {
    // The promise would keep its item alive.
    if (--this.#steps === 0) this.#lastStep = undefined
  }

  /** The step by which the caller leaves the loop. */
  async #leave(): Promise<void> {
    try {
      await this.#end()
      this.#current?.release()
    } finally {
      this.#endStep()
    }
  }

  /** The next item, or the end of the loop. Awaits only what has to be awaited. */
  readonly #advance = async (): Promise<Step> => {
    try {
      if (this.#isEnded) return { value: undefined, done: true }
      const parts = this.#parts ?? this.#start()
      if (this.#ahead === undefined) {
        const beginning = (parts.waiter ?? parts.pass).begin()
        if (beginning !== undefined) await beginning
        this.#ahead = parts.ahead
      }
      const next = this.#next(parts)
      const item = isPromise(next) ? await next : next
      if (item !== undefined) return { value: item, done: false }
      const ending = this.#end()
      if (ending !== undefined) await ending
      this.#current?.release()
      return { value: undefined, done: true }
    } catch (error) {
      await this.#end()
      this.#current?.release()
      throw error
    } finally {
      this.#endStep()
    }
  }

  #start(): Parts {
    const { context, limits, prefetch, relaxed, waits, signal, onSleep, handsOver, namesAtOnce } =
      this.#begin()
    this.#handsOver = handsOver === true
    signal?.throwIfAborted()
    const resources = new LoopResources(context, signal, waits)
    const { cancellation, queue } = resources
    const { directory, deadWorkers } = context
    const pass = new Pass(directory, { relaxed, waits, namesAtOnce, cancellation, queue, deadWorkers })
    const rejects = new Rejects(context)
    const claimer = new Claimer(context, { limits, waits, cancellation, pass, rejects })
    const ahead = new Ahead(context, { waits, prefetch, cancellation, pass, rejects, claimer })
    // The pass, not this object: it lives as long as a step, also when the caller keeps only the promise of that. The resources must not
    // refer to it.
    abandonedLoops.register(pass, resources, pass)
    const waiter = waits ? new Waiter(context, pass, cancellation, onSleep) : undefined
    this.#scans.begin()
    return (this.#parts = { resources, pass, ahead, waiter, signal })
  }

  /** `undefined`: the loop ends. */
  #next({ ahead, waiter, signal }: Parts): Promise<WorkItem | undefined> | WorkItem | undefined {
    signal?.throwIfAborted()
    this.#current = undefined
    const next = ahead.take()
    if (!isPromise(next) && (next !== undefined || waiter === undefined)) return this.#handOut(next, signal)
    return this.#nextLater({ ahead, waiter, signal }, next)
  }

  async #nextLater(
    { ahead, waiter, signal }: Pick<Parts, 'ahead' | 'waiter' | 'signal'>,
    first: Promise<WorkItem | undefined> | undefined,
  ): Promise<WorkItem | undefined> {
    let next: Promise<WorkItem | undefined> | WorkItem | undefined = first
    for (;;) {
      const item = this.#handOut(isPromise(next) ? await next : next, signal)
      if (item !== undefined || waiter === undefined || this.#isLeft) return item
      if (await waiter.wait()) ahead.restart()
      signal?.throwIfAborted()
      next = ahead.take()
    }
  }

  #handOut(item: WorkItem | undefined, signal: AbortSignal | undefined): WorkItem | undefined {
    this.#current = item
    signal?.throwIfAborted()
    if (this.#isLeft && this.#parts?.waiter !== undefined) return undefined
    if (this.#handsOver) this.#current = undefined
    return item
  }

  /** Ends the loop, all but its hold on the item handed out last. `undefined`: it has ended already. */
  #end(): Promise<void> | undefined {
    const parts = this.#parts
    this.#isEnded = true
    this.#ahead = undefined
    if (parts === undefined) return undefined
    parts.waiter?.end()
    const closing = parts.ahead.close()
    if (closing !== undefined) return closing.then(() => this.#release(parts))
    this.#release(parts)
    return undefined
  }

  #release({ pass, resources }: Parts): void {
    this.#parts = undefined
    pass.close()
    abandonedLoops.unregister(pass)
    resources.release()
    this.#scans.end()
  }
}
