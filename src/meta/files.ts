/**
 * The system calls on files in meta/, each in one place, so that a test can fail or kill each of them. They are synchronous: the
 * files are small, and a worker must have written down an item before it runs it. All throw as `node:fs` does.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'

import { type LockKind, isFailure, native } from '../addon/native.js'
import { LockOperation, packLock } from '../addon/packing.js'
import { codeOf } from '../errors/errno.js'
import { systemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants
const { EAGAIN } = os.constants.errno

// In a queue that a group may write to, a planted link or FIFO must neither lead elsewhere nor block.
export const SAFELY = O_NOFOLLOW | O_NONBLOCK

/** Where the limit of open files permits; a table of descriptors with a thousand entries takes 8 KiB. */
const HIGH_DESCRIPTORS = [1000, 200]

export type FilePath = string | Buffer

/** The user and group of a file; -1: unchanged. */
export interface FileOwner {
  readonly user: number
  readonly group: number
}

/** Makes a directory, and sets its mode and owner in spite of the umask. */
export function makeDirectory(path: string, mode: number, owner: FileOwner): void {
  fs.mkdirSync(path, mode & 0o777)
  const descriptor = fs.openSync(path, O_RDONLY | O_DIRECTORY | SAFELY)
  try {
    adorn(descriptor, mode, owner)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Makes a file that must not exist, and sets its mode and owner in spite of the umask. */
export function makeFile(path: FilePath, mode: number, owner: FileOwner): number {
  return adorned(fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | SAFELY, mode), mode, owner)
}

/** Makes a file, or empties the one that exists. */
export function makeFileAnew(path: FilePath, mode: number, owner: FileOwner): number {
  return adorned(fs.openSync(path, O_RDWR | O_CREAT | O_TRUNC | SAFELY, mode), mode, owner)
}

/** Opens a file that exists. */
export function openFile(path: FilePath, access: 'read' | 'write'): number {
  return fs.openSync(path, (access === 'read' ? O_RDONLY : O_RDWR) | SAFELY)
}

/** Closes a file that one of these functions has opened. */
export function closeFile(descriptor: number): void {
  if (!native.closeDescriptor(descriptor)) fs.closeSync(descriptor)
}

/** Writes at a position. A write that is cut short by a full disk throws at its second call. */
export function writeAt(descriptor: number, bytes: Buffer, start: number, end: number): void {
  let at = start
  while (at < end) at += fs.writeSync(descriptor, bytes, at, end - at, at)
}

/** Writes at the current position, in one call unless the disk is full. */
export function append(descriptor: number, bytes: Buffer): void {
  let at = 0
  while (at < bytes.length) at += fs.writeSync(descriptor, bytes, at, bytes.length - at, null)
}

export { readAll } from '../directory/calls.js'

export function infoOf(descriptor: number): fs.Stats {
  return fs.fstatSync(descriptor)
}

/** `undefined`: there is no such file. Does not follow links. */
export function infoAt(path: FilePath): fs.Stats | undefined {
  return fs.lstatSync(path, { throwIfNoEntry: false })
}

/** When a file or directory was last modified, in milliseconds since the epoch; `undefined`: nothing has the path. */
export function modifiedAt(path: RawName): number | undefined {
  const time = native.modifiedAt(path)
  if (isFailure(time)) throw systemError(time)
  return time
}

/** Whether a path leads to the file that is open. */
export function isAt(path: FilePath, descriptor: number): boolean {
  const named = infoAt(path)
  if (named === undefined) return false
  const { dev, ino } = infoOf(descriptor)
  return named.dev === dev && named.ino === ino
}

/** The names in a directory, byte for byte; none if there is no such directory. */
export function namesAt(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory, 'latin1')
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Whether a directory has a file. False if there is no such directory. */
export function hasNames(directory: string): boolean {
  let opened: fs.Dir
  try {
    opened = fs.opendirSync(directory, { encoding: 'latin1', bufferSize: 1 })
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
  try {
    return opened.readSync() !== null
  } finally {
    opened.closeSync()
  }
}

export function rename(from: FilePath, to: FilePath): void {
  fs.renameSync(from, to)
}

/** Removes a file, if there is one. */
export function removeFile(path: FilePath): void {
  try {
    fs.unlinkSync(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** Whether a call failed because its path leads nowhere. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT'
}

/** Whether a call failed because the file exists. */
export function isTaken(error: unknown): boolean {
  return codeOf(error) === 'EEXIST'
}

/**
 * Tries to lock an open file; closing it unlocks it.
 *
 * @param kind - A lock of kind `fcntl` needs a file that is open for writing, unless it is shared.
 * @returns Whether it is locked. If not, another holder has the lock.
 */
export function tryLock(descriptor: number, kind: LockKind, shared = false): boolean {
  const operation = LockOperation[kind] | (shared ? 0 : LockOperation.exclusive)
  const errno = native.lockDescriptor(packLock(descriptor, operation)) ?? 0
  if (errno === 0) return true
  if (errno === -EAGAIN) return false
  throw systemError({ errno, syscall: kind })
}

/**
 * Moves an open file to a descriptor above those of items, if there is room. Linux closes the highest descriptors of a process that dies
 * first, so the lock on this file is free before those on items.
 *
 * @returns The descriptor, which takes the place of the other one.
 */
export function raised(descriptor: number): number {
  // The node:fs of Deno writes only to descriptors that it has opened itself.
  if ('deno' in process.versions) return descriptor
  for (const least of HIGH_DESCRIPTORS) {
    const higher = native.raiseDescriptor(descriptor, least)
    if (isFailure(higher)) continue
    fs.closeSync(descriptor)
    return higher
  }
  return descriptor
}

/** Closes the descriptor if that fails. */
function adorned(descriptor: number, mode: number, owner: FileOwner): number {
  try {
    adorn(descriptor, mode, owner)
    return descriptor
  } catch (error) {
    fs.closeSync(descriptor)
    throw error
  }
}

function adorn(descriptor: number, mode: number, { user, group }: FileOwner): void {
  const info = fs.fstatSync(descriptor)
  const wanted = { user: user === -1 ? info.uid : user, group: group === -1 ? info.gid : group }
  // A change of owner clears the setgid bit, so the mode comes second.
  if (wanted.user !== info.uid || wanted.group !== info.gid) changeOwner(descriptor, wanted)
  if ((info.mode & 0o7777) !== mode) fs.fchmodSync(descriptor, mode)
}

/** Only root gives files away. Others keep the file, which is usable if its group or the mode permits. */
function changeOwner(descriptor: number, { user, group }: FileOwner): void {
  try {
    fs.fchownSync(descriptor, user, group)
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error
  }
}
