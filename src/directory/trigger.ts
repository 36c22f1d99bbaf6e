/**
 * The trigger of a queue (fsq standard, section 7): a FIFO. A byte written to it asks a listener to scan.
 *
 * No call waits for the other end of the FIFO: a FIFO must never block this thread or one of the pool.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs, { constants } from 'node:fs'
import os from 'node:os'
import { inspect } from 'node:util'

import { BESIDE, type FileCalls } from './calls.js'
import { ownerOf } from './owner.js'
import { checkQueue } from './presence.js'
import { type FsqError, TriggerError } from '../errors/classes.js'
import { errnoOf, failureOf } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import type { Layout } from './layout.js'
import { checkFlag, checkOptions } from '../options.js'
import type { Settings } from '../settings.js'

/** Options for pulling a trigger. */
export interface PullOptions {
  /** Succeeds even if the trigger has no listener. Default: false. */
  readonly ignoreListener?: boolean | undefined
}

const { EAGAIN, EEXIST, EISDIR, ELOOP, ENOENT, ENXIO } = os.constants.errno
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
const SAFELY = O_NONBLOCK | O_NOFOLLOW
const OWNER_ONLY = 0o600
// The byte that the first implementation writes; it has no meaning.
const BYTE = Buffer.of(0)

/**
 * Creates the FIFO, and sets its mode, that of items, and its owner even if it existed.
 *
 * @throws {@link TriggerError} if the path is not a FIFO, {@link QueueMissingError}, {@link NotAQueueError}, or a
 * file system error.
 */
export async function makeTrigger(layout: Layout, settings: Settings, calls: FileCalls): Promise<void> {
  await checkQueue(layout)
  const { user, group } = ownerOf(settings, 'queue')
  const failure = await calls.makeFifo(layout.triggerPath, OWNER_ONLY)
  const made = failure === undefined
  if (!made && failure.errno !== -EEXIST) throw triggerError(failure, layout, 'make')
  try {
    await withFifo(layout, calls, O_RDONLY, async (descriptor, { uid, gid }) => {
      if (user !== -1 || group !== -1)
        await calls.fchown(descriptor, user === -1 ? uid : user, group === -1 ? gid : group)
      await calls.fchmod(descriptor, settings.itemMode)
    })
  } catch (error) {
    // A FIFO whose mode or owner could not be set must not stay.
    if (made) await calls.removeAll(layout.triggerPath)
    throw triggerError(error, layout, 'make')
  }
}

/** Removes the FIFO. Does nothing if it does not exist. Throws the errors of {@link makeTrigger}. */
export async function removeTrigger(layout: Layout, calls: FileCalls): Promise<void> {
  await checkQueue(layout)
  try {
    if ((await calls.lstat(layout.triggerPath))?.isFIFO() === false) throw notFifo(layout)
    await calls.unlink(layout.triggerPath)
  } catch (error) {
    if (errnoOf(error) !== -ENOENT) throw triggerError(error, layout, 'remove')
  }
}

/**
 * Pulls the trigger.
 *
 * @throws {@link TriggerError}, also if the trigger is missing or has no listener.
 */
export async function pullTrigger(layout: Layout, options: PullOptions, calls: FileCalls): Promise<void> {
  checkOptions('triggerPull', options, ['ignoreListener'])
  const { ignoreListener = false } = options
  checkFlag('ignoreListener', ignoreListener)
  await checkQueue(layout)
  const error = await pullBy(layout, calls)
  if (error === undefined || (ignoreListener && isUnheard(error))) return
  throw error
}

/** Pulls the trigger if it has a listener. Returns the error instead of throwing it. */
export function pullQuietly(layout: Layout): FsqError | undefined {
  return unlessUnheard(pull(layout))
}

/** {@link pullQuietly} beside this thread. */
export async function pullQuietlyLater(layout: Layout): Promise<FsqError | undefined> {
  return unlessUnheard(await pullBy(layout, BESIDE))
}

function unlessUnheard(error: FsqError | undefined): FsqError | undefined {
  return error !== undefined && isUnheard(error) ? undefined : error
}

function pull(layout: Layout): FsqError | undefined {
  try {
    const descriptor = fs.openSync(layout.triggerPath, O_WRONLY | SAFELY)
    try {
      checkFifo(fs.fstatSync(descriptor), layout)
      fs.writeSync(descriptor, BYTE)
      return undefined
    } finally {
      fs.closeSync(descriptor)
    }
  } catch (error) {
    return pullError(error, layout)
  }
}

async function pullBy(layout: Layout, calls: FileCalls): Promise<FsqError | undefined> {
  try {
    await withFifo(layout, calls, O_WRONLY, async (descriptor) => calls.write(descriptor, BYTE))
    return undefined
  } catch (error) {
    return pullError(error, layout)
  }
}

/** `undefined`: the FIFO is full, so enough bytes are waiting for the listener. */
function pullError(error: unknown, layout: Layout): FsqError | undefined {
  return errnoOf(error) === -EAGAIN ? undefined : triggerError(error, layout, 'pull')
}

function isUnheard({ errno }: FsqError): boolean {
  return errno === -ENXIO
}

async function withFifo(
  layout: Layout,
  calls: FileCalls,
  flags: number,
  use: (descriptor: number, info: fs.Stats) => Promise<unknown>,
): Promise<void> {
  const descriptor = await calls.open(layout.triggerPath, flags | SAFELY)
  try {
    const info = await calls.fstat(descriptor)
    checkFifo(info, layout)
    await use(descriptor, info)
  } finally {
    await calls.close(descriptor)
  }
}

/** If root runs this in a queue that a group may write to, a planted link must not redirect it to another user's FIFO. */
function checkFifo(info: fs.Stats, layout: Layout): void {
  if (!info.isFIFO() || info.nlink > 1) throw notFifo(layout)
}

function notFifo(layout: Layout): TriggerError {
  return new TriggerError(`${layout.triggerPath} is not a FIFO with a single name, and was not touched`, {
    path: layout.triggerPath,
    advice: 'Remove it and call queue.trigger()',
    adviceKey: 'replace-trigger',
  })
}

/** The error for a failure of native code or an error from node:fs. */
function triggerError(error: unknown, layout: Layout, doing: string): FsqError {
  if (error instanceof TriggerError) return error
  const failure = failureOf(error, 'open', layout.triggerPath)
  const queue = inspect(layout.name)
  switch (-failure.errno) {
    case ENOENT:
      return new TriggerError(`The queue ${queue} has no trigger`, {
        cause: systemError(failure),
        advice: 'Make it with queue.trigger()',
        adviceKey: 'make-trigger',
      })
    case ENXIO:
      return new TriggerError(`The trigger of the queue ${queue} has no listener`, {
        cause: systemError(failure),
        advice: 'Start a loop with queue.scanForever(), or use the option ignoreListener',
      })
    case ELOOP:
    case EISDIR:
      return notFifo(layout)
    default:
      return fileSystemError(failure, `${doing} the trigger of the queue ${queue}`)
  }
}
