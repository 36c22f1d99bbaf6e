/**
 * Taking a queue down and up (fsq standard, section 7): while the file `down` exists, the queue is not scanned.
 *
 * @module
 */
import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'
import { inspect } from 'node:util'

import { ownerOf } from './owner.js'
import { FsqError, NotAQueueError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type Layout, placePath, queueMissing } from './layout.js'
import { Place } from '../addon/native.js'
import type { Settings } from '../settings.js'

const { EEXIST, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO } = os.constants.errno
// Others may remove it and make it between our two looks.
const MOST_ATTEMPTS = 10
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants

/**
 * Makes the file, and sets its mode and owner even if it was there.
 *
 * @returns Whether it was not there before.
 * @throws {@link QueueMissingError}, {@link NotAQueueError} for what is no plain file of one name, or a file system error.
 */
export async function makeDown(layout: Layout, settings: Settings): Promise<boolean> {
  await checkQueue(layout)
  const { user, group } = ownerOf(settings, 'queue')
  const { file, made } = await openDown(layout, settings.itemMode)
  try {
    // As root in a queue that a group may write to, a planted link must not lead us to somebody else's file.
    const info = await file.stat()
    if (!info.isFile() || info.nlink > 1) throw notPlain(layout)
    if (user !== -1 || group !== -1)
      await file.chown(user === -1 ? info.uid : user, group === -1 ? info.gid : group)
    await file.chmod(settings.itemMode)
  } catch (error) {
    // What could not be made as asked for must not keep the queue down.
    if (made) await fs.unlink(layout.downPath).catch(() => undefined)
    throw downError(error, layout, 'take down')
  } finally {
    await file.close()
  }
  return made
}

/** Removes the file; nothing happens if it is not there. */
export async function removeDown(layout: Layout): Promise<void> {
  await checkQueue(layout)
  try {
    await fs.unlink(layout.downPath)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && !(await isMissing(layout.downPath)))
      throw downError(error, layout, 'take up')
  }
}

/** Asked apart: a file system that is mounted read-only refuses to remove even what is not there. */
async function isMissing(file: string): Promise<boolean> {
  return fs.lstat(file).then(
    () => false,
    (error: unknown) => codeOf(error) === 'ENOENT',
  )
}

/** Whether the file is there. */
export async function isQueueDown(layout: Layout): Promise<boolean> {
  await checkQueue(layout)
  try {
    await fs.lstat(layout.downPath)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw downError(error, layout, 'look at')
  }
}

/** A missing queue is an error of its own: it must not look like one that is up. */
export async function checkQueue(layout: Layout): Promise<void> {
  const waiting = placePath(layout, Place.queue)
  try {
    if ((await fs.lstat(waiting)).isDirectory()) return
  } catch (error) {
    const failure = failureOf(error, 'lstat', waiting)
    if (![ENOENT, ENOTDIR, ELOOP].includes(-failure.errno))
      throw fileSystemError(failure, `find the queue ${inspect(layout.name)}`)
    const isMissing = await fs.stat(layout.path).then(
      () => false,
      (cause: unknown) => codeOf(cause) !== 'ELOOP',
    )
    if (isMissing) throw queueMissing(layout, 'stat')
  }
  throw new NotAQueueError(`${layout.path} is not a queue: it has no directory of waiting items`, {
    path: waiting,
    advice: 'Put that back with the owner and mode of the others, or install the queue anew',
  })
}

async function openDown(layout: Layout, mode: number): Promise<{ file: fs.FileHandle; made: boolean }> {
  // O_NONBLOCK: if it is a FIFO, there is nobody to wait for.
  const flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK
  for (let attempt = 1; ; attempt++) {
    const made = await openOr('EEXIST', layout, flags | O_CREAT | O_EXCL, mode)
    if (made !== undefined) return { file: made, made: true }
    // Without O_CREAT: whoever makes it must know that it has, so as to remove it again.
    const found = await openOr(attempt < MOST_ATTEMPTS ? 'ENOENT' : '', layout, flags, mode)
    if (found !== undefined) return { file: found, made: false }
  }
}

/** The open file; `undefined`: it failed with the code. */
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
  // Its directory is gone: uninstalled just now.
  if (errno === -ENOENT) return queueMissing(layout, syscall)
  if (errno === -ENOTDIR) {
    return new NotAQueueError(`${layout.path} is not a queue, as it is not a directory`, {
      path: layout.path,
      advice: 'Move it out of the way and install the queue',
    })
  }
  return fileSystemError(failure, `${doing} the queue ${inspect(layout.name)}`)
}

function notPlain(layout: Layout): NotAQueueError {
  return new NotAQueueError(
    `${layout.downPath} is not a plain file of one name (a link, a directory or a device, perhaps planted)`,
    { path: layout.downPath, advice: 'Nothing was changed; remove it' },
  )
}
