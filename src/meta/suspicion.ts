/**
 * What the crash marks of an item say about it. Pure.
 *
 *     none ── a mark ──> alone ── enough marks ──> crashed
 *       ^                  │
 *       └──── redrive ─────┘
 *
 * A worker that dies with several items in hand marks all of them, and at most one is the cause. So marks that were made together
 * count once, whatever their number, and a marked item then runs alone: its next mark, if it gets one, is its own. An item that keeps
 * being marked together is stopped by the number of its marks.
 *
 * @module
 */
import type { Suspicion } from '../work/journal.js'
import type { LogLine } from './log.js'

/** This many times `maxCrashes` marks are too many, however they were made. */
const MARKS_A_CRASH = 3

/**
 * @param lines - The log of the item, the oldest line first.
 * @param maxCrashes - How many crashes an item may cause.
 */
export function suspicionOf(lines: readonly LogLine[], maxCrashes: number): Suspicion {
  let alone = 0
  let together = 0
  for (const line of lines) {
    if ('redriven' in line) {
      alone = 0
      together = 0
    } else if ('crashed' in line) {
      if (line.together === 1) alone++
      else together++
    }
  }
  const crashes = alone + Math.min(together, 1)
  if (crashes >= maxCrashes || alone + together >= MARKS_A_CRASH * maxCrashes) return 'crashed'
  return crashes > 0 ? 'alone' : 'none'
}
