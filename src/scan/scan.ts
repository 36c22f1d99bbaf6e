/**
 * The loop over the items of a queue (fsq standard, section 4).
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import type { InFlight } from '../in-flight.js'
import type { ItemContext } from '../item/context.js'
import type { WorkItem } from '../item/work-item.js'
import { checkFlag, checkOptions, checkSignal } from '../options.js'
import type { ReportListener } from '../report.js'
import { type LoopOptions, ScanLoop } from './loop.js'
import { Prefetch } from './prefetch.js'

/** How a queue is scanned. */
export interface ScanOptions {
  /**
   * How many items are claimed ahead, the one handed out included: so many locks are held. Left out: one at first, and
   * up to 32 while they are used up within milliseconds. 1 holds just the one that is handed out.
   */
  readonly prefetch?: number | undefined
  /**
   * In which order: `fifo`, the oldest first, is what is left out. `relaxed` takes the items that wait in shuffled blocks of
   * 32, the oldest first within each: several workers on one long backlog then do not all try the same items, of which
   * each gets one. No item waits longer than one walk over the backlog.
   */
  readonly order?: 'fifo' | 'relaxed' | undefined
  /** Overrides the setting of the queue; 0: without limit. */
  readonly maxTries?: number | undefined
  /** Seconds; overrides the setting of the queue; 0: without limit. */
  readonly ttl?: number | undefined
  /** Hears of this scan's reports instead of the listener of the queue. */
  readonly onReport?: ReportListener | undefined
  /**
   * Goes on for ever: once nothing is left, waits for new items, for those that others give back or leave by dying, and for
   * those that come due. Keeps the process alive meanwhile.
   */
  readonly wait?: boolean | undefined
  /**
   * Once it is aborted, the loop ends by throwing its reason. It releases the items that it has claimed ahead, and the last one
   * handed out unless that is finished or being finished. Items handed out before that one stay claimed: finish or release each.
   */
  readonly signal?: AbortSignal | undefined
}

/** How a queue is scanned for ever. */
export type ScanForeverOptions = Omit<ScanOptions, 'wait'>

const SCAN_OPTIONS = ['prefetch', 'order', 'maxTries', 'ttl', 'onReport', 'wait', 'signal'] as const

function checkOrder(order: unknown): 'fifo' | 'relaxed' {
  if (order === 'fifo' || order === 'relaxed') return order
  throw new SettingError('order', order, "'fifo' or 'relaxed'")
}

function limit(name: string, given: number | undefined, setting: number): number {
  if (given === undefined) return setting
  if (Number.isSafeInteger(given) && given >= 0) return given
  throw new SettingError(name, given, 'a whole number, 0 for no limit')
}

/** The loop of {@link Queue.scan}, or of {@link Queue.scanForever}. Checks the options at its first step. */
export function scanQueue(
  context: ItemContext,
  scans: InFlight,
  options: ScanOptions,
  forever: boolean,
): AsyncGenerator<WorkItem, void, undefined> {
  return new ScanLoop(scans, () => loopOptions(context, options, forever))
}

function loopOptions(context: ItemContext, options: ScanOptions, forever: boolean): LoopOptions {
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
    prefetch: new Prefetch(prefetch),
    relaxed: checkOrder(order) === 'relaxed',
    waits: forever || wait,
    signal,
  }
}
