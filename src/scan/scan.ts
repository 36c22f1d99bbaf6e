/**
 * The loop over the items of a queue (fsq standard, section 4).
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import type { ItemContext, WorkItem } from '../item/work-item.js'
import { checkFlag, checkOptions, checkSignal } from '../options.js'
import { Prefetch } from './prefetch.js'
import type { ReportListener } from '../report.js'
import { Cancellation } from '../cancellation.js'
import { Waiter } from './waiter.js'
import { Pass, ScannedQueue } from './pass.js'

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

/** Hands out the items that wait, claimed, in FIFO order. See {@link Queue.scan}. `forever`: waits, whatever the options say. */
export function scanQueue(
  context: ItemContext,
  options: ScanOptions,
  forever = false,
): AsyncGenerator<WorkItem, void, undefined> {
  const leaving = new AbortController()
  const loop: Loop = { walk: undefined, signal: undefined, current: undefined }
  const items = handOut(context, options, forever, leaving.signal, loop)
  const next = items.next.bind(items)
  let asked = 0
  const answered = (): void => {
    asked--
  }
  // What is claimed already need not go through the generator, which takes as long as all else that is done for an item.
  items.next = () => {
    if (asked === 0 && !leaving.signal.aborted && loop.signal?.aborted !== true) {
      const item = loop.walk?.takeReady()
      if (item !== undefined) {
        loop.current = item
        return Promise.resolve({ value: item, done: false })
      }
    }
    asked++
    const result = next()
    result.then(answered, answered)
    return result
  }
  const leave = items.return.bind(items)
  // A generator alone would not hear of it before the next item has come.
  items.return = (value) => {
    leaving.abort()
    return leave(value)
  }
  return items
}

/** What a loop over items is at. */
interface Loop {
  /** None: it has not begun, or has ended. */
  walk: Pass | undefined
  signal: AbortSignal | undefined
  /** Handed out last. */
  current: WorkItem | undefined
}

const abandonedLoops = new FinalizationRegistry<() => void>((end) => {
  end()
})

/**
 * What a loop holds that is not to outlive it: what ends its calls into native code (the signal, closing the queue's handle, or
 * leaving a loop that waits), and the queue that it walks over. Neither keeps the loop in memory.
 *
 * @returns Both, and what lets go of them.
 */
function endsOfLoop(
  { directory }: ItemContext,
  signal: AbortSignal | undefined,
  leaving: AbortSignal | undefined,
): { readonly stop: Cancellation; readonly walked: ScannedQueue; readonly end: () => void } {
  const stop = new Cancellation(signal)
  const walked = new ScannedQueue(directory)
  const raise = (): void => {
    stop.raise(undefined)
  }
  leaving?.addEventListener('abort', raise)
  directory.closing.add(raise)
  const end = (): void => {
    stop.end()
    leaving?.removeEventListener('abort', raise)
    directory.closing.delete(raise)
    walked.handle = undefined
  }
  return { stop, walked, end }
}

async function* handOut(
  context: ItemContext,
  options: ScanOptions,
  forever: boolean,
  leaving: AbortSignal,
  loop: Loop,
): AsyncGenerator<WorkItem, void, undefined> {
  checkOptions(forever ? 'scanForever' : 'scan', options, SCAN_OPTIONS)
  const { prefetch, order = 'fifo', maxTries, ttl, onReport, wait = forever, signal } = options
  checkFlag('wait', wait)
  const waits = wait || forever
  checkSignal(signal)
  const limits = {
    maxTries: limit('maxTries', maxTries, context.settings.maxTries),
    ttl: limit('ttl', ttl, context.settings.ttl),
  }
  const own = onReport === undefined ? context : { ...context, reporter: context.reporter.forScan(onReport) }
  const manner = { prefetch: new Prefetch(prefetch), relaxed: checkOrder(order) === 'relaxed', waits }
  signal?.throwIfAborted()
  const { stop, walked, end } = endsOfLoop(context, signal, waits ? leaving : undefined)
  const walk = new Pass(own, limits, { ...manner, stop, walked })
  abandonedLoops.register(walk, end, walk)
  const waiting = waits ? new Waiter(own, walk, stop, signal, leaving) : undefined
  context.scans.begin()
  try {
    await (waiting ?? walk).begin()
    loop.walk = walk
    loop.signal = signal
    for (;;) {
      loop.current = undefined
      loop.current = walk.claimNow() ?? (await walk.next())
      signal?.throwIfAborted()
      if (waiting !== undefined && leaving.aborted) return
      if (loop.current !== undefined) yield loop.current
      else if (waiting === undefined) return
      else await waiting.more()
      signal?.throwIfAborted()
    }
  } finally {
    loop.walk = undefined
    waiting?.end()
    await walk.end()
    abandonedLoops.unregister(walk)
    end()
    context.scans.end()
    // The loop was left at this item. One that is being finished, or whose finish failed, keeps its claim.
    loop.current?.release()
  }
}
