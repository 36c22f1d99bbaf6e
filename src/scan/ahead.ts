/**
 * The items that a loop has claimed ahead of their turn, so that claiming and working overlap.
 *
 *     nothing ready ── take() ──> filling ──> ready ── tryTake(), take() ──> handed out
 *                                               │ ^
 *                        100 ms without a fill  v │ claimed again at their turn, unless another worker is faster
 *                                             released
 *
 * Below half of the prefetch size, taking an item begins the next fill. An error of a fill is thrown after the items that are ready.
 *
 * @module
 */
import os from 'node:os'

import type { QueueHandle } from '../addon/native.js'
import type { ClaimBatch } from '../addon/packing.js'
import type { Cancellation } from '../cancellation.js'
import { isStale } from '../directory/open-directory.js'
import type { Failure } from '../errors/errno.js'
import type { ItemContext } from '../item/context.js'
import { isLost } from '../item/moves.js'
import type { WorkItem } from '../item/work-item.js'
import type { Claimer } from './claimer.js'
import type { Pass } from './pass.js'
import type { Prefetch } from './prefetch.js'
import type { Rejects } from './rejects.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

const { EMFILE, ENFILE } = os.constants.errno

// This long after the last fill, the items that are ready go back, so that other workers can have them.
const IDLE_MS = 100

interface Ready {
  readonly item: WorkItem
  /** In the listing. */
  readonly position: number
}

export interface AheadOptions {
  readonly waits: boolean
  readonly prefetch: Prefetch
  readonly cancellation: Cancellation
  readonly pass: Pass
  readonly rejects: Rejects
  readonly claimer: Claimer
}

/** Claims items ahead and hands them out. */
export class Ahead {
  readonly #context: ItemContext
  readonly #options: AheadOptions
  #ready: Ready[] = []
  /** The fill in flight. */
  #filling: Promise<void> | undefined
  #error: Error | undefined
  /** A caller awaits the next item, so the first one that is ready is taken at once. */
  #isAwaited = false
  /** The call that has claimed the first item has just returned. */
  #isClosed = false
  #idle: NodeJS.Timeout | undefined

  constructor(context: ItemContext, options: AheadOptions) {
    this.#context = context
    this.#options = options
  }

  /**
   * The next item, if one is ready.
   *
   * @throws As {@link take}.
   */
  tryTake(): WorkItem | undefined {
    if (this.#isEmpty() || !this.#context.directory.isLocal) return undefined
    this.#checkUnfinished()
    this.#checkUp()
    return this.#takeFirst()
  }

  /**
   * The next item, claimed if need be.
   *
   * @returns `undefined`: the pass has ended, or the scan was cancelled.
   * @throws An error for a queue that is down or closed, the error of a finish that has failed, or that of the last fill.
   */
  take(): Promise<WorkItem | undefined> | WorkItem | undefined {
    this.#isAwaited = true
    const filling = this.#prepare()
    if (!this.#context.directory.isLocal) return this.#takeFar(filling)
    return filling === undefined ? this.#takePrepared() : this.#takeAfter(filling)
  }

  /** {@link take} where the look for the down file may wait for a server, so that another thread makes it. */
  async #takeFar(filling: Promise<void> | undefined): Promise<WorkItem | undefined> {
    const { directory } = this.#context
    const { pass } = this.#options
    for (;;) {
      for (let next = filling; next !== undefined; next = this.#prepare()) await next
      const { handle } = pass
      if (this.#isEmpty() || handle === undefined) return undefined
      await directory.checkUpLater(handle, true)
      this.#checkUnfinished()
      // The loop may have released the items meanwhile, as its caller did not take them in time.
      if (!this.#isEmpty()) return this.#takeFirst()
      filling = this.#prepare()
    }
  }

  async #takeAfter(first: Promise<void>): Promise<WorkItem | undefined> {
    for (let filling: Promise<void> | undefined = first; filling !== undefined; filling = this.#prepare()) {
      await filling
    }
    return this.#takePrepared()
  }

  /**
   * Claims until an item is ready, or there is nothing to claim.
   *
   * @returns The fill to wait for; `undefined`: none.
   */
  #prepare(): Promise<void> | undefined {
    const { pass, prefetch, cancellation } = this.#options
    while (this.#isEmpty() && !this.#isClosed) {
      this.#checkUnfinished()
      if (cancellation.raised !== undefined) return undefined
      if (this.#filling === undefined) {
        if (this.#error !== undefined) throw this.#error
        if (!pass.isEnded) this.#fill(prefetch.next())
        else if (pass.hasMore) this.#filling = this.#whenFilled(this.#listMore())
        else return undefined
      }
      // An item that is ready does not wait until the rejects of its batch have moved to fail/.
      if (this.#isEmpty() && this.#filling !== undefined) return this.#filling
    }
    return undefined
  }

  #takePrepared(): WorkItem | undefined {
    if (this.#isEmpty()) return undefined
    this.#checkUnfinished()
    this.#checkUp()
    return this.#takeFirst()
  }

  /** A pass begins. */
  restart(): void {
    this.#options.prefetch.reset()
    this.#options.claimer.restart()
  }

  /** Releases the items that are ready, and those of the fill in flight, which it cancels. `undefined`: no fill is in flight. */
  close(): Promise<void> | undefined {
    this.#isClosed = true
    this.#options.cancellation.raise(undefined)
    this.#releaseReady()
    return this.#filling?.then(() => this.#releaseReady())
  }

  #isEmpty(): boolean {
    return this.#ready.length === 0
  }

  #takeFirst(): WorkItem | undefined {
    this.#isAwaited = false
    const first = this.#ready.shift()
    if (this.#isEmpty()) this.#stopIdleTimer()
    this.#fillAhead()
    return first?.item
  }

  /** Claims more items while the last ones are worked on. */
  #fillAhead(): void {
    const { prefetch, pass } = this.#options
    const ahead = prefetch.size - 1
    if (ahead === 0 || this.#ready.length > ahead / 2) return
    if (this.#filling !== undefined || pass.isEnded || this.#error !== undefined) return
    const room = prefetch.next() - 1 - this.#ready.length
    if (room > 0) this.#fill(room)
  }

  /** Claims items: when this returns, they are ready or {@link #filling} is set. */
  #fill(count: number): void {
    const { pass, claimer } = this.#options
    const { handles } = pass
    if (handles === undefined) return
    const { handle } = handles
    try {
      this.#context.directory.checkOpen()
      const batch = claimer.claimHere(handles, count)
      if (batch === undefined) {
        const filling = claimer.claimInPool(handles, count, (claimed) => this.#receive(handle, claimed))
        this.#filling = this.#whenFilled(filling)
      } else {
        const rejecting = this.#receive(handle, batch)
        if (rejecting !== undefined) this.#filling = this.#whenFilled(rejecting)
      }
    } catch (error) {
      this.#failWith(error)
    }
  }

  /** Only while nothing is ready: an item that is released goes back to its place in the listing. */
  async #listMore(): Promise<void> {
    const { pass, claimer } = this.#options
    const { handle } = pass
    claimer.restart()
    const failure = await pass.listMore()
    if (failure !== undefined && handle !== undefined) this.#failFor(handle, failure)
  }

  #whenFilled(filling: Promise<void>): Promise<void> {
    const { inFlight } = this.#context.claims
    inFlight.begin()
    const end = (): void => {
      inFlight.end()
      this.#filling = undefined
    }
    return filling.then(end, (error: unknown) => {
      this.#failWith(error)
      end()
    })
  }

  /**
   * Makes items of what native code has claimed.
   *
   * @returns Resolves when the files that are not fit to be handed out are in fail/; `undefined`: there are none.
   */
  #receive(handle: QueueHandle, batch: ClaimBatch): Promise<void> | undefined {
    const { directory } = this.#context
    const { pass, claimer } = this.#options
    // The loop was left or the queue closed meanwhile: nothing else knows of these claims.
    if (directory.closed || this.#isClosed) {
      this.#context.claims.discard(handle, batch.files)
      directory.checkOpen()
      return undefined
    }
    pass.count(batch)
    const rejecting: Promise<void>[] = []
    for (const file of batch.files) {
      const item = claimer.accept(handle, file, rejecting)
      if (item !== undefined) this.#ready.push({ item, position: file.position })
    }
    this.#reportNotes(handle, batch)
    // An item that is taken at once needs no timer.
    if (this.#ready.length > (this.#isAwaited ? 1 : 0)) this.#startIdleTimer()
    if (batch.failure !== undefined) {
      const givingBack = this.#fail(handle, batch.failure)
      if (givingBack !== undefined) rejecting.push(givingBack)
    } else if (batch.isDown) this.#failWith(directory.downError())
    return rejecting.length === 0 ? undefined : allSettled(rejecting)
  }

  // An error of the listener is thrown by the loop later: thrown here, it would lose the other claims of the batch.
  #reportNotes(handle: QueueHandle, { notes }: ClaimBatch): void {
    try {
      for (const note of notes) this.#options.rejects.report(note, handle)
    } catch (error) {
      this.#failWith(error)
    }
  }

  /** @returns As {@link #giveBack}: too few descriptors for the items claimed ahead are an error only if not even one can be claimed. */
  #fail(handle: QueueHandle, failure: Failure): Promise<void> | undefined {
    if (!isOutOfDescriptors(failure) || this.#isEmpty()) {
      this.#failFor(handle, failure)
      return undefined
    }
    const { prefetch } = this.#options
    return this.#giveBack(this.#ready.splice(prefetch.halve(this.#ready.length)))
  }

  #failFor(handle: QueueHandle, failure: Failure): void {
    const { directory } = this.#context
    const { pass, waits } = this.#options
    if (isLost(failure)) {
      // The items know of it. The next claim makes another directory in claimed/; a loop looks for all names again.
      if (waits) pass.endStale()
      return
    }
    if (isStale(failure)) {
      // The queue was installed anew, or its kind of lock has changed (the marker of fcntl locks): the next pass opens it anew.
      directory.forget(handle)
      if (waits) {
        pass.endStale()
        return
      }
    }
    this.#failWith(directory.error(failure, 'scan'))
  }

  #failWith(error: unknown): void {
    this.#error ??= error instanceof Error ? error : new Error(String(error))
  }

  /** Never start work in a queue that is down, not even on items claimed ahead. */
  #checkUp(): void {
    const { handle } = this.#options.pass
    if (handle !== undefined) this.#context.directory.checkUp(handle, true)
  }

  #checkUnfinished(): void {
    this.#context.directory.checkOpen()
    const { unfinished } = this.#context.claims
    if (unfinished !== undefined) throw unfinished
  }

  // The loop may be busy with one item for an hour while other workers are idle.
  #startIdleTimer(): void {
    this.#stopIdleTimer()
    this.#idle = setTimeout(() => {
      if (this.#isEmpty()) return
      if (this.#filling !== undefined) {
        this.#startIdleTimer()
        return
      }
      const givingBack = this.#giveBack(this.#ready.splice(0))
      if (givingBack !== undefined) this.#filling = this.#whenFilled(givingBack)
    }, IDLE_MS)
    this.#idle.unref()
  }

  #stopIdleTimer(): void {
    if (this.#idle !== undefined) clearTimeout(this.#idle)
    this.#idle = undefined
  }

  /**
   * Releases items. The pass claims them again at their turn.
   *
   * @returns Where claims are renames: resolves when they are back in queue/. A claim before that would take them for another worker's.
   */
  #giveBack(ready: readonly Ready[]): Promise<void> | undefined {
    for (const { item } of ready) item.release()
    const reopen = (): void => this.#options.pass.reopen(ready.map(({ position }) => position))
    const givingBack = ready.flatMap(({ item }) => item.givingBack ?? [])
    if (givingBack.length > 0) return Promise.all(givingBack).then(reopen)
    reopen()
    return undefined
  }

  #releaseReady(): void {
    this.#stopIdleTimer()
    for (const { item } of this.#ready) item.release()
    this.#ready = []
  }
}

/** Resolves when all have settled. Rejects as the first of them does. */
async function allSettled(all: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(all)) if (result.status === 'rejected') throw result.reason
}

function isOutOfDescriptors({ errno }: Failure): boolean {
  return errno === -EMFILE || errno === -ENFILE
}
