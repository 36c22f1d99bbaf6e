/**
 * Whether a worker of a queue with claims by renaming lives.
 *
 * @module
 */
import { constants } from 'node:fs'

import type { FileCalls } from '../directory/calls.js'
import { WORKER_LOCK } from '../directory/claimed.js'
import { codeOf } from '../errors/errno.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

/** What is known of a worker by its directory. `unmade`: it has no `.lock`. `unknown`: this user may not open it. */
export type WorkerLife = 'alive' | 'dead' | 'unmade' | 'unknown'

/**
 * Finds out whether a worker lives by trying its lock, shared and for a moment. A take-over that meets this try is made a second later.
 *
 * @param directory - The directory of the worker.
 */
export async function lifeOfWorker(directory: string, calls: FileCalls): Promise<WorkerLife> {
  return lifeOfHolder(`${directory}/${WORKER_LOCK}`, calls)
}

/** {@link lifeOfWorker} of the process that locks a file while it lives. */
export async function lifeOfHolder(file: string, calls: FileCalls): Promise<WorkerLife> {
  let descriptor: number
  try {
    descriptor = await calls.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'unmade' : 'unknown'
  }
  try {
    return (await calls.lock(descriptor, 'fcntl', true)) === 0 ? 'dead' : 'alive'
  } finally {
    await calls.close(descriptor)
  }
}
