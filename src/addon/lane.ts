/**
 * Calls that native code runs one after the other on one thread, the lane. Each takes a few microseconds, so this thread spins for
 * the completion instead of going to sleep: see {@link spinForCompletions}.
 *
 * @module
 */
import { spinForCompletions } from './completions.js'
import { type EnqueueResult, type FinishResult, type QueueHandle, native } from './native.js'
import { type PackableMove, moveNumbers, packLogs, packMoves } from './packing.js'

/** The most moves of one call of {@link finish}. */
export const MOST_MOVES = 256

const ALL_MOVED: readonly FinishResult[] = []
// One for all calls: native code reads it before it returns.
const numbers = new Float64Array(moveNumbers(MOST_MOVES))

/** Enqueues small items in memory. See `enqueue` of native code. */
export function enqueueInLane(...args: Parameters<typeof native.enqueue>): Promise<EnqueueResult[]> {
  const results = native.enqueueInLane(...args)
  spinForCompletions()
  return results
}

/**
 * Moves claimed items, all of one queue. The claims are native code's until this resolves; after that, those that could not be
 * moved are held again.
 *
 * @param moves - At most {@link MOST_MOVES}.
 * @param durable - Whether this resolves only after the directories are on the disk.
 * @returns One result per move; an empty array: all have succeeded.
 */
export async function finish(
  queue: QueueHandle,
  moves: readonly PackableMove[],
  durable: boolean,
): Promise<readonly FinishResult[]> {
  const logs = packLogs(moves)
  const names = packMoves(moves, numbers)
  const results = native.finish(queue, numbers, moves.length, names, durable, logs?.lines, logs?.form)
  spinForCompletions()
  return (await results) ?? ALL_MOVED
}
