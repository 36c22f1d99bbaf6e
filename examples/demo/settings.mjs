// What the demo and its workers must agree on.
import path from 'node:path'

export const QUEUE = 'files'

/**
 * The settings of the demo's queue. All that is not given comes from the environment (FSQ_ROOT, FSQ_MAX_TRIES, ...) or is
 * the default; programs mostly leave it at that. The demo does not: it has a root of its own, and what its table says must
 * not depend on what happens to be exported in your shell.
 */
export function settingsIn(work) {
  return { root: path.join(work, 'fsq-root'), maxTries: 3, ttl: 0, lock: true, durability: 'enqueue' }
}
