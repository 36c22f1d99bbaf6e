/**
 * Changes files that a worker may be working on.
 *
 * @module
 */
import { constants } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import type { FileCalls } from '../directory/calls.js'
import type { Layout } from '../directory/layout.js'
import { lockError } from '../lock/failure.js'
import { lockRequest } from '../lock/request.js'
import { LOCK_MARKER } from '../settings.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const { EAGAIN } = os.constants.errno

/** Why nothing was changed. `busy`: a worker holds it. `gone`: it is not there any more. `full`: it holds items. */
export type Unchanged = 'busy' | 'gone' | 'full'

/**
 * Changes a file or a directory while it holds the lock that a worker would hold. Not for a look: workers would skip the item
 * meanwhile.
 *
 * @param layout - The queue that contains it, if one does.
 * @returns Why nothing was changed.
 */
export async function underLock(
  file: string | Buffer,
  layout: Layout | undefined,
  calls: FileCalls,
  change: () => void | Promise<void>,
): Promise<Unchanged | undefined> {
  const isFcntl =
    layout !== undefined && (await calls.lstat(path.join(layout.path, LOCK_MARKER))) !== undefined
  const kind = isFcntl ? 'fcntl' : 'flock'
  // Its close ends the lock.
  const descriptor = await calls.open(file, (isFcntl ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK)
  try {
    const errno = await calls.lock(descriptor, kind, false)
    if (errno === -EAGAIN) return 'busy'
    if (errno !== 0) throw lockError(lockRequest('underLock', descriptor, { kind }), errno, 'lock')
    // Another process may have moved it between the open and the lock, and another file may have its name now.
    const { dev, ino } = await calls.fstat(descriptor)
    const named = await calls.lstat(file)
    if (named?.dev !== dev || named.ino !== ino) return 'gone'
    await change()
    return undefined
  } finally {
    await calls.close(descriptor)
  }
}
