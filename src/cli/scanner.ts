/**
 * Works the items of a queue by the engine of `queue.work()`: the pool runs the program of each item, logs a failure and moves the item.
 * Unlike a worker, a scan ends: after its pass, at the first error of the queue, and when a program cannot be run or is killed.
 *
 * @module
 */
import { FinishError } from '../errors/classes.js'
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
import { FAILED_ITEMS, FAILURE, SUCCESS } from './command.js'
import { explain } from './advice.js'
import { DoneLimit } from './done-limit.js'
import { ProgramError } from './program-error.js'
import { type ProgramOptions, Programs } from './programs.js'
import { Rate } from './rate.js'
import { ScanJournal } from './scan-journal.js'
import { ScanMessages } from './scan-messages.js'
import { ScanStop } from './scan-stop.js'

const MAX_CRASHES = 3

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
  readonly #rate: Rate
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

  /** @param openQueue - Makes the handle, with a listener for its reports. */
  constructor(openQueue: (onReport: ReportListener) => Queue, options: ScannerOptions) {
    const { jobs, isVerbose, isFinishing, keepDone, maxCrashes = MAX_CRASHES } = options
    this.#options = options
    this.#rate = new Rate(options.rate)
    // A death of this process is no item's fault from the stop on.
    this.#stop = new ScanStop(() => {
      this.#journal.closing()
      this.#pool.giveUp()
    })
    this.#messages = new ScanMessages(this.#stop, isVerbose, isVerbose || options.maxCrashes !== undefined)
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
    this.#stop.listen()
    try {
      await this.#takeAll()
    } catch (error) {
      // A message has told of a failed finish already. A waiting scan ends by throwing the reason of its signal.
      if (!(error instanceof FinishError) && error !== this.#stop.signal.reason)
        this.#stop.fail(explain(error))
    } finally {
      await this.#ended()
      this.#isOver = true
      this.#journal.close()
      this.#programs.close()
      await this.#doneLimit?.end()
      await this.#queue.close()
      this.#stop.stopListening()
    }
    if (this.#stop.hasFailed) return FAILURE
    if (!this.#options.hasExitCode) return SUCCESS
    if (this.#messages.failed > 0) return FAILED_ITEMS
    return this.#messages.left > 0 ? FAILURE : SUCCESS
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
        if (!this.#stop.isStopped()) await this.#rate.turn(signal)
        if (this.#stop.isStopped()) return
        const next = await items.next()
        if (next.done === true) return
        // A suspect has begun to run alone since the item was asked for. A scan that follows gets this one again.
        if (this.#pool.isFull && this.#options.isFollowing) {
          next.value.release()
          continue
        }
        while (this.#pool.isFull && !this.#stop.isStopped()) await this.#pool.change()
        if (this.#stop.isStopped()) {
          next.value.release()
          return
        }
        this.#rate.count()
        this.#pool.add(next.value)
      }
    } finally {
      // Leaving the loop releases its current item.
      await this.#ended()
      await items.return()
    }
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
