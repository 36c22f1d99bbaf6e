/**
 * Changing what somebody may be working on.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { LOCK_MARKER, type Layout } from '../layout.js'
import { native } from '../native.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants

/**
 * Changes a file or a directory under its lock, as a worker would hold it. Not for a look: a worker would pass an item by.
 *
 * @param layout - The queue that it is in, if it is in one.
 * @returns Why nothing was changed.
 */
export function underLock(
  file: string | Buffer,
  layout: Layout | undefined,
  change: (descriptor: number) => void,
): string | undefined {
  if (layout !== undefined && fs.existsSync(path.join(layout.path, LOCK_MARKER))) {
    return 'is in a queue with fcntl locks, which are not taken here: take the queue down, and use mv(1) or rm(1)'
  }
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    if (native.tryLock(descriptor, true) !== undefined) return 'is being worked on'
    // Another may have moved it between our open and our lock, and another file may have its name.
    const { dev, ino } = fs.fstatSync(descriptor)
    const named = fs.lstatSync(file, { throwIfNoEntry: false })
    if (named?.dev !== dev || named.ino !== ino) return 'has gone meanwhile'
    change(descriptor)
    return undefined
  } finally {
    native.unlock(descriptor)
    fs.closeSync(descriptor)
  }
}
