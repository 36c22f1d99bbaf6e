/**
 * Calls that native code runs one after the other on one thread, the lane; and the same calls for a few items, on this thread.
 *
 * @module
 */
import type { CallThread } from './call-thread.js'
import { type EnqueueResult, type FinishResult, type QueueHandle, native } from './native.js'
import { type PackableMove, moveNumbers, packLogs, packMoves } from './packing.js'
import { performance } from '../real-timers.js'

/** The most moves of one call of {@link finish}. */
export const MOST_MOVES = 256

const ALL_MOVED: readonly FinishResult[] = []
// One for all calls: native code reads it before it returns.
const numbers = new Float64Array(moveNumbers(MOST_MOVES))

/**
 * Moves claimed items, all of one queue. The claims are native code's until this resolves; after that, those that could not be
 * moved are held again.
 *
 * @param moves - At most {@link MOST_MOVES}.
 * @param durable - Whether this resolves only after the directories are on the disk.
 * @param thread - Learns how long the moves have taken.
 * @returns One result per move; an empty array: all have succeeded.
 */
export function finish(
  queue: QueueHandle,
  moves: readonly PackableMove[],
  durable: boolean,
  thread: CallThread,
): Promise<readonly FinishResult[]> {
  const logs = packLogs(moves)
  const names = packMoves(moves, numbers)
  const answer = native.finish(queue, numbers, moves.length, names, durable, logs?.lines, logs?.form)
  return answer.then((results) => {
    if (typeof results === 'object') return results
    thread.noteInPool(moves.length, results)
    return ALL_MOVED
  })
}

/** {@link finish} of a few items, on this thread and not durable. */
export function finishHere(
  queue: QueueHandle,
  moves: readonly PackableMove[],
  thread: CallThread,
): readonly FinishResult[] {
  const names = packMoves(moves, numbers)
  const begun = thread.beginHere()
  const results = native.finishSync(queue, numbers, moves.length, names, false)
  thread.noteHere(moves.length, (performance.now() - begun) * 1000)
  return typeof results === 'object' ? results : ALL_MOVED
}

/** Enqueues one small item in memory, on this thread and not durable. See `enqueueSync` of native code. */
export function enqueueHere(
  thread: CallThread,
  ...args: Parameters<typeof native.enqueueSync>
): EnqueueResult {
  const begun = thread.beginHere()
  const result = native.enqueueSync(...args)
  thread.noteHere(1, (performance.now() - begun) * 1000)
  return result
}
