/**
 * Makes the workers of a queue claim items by renaming them instead of locking them.
 *
 *     locks, up ── down file ──> down ── idle ──> claimed/ ── guard ──> marker ──> renames, up
 *         ^                        │                (the down file becomes the guard; a queue that was down has its new down file before)
 *         └────── a worker ────────┘
 *
 * At each step the queue is either worked by locks, or down for workers that lock. A conversion that was cut short leaves it down, and the
 * next one completes it.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import { constants } from 'node:fs'
import { lstat, rm, rmdir } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

import { type LockKind, Place, native } from '../addon/native.js'
import type { FileCalls } from '../directory/calls.js'
import { claimKindOf } from '../directory/claim-kind.js'
import { makeDownFile } from '../directory/down.js'
import { type Layout, placePath } from '../directory/layout.js'
import { checkQueue } from '../directory/presence.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { FsqError, MountError } from '../errors/classes.js'
import { entriesOf, nameText } from '../inspect/entries.js'
import { isOfSystem } from '../inspect/queues.js'
import { Slices } from '../inspect/slices.js'
import { lockError } from '../lock/failure.js'
import { lockRequest } from '../lock/request.js'
import { MetaDirectory } from '../meta/directory.js'
import { knownWorkers } from '../meta/workers.js'
import { mountRefusals } from '../probe/mount-options.js'
import { setTimeout } from '../real-timers.js'
import { LOCK_MARKER, type Settings } from '../settings.js'
import { hasGuardText } from '../directory/down.js'
import { makeClaimed, makeGuard, makePlainDown, makeRenameMarker, placeGuard } from './queue-files.js'

/** A worker looks for the down file at least every 10 ms while it claims; the rest is for busy machines. */
const NOTICED_MS = 1000
/** How long a worker may take to finish what it holds. */
const PATIENCE_MS = 3000
const LOOK_MS = 200

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const { EAGAIN } = os.constants.errno

/** Whether workers of the queue lock items. @throws A file system error. */
export async function isConvertible(layout: Layout): Promise<boolean> {
  return (await claimKindOf(layout)) === 'lock'
}

/**
 * Converts a queue without workers to claims by renaming.
 *
 * @returns Why nothing was changed: a worker lives, or holds an item. `undefined`: the queue is converted.
 * @throws {@link QueueMissingError}, {@link NotAQueueError}, {@link MountError} or a file system error. The queue may be down then.
 */
export async function convertToRename(
  layout: Layout,
  settings: Settings,
  calls: FileCalls,
): Promise<string | undefined> {
  await checkQueue(layout)
  const reasons = await mountRefusals(layout.path)
  if (reasons.length > 0) throw new MountError(layout.path, reasons)
  try {
    const wasDown = await takeDown(layout, settings)
    const inode = await inodeOf(layout.downPath)
    const holder = await lastHolder(layout, settings, calls)
    if (holder !== undefined) {
      await takeBack(layout, wasDown)
      return `${holder}. End the workers of the queue, and try again`
    }
    await makeClaimed(layout)
    // A worker that has started since then may lock an item, and another would claim it by a rename.
    if (inode === undefined || (await inodeOf(layout.downPath)) !== inode) {
      await rm(layout.renameDownPath, { force: true })
      await rmdir(layout.claimedPath)
      return 'It was taken up meanwhile. Try again'
    }
    if (wasDown) await makeGuard(layout)
    await makeRenameMarker(layout)
    await rm(path.join(layout.path, LOCK_MARKER), { force: true })
    return undefined
  } catch (error) {
    if (error instanceof FsqError || !isOfSystem(error)) throw error
    throw fileSystemError(failureOf(error, 'open', layout.path), 'convert the queue')
  }
}

/**
 * Takes the queue down for the conversion, by the guard: a conversion that was cut short is known by its text, and a person who takes the
 * queue down meanwhile makes the new down file. So the guard must not be there without its text.
 *
 * @returns Whether it was down before. Then it has its new down file, and the old one is not the guard yet.
 */
async function takeDown(layout: Layout, settings: Settings): Promise<boolean> {
  const down = { ...layout, downPath: layout.renameDownPath }
  if (!(await isThere(down.downPath)) && ((await placeGuard(layout)) || (await hasGuardText(layout)))) {
    native.noteDown()
    return false
  }
  await makeDownFile(down, settings)
  await makeDownFile(layout, settings)
  return true
}

/** The queue is again as it was, and down if it has been taken down meanwhile. */
async function takeBack(layout: Layout, wasDown: boolean): Promise<void> {
  const isDown = await isThere(layout.renameDownPath)
  if (isDown && !wasDown) await makePlainDown(layout)
  await rm(isDown ? layout.renameDownPath : layout.downPath, { force: true })
}

/** Waits until workers have finished the items that they hold. @returns The worker that lives, or the item that is held; `undefined`: none. */
async function lastHolder(layout: Layout, settings: Settings, calls: FileCalls): Promise<string | undefined> {
  const end = performance.now() + NOTICED_MS + PATIENCE_MS
  await pause(NOTICED_MS)
  for (;;) {
    const holder = (await liveWorker(layout, settings, calls)) ?? (await lockedItem(layout, calls))
    if (holder === undefined || performance.now() >= end) return holder
    await pause(LOOK_MS)
  }
}

async function liveWorker(layout: Layout, settings: Settings, calls: FileCalls): Promise<string | undefined> {
  const [worker] = await knownWorkers(layout, settings, calls)
  return worker && `The worker ${worker.host ?? '?'}:${worker.pid ?? '?'} lives`
}

async function lockedItem(layout: Layout, calls: FileCalls): Promise<string | undefined> {
  const lockKind = await new MetaDirectory(layout).findLockKind(calls)
  const slices = new Slices(undefined, calls)
  for await (const { path: file, info } of entriesOf(placePath(layout, Place.queue), slices))
    if (info.isFile() && (await isLocked(file, lockKind, calls)))
      return `A worker holds the item ${nameText(file.toString('latin1'))}`
  return undefined
}

/** Tries a shared lock, for which a file that is open for reading is enough. */
async function isLocked(file: Buffer, kind: LockKind, calls: FileCalls): Promise<boolean> {
  let descriptor: number
  try {
    descriptor = await calls.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
  try {
    const errno = await calls.lock(descriptor, kind, true)
    if (errno === -EAGAIN) return true
    if (errno !== 0) throw lockError(lockRequest('convertToRename', descriptor, { kind }), errno, 'lock')
    return false
  } finally {
    await calls.close(descriptor)
  }
}

async function isThere(file: string): Promise<boolean> {
  return (await inodeOf(file)) !== undefined
}

async function inodeOf(file: string): Promise<number | undefined> {
  try {
    return (await lstat(file)).ino
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
