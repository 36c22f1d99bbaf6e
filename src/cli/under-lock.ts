/**
 * Changing what somebody may be working on.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import type { Layout } from '../directory/layout.js'
import { tryLockSync, unlockSync } from '../lock.js'
import { LOCK_MARKER } from '../settings.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants

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
  const isFcntl = layout !== undefined && fs.existsSync(path.join(layout.path, LOCK_MARKER))
  const kind = isFcntl ? 'fcntl' : 'flock'
  const descriptor = fs.openSync(file, (isFcntl ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK)
  try {
    if (tryLockSync(descriptor, { kind }) === undefined) return 'is being worked on'
    // Another may have moved it between our open and our lock, and another file may have its name.
    const { dev, ino } = fs.fstatSync(descriptor)
    const named = fs.lstatSync(file, { throwIfNoEntry: false })
    if (named?.dev !== dev || named.ino !== ino) return 'has gone meanwhile'
    change(descriptor)
    return undefined
  } finally {
    unlockSync(descriptor, { kind })
    fs.closeSync(descriptor)
  }
}
