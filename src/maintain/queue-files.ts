/**
 * The files and directories that a queue with claims by renaming has beside its items. They get the mode and the owner of the queue.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

import { Place, native } from '../addon/native.js'
import { GUARD_TEXT, renameMarkerPath } from '../directory/claim-kind.js'
import { WORKER_LOCK } from '../directory/claimed.js'
import { type Layout, placePath } from '../directory/layout.js'
import { codeOf } from '../errors/errno.js'
import { systemError } from '../errors/system-error.js'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } =
  constants
const { EINVAL, ENOSYS } = os.constants.errno
const FILE_MODE = 0o666
const MODE_BITS = 0o7777

/** Makes claimed/. Harmless if it exists. @throws As `node:fs`. */
export async function makeClaimed({ path: queue, claimedPath }: Layout): Promise<void> {
  await makeDirectory(claimedPath, await fs.stat(queue))
  await sync(queue)
}

/** Makes a directory. Harmless if it exists. @throws As `node:fs`. */
export async function makeDirectory(directory: string, like: Stats): Promise<void> {
  try {
    await fs.mkdir(directory, 0o700)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return
    throw error
  }
  const opened = await fs.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  try {
    await adorn(opened, like, like.mode & MODE_BITS)
  } finally {
    await opened.close()
  }
}

/** Makes the guard, or writes its text into the file that is there. @throws As `node:fs`. */
export async function makeGuard({ path: queue, downPath }: Layout): Promise<void> {
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK
  await makeFile(downPath, flags, GUARD_TEXT, await fs.stat(queue))
  await sync(queue)
}

/**
 * Makes the guard, whole at once, unless the queue has a down file.
 *
 * @returns Whether it has made the guard.
 * @throws As `node:fs`.
 */
export async function placeGuard(layout: Layout): Promise<boolean> {
  const draft = path.join(placePath(layout, Place.tmp), `guard-${randomUUID()}`)
  try {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK
    await makeFile(draft, flags, GUARD_TEXT, await fs.stat(layout.path))
    await moveWithoutReplacing(layout, draft, layout.downPath)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await fs.rm(draft, { force: true })
  }
  await sync(layout.path)
  return true
}

/** @throws As `node:fs`: EEXIST if there is a file. */
async function moveWithoutReplacing({ path: queue }: Layout, from: string, to: string): Promise<void> {
  const failure = await native.relocate(queue, path.relative(queue, from), path.relative(queue, to), true)
  if (failure === undefined || failure.moved) return
  // A link leaves the file with two names for a moment, and a down file with two may be a planted one.
  if ([EINVAL, ENOSYS].includes(-failure.errno)) await fs.link(from, to)
  else throw systemError(failure)
}

/** Takes the text of the guard out of the down file. @throws As `node:fs`. */
export async function makePlainDown({ path: queue, downPath }: Layout): Promise<void> {
  await makeFile(downPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, '', await fs.stat(queue))
}

/** Makes the marker: from now on, workers claim by renaming. @throws As `node:fs`. */
export async function makeRenameMarker(layout: Layout): Promise<void> {
  const flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK
  await makeFile(renameMarkerPath(layout), flags, '', await fs.stat(layout.path))
  await sync(layout.path)
}

/**
 * Makes the `.lock` of a worker's directory, blank.
 *
 * @returns The file, open for reading and writing.
 * @throws As `node:fs`.
 */
export async function makeWorkerLock(directory: string, like: Stats): Promise<fs.FileHandle> {
  const file = await fs.open(`${directory}/${WORKER_LOCK}`, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    await adorn(file, like, like.mode & FILE_MODE)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

async function makeFile(name: string, flags: number, text: string, like: Stats): Promise<void> {
  const file = await fs.open(name, flags, 0o600)
  try {
    if (text !== '') await file.writeFile(text)
    await adorn(file, like, like.mode & FILE_MODE)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A change of the owner clears bits of the mode, so the mode comes second. */
async function adorn(file: fs.FileHandle, { uid, gid }: Stats, mode: number): Promise<void> {
  try {
    // Not os.userInfo(), which fails for users without an entry in the list of users, as in many containers.
    await file.chown(process.geteuid?.() === 0 ? uid : -1, gid)
  } catch (error) {
    // Only root may give a file to another user. For others, the file stays theirs, and the workers can use it if its group or mode permits.
    if (codeOf(error) !== 'EPERM') throw error
  }
  await file.chmod(mode)
}

async function sync(directory: string): Promise<void> {
  const opened = await fs.open(directory, O_RDONLY | O_DIRECTORY)
  try {
    await opened.sync()
  } finally {
    await opened.close()
  }
}
