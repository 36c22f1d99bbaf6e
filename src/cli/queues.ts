/**
 * The queues of FSQ_ROOT.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { QueueMissingError, fileSystemError } from '../errors.js'
import { type Layout, layoutOf } from '../layout.js'
import type { Settings } from '../settings.js'

/** The layouts of the queues, by their names; hidden ones, under installation or removal, are left out. */
export function queuesIn(settings: Settings): readonly Layout[] {
  return entriesIn(settings.root)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => layoutOf(name, settings))
    .filter((layout) =>
      layout.directories.some((directory) => isDirectory(path.join(layout.path, directory))),
    )
}

/** The layout of one queue. @throws {@link QueueMissingError} */
export function queueNamed(name: string, settings: Settings): Layout {
  const layout = layoutOf(name, settings)
  if (isDirectory(layout.path, true)) return layout
  throw new QueueMissingError(
    `There is no queue '${name}' in ${layout.root}. 'fsq list' has those that there are; fsq -r (FSQ_ROOT) sets where they are`,
  )
}

/** What is in the directory that holds the queues. */
export function entriesIn(root: string): readonly string[] {
  try {
    return fs.readdirSync(root)
  } catch (error) {
    const { code, errno = 0, syscall = 'scandir' } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw fileSystemError({ errno, syscall, path: root }, 'list the queues')
    throw new QueueMissingError(
      `The directory for queues, ${root}, does not exist. Make it, or set another by fsq -r (FSQ_ROOT)`,
      { cause: error },
    )
  }
}

/** Whether it is a directory. */
export function isDirectory(file: string, mayBeLink = false): boolean {
  const look = mayBeLink ? fs.statSync : fs.lstatSync
  try {
    return look(file, { throwIfNoEntry: false })?.isDirectory() ?? false
  } catch (error) {
    const { code, errno = 0, syscall = 'lstat' } = error as NodeJS.ErrnoException
    if (code === 'ENOTDIR') return false
    throw fileSystemError({ errno, syscall, path: file }, 'look at a queue')
  }
}
