/**
 * Whether a queue exists where its layout says, and the errors for one that does not.
 *
 * @module
 */
import fs from 'node:fs/promises'
import os from 'node:os'
import { inspect } from 'node:util'

import { NotAQueueError, QueueMissingError } from '../errors/classes.js'
import { type Failure, codeOf, errnoOf, failureOf } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import { type Layout, placePath, shownName } from './layout.js'
import { Place } from '../addon/native.js'

const { ELOOP, ENOENT, ENOTDIR } = os.constants.errno

/** Rejects a missing queue with an error of its own, because it must not look like a queue that is up. */
export async function checkQueue(layout: Layout): Promise<void> {
  const waiting = placePath(layout, Place.queue)
  try {
    if ((await fs.lstat(waiting)).isDirectory()) return
  } catch (error) {
    const failure = failureOf(error, 'lstat', waiting)
    if (![ENOENT, ENOTDIR, ELOOP].includes(-failure.errno))
      throw fileSystemError(failure, `find the ${shownName(layout)}`)
    const isQueueMissing = await fs.stat(layout.path).then(
      () => false,
      (cause: unknown) => codeOf(cause) !== 'ELOOP',
    )
    if (isQueueMissing) throw queueMissing(layout, 'stat')
  }
  throw new NotAQueueError(`${layout.path} is not a queue: it has no directory of waiting items`, {
    path: waiting,
    advice: 'Restore it with the owner and mode of the others, or install the queue again',
  })
}

/** Whether all four directories exist. */
export async function hasAllPlaces(layout: Layout): Promise<boolean> {
  const places = layout.directories.map((_, place) => isDirectory(placePath(layout, place as Place)))
  return (await Promise.all(places)).every(Boolean)
}

/** Whether the directory exists; symbolic links are not followed. */
export async function isDirectory(directory: string): Promise<boolean> {
  try {
    return (await fs.lstat(directory)).isDirectory()
  } catch (error) {
    if (isMissing(error)) return false
    // A path that may not be examined must not be reported as missing.
    throw fileSystemError(failureOf(error, 'lstat', directory), 'look at the queue')
  }
}

/** Whether the error means that the directory does not exist. */
export function isMissing(error: unknown): boolean {
  return [ENOENT, ENOTDIR].includes(-errnoOf(error))
}

/**
 * The error for a queue that does not exist.
 *
 * @param syscall - The call that found this out.
 */
export function queueMissing(
  { name, root, path: queue, parent }: Layout,
  syscall: string,
): QueueMissingError {
  const shown = inspect(name)
  if (parent !== undefined) {
    return new QueueMissingError(`The queue ${inspect(parent.name)} has no host ${shown} (${queue})`, {
      cause: systemError({ errno: -ENOENT, syscall, path: queue }),
      advice: `Add it with queue.addHost(${shown})`,
      adviceKey: 'add-host',
    })
  }
  return new QueueMissingError(`There is no queue ${shown} in ${root}`, {
    cause: systemError({ errno: -ENOENT, syscall, path: queue }),
    advice: `Install it with Queue.install(${shown}), or set the option 'root' (FSQ_ROOT) to the directory that it is in`,
    adviceKey: 'install-queue',
  })
}

/** The error for a root directory that does not exist. */
export function rootMissing(root: string, failure: Failure): QueueMissingError {
  return new QueueMissingError(`The directory for queues, ${root} (FSQ_ROOT), does not exist`, {
    cause: systemError(failure),
    advice: "Make it, or set the option 'root'",
    adviceKey: 'make-root',
  })
}

/** The error for a path that has the queue's name and is not a directory. */
export function notADirectory({ path: queue }: Layout, options: ErrorOptions = {}): NotAQueueError {
  return new NotAQueueError(`${queue} is not a queue, as it is not a directory`, {
    ...options,
    path: queue,
    advice: 'Move it out of the way and install the queue',
  })
}
