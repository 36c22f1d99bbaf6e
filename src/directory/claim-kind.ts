/**
 * How the workers of a queue claim its items: by locks on them, or by renaming them into directories of their own (fsq standard, section
 * 11). A marker file in the queue says which.
 *
 * @module
 */
import fs from 'node:fs'
import { lstat } from 'node:fs/promises'
import path from 'node:path'

import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { FileCalls } from './calls.js'
import { RENAME_MARKER } from '../settings.js'
import { type Layout, shownName } from './layout.js'

/**
 * - `lock`: by a lock on the item, which stays in queue/.
 * - `rename`: by moving the item to a directory of the worker in claimed/.
 */
export type ClaimKind = 'lock' | 'rename'

export const CLAIM_KINDS: readonly ClaimKind[] = ['lock', 'rename']

/**
 * The contents of the guard: the down file of a queue with claims by renaming. Workers that do not know such queues scan no queue that is
 * down, so it must never be removed. A worker that finds no guard makes it again (native code, with the same text).
 */
export const GUARD_TEXT =
  'This queue is worked by renames (claims-rename): only fsq 0.2 and later may scan it. Take it down and up with fsq down and fsq up.\n'

/** The path of the marker of claims by renaming. */
export function renameMarkerPath(layout: Layout): string {
  return path.join(layout.path, RENAME_MARKER)
}

/** @throws A file system error. */
export async function claimKindOf(layout: Layout): Promise<ClaimKind> {
  try {
    await lstat(renameMarkerPath(layout))
    return 'rename'
  } catch (error) {
    return kindAfter(error, layout)
  }
}

/** {@link claimKindOf} by these calls. @throws A file system error. */
export async function claimKindBy(layout: Layout, calls: FileCalls): Promise<ClaimKind> {
  try {
    return (await calls.lstat(renameMarkerPath(layout))) === undefined ? 'lock' : 'rename'
  } catch (error) {
    return kindAfter(error, layout)
  }
}

/** {@link claimKindOf} for looks, which block the thread. */
export function claimKindSync(layout: Layout): ClaimKind {
  try {
    return fs.lstatSync(renameMarkerPath(layout), { throwIfNoEntry: false }) === undefined ? 'lock' : 'rename'
  } catch (error) {
    return kindAfter(error, layout)
  }
}

function kindAfter(error: unknown, layout: Layout): ClaimKind {
  if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return 'lock'
  const failure = failureOf(error, 'lstat', renameMarkerPath(layout))
  throw fileSystemError(failure, `find out how items of the ${shownName(layout)} are claimed`)
}

/** The file that stops the scans of a queue of this kind while it exists. */
export function downFileOf(layout: Layout, kind: ClaimKind): string {
  return kind === 'rename' ? layout.renameDownPath : layout.downPath
}

/** Whether the queue is down, or the queue whose host it is of. */
export function isDownSync(layout: Layout): boolean {
  const isOwnDown =
    fs.lstatSync(downFileOf(layout, claimKindSync(layout)), { throwIfNoEntry: false }) !== undefined
  return isOwnDown || (layout.parent !== undefined && isDownSync(layout.parent))
}
