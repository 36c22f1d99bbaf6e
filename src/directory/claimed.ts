/**
 * The directory claimed/ of a queue with claims by renaming (fsq standard, section 11): one directory for each worker, with the items that
 * the worker has claimed and its `.lock`, whose lock lives and dies with the worker.
 *
 * @module
 */
import { readdir } from 'node:fs/promises'

import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'
import { type Layout, isDeleted } from './layout.js'
import { isMissing } from './presence.js'

/** The file of a worker in its directory. */
export const WORKER_LOCK = '.lock'
/** Beside it, until another worker begins to take the directory over. */
export const WORKER_OWNED = '.owned'

const WORKER_NAME = /^(.{1,65})-([0-9]+)-([0-9a-f]{16})$/

/** What the name of a worker's directory says. */
export interface NamedWorker {
  /** As {@link hostInNames} gives it. */
  readonly host: string
  readonly pid: number
}

/** A claimed item. */
export interface ClaimedName {
  readonly raw: RawName
  /** The name of the directory of its worker. */
  readonly worker: RawName
}

/** What the name says; `undefined`: no worker gives its directory such a name. */
export function parseWorkerName(name: RawName): NamedWorker | undefined {
  const [, host = '', pid] = WORKER_NAME.exec(name) ?? []
  return pid === undefined ? undefined : { host, pid: Number(pid) }
}

/**
 * A host, as names of workers' directories have it: at most 64 characters, letters, digits, `.`, `_` and `-`, with a `_` before a leading `.`.
 * Native code does the same.
 */
export function hostInNames(host: string): string {
  const plain = host.slice(0, LONGEST_HOST).replace(/[^\w.-]/g, '_')
  // Listings skip hidden directories.
  return plain === '' || plain.startsWith('.') ? `_${plain}` : plain
}

const LONGEST_HOST = 64

/** The names of the directories of workers; none if there is no claimed/. @throws A file system error. */
export async function workersIn(claimed: string): Promise<readonly RawName[]> {
  return (await namesIn(claimed)).filter((name) => parseWorkerName(name) !== undefined).sort()
}

/** The names of the claimed items, worker by worker, sorted. Items that move meanwhile may be missing. @throws A file system error. */
export async function claimedIn(claimed: string): Promise<readonly ClaimedName[]> {
  const items: ClaimedName[] = []
  for (const worker of await workersIn(claimed))
    for (const raw of await itemsOfWorker(claimed, worker)) items.push({ raw, worker })
  return items
}

/** The names of the items of one worker, sorted. @throws A file system error. */
export async function itemsOfWorker(claimed: string, worker: RawName): Promise<readonly RawName[]> {
  return (await namesIn(`${claimed}/${worker}`)).filter(isClaimedName).sort()
}

/** Whether a file in the directory of a worker is an item. */
export function isClaimedName(name: RawName): boolean {
  return name !== WORKER_LOCK && name !== WORKER_OWNED && !isDeleted(name)
}

/** The path of the directory of a worker. */
export function workerPath({ claimedPath }: Layout, worker: RawName): string {
  return `${claimedPath}/${worker}`
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory, 'latin1')
  } catch (error) {
    if (isMissing(error)) return []
    throw fileSystemError(failureOf(error, 'scandir', directory), 'list claimed items')
  }
}
