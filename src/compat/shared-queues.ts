/**
 * The handles shared by the functions that take the name of a queue.
 *
 * @module
 */
import { layoutOf } from '../directory/layout.js'
import { Queue, suspend, suspendLater } from '../queue.js'
import { type SettingOverrides, resolveSettings } from '../settings.js'

/** A handle that calls share: successive calls need not open the queue, and calls in one tick share a batch and its fsyncs. */
interface Shared {
  readonly queue: Queue
  /** Enqueues in flight. */
  enqueues: number
  /** No later call will use it. */
  isDropped: boolean
}

const MOST_HANDLES = 64
// In the order of use: the handle used most recently is the last.
const handles = new Map<string, Shared>()

function share(name: string, overrides: SettingOverrides): Shared {
  const settings = resolveSettings(overrides)
  const { useTrigger } = overrides
  const key = JSON.stringify([layoutOf(name, settings).path, settings, useTrigger !== undefined])
  // Given as an option, `useTrigger` pulls; as a variable it does not.
  const given = { ...settings, useTrigger: useTrigger === undefined ? undefined : settings.useTrigger }
  const shared = handles.get(key) ?? { queue: new Queue(name, given), enqueues: 0, isDropped: false }
  handles.delete(key)
  if (handles.size === MOST_HANDLES) dropOne()
  handles.set(key, shared)
  return shared
}

/**
 * Closes the handle that was used least recently and is not in use. If all are in use, the first is dropped: it is closed when its
 * loops and enqueues end, or by the garbage collector after the last of its items.
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

/** The shared handle for a queue with these settings. */
export function shareQueue(name: string, overrides: SettingOverrides): Queue {
  return share(name, overrides).queue
}

/** Runs an enqueue on the shared handle, which stays open until the enqueue has ended. */
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
