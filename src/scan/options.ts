/**
 * Options of a scan (fsq standard, section 4).
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import type { InFlight } from '../in-flight.js'
import type { ItemContext } from '../item/context.js'
import { checkFlag, checkLimit, checkOptions, checkSignal } from '../options.js'
import type { ReportListener } from '../report.js'
import { type LoopOptions, ScanLoop } from './loop.js'
import { Prefetch } from './prefetch.js'

/** Options of {@link Queue.scan}. */
export interface ScanOptions {
  /**
   * How many items the loop holds at a time, including the one that it hands out: so many locks. 1 holds only the item that is
   * handed out. Default: 1 at first, and up to 32 while the items are used up within milliseconds; up to 64 where claims are renames.
   */
  readonly prefetch?: number | undefined
  /**
   * The order of the items: `fifo`, the oldest first, or `relaxed`, in shuffled blocks of 32 and the oldest first within each block.
   * In relaxed order, no item waits longer than one pass over the backlog. In FIFO order, quick workers of several processes leap over
   * names on which another one works, up to 256 at a time, and the oldest free item is claimed within a second; a worker alone, or with
   * a `prefetch` below 8, leaps over none. Default: `fifo`.
   */
  readonly order?: 'fifo' | 'relaxed' | undefined
  /** How many tries an item has; 0: without limit. Default: the setting of the queue. */
  readonly maxTries?: number | undefined
  /** Seconds that an item may wait; 0: without limit. Default: the setting of the queue. */
  readonly ttl?: number | undefined
  /** Receives the reports of this scan. Default: the listener of the queue. */
  readonly onReport?: ReportListener | undefined
  /**
   * Whether the loop goes on forever: when no item is left, it waits for new items, for items that other workers release or leave behind
   * when they die, and for items that come due. It keeps the process alive. Default: false.
   */
  readonly wait?: boolean | undefined
  /**
   * Its abort ends the loop, which throws the signal's reason. The loop releases the items that it has claimed ahead, and the item
   * handed out last unless that is finished or being finished. Items handed out before that one stay claimed: finish or release each.
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of {@link Queue.scanForever}. */
export type ScanForeverOptions = Omit<ScanOptions, 'wait'>

const SCAN_OPTIONS = ['prefetch', 'order', 'maxTries', 'ttl', 'onReport', 'wait', 'signal'] as const

function checkOrder(order: unknown): 'fifo' | 'relaxed' {
  if (order === 'fifo' || order === 'relaxed') return order
  throw new SettingError('order', order, "'fifo' or 'relaxed'")
}

function limit(name: string, given: number | undefined, setting: number): number {
  if (given === undefined) return setting
  checkLimit(name, given)
  return given
}

/** What a worker asks of its scan, besides {@link ScanOptions}. */
export type WorkerScan = Pick<LoopOptions, 'onSleep' | 'handsOver' | 'namesAtOnce'>

/** The loop of {@link Queue.scan}, or of {@link Queue.scanForever}. Checks the options at its first step. */
export function scanQueue(
  context: ItemContext,
  scans: InFlight,
  options: ScanOptions,
  forever: boolean,
  worker: WorkerScan = {},
): ScanLoop {
  return new ScanLoop(scans, () => ({ ...loopOptions(context, options, forever), ...worker }))
}

/**
 * Checks the options of a scan.
 *
 * @throws {@link SettingError}
 */
export function loopOptions(context: ItemContext, options: ScanOptions, forever: boolean): LoopOptions {
  checkOptions(forever ? 'scanForever' : 'scan', options, SCAN_OPTIONS)
  const { prefetch, order = 'fifo', maxTries, ttl, onReport, wait = false, signal } = options
  checkFlag('wait', wait)
  checkSignal(signal)
  const { settings, reporter } = context
  return {
    limits: {
      maxTries: limit('maxTries', maxTries, settings.maxTries),
      ttl: limit('ttl', ttl, settings.ttl),
    },
    context: onReport === undefined ? context : { ...context, reporter: reporter.forScan(onReport) },
    prefetch: new Prefetch(prefetch, () => context.directory.claimsByRename),
    relaxed: checkOrder(order) === 'relaxed',
    waits: forever || wait,
    signal,
  }
}
