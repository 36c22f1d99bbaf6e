/**
 * The errors for lock calls that fail.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'

import {
  FileSystemError,
  type FsqError,
  NotLockableError,
  PermissionError,
  ReadOnlyError,
} from '../errors/classes.js'
import { type ErrnoMeaning, fileSystemError } from '../errors/system-error.js'
import { about, type LockRequest, describeTarget } from './request.js'

const { EACCES, EBADF, EINVAL, EISDIR, ELOOP, ENOENT, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM, EROFS } =
  os.constants.errno

const NEEDS_WRITING =
  "An exclusive lock of kind 'fcntl' needs a file that is open for writing: let this user write to it, or use " +
  "shared: true or kind: 'flock'"

/** The error for a lock call that failed. `doing` is 'lock', 'unlock', 'upgrade' or 'downgrade'. */
export function lockError(
  request: LockRequest,
  errno: number,
  doing: string,
  syscall: string = request.kind,
): FsqError {
  const failure = { errno, syscall, ...about(request) }
  return fileSystemError(failure, `${doing} ${describeTarget(request)}`, meaningOf(request, errno, syscall))
}

/** The error for a path that names something that cannot be locked. */
export function notLockable(request: LockRequest): NotLockableError {
  return new NotLockableError(
    `Cannot lock ${describeTarget(request)}: it is neither a regular file nor a directory, and was not opened`,
    { ...about(request), advice: 'Lock a file beside it' },
  )
}

function meaningOf(request: LockRequest, errno: number, syscall: string): ErrnoMeaning | undefined {
  const { kind, path, create, shared } = request
  const isWriting = kind === 'fcntl' && !shared && syscall === 'open'
  switch (-errno) {
    case EBADF:
      return path === undefined ? badDescriptor(request) : closedByAnother()
    case EISDIR:
      return [NotLockableError, `An exclusive lock on a directory is of kind 'flock'`]
    case EACCES:
    case EPERM:
      return isWriting ? [PermissionError, NEEDS_WRITING] : undefined
    case EROFS:
      return isWriting ? [ReadOnlyError, NEEDS_WRITING] : undefined
    case ENOENT:
      return [
        FileSystemError,
        create ? 'Make the directory for it' : 'Make it, or call without create: false, which makes it',
      ]
    case ELOOP:
      return [FileSystemError, 'Symbolic links on the path lead in a circle; correct them']
    case ENOLCK:
      return [
        NotLockableError,
        'The system has no room for more locks, or the file server keeps none: hold fewer, or lock a local file',
      ]
    case EINVAL:
    case ENOSYS:
    case ENOTSUP:
    case EOPNOTSUPP: {
      const other = kind === 'flock' ? 'fcntl' : 'flock'
      return [
        NotLockableError,
        `This file system, or this kernel, has no such locks: use kind: '${other}', or lock a file on a local file system`,
      ]
    }
    default:
      return undefined
  }
}

/** EBADF also means that the descriptor is open, but not in the mode that the lock needs. */
function badDescriptor({ descriptor, kind, shared }: LockRequest): ErrnoMeaning {
  try {
    fs.fstatSync(descriptor)
  } catch {
    return [
      FileSystemError,
      'The descriptor is not open (any more). If other code closed it, its number may soon belong to another file',
    ]
  }
  const [mode, flags] = shared ? ['reading', 'r'] : ['writing', 'r+']
  const of = kind === 'flock' ? '(on NFS) ' : ''
  return [
    NotLockableError,
    `The descriptor is open, but not for ${mode}, which a lock of this kind ${of}needs: open the file with '${flags}'`,
  ]
}

function closedByAnother(): ErrnoMeaning {
  return [
    FileSystemError,
    'Other code closed its descriptor (perhaps a stream with autoClose), and the lock ended with that',
  ]
}
