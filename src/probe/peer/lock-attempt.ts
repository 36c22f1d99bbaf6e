/**
 * One try to lock a file, without a call on the JavaScript thread that could wait for a server.
 *
 * @module
 */
import fs, { constants } from 'node:fs'

import { type LockKind, native } from '../../addon/native.js'
import { LockOperation, packLock } from '../../addon/packing.js'
import { type Failure, failureOf } from '../../errors/errno.js'

const { open } = fs.promises

/** A lock that this process holds. */
export interface Held {
  readonly unlock: () => Promise<void>
}

/**
 * The lock, or why this process does not have it: EAGAIN, another process holds it.
 *
 * `native.lockPath` is not called: its locks are released on the JavaScript thread.
 */
export async function tryLock(file: string, kind: LockKind): Promise<Held | Failure> {
  try {
    const handle = await open(file, constants.O_RDWR | constants.O_CREAT)
    const operation = LockOperation[kind] | LockOperation.exclusive
    const errno = await native.lockDescriptorLater(packLock(handle.fd, operation))
    // The close unlocks.
    if (errno === undefined) return { unlock: async () => handle.close() }
    await handle.close()
    return { errno, syscall: kind === 'flock' ? 'flock' : 'fcntl' }
  } catch (error) {
    return failureOf(error, 'open', file)
  }
}
