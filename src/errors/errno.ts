/**
 * What error numbers are: their codes, what they say, and what to do about each.
 *
 * @module
 */
import os from 'node:os'
import { getSystemErrorMap, inspect } from 'node:util'

/** What a failed system call leaves behind: what native code reports instead of throwing. */
export interface Failure {
  /** The error number, negative as Node has it: -2 for ENOENT. */
  readonly errno: number
  /** The system call that failed, as 'openat'. */
  readonly syscall: string
  /** What it was called on. */
  readonly path?: string
  /** Where it was to go, for calls on two paths. */
  readonly dest?: string
}

/** A system error in Node's own shape; `dest` is what Node's types forget. */
export type SystemError = NodeJS.ErrnoException & { dest?: string }

// Errors that libuv has no name for, so that Node does not know them either.
const UNKNOWN_TO_NODE: Readonly<Record<string, string>> = {
  EDQUOT: 'disk quota exceeded',
  ESTALE: 'stale file handle',
}

const NO_ADVICE = 'The man page of the system call tells what the error means'

const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Give the user of this process read, write and search permission for it',
  EPERM: 'Only its owner or root may do this; run as one of them, or change its owner',
  EROFS: 'Mount the file system for writing, or put FSQ_ROOT on one that is',
  ENOSPC: 'Make room (also of inodes: see df -i), for example in done/ and fail/, and try again',
  EDQUOT: 'Make room, for example in done/ and fail/, or have the quota raised, and try again',
  EMFILE: 'Hold fewer items and files at a time, or raise the limit (ulimit -n)',
  ENFILE: 'The whole system has too many open files; raise fs.file-max or close some',
  EXDEV:
    'Parts of the queue are on separate mounts (Docker volumes?): mount the whole queue, or FSQ_ROOT, as one',
  ENOENT:
    'Check that it exists. Where a queue has lost a directory, make it again, with the owner and mode of the others',
  ENOTDIR: 'Something on the path is not a directory; move it out of the way',
  EEXIST: 'Something is there already; move it out of the way',
  ELOOP: 'Symbolic links are not followed here; put the real file or directory in its place',
  ENAMETOOLONG: 'Use a shorter name or path',
  EBUSY: 'It is in use, for example as a mount point; mount FSQ_ROOT instead',
  EIO: 'The device reports errors: look into the log of the kernel before going on',
  ESTALE: 'What was open is no longer what the path names; open the queue anew',
  EFBIG: 'The file would be larger than the file system or the limits (ulimit -f) allow',
  ENOTSUP: 'This file system cannot do it; put the queue on a local one',
  ENOLCK:
    'The system has no room for more locks, or this file system has no such ones: hold fewer items, or put the queue on a local one',
  ENOSYS: 'This kernel, or the sandbox of this process, does not offer the call',
  EINVAL: 'This file system may not offer the call; try a queue on another one',
}

/** The code of an error number, as ENOENT, and what it says. */
export function describeErrno(errno: number): readonly [code: string, text: string] {
  const known = getSystemErrorMap().get(errno)
  if (known !== undefined) return known
  for (const [code, number] of Object.entries(os.constants.errno)) {
    if (number === -errno) return [code, UNKNOWN_TO_NODE[code] ?? 'unknown error']
  }
  return [`Unknown system error ${errno}`, 'unknown error']
}

/** What to do about an error number, where a call does not mean something else by it than others do. */
export function adviceOn(errno: number): string {
  const [code] = describeErrno(errno)
  return ADVICE[code] ?? NO_ADVICE
}

/** As Node's error shows them, but a name with control characters in it, which a producer can have chosen, cannot write to a terminal. */
export function describePaths({ path, dest }: Pick<SystemError, 'path' | 'dest'>): string {
  const from = path === undefined ? '' : ` ${inspect(path)}`
  const to = dest === undefined ? '' : ` -> ${inspect(dest)}`
  return from + to
}

function failed(error: unknown): Partial<SystemError> {
  // Not instanceof: it may be of another realm.
  return typeof error === 'object' && error !== null ? error : {}
}

/** The negative error number of what a call of `node:fs` has thrown; 0: it has none. */
export function errnoOf(error: unknown): number {
  return failed(error).errno ?? 0
}

/** The code of what a call of Node has thrown, as ENOENT, if it has one. */
export function codeOf(error: unknown): string | undefined {
  return failed(error).code
}

/**
 * The failure that a call of `node:fs` has thrown.
 *
 * @param error - What it has thrown.
 * @param syscall - The system call, where the error does not tell.
 * @param path - What it was called on.
 */
export function failureOf(error: unknown, syscall: string, path: string): Failure {
  const { errno = 0, syscall: told = syscall } = failed(error)
  return { errno, syscall: told, path }
}
