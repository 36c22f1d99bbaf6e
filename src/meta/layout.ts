/**
 * The parts of meta/, in which workers write beside the items (fsq standard, section 10).
 *
 *     meta/workers/HOST.PID.N    what one worker has in hand (worker-lines.ts)
 *     meta/log/KEY               why the attempts of one item have failed, and which workers died with it (log.ts)
 *     meta/crashed/KEY           empty: the log of the item has crash marks that count
 *
 * KEY is the name of an item without its tries, byte for byte, so it is never longer than the name of a file may be. A name in
 * workers/ that begins with `.` is being made, and is never read.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import path from 'node:path'

import { type Layout, placePath } from '../directory/layout.js'
import { Place } from '../addon/native.js'
import { type RawName, toRaw, bytePath } from '../name/charset.js'
import { META_DIRECTORY } from '../settings.js'

/** A directory in meta/. */
export type MetaPart = 'workers' | 'log' | 'crashed'

export const META_PARTS: readonly MetaPart[] = ['workers', 'log', 'crashed']

const LONGEST_HOST = 64

/** The path of meta/. */
export function metaPath(layout: Layout): string {
  return path.join(layout.path, META_DIRECTORY)
}

/** The path of a directory in meta/. */
export function partPath(layout: Layout, part: MetaPart): string {
  return path.join(layout.path, META_DIRECTORY, part)
}

/** The path of the log of an item. */
export function logPath(layout: Layout, key: RawName): Buffer {
  return bytePath(partPath(layout, 'log'), key)
}

/** {@link logPath}, as native code takes it. */
export function rawLogPath(layout: Layout, key: RawName): RawName {
  return `${toRaw(partPath(layout, 'log'), 'utf8')}/${key}`
}

/** The path of the file that says that an item has crash marks. */
export function crashedPath(layout: Layout, key: RawName): Buffer {
  return bytePath(partPath(layout, 'crashed'), key)
}

/** The path that an item has while it waits. */
export function waitingPath(layout: Layout, id: RawName): Buffer {
  return bytePath(placePath(layout, Place.queue), id)
}

/** The name of the file of a worker. `number` tells the workers of one process apart. */
export function workerFileName(host: string, pid: number, number: number): string {
  return `${safeHost(host)}.${pid}.${number}`
}

/** The name of the file while it is made. */
export function hiddenName(name: string): string {
  return `.${name}`
}

/** Whether a name is that of a worker's file, made or being made. */
export function isWorkerFileName(name: string): boolean {
  return /^.+\.[0-9]+\.[0-9]+$/.test(name)
}

/** Whether a name is that of a file that is being made. */
export function isHidden(name: string): boolean {
  return name.startsWith('.')
}

/** The host in the names of files: never a path, never hidden, and bounded. */
function safeHost(host: string): string {
  const safe = host.replace(/[^\w.-]/g, '_').replace(/^\./, '_')
  return safe.slice(0, LONGEST_HOST) || '_'
}
