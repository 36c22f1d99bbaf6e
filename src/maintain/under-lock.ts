/**
 * Changes files that a worker may be working on.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import type { Layout } from '../directory/layout.js'
import { lockError } from '../lock/failure.js'
import { lockDescriptor, lockRequest, unlockDescriptor } from '../lock/request.js'
import { LOCK_MARKER } from '../settings.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
const { EAGAIN } = os.constants.errno

/** Why nothing was changed. `busy`: a worker holds it. `gone`: it is not there any more. */
export type Unchanged = 'busy' | 'gone'

/**
 * Changes a file or a directory while it holds the lock that a worker would hold. Not for a look: workers would skip the item
 * meanwhile.
 *
 * @param layout - The queue that contains it, if one does.
 * @returns Why nothing was changed.
 */
export function underLock(
  file: string | Buffer,
  layout: Layout | undefined,
  change: (descriptor: number) => void,
): Unchanged | undefined {
  const isFcntl = layout !== undefined && fs.existsSync(path.join(layout.path, LOCK_MARKER))
  const descriptor = fs.openSync(file, (isFcntl ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK)
  const request = lockRequest('underLock', descriptor, { kind: isFcntl ? 'fcntl' : 'flock' })
  try {
    const errno = lockDescriptor(request, false)
    if (errno === -EAGAIN) return 'busy'
    if (errno !== 0) throw lockError(request, errno, 'lock')
    // Another process may have moved it between the open and the lock, and another file may have its name now.
    const { dev, ino } = fs.fstatSync(descriptor)
    const named = fs.lstatSync(file, { throwIfNoEntry: false })
    if (named?.dev !== dev || named.ino !== ino) return 'gone'
    change(descriptor)
    return undefined
  } finally {
    unlockDescriptor(request)
    fs.closeSync(descriptor)
  }
}
