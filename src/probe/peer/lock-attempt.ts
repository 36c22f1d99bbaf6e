/**
 * One try to lock a file, without a call on the JavaScript thread that could wait for a server.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import { promisify } from 'node:util'

import { type LockKind, isFailure, native } from '../../addon/native.js'
import { LockOperation } from '../../addon/packing.js'
import { describeErrno } from '../../errors/errno.js'

const close = promisify(fs.close)

/** A lock that this process holds. */
export interface Held {
  readonly unlock: () => Promise<void>
}

/** The lock, or the name of the error; `EAGAIN`: another process holds it. */
export async function tryLock(file: string, kind: LockKind): Promise<Held | string> {
  const operation = LockOperation[kind] | LockOperation.exclusive
  const lock = await native.lockPath(Buffer.from(file).toString('latin1'), operation, 0, 0, true)
  // Nothing but a regular file has this name.
  if (lock === null) return 'EINVAL'
  if (isFailure(lock)) return describeErrno(lock.errno)[0]
  const [claim, descriptor] = lock
  return {
    unlock: async () => {
      // The close unlocks. Native code finds the descriptor closed, and only forgets the claim.
      await close(descriptor)
      native.release([claim])
    },
  }
}
