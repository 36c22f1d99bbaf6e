/**
 * Working a source that is no queue of this package.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import type { Journal } from './journal.js'
import { type WorkerOptions, checkHandler, checkWorkerOptions } from './options.js'
import type { Handler } from './run.js'
import type { Source, WorkableItem } from './source.js'
import type { Worker } from './handle.js'
import { HandlerWorker } from './worker.js'

/**
 * Works the items of any source, as {@link Queue.work} works those of a queue. Crash marks, the reasons of failures and progress are not
 * kept, as they need the files of a queue.
 *
 * @param source - Belongs to this worker, which opens it and closes it.
 * @param handler - Called for each item. The item is done when it returns, and retried when it throws.
 * @returns A worker that runs.
 * @throws {@link SettingError}; the reason of the signal, if that is aborted before the source is open; the error with which the source cannot be opened.
 */
export async function work<Item extends WorkableItem>(
  source: Source<Item>,
  handler: Handler<Item>,
  options: WorkerOptions<Item> = {},
): Promise<Worker<Item>> {
  checkSource(source)
  checkHandler(handler)
  const checked = checkWorkerOptions(options)
  checked.signal?.throwIfAborted()
  await source.open?.()
  if (checked.signal?.aborted === true) {
    await source.close?.()
    checked.signal.throwIfAborted()
  }
  const worker = new HandlerWorker({ source, handler, options: checked, journal: NO_JOURNAL })
  void worker.gone.then(async () => source.close?.()).catch((error: unknown) => worker.tell('error', error))
  return worker.start()
}

/** A queue has a function `scan`, too, but one that takes other options. */
function checkSource(source: unknown): void {
  if (typeof source === 'object' && source !== null && 'worked' in source)
    throw new SettingError('source', source, 'a source of items', 'Call queue.work(handler) to work a queue')
  if (typeof (source as Partial<Source> | null | undefined)?.scan !== 'function')
    throw new SettingError('source', source, 'an object with a function scan', 'See the interface Source')
}

/** Keeps nothing. */
export const NO_JOURNAL: Journal<unknown> = {
  begin: () => [],
  end: () => undefined,
  failed: () => undefined,
  progress: () => undefined,
  state: () => undefined,
  closing: () => undefined,
  close: () => undefined,
}
