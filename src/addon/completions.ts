/**
 * Looking out for the end of what has just been begun, rather than going to sleep for it: where a system call takes a few
 * microseconds, being woken takes several times as long, and costs both threads more than the call. Between two looks
 * everything else has its turn, as with any `setImmediate()`.
 *
 * @module
 */
// Not the global ones, which a test may have replaced by some that stand still.
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'

import { native } from './native.js'

// Without any end for so long, what was begun takes longer than being woken.
const PATIENCE_MS = 0.06
// So many looks in vain are one too many: fewer of the next ones are tried.
const MOST_SKIPPED = 256

let looking = false
let lastEnd = 0
let expected = 0
let penalty = 0
let skipping = 0

/** To be called when something has been begun whose end may come at once. */
export function lookOut(): void {
  if (looking) return
  if (skipping > 0) {
    skipping--
    return
  }
  // With more under way there is enough to do meanwhile.
  if (native.settleEnds(true) > 1) {
    native.settleEnds(false)
    return
  }
  looking = true
  lastEnd = performance.now()
  expected = 1
  setImmediate(look)
}

function look(): void {
  const left = native.settleEnds(true)
  const now = performance.now()
  if (left < expected) lastEnd = now
  expected = left
  if (left > 0 && now - lastEnd < PATIENCE_MS) {
    setImmediate(look)
    return
  }
  looking = false
  if (left === 0) penalty = 0
  else skipping = penalty = Math.min(Math.max(1, penalty * 2), MOST_SKIPPED)
  native.settleEnds(false)
}
