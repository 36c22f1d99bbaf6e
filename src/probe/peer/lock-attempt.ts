/**
 * One try to lock a file, without a call on the JavaScript thread that could wait for a server.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'
import { promisify } from 'node:util'

import { type LockKind, isFailure, native } from '../../addon/native.js'
import { LockOperation } from '../../addon/packing.js'
import type { Failure } from '../../errors/errno.js'

const close = promisify(fs.close)

/** A lock that this process holds. */
export interface Held {
  readonly unlock: () => Promise<void>
}

/** The lock, or why this process does not have it: EAGAIN, another process holds it. */
export async function tryLock(file: string, kind: LockKind): Promise<Held | Failure> {
  const operation = LockOperation[kind] | LockOperation.exclusive
  const lock = await native.lockPath(Buffer.from(file).toString('latin1'), operation, 0, 0, true)
  // Not a regular file: none that fsq has made.
  if (lock === null) return { errno: -os.constants.errno.EINVAL, syscall: 'open' }
  if (isFailure(lock)) return lock
  const [claim, descriptor] = lock
  return {
    unlock: async () => {
      // The close unlocks. Native code finds the descriptor closed, and only forgets the claim.
      await close(descriptor)
      native.release([claim])
    },
  }
}
