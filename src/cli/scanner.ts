/**
 * Works the items of a queue by the engine of `queue.work()`: the pool runs the program of each item, logs a failure and moves the item.
 * Unlike a worker, a scan ends: after its pass, at the first error of the queue, and when a program cannot be run or is killed.
 *
 * @module
 */
import { setTimeout as later } from 'node:timers/promises'

import { FinishError, QueueDownError, QueueMissingError } from '../errors/classes.js'
import type { WorkItem } from '../item/work-item.js'
import type { Keep } from '../maintain/prune.js'
import type { Crash } from '../item/dead-workers.js'
import type { Queue } from '../queue.js'
import type { ReportListener } from '../report.js'
import type { BackoffOptions } from '../work/backoff.js'
import { type Counters, type Journal, noCounts } from '../work/journal.js'
import { type CheckedOptions, checkWorkerOptions } from '../work/options.js'
import { Pool } from '../work/pool.js'
import type { Desk, HandlerContext } from '../work/run.js'
import { NO_JOURNAL } from '../work/work.js'
import { explain } from './advice.js'
import { DoneLimit } from './done-limit.js'
import { ProgramError } from './program-error.js'
import { type ProgramOptions, Programs } from './programs.js'
import { ScanJournal } from './scan-journal.js'
import type { ScanMessages } from './scan-messages.js'
import { ScanShare, type ShareOptions } from './scan-share.js'
import type { ScanStop } from './scan-stop.js'

const MAX_CRASHES = 3
/** Within this time after an uninstallation has taken a queue down, the queue is gone. */
const GONE_MS = 200

/** How to scan. */
export interface ScannerOptions extends ProgramOptions {
  readonly jobs: number
  /** Programs started in a second. 0 or less: no limit. */
  readonly rate: number
  readonly isFollowing: boolean
  /** The exit code tells whether items have failed. */
  readonly hasExitCode: boolean
  /** Until an item is tried again. */
  readonly backoff: number | BackoffOptions
  /** 0: without limit, and nothing is written down. `undefined`: the default of a worker. */
  readonly maxCrashes: number | undefined
  /** Which done items are kept. */
  readonly keepDone: boolean | Keep
}

/** Runs programs for the items of one queue. */
export class Scanner {
  readonly #queue: Queue
  readonly #options: ScannerOptions
  readonly #share: ScanShare
  readonly #stop: ScanStop
  readonly #messages: ScanMessages
  readonly #programs: Programs
  readonly #journal: Journal<WorkItem>
  readonly #pool: Pool<WorkItem>
  readonly #doneLimit: DoneLimit | undefined
  readonly #counters = noCounts()
  /** How many items cannot be finished. */
  #unfinished = 0
  #onChange: () => void = () => undefined
  #isOver = false
  /** Whether this scan has a place for the item that it waits for. */
  #hasPlace = false
  /** The places of the items that the pool has taken. */
  #placesUsed = 0

  /**
   * @param openQueue - Makes the handle, with a listener for its reports.
   * @param share - What this scan shares with those of other hosts.
   */
  constructor(
    openQueue: (onReport: ReportListener) => Queue,
    options: ScannerOptions,
    share = new ScanShare(shareOptions(options)),
  ) {
    const { jobs, isFinishing, keepDone, maxCrashes = MAX_CRASHES } = options
    this.#options = options
    this.#share = share
    this.#stop = share.stop
    this.#messages = share.messages
    // A death of this process is no item's fault from the stop on.
    this.#stop.onStop(() => {
      this.#journal.closing()
      this.#pool.giveUp()
    })
    this.#queue = openQueue((report) => {
      this.#messages.report(report)
    })
    const hasLog = isFinishing && maxCrashes > 0
    this.#programs = new Programs({ ...options, hasLog }, this.#queue, this.#stop)
    const guard = {
      maxCrashes,
      concurrency: () => jobs,
      onCrashed: (crash: Crash) => this.#tellOfCrash(crash),
    }
    this.#journal = hasLog ? new ScanJournal(() => this.#queue.openGuard(guard)) : NO_JOURNAL
    if (typeof keepDone === 'object')
      this.#doneLimit = new DoneLimit(this.#queue, keepDone, (error) => {
        this.#stop.tell(explain(error))
      })
    this.#pool = new Pool(this.#desk(), () => {
      this.#onChange()
    })
  }

  /** @returns The exit code. */
  async run(): Promise<number> {
    return this.#share.run(async () =>
      this.scan((error) => {
        this.#stop.fail(explain(error))
      }),
    )
  }

  /**
   * Scans until the end of the pass or the stop.
   *
   * @param onError - Called with an error of the queue, which ends the scan.
   */
  async scan(onError: (error: unknown) => void): Promise<void> {
    try {
      await this.#takeAll()
    } catch (error) {
      // A message has told of a failed finish already. A waiting scan ends by throwing the reason of its signal.
      if (!(error instanceof FinishError) && error !== this.#stop.signal.reason)
        onError(await this.#settled(error))
    } finally {
      await this.#ended()
      if (this.#hasPlace) this.#share.places?.give(1)
      this.#isOver = true
      this.#journal.close()
      this.#programs.close()
      await this.#doneLimit?.end()
      await this.#queue.close()
    }
  }

  /** An uninstallation takes the queue down first: a user is to read that the queue is gone, not to take it up again. */
  async #settled(error: unknown): Promise<unknown> {
    if (!(error instanceof QueueDownError) || !this.#options.isFollowing) return error
    await later(GONE_MS)
    return this.#queue.isDown().then(
      () => error,
      (other: unknown) => (other instanceof QueueMissingError ? other : error),
    )
  }

  async #takeAll(): Promise<void> {
    const { signal } = this.#stop
    const items = this.#queue.scan(
      this.#options.isFollowing ? { prefetch: 1, wait: true, signal } : { prefetch: 1 },
    )
    try {
      for (;;) {
        // First a free place, then the item: until then, another scan with a free place can claim it.
        while (this.#pool.isFull && !this.#stop.isStopped()) await this.#pool.change()
        // While it follows, a scan may wait for an item for long, and has no use for a place.
        if (!this.#options.isFollowing) await this.#takePlace()
        if (!this.#stop.isStopped()) await this.#share.rate.turn(signal)
        if (this.#stop.isStopped()) return
        const next = await items.next()
        if (next.done === true) return
        // A suspect has begun to run alone since the item was asked for. A scan that follows gets this one again.
        if (this.#pool.isFull && this.#options.isFollowing) {
          next.value.release()
          continue
        }
        while (this.#pool.isFull && !this.#stop.isStopped()) await this.#pool.change()
        await this.#takePlace()
        if (this.#share.places !== undefined) await this.#share.rate.turn(signal)
        if (this.#stop.isStopped()) {
          next.value.release()
          return
        }
        this.#share.rate.count()
        this.#hasPlace = false
        this.#placesUsed++
        this.#pool.add(next.value)
      }
    } finally {
      // Leaving the loop releases its current item.
      await this.#ended()
      await items.return()
    }
  }

  async #takePlace(): Promise<void> {
    if (this.#hasPlace || this.#stop.isStopped()) return
    await this.#share.places?.take()
    this.#hasPlace = true
  }

  #givePlaces(): void {
    const { size } = this.#pool
    this.#share.places?.give(this.#placesUsed - size)
    this.#placesUsed = size
  }

  /** Resolves when no item is in hand but those that cannot be finished. */
  async #ended(): Promise<void> {
    while (!this.#pool.isEmpty && (this.#unfinished === 0 || this.#pool.running.size > this.#unfinished))
      await new Promise<void>((resolve) => (this.#onChange = resolve))
  }

  #desk(): Desk<WorkItem> {
    return {
      handler: async (item: WorkItem, context: HandlerContext) => this.#programs.run(item, context),
      options: this.#poolOptions(),
      journal: this.#journal,
      parse: undefined,
      closing: this.#stop.closing,
      tell: (name, ...event) => {
        if (this.#isOver) return
        if (name === 'done') this.#doneLimit?.count()
        this.#messages.event(name, ...event)
      },
      count: (what: keyof Counters) => this.#counters[what]++,
      counted: () => {
        this.#givePlaces()
        this.#journal.state(this.#stop.isStopped() ? 'closing' : 'running', this.#counters)
        this.#onChange()
      },
      unfinished: () => {
        this.#unfinished++
        this.#onChange()
      },
      recovered: () => this.#unfinished--,
    }
  }

  #poolOptions(): CheckedOptions<WorkItem> {
    const { jobs, timeout, keepDone, backoff } = this.#options
    const options = checkWorkerOptions<WorkItem>({
      concurrency: jobs,
      timeout,
      keepDone: keepDone !== false,
      backoff,
    })
    return {
      ...options,
      backoff: (tries, error, item) =>
        !(error instanceof ProgramError && error.isPermanent) && options.backoff(tries, error, item),
    }
  }

  #tellOfCrash(crash: Crash): void {
    this.#counters.crashed++
    this.#messages.crash(crash)
  }
}

/** What scans with these options share. */
export function shareOptions(options: ScannerOptions): ShareOptions {
  const { rate, isVerbose, hasExitCode, maxCrashes } = options
  return { rate, isVerbose, hasExitCode, saysOfMeta: isVerbose || maxCrashes !== undefined }
}
