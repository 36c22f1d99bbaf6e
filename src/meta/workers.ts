/**
 * The workers of a queue, and what each has in hand.
 *
 * A worker of this package tells by its file, whose lock shows that it lives. Of other workers, such as those of the first
 * implementation, only the locks on items are known.
 *
 * @module
 */
import path from 'node:path'

import { type LockKind, Place } from '../addon/native.js'
import { claimKindSync } from '../directory/claim-kind.js'
import { WORKER_LOCK, isClaimedName, parseWorkerName, workerPath } from '../directory/claimed.js'
import { type Layout, placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { entriesOf, nameText } from '../inspect/entries.js'
import { workersOn } from '../inspect/lock-holders.js'
import { Slices } from '../inspect/slices.js'
import { parseIfItem } from '../inspect/states.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import type { Counters, WorkerState } from '../work/journal.js'
import { MetaDirectory } from './directory.js'
import { closeFile, namesAt, openFile, readAll, tryLock } from './files.js'
import { isHidden, isWorkerFileName, partPath } from './layout.js'
import { type HeldItem, type WorkerLine, type WorkerRecord, parseWorkerLines } from './worker-lines.js'

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
    const known = knownWorkers(directory.layout, settings)
    if (claimKindSync(directory.layout) === 'rename') return known
    const pids = new Set(known.map(({ pid }) => pid))
    return [...known, ...(await otherWorkers(directory, settings, pids))]
  } catch (error) {
    if (error instanceof FsqError) throw error
    throw fileSystemError(failureOf(error, 'open', directory.layout.path), 'list the workers')
  }
}

/** The workers that have files, or directories in claimed/. @throws As `node:fs`. */
export function knownWorkers(layout: Layout, settings: Settings): readonly WorkerInfo[] {
  return claimKindSync(layout) === 'rename'
    ? claimingWorkers(layout, settings)
    : loggedWorkers(layout, settings)
}

function claimingWorkers(layout: Layout, settings: Settings): readonly WorkerInfo[] {
  const infos: WorkerInfo[] = []
  for (const name of [...namesAt(layout.claimedPath)].sort()) {
    const named = parseWorkerName(name)
    if (named === undefined) continue
    const record = readIfAlive(CLAIM_LOCK, path.join(workerPath(layout, name), WORKER_LOCK))
    if (record === undefined) continue
    const { worker, held } = record
    // A loop writes nothing down: it has in hand all items that it has claimed.
    if (worker === undefined) infos.push({ id: name, ...named, items: claimedItems(layout, name, settings) })
    else infos.push(infoOf(name, worker, held, settings))
  }
  return infos
}

function claimedItems(layout: Layout, worker: RawName, settings: Settings): readonly ItemInHand[] {
  const names = namesAt(workerPath(layout, worker)).filter(isClaimedName)
  return names.toSorted().map((raw) => namesOf(raw, settings))
}

function loggedWorkers(layout: Layout, settings: Settings): readonly WorkerInfo[] {
  const meta = new MetaDirectory(layout)
  const workers = partPath(layout, 'workers')
  const infos: WorkerInfo[] = []
  for (const name of [...namesAt(workers)].sort()) {
    if (isHidden(name) || !isWorkerFileName(name)) continue
    const { worker, held } = readIfAlive(meta.lockKind, path.join(workers, name)) ?? {}
    if (worker !== undefined) infos.push(infoOf(name, worker, held ?? [], settings))
  }
  return infos
}

/** `undefined`: the worker is dead, or this user may not look. */
function readIfAlive(lockKind: LockKind, file: string): WorkerRecord | undefined {
  let descriptor: number
  try {
    descriptor = openFile(file, 'read')
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ELOOP'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
  try {
    // Shared: two that look do not take each other for the worker.
    return tryLock(descriptor, lockKind, true) ? undefined : parseWorkerLines(readAll(descriptor))
  } finally {
    closeFile(descriptor)
  }
}

function infoOf(name: string, worker: WorkerLine, held: readonly HeldItem[], settings: Settings): WorkerInfo {
  const items = held.map((item) => itemOf(item, settings))
  const { pid, host, started, concurrency, state, counters } = worker
  return { id: name, host, pid, started: new Date(started), concurrency, state, counters, items }
}

/** The processes that hold locks on items and have no file. */
async function otherWorkers(
  { layout }: QueueDirectory,
  settings: Settings,
  known: ReadonlySet<number | undefined>,
): Promise<readonly WorkerInfo[]> {
  const queue = placePath(layout, Place.queue)
  const holders = workersOn(queue)
  if (holders === undefined) return []
  const unknown = new Set(
    [...holders].filter(([, pids]) => pids.some((pid) => !known.has(pid))).map(([inode]) => inode),
  )
  if (unknown.size === 0) return []
  const locked: LockedItem[] = []
  for await (const { raw, info } of entriesOf(queue, new Slices())) {
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
