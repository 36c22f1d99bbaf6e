/**
 * The logs of items (fsq standard, section 10): JSON lines, one a failed attempt, and one a death of a worker that had the item in
 * hand (a crash mark).
 *
 * A line is appended by one write(2) under the lock of the file. Above 64 KiB, the newest half of the file replaces it. A line that a
 * full disk or a crash has cut short is skipped by readers, and the next line begins after it.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import os from 'node:os'

import { type LockKind, type LogResult, isFailure, native } from '../addon/native.js'
import { LockOperation, type LogForm } from '../addon/packing.js'
import type { Layout } from '../directory/layout.js'
import { systemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'
import { type MetaAccess, type MetaDirectory, ifThere } from './directory.js'
import {
  append,
  closeFile,
  infoAt,
  infoOf,
  isAt,
  isTaken,
  makeFile,
  makeFileAnew,
  namesAt,
  openFile,
  readAll,
  removeFile,
  rename,
  tryLock,
} from './files.js'
import { crashedPath, hiddenName, isHidden, logPath, partPath, rawLogPath } from './layout.js'

export const MOST_BYTES = 64 * 1024
const NEWLINE = 0x0a
const { ENOENT } = os.constants.errno

/** What is kept of an error. */
export interface LoggedError {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly stack?: string
}

/** An attempt that has failed. */
export interface FailedLine {
  readonly at: string
  readonly try: number
  readonly ms: number
  readonly host: string
  readonly pid: number
  readonly id: string
  readonly error: LoggedError
  /** When the item is tried again. */
  readonly due?: string | undefined
  /** Why it is not tried again. */
  readonly reason?: string | undefined
}

/** A worker has died with the item in hand. */
export interface CrashLine {
  readonly at: string
  readonly crashed: true
  /** How many items the worker had in hand that had not been finished. */
  readonly together: number
  readonly try: number
  /** Where the worker ran. */
  readonly host: string
  readonly pid: number
  readonly id: string
  /** The name of the worker's file and when it took the item in hand: the same in no two marks. */
  readonly worker: string
  readonly since: string
}

/** The marks so far no longer count. */
export interface RedrivenLine {
  readonly at: string
  readonly redriven: true
}

export type LogLine = FailedLine | CrashLine | RedrivenLine

/**
 * Appends a line to the log of an item.
 *
 * @throws As `node:fs`. The log then has the line, a part of it, or nothing of it.
 */
export function appendLine(meta: MetaDirectory, key: RawName, line: LogLine): void {
  const { lockKind, access } = meta
  const [lock, mode, user, group] = logForm(lockKind, access)
  const append = (): LogResult =>
    native.appendLogSync(rawLogPath(meta.layout, key), textOf(line), lock, mode, user, group)
  let appended = append()
  if (isFailure(appended) && appended.errno === -ENOENT) {
    meta.make('log', access)
    appended = append()
  }
  if (isFailure(appended)) throw systemError(appended)
  trimIfLong(meta, key, appended)
}

/**
 * Appends a crash mark to the log of an item, and makes the file that tells of it. That comes first: a burial that is cut short is done
 * again, and the file without the mark does no harm.
 *
 * @throws As `node:fs`.
 */
export function appendMark(meta: MetaDirectory, key: RawName, line: CrashLine): void {
  const { access } = meta
  meta.make('crashed', access)
  try {
    closeFile(makeFile(crashedPath(meta.layout, key), access.fileMode, access.owner))
  } catch (error) {
    if (!isTaken(error)) throw error
  }
  appendLine(meta, key, line)
}

/** A line as it stands in a log. */
export function textOf(line: LogLine): string {
  return `${JSON.stringify(line)}\n`
}

/** How a log is locked and made, as native code takes it. */
export function logForm(lockKind: LockKind, { fileMode, owner }: MetaAccess): LogForm {
  return [LockOperation[lockKind], fileMode, owner.user, owner.group, MOST_BYTES]
}

/**
 * Replaces a log that has grown too long by its newest half.
 *
 * @param size - Its size after the last line.
 * @throws As `node:fs`.
 */
export function trimIfLong(meta: MetaDirectory, key: RawName, size: number): void {
  if (size <= MOST_BYTES) return
  const path = logPath(meta.layout, key)
  const descriptor = ifThere(() => openFile(path, 'write'))
  if (descriptor === undefined) return
  try {
    // Another process that has the lock appends or trims; the next line that is appended tries again.
    if (!tryLock(descriptor, meta.lockKind) || !isAt(path, descriptor)) return
    if (infoOf(descriptor).size > MOST_BYTES) trim(meta, key, readAll(descriptor))
  } finally {
    closeFile(descriptor)
  }
}

/** The lines of the log of an item, the oldest first; none if it has no log. @throws As `node:fs`. */
export function readLog(layout: Layout, key: RawName): readonly LogLine[] {
  const path = logPath(layout, key)
  // Most items have none, and an error would cost more than a look.
  if (infoAt(path) === undefined) return []
  const descriptor = ifThere(() => openFile(path, 'read'))
  if (descriptor === undefined) return []
  try {
    return parseLog(readAll(descriptor))
  } finally {
    closeFile(descriptor)
  }
}

/** Removes the log of an item, if it has one. @throws As `node:fs`. */
export function removeLog(layout: Layout, key: RawName): void {
  removeFile(logPath(layout, key))
  removeFile(crashedPath(layout, key))
}

/** From now on, the marks that an item has do not count. Without effect if it has no log. @throws As `node:fs`. */
export function forgetMarks(meta: MetaDirectory, key: RawName): void {
  if (infoAt(logPath(meta.layout, key)) === undefined) return
  appendLine(meta, key, { at: new Date().toISOString(), redriven: true })
  removeFile(crashedPath(meta.layout, key))
}

/** The keys of the items that have logs. @throws As `node:fs`. */
export function loggedKeys(layout: Layout): readonly RawName[] {
  return namesAt(partPath(layout, 'log')).filter((name) => !isReplacement(layout, name))
}

/** Reads a log, and skips lines that were cut short and marks that come twice. Pure. */
export function parseLog(bytes: Buffer): readonly LogLine[] {
  const lines: LogLine[] = []
  const marks = new Set<string>()
  for (const text of bytes.toString('utf8').split('\n')) {
    const line = parseLine(text)
    if (line === undefined) continue
    if ('crashed' in line) {
      // A burial that was killed is done again, by another process.
      const mark = `${line.worker} ${line.since} ${line.id}`
      if (marks.has(mark)) continue
      marks.add(mark)
    }
    lines.push(line)
  }
  return lines
}

/** The newest lines that take at most half of the room. The last line stays, however long it is. Pure. */
export function newestHalf(bytes: Buffer): Buffer {
  const half = bytes.length - MOST_BYTES / 2
  const lastLine = bytes.subarray(0, -1).lastIndexOf(NEWLINE) + 1
  const next = bytes.indexOf(NEWLINE, half) + 1
  return bytes.subarray(next === 0 ? lastLine : Math.min(next, lastLine))
}

/** Replaces a log by its newest half. The caller holds its lock. */
function trim(meta: MetaDirectory, key: RawName, bytes: Buffer): void {
  const hidden = logPath(meta.layout, hiddenName(key))
  const { access } = meta
  const descriptor = makeFileAnew(hidden, access.fileMode, access.owner)
  try {
    append(descriptor, newestHalf(bytes))
    rename(hidden, logPath(meta.layout, key))
  } catch (error) {
    removeFile(hidden)
    throw error
  } finally {
    closeFile(descriptor)
  }
}

/** Whether a file is a replacement that was cut short. The name of an item begins with `.`, too, if that is its delimiter. */
function isReplacement(layout: Layout, name: RawName): boolean {
  return isHidden(name) && infoAt(logPath(layout, name.slice(1))) !== undefined
}

function parseLine(text: string): LogLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isLogLine(value) ? value : undefined
}

function isLogLine(value: unknown): value is LogLine {
  if (typeof value !== 'object' || value === null) return false
  const line = value as Readonly<Record<string, unknown>>
  if (typeof line['at'] !== 'string' || Number.isNaN(Date.parse(line['at']))) return false
  if (line['redriven'] === true) return true
  const isNamed =
    typeof line['id'] === 'string' && typeof line['host'] === 'string' && typeof line['pid'] === 'number'
  if (line['crashed'] === true)
    return (
      isNamed &&
      typeof line['together'] === 'number' &&
      typeof line['worker'] === 'string' &&
      typeof line['since'] === 'string'
    )
  const { error } = line
  return isNamed && typeof error === 'object' && error !== null && 'message' in error
}
