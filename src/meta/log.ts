/**
 * The logs of items (fsq standard, section 10): JSON lines, one a failed attempt, and one a death of a worker that had the item in
 * hand (a crash mark).
 *
 * A line is appended by one write(2) under the lock of the file. Above 64 KiB, the newest half of the file replaces it. A line that a
 * full disk or a crash has cut short is skipped by readers, and the next line begins after it.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'
import { type MetaDirectory, ifThere } from './directory.js'
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
  openToAppend,
  readAll,
  removeFile,
  rename,
  tryLock,
} from './files.js'
import { hiddenName, isHidden, logPath, partPath } from './layout.js'

const MOST_BYTES = 64 * 1024
const NEWLINE = 0x0a
const LOCK_ATTEMPTS = 20
const LOCK_PAUSE_MS = 1
// A log that another process replaces each time it is opened would be a wonder.
const MOST_REOPENINGS = 10

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
  readonly due?: string
  /** Why it is not tried again. */
  readonly reason?: string
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
  const path = logPath(meta.layout, key)
  const descriptor = openLocked(meta, path)
  try {
    const { size } = infoOf(descriptor)
    const isTorn = size > 0 && readAll(descriptor, size - 1)[0] !== NEWLINE
    append(descriptor, Buffer.from(`${isTorn ? '\n' : ''}${JSON.stringify(line)}\n`))
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
}

/** From now on, the marks that an item has do not count. Without effect if it has no log. @throws As `node:fs`. */
export function forgetMarks(meta: MetaDirectory, key: RawName): void {
  if (infoAt(logPath(meta.layout, key)) === undefined) return
  appendLine(meta, key, { at: new Date().toISOString(), redriven: true })
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

/** Opens and locks a log, and makes it if there is none. */
function openLocked(meta: MetaDirectory, path: Buffer): number {
  const { lockKind } = meta
  for (let reopening = 0; ; reopening++) {
    const descriptor = openOrMake(meta, path)
    try {
      for (let attempt = 0; attempt < LOCK_ATTEMPTS && !tryLock(descriptor, lockKind); attempt++) pause()
      // Without the lock, too: a line that is appended beside a replacement may be lost, and one that is not appended is.
      if (reopening === MOST_REOPENINGS || isAt(path, descriptor)) return descriptor
    } catch (error) {
      closeFile(descriptor)
      throw error
    }
    // Another process has replaced or removed it between our open and our lock.
    closeFile(descriptor)
  }
}

function openOrMake(meta: MetaDirectory, path: Buffer): number {
  for (let attempt = 0; ; attempt++) {
    const opened = ifThere(() => openToAppend(path))
    if (opened !== undefined) return opened
    const { access } = meta
    meta.make('log', access)
    try {
      closeFile(makeFile(path, access.fileMode, access.owner))
    } catch (error) {
      if (!isTaken(error) || attempt === MOST_REOPENINGS) throw error
    }
  }
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

/** The lock of a log is held for one write; asleep, this thread does not keep its holder from a processor. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS)
}
