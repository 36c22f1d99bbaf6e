/**
 * The names in received/, the directory of what receivers keep (fsq standard, section 13).
 *
 * @module
 */

import path from 'node:path'

import { RECEIVED_DIRECTORY } from '../settings.js'
import type { Layout } from './layout.js'

/** In the directory of a receiver: the items that are not in queue/ yet. */
export const STAGED_DIRECTORY = 'staged'
/** In the directory of a receiver: the file that the receiver locks. */
export const RECEIVER_LOCK = 'lock'
/** In the directory of receivers that share it: the file that one of them locks while it decides about items. */
export const RECEIVER_TURN = 'turn'

/** Whether a name can be that of a source: it names a directory in received/. */
export function isSourceName(name: unknown): name is string {
  return typeof name === 'string' && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name)
}

const SEGMENT_NAME = /^ledger-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{3})Z$/

/** Whether a file in the directory of a receiver is a segment of its ledger. */
export function isSegmentName(name: string): boolean {
  return SEGMENT_NAME.test(name)
}

/** The name of a segment that begins at a time, in milliseconds since the epoch. Names sort as times. */
export function segmentName(time: number): string {
  return `ledger-${new Date(time).toISOString().replace(/[-:]/g, '')}`
}

/** The time in the name of a segment. */
export function segmentTime(name: string): number {
  const [, ...parts] = SEGMENT_NAME.exec(name) ?? []
  const [year = 0, month = 1, day, hour, minute, second, ms] = parts.map(Number)
  return Date.UTC(year, month - 1, day, hour, minute, second, ms)
}

/** The path of received/. */
export function receivedPath(layout: Layout): string {
  return path.join(layout.path, RECEIVED_DIRECTORY)
}
