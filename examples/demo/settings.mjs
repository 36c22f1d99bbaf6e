// The settings that the demo and its workers share.
import path from 'node:path'

export const QUEUE = 'files'

/**
 * The settings of the demo's queue. Others come from the environment (FSQ_ROOT, FSQ_MAX_TRIES, ...) or are defaults,
 * and most programs rely on that. The demo does not: it has its own root, and its results must not depend on the
 * variables that your shell exports.
 */
export function settingsIn(work) {
  return { root: path.join(work, 'fsq-root'), maxTries: 3, ttl: 0, lock: true, durability: 'enqueue' }
}
