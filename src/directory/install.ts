/**
 * Making and removing queues (fsq standard, section 1). Either shows at once and whole: a queue is built and taken apart
 * under a hidden name beside its own.
 *
 * @module
 */
import type { Stats } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'

import { ownerMeaning, ownerOf } from './owner.js'
import { makeDown, removeDown } from './down.js'
import {
  FileSystemError,
  type FsqError,
  NetworkFileSystemError,
  NotAQueueError,
  NotDurableError,
  QueueExistsError,
  QueueNotEmptyError,
  SettingError,
} from '../errors/classes.js'
import { type Failure, errnoOf, failureOf } from '../errors/errno.js'
import { type ErrnoMeaning, fileSystemError, systemError } from '../errors/system-error.js'
import { type Layout, isDeleted, placePath, queueMissing, rootMissing } from './layout.js'
import { removeLeftover } from './files.js'
import { pathText } from '../name/charset.js'
import {
  type FileSystem,
  type InstallResult,
  type LockKind,
  Place,
  Reach,
  isFailure,
  native,
} from '../addon/native.js'
import { checkFlag } from '../options.js'
import { LOCK_MARKER, type Settings } from '../settings.js'

const { EBUSY, EEXIST, ENOENT, ENOTDIR, ENOTEMPTY } = os.constants.errno
const HIDDEN_CHARACTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const HIDDEN_LENGTH = 6
const MOST_ATTEMPTS = 20
const STILL_OPEN: ErrnoMeaning = [
  FileSystemError,
  'Files that were deleted from it (.nfs…, .fuse_hidden…) are still open: end the processes that have them open, and try again',
]
const LOCK_KINDS: readonly LockKind[] = ['flock', 'fcntl']

/** How a queue is installed. */
export interface InstallOptions {
  /** Replace a queue that is there already, with all that is in it. */
  readonly force?: boolean | undefined
  /**
   * How its workers lock items. Left out: `flock`, the standard's, but `fcntl` on NFS. `fcntl` (open-file-description locks) is for
   * file systems where flock holds on one machine only or is missing, and for workers of this package alone: the two kinds do
   * not see each other. Items then need an `itemMode` that lets each worker open them for writing, such as 0660.
   */
  readonly lockKind?: LockKind | undefined
}

/** How a queue is uninstalled. */
export interface UninstallOptions {
  /** Remove it even if items wait in it. */
  readonly force?: boolean | undefined
}

/** Makes the queue. See {@link Queue.install}. */
export async function installQueue(
  layout: Layout,
  settings: Settings,
  options: InstallOptions,
): Promise<void> {
  const { force: replace = false } = options
  checkFlag('force', replace)
  checkLockKind(options.lockKind)
  if (replace) await checkReplaceable(layout)
  const owner = ownerOf(settings, 'queue')
  const lockKind = lockKindFor(options.lockKind, await findFileSystem(layout, settings))
  for (let attempt = 1; ; attempt++) {
    const hidden = hiddenName()
    const result = await native.install({
      root: layout.root,
      hidden,
      name: layout.name,
      directories: layout.directories,
      marker: lockKind === 'fcntl' ? LOCK_MARKER : '',
      mode: settings.queueMode,
      ...owner,
      replace,
    })
    if (result.leftover !== undefined)
      await removeLeftover(path.join(layout.root, pathText(result.leftover)), 'which was a queue')
    const failure = failureIn(result)
    if (failure === undefined) {
      if (lockKind === 'fcntl') warnOfUnwritable(layout, settings)
      return
    }
    // Somebody else's hidden name, not this queue's.
    if (failure.errno === -EEXIST && failure.syscall === 'mkdirat' && attempt < MOST_ATTEMPTS) continue
    throw installError(layout, failure, result.published)
  }
}

function checkLockKind(lockKind: LockKind | undefined): void {
  if (lockKind === undefined || LOCK_KINDS.includes(lockKind)) return
  throw new SettingError('lockKind', lockKind, `one of ${LOCK_KINDS.map((kind) => inspect(kind)).join(', ')}`)
}

/** The file system that the queue will be on. What could not be used afterwards is not made. */
async function findFileSystem(layout: Layout, { allowNetwork }: Settings): Promise<FileSystem> {
  const fileSystem = await native.findFileSystem(layout.root)
  if (isFailure(fileSystem)) throw installError(layout, pathsAsText(fileSystem), false)
  if (fileSystem.reach === Reach.network && !allowNetwork)
    throw new NetworkFileSystemError(layout.root, fileSystem.name)
  return fileSystem
}

/** Over NFS, Linux grants an exclusive flock on files that are open for writing, and claims open them for reading. */
function lockKindFor(lockKind: LockKind | undefined, { name }: FileSystem): LockKind {
  const isNfs = process.platform === 'linux' && name === 'nfs'
  if (lockKind !== 'flock' || !isNfs) return lockKind ?? (isNfs ? 'fcntl' : 'flock')
  throw new SettingError(
    'lockKind',
    lockKind,
    "'fcntl' on nfs",
    'There flock wants files that are open for writing, and nothing could be claimed. Leave it out',
  )
}

/** Whoever may claim items of a queue with fcntl locks must be able to open them for writing. */
function warnOfUnwritable({ name }: Layout, { queueMode, itemMode }: Settings): void {
  // Who may write to its directories may work it; of items they need read and write permission.
  const others = queueMode & 0o022
  const needed = others | (others << 1)
  if ((itemMode & needed) === needed) return
  const mode = (bits: number): string => `0${bits.toString(8)}`
  process.emitWarning(
    `Others than its owner may work the queue ${inspect(name)} (FSQ_QUEUE_MODE ${mode(queueMode)}), but cannot open items of ` +
      `FSQ_ITEM_MODE ${mode(itemMode)} for writing, as its fcntl locks need: they would leave them alone. Enqueue with ` +
      `${mode(itemMode | needed)}, or keep others out`,
    { type: 'FsqWarning', code: 'FSQ_ITEM_MODE' },
  )
}

/** Removes the queue. See {@link Queue.uninstall}. */
export async function uninstallQueue(
  layout: Layout,
  settings: Settings,
  options: UninstallOptions,
): Promise<void> {
  const { force = false } = options
  checkFlag('force', force)
  const target = await realLayout(layout)
  await checkIsQueue(target)
  // Before the queue is taken down as well, which ends the loops of its workers: a refusal must not.
  if (!force) await checkEmpty(target, settings)
  const madeDown = await makeDown(target, settings)
  try {
    if (!force) await checkEmpty(target, settings)
    await takeApart(target, settings, force)
  } catch (error) {
    if (madeDown) await removeDown(target).catch(() => undefined)
    throw error
  }
  // The queue was a symbolic link; what it led to is gone.
  if (target.path !== layout.path) await attempt('remove the link to', layout, () => fs.unlink(layout.path))
}

async function attempt<Result>(doing: string, layout: Layout, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call()
  } catch (error) {
    throw fileSystemError(failureOf(error, 'stat', layout.path), `${doing} the queue ${inspect(layout.name)}`)
  }
}

function hiddenName(): string {
  let name = '.fsq-'
  for (let count = 0; count < HIDDEN_LENGTH; count++) {
    name += HIDDEN_CHARACTERS.charAt(Math.floor(Math.random() * HIDDEN_CHARACTERS.length))
  }
  return name
}

function failureIn({ errno, syscall, path: where, dest }: InstallResult): Failure | undefined {
  if (errno === undefined || syscall === undefined) return undefined
  return {
    errno,
    syscall,
    ...(where === undefined ? {} : { path: pathText(where) }),
    ...(dest === undefined ? {} : { dest: pathText(dest) }),
  }
}

/** Only a queue may be replaced, or an empty directory: what else has its name is somebody's data. */
async function checkReplaceable(layout: Layout): Promise<void> {
  if (!(await isDirectory(layout.path)) || (await hasAllPlaces(layout))) return
  const entries = await entriesOf(layout.path, 'look into', layout)
  if (entries.length === 0) return
  throw new NotAQueueError(`${layout.path} is not a queue, so it is not replaced`, {
    path: layout.path,
    advice: 'Move it out of the way, or choose another name',
  })
}

async function checkIsQueue(layout: Layout): Promise<void> {
  if (await hasAllPlaces(layout)) return
  throw new NotAQueueError(`${layout.path} lacks directories of a queue, so it is not uninstalled`, {
    path: layout.path,
    advice: 'Remove it by hand, if it is yours',
  })
}

/** Whether its four directories are there. */
export async function hasAllPlaces(layout: Layout): Promise<boolean> {
  const places = layout.directories.map((_, place) => isDirectory(placePath(layout, place as Place)))
  return (await Promise.all(places)).every(Boolean)
}

async function isDirectory(directory: string): Promise<boolean> {
  try {
    return (await fs.lstat(directory)).isDirectory()
  } catch (error) {
    if (isMissing(error)) return false
    // What may not be looked at is not to be called missing.
    throw fileSystemError(failureOf(error, 'lstat', directory), 'look at the queue')
  }
}

/** Whether it says that there is no such directory. */
function isMissing(error: unknown): boolean {
  return [ENOENT, ENOTDIR].includes(-errnoOf(error))
}

function installError(layout: Layout, failure: Failure, published: boolean): FsqError {
  const cause = systemError(failure)
  const name = inspect(layout.name)
  if (published) return new NotDurableError(layout.name, { cause }, 'install')
  const isRename = failure.syscall === 'rename'
  if (isRename && (failure.errno === -ENOTEMPTY || failure.errno === -EEXIST)) {
    return new QueueExistsError(`The queue ${name} exists in ${layout.root}`, {
      cause,
      advice: `Use it with new Queue(${name}), or replace it with all its items by the option force`,
      adviceKey: 'use-or-replace-queue',
    })
  }
  if (isRename && failure.errno === -ENOTDIR) {
    return new QueueExistsError(`${layout.path} is in the way of the queue ${name}, and not a directory`, {
      cause,
      advice: 'Move it away, or choose another name',
    })
  }
  if (isRename && failure.errno === -EBUSY) {
    return new QueueExistsError(`${layout.path} is a mount point, which cannot become a queue`, {
      cause,
      advice: `Mount ${layout.root} (FSQ_ROOT) instead`,
    })
  }
  if (failure.errno === -ENOENT && failure.path === layout.root) {
    return rootMissing(layout.root, failure)
  }
  return fileSystemError(failure, `install the queue ${name}`, ownerMeaning(failure, 'queue'))
}

/** The layout of the directory that the queue is, where its name is a symbolic link. */
async function realLayout(layout: Layout): Promise<Layout> {
  const real = await fs.realpath(layout.path).catch((error: unknown) => {
    throw missing(layout, error)
  })
  const root = path.dirname(real)
  const isLink = (await attempt('find', layout, () => fs.lstat(layout.path))).isSymbolicLink()
  if (!isLink) return layout
  return {
    ...layout,
    name: path.basename(real),
    root,
    path: real,
    downPath: path.join(real, path.basename(layout.downPath)),
  }
}

function missing(layout: Layout, error: unknown): FsqError {
  const failure = failureOf(error, 'realpath', layout.path)
  if (failure.errno === -ENOENT) return queueMissing(layout, failure.syscall)
  return fileSystemError(failure, 'find the queue')
}

async function checkEmpty(layout: Layout, settings: Settings): Promise<void> {
  for (const place of await waitingPlaces(layout.path, layout, settings)) {
    const waiting = path.join(layout.path, place)
    const { length } = await entriesOf(waiting, 'look for items in', layout)
    if (length > 0) throw notEmpty(layout, waiting, length)
  }
}

/** Where items wait, below the directory of the queue: in the queues of hosts, which the first implementation has, and in queue/. */
async function waitingPlaces(
  directory: string,
  layout: Layout,
  { hosts }: Settings,
): Promise<readonly string[]> {
  const waiting = layout.directories[Place.queue] ?? ''
  const names = await entriesOf(path.join(directory, hosts), 'look for items of hosts in', layout)
  return [...names.map((host) => path.join(hosts, host, waiting)), waiting]
}

/** None, if it is not there, or no directory. */
async function entriesOf(directory: string, doing: string, layout: Layout): Promise<string[]> {
  try {
    return (await fs.readdir(directory)).filter((name) => !isDeleted(name))
  } catch (error) {
    if (isMissing(error)) return []
    throw fileSystemError(
      failureOf(error, 'scandir', directory),
      `${doing} the queue ${inspect(layout.name)}`,
    )
  }
}

function notEmpty(layout: Layout, waiting: string, count: number): QueueNotEmptyError {
  return new QueueNotEmptyError(
    `${count === 1 ? '1 item waits' : `${count} items wait`} in the queue ${inspect(layout.name)} ` +
      `(${inspect(waiting)}), so it is not uninstalled`,
    {
      path: waiting,
      advice: 'Let them be worked, or remove them with the queue by the option force',
      adviceKey: 'empty-queue',
    },
  )
}

async function takeApart(layout: Layout, settings: Settings, force: boolean): Promise<void> {
  const hidden = hiddenName()
  const failure = await native.relocate(layout.root, layout.name, hidden)
  if (failure?.moved === false) {
    // Somebody else was faster.
    if (failure.errno === -ENOENT) throw queueMissing(layout, failure.syscall)
    throw fileSystemError(pathsAsText(failure), `uninstall the queue ${inspect(layout.name)}`)
  }
  const aside = path.join(layout.root, hidden)
  if (!force) await removeEmptyQueue(layout, settings, aside, hidden)
  await removeLeftover(aside, 'which was a queue')
  if (failure === undefined) return
  throw new NotDurableError(layout.name, { cause: systemError(pathsAsText(failure)) }, 'uninstall')
}

/**
 * Removing the directories themselves, not what is in them: a producer that was about to add an item either was faster, and then
 * the queue comes back, or finds no directory, and then its enqueue fails. No item is lost in between.
 */
async function removeEmptyQueue(
  layout: Layout,
  settings: Settings,
  aside: string,
  hidden: string,
): Promise<void> {
  const removed = new Map<string, Stats>()
  for (const place of await waitingPlaces(aside, layout, settings)) {
    const directory = path.join(aside, place)
    try {
      const info = await fs.stat(directory)
      await removeDeleted(directory)
      await fs.rmdir(directory)
      removed.set(directory, info)
    } catch (error) {
      const failure = failureOf(error, 'rmdir', directory)
      const isFull = failure.errno === -ENOTEMPTY || failure.errno === -EEXIST
      // A host that has no queue.
      if (place !== layout.directories[Place.queue] && isMissing(error)) continue
      await putBack(layout, aside, hidden, removed)
      const waiting = path.join(layout.path, place)
      if (isFull) {
        const { length } = await entriesOf(waiting, 'look for items in', layout)
        if (length > 0) throw notEmpty(layout, waiting, length)
      }
      throw fileSystemError(
        failure,
        `uninstall the queue ${inspect(layout.name)}`,
        isFull ? STILL_OPEN : undefined,
      )
    }
  }
}

/** They would keep a directory from being removed. One that is open on this machine cannot be, and then it is not. */
async function removeDeleted(directory: string): Promise<void> {
  for (const name of (await fs.readdir(directory)).filter(isDeleted))
    await fs.unlink(path.join(directory, name)).catch(() => undefined)
}

/** What was moved aside has its name again, and the directories that were removed in it. */
async function putBack(
  layout: Layout,
  aside: string,
  hidden: string,
  removed: ReadonlyMap<string, Stats>,
): Promise<void> {
  for (const [directory, { mode, uid, gid }] of removed) {
    await fs.mkdir(directory)
    await fs.chown(directory, uid, gid)
    await fs.chmod(directory, mode)
  }
  const failure = await native.relocate(layout.root, hidden, layout.name)
  if (failure?.moved !== false) return
  throw fileSystemError(
    { errno: failure.errno, syscall: failure.syscall, path: aside, dest: layout.path },
    `put back the queue ${inspect(layout.name)}, which is now called ${aside} and holds items,`,
  )
}

function pathsAsText(failure: Failure): Failure {
  return failureIn({ ...failure, published: false }) ?? failure
}
