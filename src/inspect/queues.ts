/**
 * The queues of FSQ_ROOT, also those that lack a part.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { FileCalls } from '../directory/calls.js'
import { type Layout, hostLayoutOf, hostsPath, layoutOf } from '../directory/layout.js'
import { rootMissing } from '../directory/presence.js'
import type { Settings } from '../settings.js'

// mkfs makes it in the root of a file system, and only root may look into it.
const NEVER_QUEUE = 'lost+found'

/**
 * The layouts of the queues, sorted by name, without hidden ones, which are under installation or removal. A directory that this
 * user may not look into counts as a queue.
 */
export function queuesIn(settings: Settings): readonly Layout[] {
  return entriesIn(settings.root)
    .filter((name) => !name.startsWith('.') && name !== NEVER_QUEUE)
    .sort()
    .map((name) => layoutOf(name, settings))
    .filter((layout) =>
      layout.directories.some((directory) => mayBeDirectory(path.join(layout.path, directory))),
    )
}

/** The layouts of the hosts of a queue, sorted by name, without hidden ones. None where they cannot be listed. */
export function hostLayoutsIn(queue: Layout, settings: Settings): readonly Layout[] {
  const directory = hostsPath(queue, settings)
  try {
    return fs
      .readdirSync(directory)
      .filter((name) => !name.startsWith('.') && mayBeDirectory(path.join(directory, name)))
      .sort()
      .map((name) => hostLayoutOf(queue, name, settings))
  } catch {
    return []
  }
}

/** Looks through queues one by one. One that cannot be read does not keep the others from being looked through. */
export class QueueSurvey {
  readonly #layouts: readonly Layout[]
  readonly #onUnreadable: (layout: Layout, error: Error) => void
  #isComplete = true

  /** @param onUnreadable - Called for each queue that cannot be read, or not to its end. */
  constructor(layouts: readonly Layout[], onUnreadable: (layout: Layout, error: Error) => void) {
    this.#layouts = layouts
    this.#onUnreadable = onUnreadable
  }

  /** Whether all queues so far could be read. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** What `look` finds in each. */
  async *each<T>(look: (layout: Layout) => AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
    for (const layout of this.#layouts) {
      // Not `yield*`: an error that the consumer throws is no error of the queue.
      const found = look(layout)[Symbol.asyncIterator]()
      for (
        let next = await this.#next(found, layout);
        next.done !== true;
        next = await this.#next(found, layout)
      )
        yield next.value
    }
  }

  async #next<T>(found: AsyncIterator<T>, layout: Layout): Promise<IteratorResult<T>> {
    try {
      return await found.next()
    } catch (error) {
      if (!isOfSystem(error)) throw error
      this.#isComplete = false
      this.#onUnreadable(layout, error)
      return { done: true, value: undefined }
    }
  }
}

/** Whether it is an error of the package or of a system call, not a fault of the program. */
export function isOfSystem(error: unknown): error is Error {
  return error instanceof FsqError || (error instanceof Error && 'syscall' in error)
}

/** The names in the directory that holds the queues. */
export function entriesIn(root: string): readonly string[] {
  try {
    return fs.readdirSync(root)
  } catch (error) {
    const failure = failureOf(error, 'scandir', root)
    if (codeOf(error) !== 'ENOENT') throw fileSystemError(failure, 'list the queues')
    throw rootMissing(root, failure)
  }
}

function mayBeDirectory(file: string): boolean {
  try {
    return isDirectory(file)
  } catch {
    return true
  }
}

/** Whether it is a directory. */
export function isDirectory(file: string, mayBeLink = false): boolean {
  const look = mayBeLink ? fs.statSync : fs.lstatSync
  try {
    return look(file, { throwIfNoEntry: false })?.isDirectory() ?? false
  } catch (error) {
    return falseIfMissing(error, file)
  }
}

/** {@link isDirectory} by these calls. */
export async function isDirectoryBy(calls: FileCalls, file: string, mayBeLink = false): Promise<boolean> {
  try {
    return (await (mayBeLink ? calls.stat : calls.lstat)(file))?.isDirectory() ?? false
  } catch (error) {
    return falseIfMissing(error, file)
  }
}

function falseIfMissing(error: unknown, file: string): false {
  if (codeOf(error) === 'ENOTDIR') return false
  throw fileSystemError(failureOf(error, 'lstat', file), 'look at a queue')
}
