/**
 * The queues of FSQ_ROOT.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { FsqError, QueueMissingError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type Layout, layoutOf } from '../directory/layout.js'
import type { Settings } from '../settings.js'
import { explain } from './advice.js'
import { say } from './output.js'

// What mkfs leaves in the root of a file system, and only root may look into.
const NEVER_QUEUE = 'lost+found'

/**
 * The layouts of the queues, by their names; hidden ones, under installation or removal, are left out. What may not be looked
 * into may be one.
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

/** Goes through queues one by one. One that cannot be read is told of, and does not keep the others from being gone through. */
export class QueueWalk {
  readonly #layouts: readonly Layout[]
  #isWhole = true

  constructor(layouts: readonly Layout[]) {
    this.#layouts = layouts
  }

  /** Whether all could be read, so far. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** What `look` finds in each. */
  *each<T>(look: (layout: Layout) => Iterable<T>): Generator<T, void, undefined> {
    for (const layout of this.#layouts) {
      // Not the loop of a caller, whose errors are no errors of the queue.
      const found = look(layout)[Symbol.iterator]()
      for (let next = this.#next(found, layout); next.done !== true; next = this.#next(found, layout))
        yield next.value
    }
  }

  #next<T>(found: Iterator<T>, layout: Layout): IteratorResult<T> {
    try {
      return found.next()
    } catch (error) {
      if (!(error instanceof FsqError || (error instanceof Error && 'syscall' in error))) throw error
      this.#isWhole = false
      say(`the queue '${layout.name}' is left out: ${explain(error)}`)
      return { done: true, value: undefined }
    }
  }
}

/** The layout of one queue. @throws {@link QueueMissingError} */
export function queueNamed(name: string, settings: Settings): Layout {
  const layout = layoutOf(name, settings)
  if (isDirectory(layout.path, true)) return layout
  throw new QueueMissingError(`There is no queue '${name}' in ${layout.root}`, {
    advice: "'fsq list' has those that there are; fsq -r (FSQ_ROOT) sets where they are",
  })
}

/** What is in the directory that holds the queues. */
export function entriesIn(root: string): readonly string[] {
  try {
    return fs.readdirSync(root)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT')
      throw fileSystemError(failureOf(error, 'scandir', root), 'list the queues')
    throw new QueueMissingError(`The directory for queues, ${root}, does not exist`, {
      cause: error,
      advice: 'Make it, or set another by fsq -r (FSQ_ROOT)',
    })
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
    if (codeOf(error) === 'ENOTDIR') return false
    throw fileSystemError(failureOf(error, 'lstat', file), 'look at a queue')
  }
}
