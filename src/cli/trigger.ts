/**
 * The trigger: a FIFO that wakes listeners (fsq standard, section 7).
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { ownerOf } from '../account.js'
import { FsqError, fileSystemError } from '../errors.js'
import type { Layout } from '../layout.js'
import type { Queue } from '../queue.js'
import type { Settings } from '../settings.js'

const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fs.constants

/** Makes the trigger of a queue, with owner and mode of the queue. */
export async function makeTrigger(queue: Queue): Promise<void> {
  const { settings } = queue
  const fifo = path.join(queue.path, settings.trigger)
  const { execFileSync } = await import('node:child_process')
  execFileSync('mkfifo', ['--', fifo], { stdio: ['ignore', 'ignore', 'inherit'] })
  const { user, group } = ownerOf(settings, 'queue')
  fs.lchownSync(
    fifo,
    user === -1 ? (process.getuid?.() ?? 0) : user,
    group === -1 ? fs.lstatSync(fifo).gid : group,
  )
  fs.chmodSync(fifo, settings.queueMode & 0o777)
}

/**
 * Pulls the trigger.
 *
 * @returns Whether somebody listens.
 */
export function pullTrigger(layout: Layout, settings: Settings): boolean {
  const fifo = path.join(layout.path, settings.trigger)
  let descriptor: number | undefined
  try {
    descriptor = fs.openSync(fifo, O_WRONLY | O_NONBLOCK | O_NOFOLLOW)
    if (!fs.fstatSync(descriptor).isFIFO()) throw new FsqError(`${fifo} is not a FIFO. Remove it`)
    fs.writeSync(descriptor, '\0')
    return true
  } catch (error) {
    const { code, errno = 0, syscall = 'open' } = error as NodeJS.ErrnoException
    if (error instanceof FsqError) throw error
    if (code === 'EAGAIN') return true
    if (code === 'ENXIO' || code === 'EPIPE') return false
    throw fileSystemError({ errno, syscall, path: fifo }, 'pull the trigger')
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor)
  }
}
