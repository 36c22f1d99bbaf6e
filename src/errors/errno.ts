/**
 * Error numbers: their codes, their texts, and what to do about each.
 *
 * @module
 */
import os from 'node:os'
import process from 'node:process'
import { getSystemErrorMap, inspect } from 'node:util'

/** A failed system call, which native code returns instead of throwing. */
export interface Failure {
  /** The error number, negative as in Node: -2 for ENOENT. */
  readonly errno: number
  /** The name of the system call, such as 'openat'. */
  readonly syscall: string
  /** The path of the call. */
  readonly path?: string
  /** The target path, for calls on two paths. */
  readonly dest?: string
}

/** A system error in the shape of Node's; Node's types lack `dest`. */
export type SystemError = NodeJS.ErrnoException & { dest?: string }

// Errors that libuv, and therefore Node, has no name for.
const UNKNOWN_TO_NODE: Readonly<Record<string, string>> = {
  EDQUOT: 'disk quota exceeded',
  ESTALE: 'stale file handle',
}

const DENIED = -os.constants.errno.EACCES
const UNDER_PERMISSION =
  'Node runs with --permission: allow it to read and write the queue (--allow-fs-read, --allow-fs-write). It then still forbids some calls: leave them to the command fsq (docs/platforms.md)'

const NO_ADVICE = 'The man page of the system call explains the error'

const ADVICE: Readonly<Record<string, string>> = {
  EACCES:
    'Run as the owner of this path or as a member of its group; or give the user of this process read, write and search permission for it and the directories above it',
  EPERM: 'Only its owner or root may do this; run as one of them, or change its owner',
  EROFS: 'Mount the file system for writing, or put FSQ_ROOT on one that is',
  ENOSPC: 'Make room (inodes, too: see df -i), for example in done/ and fail/, and try again',
  EDQUOT: 'Make room, for example in done/ and fail/, or have the quota raised, and try again',
  EMFILE: 'Hold fewer items and files at a time, or raise the limit (ulimit -n)',
  ENFILE: 'The whole system has too many open files; raise fs.file-max or close some',
  EXDEV:
    'Parts of the queue are on separate mounts (Docker volumes?): mount the whole queue, or FSQ_ROOT, as one',
  ENOENT:
    'Check that it exists. Where a queue has lost a directory, create it again with the owner and mode of the others',
  ENOTDIR: 'A part of the path is not a directory; correct the path (FSQ_ROOT), or move that file away',
  EEXIST: 'Something is there already; move it out of the way',
  ELOOP: 'Symbolic links are not followed here; put the real file or directory in its place',
  ENAMETOOLONG: 'Use a shorter name or path',
  EBUSY: 'It is in use, for example as a mount point; mount FSQ_ROOT instead',
  EIO: 'The device reports errors: check the kernel log before you continue',
  ESTALE: 'The path no longer names the directory that is open; open the queue again',
  EFBIG: 'The file would be larger than the file system or the limits (ulimit -f) allow',
  ENOTSUP: 'This file system cannot do it; put the queue on a local one',
  ENOLCK:
    'The system has no room for more locks, or this file system does not support this kind: hold fewer items, or put the queue on a local one',
  ENOSYS: 'This kernel, or the sandbox of this process, does not offer the call',
  EINVAL: 'This file system may not offer the call; try a queue on another one',
}

/** The code of an error number, such as ENOENT, and its text. */
export function describeErrno(errno: number): readonly [code: string, text: string] {
  const known = getSystemErrorMap().get(errno)
  if (known !== undefined) return known
  for (const [code, number] of Object.entries(os.constants.errno)) {
    if (number === -errno) return [code, UNKNOWN_TO_NODE[code] ?? 'unknown error']
  }
  return [`Unknown system error ${errno}`, 'unknown error']
}

/** What to do about an error number, unless the call gives it a meaning of its own. */
export function adviceOn(errno: number): string {
  if (errno === DENIED && (process as Partial<typeof process>).permission !== undefined)
    return UNDER_PERMISSION
  const [code] = describeErrno(errno)
  return ADVICE[code] ?? NO_ADVICE
}

/**
 * Shows paths like Node's error does, but escaped: a producer can choose a name with control characters, which must
 * not reach a terminal.
 */
export function describePaths({ path, dest }: Pick<SystemError, 'path' | 'dest'>): string {
  const from = path === undefined ? '' : ` ${inspect(path)}`
  const to = dest === undefined ? '' : ` -> ${inspect(dest)}`
  return from + to
}

function failed(error: unknown): Partial<SystemError> {
  // Not instanceof: the error may come from another realm.
  return typeof error === 'object' && error !== null ? error : {}
}

/** The negative error number of an error from `node:fs`; 0 if it has none. With `--permission`, Node refuses calls without one. */
export function errnoOf(error: unknown): number {
  const { errno, code } = failed(error)
  return errno ?? (code === 'ERR_ACCESS_DENIED' ? DENIED : 0)
}

/** The code of an error from Node, such as ENOENT, if it has one. */
export function codeOf(error: unknown): string | undefined {
  return failed(error).code
}

/**
 * Converts an error from `node:fs`.
 *
 * @param error - The error that was thrown.
 * @param syscall - The system call, if the error has none.
 * @param path - The path of the call.
 */
export function failureOf(error: unknown, syscall: string, path: string): Failure {
  return { errno: errnoOf(error), syscall: failed(error).syscall ?? syscall, path }
}
