/**
 * Whether a worker of a queue with claims by renaming lives.
 *
 * @module
 */
import fs from 'node:fs'

import { WORKER_LOCK } from '../directory/claimed.js'
import { codeOf } from '../errors/errno.js'
import { lockDescriptor, lockRequest } from '../lock/request.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants

/** What is known of a worker by its directory. `unmade`: it has no `.lock`. `unknown`: this user may not open it. */
export type WorkerLife = 'alive' | 'dead' | 'unmade' | 'unknown'

/**
 * Finds out whether a worker lives by trying its lock, shared and for a moment. A take-over that meets this try is made a second later.
 *
 * @param directory - The directory of the worker.
 */
export function lifeOfWorker(directory: string): WorkerLife {
  return lifeOfHolder(`${directory}/${WORKER_LOCK}`)
}

/** {@link lifeOfWorker} of the process that locks a file while it lives. */
export function lifeOfHolder(file: string): WorkerLife {
  let descriptor: number
  try {
    descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'unmade' : 'unknown'
  }
  try {
    const request = lockRequest('lifeOfWorker', descriptor, { kind: 'fcntl' })
    return lockDescriptor(request, true) === 0 ? 'dead' : 'alive'
  } finally {
    fs.closeSync(descriptor)
  }
}
