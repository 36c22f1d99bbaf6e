/**
 * The handles of the functions that take the name of a queue.
 *
 * @module
 */
import { layoutOf } from '../directory/layout.js'
import { Queue, suspend, suspendLater } from '../queue.js'
import { type SettingOverrides, resolveSettings } from '../settings.js'

/** A handle that calls share: calls in a row need not open the queue, and calls in one tick share a batch and its fsyncs. */
interface Shared {
  readonly queue: Queue
  /** Enqueues under way. */
  enqueues: number
  /** Nobody else will use it. */
  isDropped: boolean
}

const MOST_HANDLES = 64
// Used last: last.
const handles = new Map<string, Shared>()

function share(name: string, overrides: SettingOverrides): Shared {
  const settings = resolveSettings(overrides)
  const key = JSON.stringify([layoutOf(name, settings).path, settings])
  const shared = handles.get(key) ?? { queue: new Queue(name, settings), enqueues: 0, isDropped: false }
  handles.delete(key)
  if (handles.size === MOST_HANDLES) dropOne()
  handles.set(key, shared)
  return shared
}

/**
 * Closes the one that was used longest ago and that nobody uses. If all are in use, the first is dropped: the end of its
 * loops or enqueues closes it, or the garbage collector does after the last of its items.
 */
function dropOne(): void {
  for (const [key, { queue, enqueues }] of handles) {
    if (enqueues > 0 || !queue[suspend]()) continue
    handles.delete(key)
    return
  }
  const [oldest] = handles
  if (oldest === undefined) return
  const [key, shared] = oldest
  handles.delete(key)
  shared.isDropped = true
  shared.queue[suspendLater]()
}

/** The handle for a queue under these settings. */
export function shareQueue(name: string, overrides: SettingOverrides): Queue {
  return share(name, overrides).queue
}

/** Runs an enqueue on that handle, which stays open until it has ended. */
export async function useQueue<Result>(
  name: string,
  overrides: SettingOverrides,
  enqueue: (queue: Queue) => Promise<Result>,
): Promise<Result> {
  const shared = share(name, overrides)
  shared.enqueues++
  try {
    return await enqueue(shared.queue)
  } finally {
    shared.enqueues--
    if (shared.isDropped && shared.enqueues === 0) shared.queue[suspend]()
  }
}
