/**
 * Taking a queue down and up again (fsq standard, section 7). While its down file exists, the queue is not scanned.
 *
 * @module
 */
import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'

import { GUARD_TEXT, claimKindOf, downFileOf } from './claim-kind.js'
import { ownerOf } from './owner.js'
import { FsqError, NotAQueueError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type Layout, shownName } from './layout.js'
import { native } from '../addon/native.js'
import { checkQueue, notADirectory, queueMissing } from './presence.js'
import type { Settings } from '../settings.js'

const { EEXIST, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO } = os.constants.errno
// Other processes may remove and create the file between our two attempts to open it.
const MOST_ATTEMPTS = 10
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

/**
 * Creates the down file, and sets its mode and owner even if it existed.
 *
 * @returns Whether this call created it.
 * @throws {@link QueueMissingError}, {@link NotAQueueError} if the path is not a regular file with a single name, or
 * a file system error.
 */
export async function makeDown(layout: Layout, settings: Settings): Promise<boolean> {
  await checkQueue(layout)
  const kind = await claimKindOf(layout)
  const made = await makeDownFile({ ...layout, downPath: downFileOf(layout, kind) }, settings)
  if (made || kind === 'rename' || !(await isGuard(layout))) return made
  // A conversion to claims by renames is under way. The down file is its own, and becomes the guard.
  return makeDownFile({ ...layout, downPath: layout.renameDownPath }, settings)
}

async function isGuard(layout: Layout): Promise<boolean> {
  try {
    return await hasGuardText(layout)
  } catch (error) {
    throw downError(error, layout, 'take down')
  }
}

/** Whether the down file has the text of a guard. @throws As `node:fs`. */
export async function hasGuardText({ downPath }: Layout): Promise<boolean> {
  try {
    const flag = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
    return (await fs.readFile(downPath, { encoding: 'utf8', flag })) === GUARD_TEXT
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** {@link makeDown} for the file `downPath`, whatever the kind of the queue. */
export async function makeDownFile(layout: Layout, settings: Settings): Promise<boolean> {
  const { user, group } = ownerOf(settings, 'queue')
  const { file, made } = await openDown(layout, settings.itemMode)
  native.noteDown()
  try {
    // If root runs this in a queue that a group may write to, a planted link must not redirect it to another user's
    // file.
    const info = await file.stat()
    if (!info.isFile() || info.nlink > 1) throw notPlain(layout)
    if (user !== -1 || group !== -1)
      await file.chown(user === -1 ? info.uid : user, group === -1 ? info.gid : group)
    await file.chmod(settings.itemMode)
  } catch (error) {
    // A file whose mode or owner could not be set must not keep the queue down.
    if (made) await fs.unlink(layout.downPath).catch(() => undefined)
    throw downError(error, layout, 'take down')
  } finally {
    await file.close()
  }
  return made
}

/** Removes the down file. Does nothing if it does not exist. */
export async function removeDown(queue: Layout): Promise<void> {
  await checkQueue(queue)
  const layout = await withDownFile(queue)
  try {
    await fs.unlink(layout.downPath)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && !(await isMissing(layout.downPath)))
      throw downError(error, layout, 'take up')
  }
}

/** A separate check, because a read-only file system refuses to remove even a missing file. */
async function isMissing(file: string): Promise<boolean> {
  return fs.lstat(file).then(
    () => false,
    (error: unknown) => codeOf(error) === 'ENOENT',
  )
}

/** Whether the down file exists. */
export async function isQueueDown(queue: Layout): Promise<boolean> {
  await checkQueue(queue)
  const layout = await withDownFile(queue)
  try {
    await fs.lstat(layout.downPath)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw downError(error, layout, 'look at')
  }
}

/** The layout, with the file as `downPath` that the workers of this queue look for. */
async function withDownFile(layout: Layout): Promise<Layout> {
  return { ...layout, downPath: downFileOf(layout, await claimKindOf(layout)) }
}

async function openDown(layout: Layout, mode: number): Promise<{ file: fs.FileHandle; made: boolean }> {
  // O_NONBLOCK: if it is a FIFO, do not wait for a reader.
  const flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK
  for (let attempt = 1; ; attempt++) {
    const made = await openOr('EEXIST', layout, flags | O_CREAT | O_EXCL, mode)
    if (made !== undefined) return { file: made, made: true }
    // Without O_CREAT: the caller must know whether it created the file, so that it can remove it after a failure.
    const found = await openOr(attempt < MOST_ATTEMPTS ? 'ENOENT' : '', layout, flags, mode)
    if (found !== undefined) return { file: found, made: false }
  }
}

/** Opens the file; `undefined` if that fails with `code`. */
async function openOr(
  code: string,
  layout: Layout,
  flags: number,
  mode: number,
): Promise<fs.FileHandle | undefined> {
  try {
    return await fs.open(layout.downPath, flags, mode)
  } catch (error) {
    if (codeOf(error) === code) return undefined
    throw downError(error, layout, 'take down')
  }
}

function downError(error: unknown, layout: Layout, doing: string): FsqError {
  if (error instanceof FsqError) return error
  const failure = failureOf(error, 'open', layout.downPath)
  const { errno, syscall } = failure
  if ([ELOOP, EISDIR, ENXIO, EEXIST].includes(-errno)) return notPlain(layout)
  // The directory no longer exists: the queue has just been uninstalled.
  if (errno === -ENOENT) return queueMissing(layout, syscall)
  if (errno === -ENOTDIR) return notADirectory(layout)
  return fileSystemError(failure, `${doing} the ${shownName(layout)}`)
}

function notPlain(layout: Layout): NotAQueueError {
  return new NotAQueueError(
    `${layout.downPath} is not a regular file with a single name (a link, a directory or a device, perhaps planted)`,
    { path: layout.downPath, advice: 'Nothing was changed; remove it' },
  )
}
