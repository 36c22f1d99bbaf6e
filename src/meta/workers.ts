/**
 * The workers of a queue, and what each has in hand.
 *
 * A worker of this package tells by its file, whose lock shows that it lives. Of other workers, such as those of the first
 * implementation, only the locks on items are known.
 *
 * @module
 */
import { constants } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { type LockKind, Place } from '../addon/native.js'
import type { FileCalls } from '../directory/calls.js'
import { claimKindBy } from '../directory/claim-kind.js'
import { WORKER_LOCK, isClaimedName, parseWorkerName, workerPath } from '../directory/claimed.js'
import { type Layout, placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import { entriesOf, nameText } from '../inspect/entries.js'
import { workersOn } from '../inspect/lock-holders.js'
import { Slices } from '../inspect/slices.js'
import { parseIfItem } from '../inspect/states.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import type { Counters, WorkerState } from '../work/journal.js'
import { MetaDirectory } from './directory.js'
import { SAFELY, isMissing } from './files.js'
import { isHidden, isWorkerFileName, partPath } from './layout.js'
import { type HeldItem, type WorkerLine, type WorkerRecord, parseWorkerLines } from './worker-lines.js'

const { O_RDONLY } = constants
const { EAGAIN } = os.constants.errno

/** The lock of a worker on the file in its directory in claimed/. */
const CLAIM_LOCK: LockKind = 'fcntl'

/** An item that a worker has in hand. */
export interface ItemInHand {
  readonly id: string
  readonly key: string
  /** Since when. Not set if only its lock is known. */
  readonly since?: Date
  /** What its handler has told of its progress. */
  readonly progress?: unknown
}

/** A worker that lives. */
export interface WorkerInfo {
  /**
   * The name of its file in meta/workers/, or of its directory in claimed/; not set if it has none, as a worker of the first
   * implementation.
   */
  readonly id?: string
  /** Not set if only its locks are known. */
  readonly host?: string
  /** Its process; not set if the kernel does not name it, as from another container. */
  readonly pid?: number
  readonly started?: Date
  readonly concurrency?: number
  readonly state?: WorkerState
  readonly counters?: Counters
  /** The items that it has in hand. Of a loop (`queue.scan()`) and of a worker without a file, all items that it has claimed. */
  readonly items: readonly ItemInHand[]
}

/**
 * Lists the workers that live. Locks no item.
 *
 * @throws {@link QueueMissingError}, {@link NotAQueueError}, {@link QueueClosedError} or a file system error.
 */
export async function workersOf(
  directory: QueueDirectory,
  settings: Settings,
): Promise<readonly WorkerInfo[]> {
  await directory.open()
  try {
    const known = await knownWorkers(directory.layout, settings, directory.calls)
    if (directory.claimsByRename) return known
    const pids = new Set(known.map(({ pid }) => pid))
    return [...known, ...(await otherWorkers(directory, settings, pids))]
  } catch (error) {
    if (error instanceof FsqError) throw error
    throw fileSystemError(failureOf(error, 'open', directory.layout.path), 'list the workers')
  }
}

/** The workers that have files, or directories in claimed/. @throws As `node:fs`. */
export async function knownWorkers(
  layout: Layout,
  settings: Settings,
  calls: FileCalls,
): Promise<readonly WorkerInfo[]> {
  return (await claimKindBy(layout, calls)) === 'rename'
    ? claimingWorkers(layout, settings, calls)
    : loggedWorkers(layout, settings, calls)
}

async function claimingWorkers(
  layout: Layout,
  settings: Settings,
  calls: FileCalls,
): Promise<readonly WorkerInfo[]> {
  const infos: WorkerInfo[] = []
  for (const name of (await namesIn(layout.claimedPath, calls)).toSorted()) {
    const named = parseWorkerName(name)
    if (named === undefined) continue
    const record = await readIfAlive(CLAIM_LOCK, path.join(workerPath(layout, name), WORKER_LOCK), calls)
    if (record === undefined) continue
    const { worker, held } = record
    // A loop writes nothing down: it has in hand all items that it has claimed.
    if (worker === undefined)
      infos.push({ id: name, ...named, items: await claimedItems(layout, name, settings, calls) })
    else infos.push(infoOf(name, worker, held, settings))
  }
  return infos
}

async function claimedItems(
  layout: Layout,
  worker: RawName,
  settings: Settings,
  calls: FileCalls,
): Promise<readonly ItemInHand[]> {
  const names = await namesIn(workerPath(layout, worker), calls)
  const items = names.filter(isClaimedName)
  return items.toSorted().map((raw) => namesOf(raw, settings))
}

async function loggedWorkers(
  layout: Layout,
  settings: Settings,
  calls: FileCalls,
): Promise<readonly WorkerInfo[]> {
  const lockKind = await new MetaDirectory(layout).findLockKind(calls)
  const workers = partPath(layout, 'workers')
  const infos: WorkerInfo[] = []
  for (const name of (await namesIn(workers, calls)).toSorted()) {
    if (isHidden(name) || !isWorkerFileName(name)) continue
    const { worker, held } = (await readIfAlive(lockKind, path.join(workers, name), calls)) ?? {}
    if (worker !== undefined) infos.push(infoOf(name, worker, held ?? [], settings))
  }
  return infos
}

/** None if there is no such directory. */
async function namesIn(directory: string, calls: FileCalls): Promise<readonly string[]> {
  try {
    return await calls.names(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** `undefined`: the worker is dead, or this user may not look. */
async function readIfAlive(
  lockKind: LockKind,
  file: string,
  calls: FileCalls,
): Promise<WorkerRecord | undefined> {
  let descriptor: number
  try {
    descriptor = await calls.open(file, O_RDONLY | SAFELY)
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ELOOP'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
  try {
    // Shared: two that look do not take each other for the worker.
    const errno = await calls.lock(descriptor, lockKind, true)
    if (errno !== 0 && errno !== -EAGAIN) throw systemError({ errno, syscall: lockKind })
    return errno === 0 ? undefined : parseWorkerLines(await calls.readAll(descriptor))
  } finally {
    await calls.close(descriptor)
  }
}

function infoOf(name: string, worker: WorkerLine, held: readonly HeldItem[], settings: Settings): WorkerInfo {
  const items = held.map((item) => itemOf(item, settings))
  const { pid, host, started, concurrency, state, counters } = worker
  return { id: name, host, pid, started: new Date(started), concurrency, state, counters, items }
}

/** The processes that hold locks on items and have no file. */
async function otherWorkers(
  { layout, calls }: QueueDirectory,
  settings: Settings,
  known: ReadonlySet<number | undefined>,
): Promise<readonly WorkerInfo[]> {
  const queue = placePath(layout, Place.queue)
  const holders = await workersOn(queue, calls)
  if (holders === undefined) return []
  const unknown = new Set(
    [...holders].filter(([, pids]) => pids.some((pid) => !known.has(pid))).map(([inode]) => inode),
  )
  if (unknown.size === 0) return []
  const locked: LockedItem[] = []
  for await (const { raw, info } of entriesOf(queue, new Slices(undefined, calls))) {
    if (!unknown.has(info.ino) || parseIfItem(raw, settings) === undefined) continue
    locked.push({ raw, pids: holders.get(info.ino) ?? [] })
  }
  return workersWithoutFile(locked, known, settings)
}

/** An item that is locked, and the processes that hold the lock; 0: the kernel does not name the process. */
export interface LockedItem {
  readonly raw: RawName
  readonly pids: readonly number[]
}

/** The processes among the holders of locks that have no file. @param known - Those that have one. Pure. */
export function workersWithoutFile(
  locked: readonly LockedItem[],
  known: ReadonlySet<number | undefined>,
  settings: Settings,
): readonly WorkerInfo[] {
  const items = new Map<number, ItemInHand[]>()
  for (const { raw, pids } of locked) {
    for (const pid of pids) {
      if (known.has(pid)) continue
      const inHand = items.get(pid) ?? []
      inHand.push(namesOf(raw, settings))
      items.set(pid, inHand)
    }
  }
  return [...items].map(([pid, inHand]) => (pid > 0 ? { pid, items: inHand } : { items: inHand }))
}

function itemOf({ id, since, progress }: HeldItem, settings: Settings): ItemInHand {
  return {
    ...namesOf(id, settings),
    since: new Date(since),
    ...(progress === undefined ? {} : { progress }),
  }
}

function namesOf(raw: RawName, settings: Settings): { readonly id: string; readonly key: string } {
  return { id: nameText(raw), key: nameText(itemKey(raw, settings.encode)) }
}
