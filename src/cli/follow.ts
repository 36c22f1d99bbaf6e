/**
 * Items as they come.
 *
 * @module
 */
import { once } from 'node:events'
import { watch } from 'node:fs'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import type { WorkItem } from '../item.js'
import type { Queue } from '../queue.js'

const RESCAN_MS = 1000

/**
 * Claims the items that wait, and then those that come, until the signal aborts. An item that was handed out stays claimed
 * then.
 */
export async function* follow(queue: Queue, signal: AbortSignal): AsyncGenerator<WorkItem, void, undefined> {
  const watcher = watch(path.join(queue.path, queue.settings.queue))
  watcher.on('error', () => undefined)
  try {
    while (!signal.aborted) {
      const changed = nextChange(watcher, signal)
      yield* queue.scan({ prefetch: 1 })
      await changed()
    }
  } finally {
    watcher.close()
  }
}

/** Begins to wait for a change; what is given back waits for it to have come, for the time of a rescan, or the signal. */
function nextChange(watcher: ReturnType<typeof watch>, signal: AbortSignal): () => Promise<void> {
  const over = new AbortController()
  const stop = AbortSignal.any([signal, over.signal])
  // A change may come while the queue is scanned, and nobody waits for it yet.
  const changed = once(watcher, 'change', { signal: stop }).catch(() => undefined)
  return async () => {
    await Promise.race([changed, later(RESCAN_MS, undefined, { signal: stop }).catch(() => undefined)])
    over.abort()
  }
}
