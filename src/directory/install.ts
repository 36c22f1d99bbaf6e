/**
 * Installing and uninstalling queues (fsq standard, section 1). Both take effect atomically: a queue is built and
 * taken apart under a hidden name beside its own.
 *
 * @module
 */
import { type Stats, constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'

import { BESIDE } from './calls.js'
import { CLAIM_KINDS, type ClaimKind, GUARD_TEXT } from './claim-kind.js'
import { claimedIn } from './claimed.js'
import { ownerMeaning, ownerOf } from './owner.js'
import { makeDown, removeDown } from './down.js'
import {
  FileSystemError,
  FsqError,
  MountError,
  NetworkFileSystemError,
  NotAQueueError,
  NotDurableError,
  QueueExistsError,
  QueueNotEmptyError,
  SettingError,
} from '../errors/classes.js'
import { type Failure, codeOf, failureOf } from '../errors/errno.js'
import { type ErrnoMeaning, fileSystemError, systemError } from '../errors/system-error.js'
import { type Layout, checkQueueName, hostsPath, isDeleted, layoutAt, shownName } from './layout.js'
import { hasAllPlaces, isDirectory, isMissing, queueMissing, rootMissing } from './presence.js'
import { removeLeftover } from './files.js'
import { pathText } from '../name/charset.js'
import { mountRefusals } from '../probe/mount-options.js'
import { isSharedByFuse, mountOf } from '../probe/mounts.js'
import {
  type FileSystem,
  type InstallPlan,
  type InstallResult,
  type LockKind,
  Place,
  Reach,
  isFailure,
  native,
} from '../addon/native.js'
import { checkFlag } from '../options.js'
import { CLAIMED_DIRECTORY, FIXED_NAMES, LOCK_MARKER, RENAME_MARKER, type Settings } from '../settings.js'

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants
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
  /** Replaces an existing queue, with everything in it. Default: false. */
  readonly force?: boolean | undefined
  /**
   * How its workers lock items. Default: `flock`, the lock of the standard, except on NFS, where it is `fcntl`.
   * `fcntl` (open-file-description locks) is for file systems on which flock holds on one machine only or is missing,
   * and only for workers of this package: locks of the two kinds do not exclude each other. Items then need an
   * `itemMode` that lets each worker open them for writing, such as 0660.
   */
  readonly lockKind?: LockKind | undefined
  /**
   * How its workers claim items. Default: `rename` on a network file system, unless there is a `lockKind`; else `lock`.
   *
   * - `lock`: they lock items in queue/, as the standard has it. For workers of one machine only.
   * - `rename`: they move items to directories of their own in claimed/, which the server of the file system decides, so that workers of several
   *   machines can share the queue. Only for workers of this package. The first implementation and fsq 0.1 can add items to such a queue,
   *   and find it down when they scan it.
   */
  readonly claims?: ClaimKind | undefined
  /** Makes the queue with a trigger, and with one for its hosts if it has any. Default: the setting `useTrigger`. */
  readonly triggered?: boolean | undefined
  /** The names of its first hosts: the queue appears together with their queues. Default: none. See {@link Queue.addHost}. */
  readonly addHosts?: readonly string[] | undefined
}

/** How a queue is uninstalled. */
export interface UninstallOptions {
  /** Removes the queue even if items are waiting in it. Default: false. */
  readonly force?: boolean | undefined
}

/** Installs the queue. See {@link Queue.install}. */
export async function installQueue(
  layout: Layout,
  settings: Settings,
  options: InstallOptions,
): Promise<void> {
  const { force: replace = false, triggered = settings.useTrigger } = options
  checkFlag('force', replace)
  checkFlag('triggered', triggered)
  checkLockKind(options.lockKind)
  checkClaims(options)
  const hosts = checkHosts(options.addHosts)
  if (replace) await checkReplaceable(layout)
  const owner = ownerOf(settings, 'queue')
  const fileSystem = await findFileSystem(layout, settings)
  const isRename = claimsFor(options, fileSystem) === 'rename'
  if (isRename && fileSystem.reach !== Reach.local) await checkMount(layout)
  const isFcntl = !isRename && lockKindFor(options.lockKind, fileSystem) === 'fcntl'
  const own = isRename ? [...layout.directories, CLAIMED_DIRECTORY] : layout.directories
  const markers: readonly (readonly [name: string, text: string])[] = isRename
    ? [
        [RENAME_MARKER, ''],
        [path.basename(layout.downPath), GUARD_TEXT],
      ]
    : isFcntl
      ? [[LOCK_MARKER, '']]
      : []
  const queues = ['', ...hosts.map((host) => path.join(settings.hosts, host))]
  const failure = await build(layout, {
    root: layout.root,
    name: layout.name,
    directories: queues.flatMap((queue) => [
      ...(queue === '' ? [] : [queue]),
      ...own.map((directory) => path.join(queue, directory)),
      ...(queue === '' && hosts.length > 0 ? [settings.hosts] : []),
    ]),
    files: queues.flatMap((queue) => markers.flatMap(([name, text]) => [path.join(queue, name), text])),
    // Their modes are those of the first implementation.
    fifos:
      !triggered || layout.parent !== undefined
        ? []
        : [
            { name: settings.trigger, mode: settings.itemMode },
            ...(hosts.length > 0 ? [{ name: settings.hostsTrigger, mode: settings.queueMode }] : []),
          ],
    mode: settings.queueMode,
    ...owner,
    replace,
  })
  if (failure !== undefined) throw failure
  if (isFcntl) warnOfUnwritable(layout, settings)
}

/**
 * Makes the directory of the host queues. Harmless if it exists.
 *
 * @throws {@link QueueExistsError} if a file has its name, or a file system error.
 */
export async function makeHostsDirectory(queue: Layout, settings: Settings): Promise<void> {
  const directory = hostsPath(queue, settings)
  // An empty directory that exists is never replaced: another process may just be making a host in it.
  if (await isDirectory(directory)) return
  const failure = await build(queue, {
    root: queue.path,
    name: settings.hosts,
    directories: [],
    files: [],
    mode: settings.queueMode,
    ...ownerOf(settings, 'queue'),
    replace: false,
  })
  if (failure !== undefined && !(await isDirectory(directory))) throw failure
}

/** Builds a directory under a hidden name, and gives it its name. @returns What has failed. */
async function build(layout: Layout, plan: Omit<InstallPlan, 'hidden'>): Promise<FsqError | undefined> {
  for (let attempt = 1; ; attempt++) {
    const result = await native.install({ ...plan, hidden: hiddenName() })
    if (result.leftover !== undefined)
      await removeLeftover(path.join(plan.root, pathText(result.leftover)), 'which was a queue')
    const failure = failureIn(result)
    if (failure === undefined) return undefined
    // Another process has this hidden name; it does not concern the queue's own name.
    if (failure.errno === -EEXIST && failure.syscall === 'mkdirat' && attempt < MOST_ATTEMPTS) continue
    return installError(layout, failure, result.published)
  }
}

/** The names of the hosts, each once. @throws {@link SettingError} or {@link QueueNameError} */
function checkHosts(hosts: readonly string[] | undefined): readonly string[] {
  if (hosts === undefined) return []
  if (!Array.isArray(hosts)) throw new SettingError('addHosts', hosts, 'an array of the names of hosts')
  for (const host of hosts) checkQueueName(host, 'host')
  return [...new Set<string>(hosts as readonly string[])]
}

function checkLockKind(lockKind: LockKind | undefined): void {
  if (lockKind === undefined || LOCK_KINDS.includes(lockKind)) return
  throw new SettingError('lockKind', lockKind, `one of ${LOCK_KINDS.map((kind) => inspect(kind)).join(', ')}`)
}

function checkClaims({ claims, lockKind }: InstallOptions): void {
  if (claims === undefined) return
  if (!CLAIM_KINDS.includes(claims))
    throw new SettingError('claims', claims, `one of ${CLAIM_KINDS.map((kind) => inspect(kind)).join(', ')}`)
  if (claims === 'rename' && lockKind !== undefined) {
    throw new SettingError(
      'lockKind',
      lockKind,
      "nothing together with claims: 'rename'",
      'There workers lock no items. Leave it out',
    )
  }
}

/** Over a network file system, a look after a lock can come from a cache, and then items run twice. The server decides a rename. */
function claimsFor({ claims, lockKind }: InstallOptions, { reach }: FileSystem): ClaimKind {
  return claims ?? (reach === Reach.network && lockKind === undefined ? 'rename' : 'lock')
}

/** The file system that the queue will be on. Throws if the queue could not be used there. */
async function findFileSystem(layout: Layout, { allowNetwork }: Settings): Promise<FileSystem> {
  const found = await native.findFileSystem(layout.root)
  if (isFailure(found)) throw installError(layout, pathsAsText(found), false)
  const type = found.reach === Reach.unknown ? (await mountOf(layout.root))?.type : undefined
  const fileSystem = type !== undefined && isSharedByFuse(type) ? { name: type, reach: Reach.network } : found
  if (fileSystem.reach === Reach.network && !allowNetwork)
    throw new NetworkFileSystemError(layout.root, fileSystem.name)
  return fileSystem
}

/** @throws {@link MountError} if several machines cannot work a queue there. */
async function checkMount({ root }: Layout): Promise<void> {
  const reasons = await mountRefusals(root)
  if (reasons.length > 0) throw new MountError(root, reasons)
}

/**
 * Over NFS, Linux grants an exclusive flock only on a file that is open for writing, but claims open items for
 * reading.
 */
function lockKindFor(lockKind: LockKind | undefined, { name }: FileSystem): LockKind {
  const isNfs = process.platform === 'linux' && name === 'nfs'
  if (lockKind !== 'flock' || !isNfs) return lockKind ?? (isNfs ? 'fcntl' : 'flock')
  throw new SettingError(
    'lockKind',
    lockKind,
    "'fcntl' on nfs",
    'There flock requires files that are open for writing, so no item could be claimed. Leave it out',
  )
}

/** Warns if users who may claim items of a queue with fcntl locks cannot open them for writing. */
function warnOfUnwritable(layout: Layout, { queueMode, itemMode }: Settings): void {
  // Users who may write to its directories may work the queue, and need read and write permission for its items.
  const others = queueMode & 0o022
  const needed = others | (others << 1)
  if ((itemMode & needed) === needed) return
  const mode = (bits: number): string => `0${bits.toString(8)}`
  process.emitWarning(
    `Users other than its owner may work the ${shownName(layout)} (FSQ_QUEUE_MODE ${mode(queueMode)}), but cannot open items of ` +
      `FSQ_ITEM_MODE ${mode(itemMode)} for writing, as its fcntl locks require: they would skip these items. Enqueue with ` +
      `${mode(itemMode | needed)}, or deny others access`,
    { type: 'FsqWarning', code: 'FSQ_ITEM_MODE' },
  )
}

/** Uninstalls the queue. See {@link Queue.uninstall}. */
export async function uninstallQueue(
  layout: Layout,
  settings: Settings,
  options: UninstallOptions,
): Promise<void> {
  const { force = false } = options
  checkFlag('force', force)
  const target = await realLayout(layout)
  // A host without all its directories cannot be worked, and nothing else removes it.
  if (
    force &&
    target.parent !== undefined &&
    (await isDirectory(target.path)) &&
    !(await hasAllPlaces(target))
  ) {
    await checkIsPartOfQueue(target)
    return takeApart(target, settings, force)
  }
  await checkIsQueue(target)
  // Checked before the queue is taken down, too, because that ends the loops of its workers, and a refusal must not
  // do so.
  if (!force) await checkEmpty(target, settings)
  const madeDown = await makeDown(target, settings)
  try {
    if (!force) await checkEmpty(target, settings)
    await takeApart(target, settings, force)
  } catch (error) {
    if (madeDown) await removeDown(target).catch(() => undefined)
    throw error
  }
  // The queue was a symbolic link, whose target no longer exists.
  if (target.path !== layout.path) await attempt('remove the link to', layout, () => fs.unlink(layout.path))
}

async function attempt<Result>(doing: string, layout: Layout, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call()
  } catch (error) {
    throw fileSystemError(failureOf(error, 'stat', layout.path), `${doing} the ${shownName(layout)}`)
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

/** Only a queue or an empty directory may be replaced; anything else with this name is user data. */
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

/** A directory with an entry that no queue has is user data. */
async function checkIsPartOfQueue(layout: Layout): Promise<void> {
  const { downPath, renameDownPath, directories } = layout
  const known = [
    ...directories,
    path.basename(downPath),
    path.basename(renameDownPath),
    ...FIXED_NAMES.keys(),
  ]
  const names = await entriesOf(layout.path, 'look into', layout)
  const foreign = names.find((name) => !known.includes(name))
  if (foreign === undefined) return
  throw new NotAQueueError(
    `${layout.path} is not a queue: it lacks directories of one, and has ${inspect(foreign)}. It is not removed`,
    { path: layout.path, advice: 'Remove it by hand, if it is yours' },
  )
}

function installError(layout: Layout, failure: Failure, published: boolean): FsqError {
  const cause = systemError(failure)
  const name = inspect(layout.name)
  if (published) return new NotDurableError(layout.name, { cause }, 'install')
  const isRename = failure.syscall === 'rename'
  if (isRename && (failure.errno === -ENOTEMPTY || failure.errno === -EEXIST)) {
    return new QueueExistsError(`The ${shownName(layout)} exists in ${layout.root}`, {
      cause,
      advice: `Use it with ${layout.parent === undefined ? 'new Queue' : 'queue.host'}(${name}), or replace it with all its items with the option force`,
      adviceKey: layout.parent === undefined ? 'use-or-replace-queue' : 'use-or-replace-host',
    })
  }
  if (isRename && failure.errno === -ENOTDIR) {
    return new QueueExistsError(`${layout.path} is in the way of the queue ${name} and is not a directory`, {
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

/** The layout of the directory itself, if the name of the queue is a symbolic link to it. */
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
    renameDownPath: path.join(real, path.basename(layout.renameDownPath)),
    claimedPath: path.join(real, path.basename(layout.claimedPath)),
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
  for (const claimed of await claimedPlaces(layout.path, layout, settings)) {
    const { length } = await claimedIn(claimed)
    if (length > 0) throw notEmpty(layout, claimed, length)
  }
}

/** The directories with claimed items of queues that claim by renaming: its own one, and those of its hosts. */
async function claimedPlaces(
  directory: string,
  layout: Layout,
  { hosts }: Settings,
): Promise<readonly string[]> {
  const names = await entriesOf(path.join(directory, hosts), 'look for items of hosts in', layout)
  const claimed = path.basename(layout.claimedPath)
  return ['', ...names.map((host) => path.join(hosts, host))].map((queue) =>
    path.join(directory, queue, claimed),
  )
}

/** The directories with waiting items, relative to the queue: its queue/, and the queues of its hosts. */
async function waitingPlaces(
  directory: string,
  layout: Layout,
  { hosts }: Settings,
): Promise<readonly string[]> {
  const waiting = layout.directories[Place.queue] ?? ''
  const names = await entriesOf(path.join(directory, hosts), 'look for items of hosts in', layout)
  return [...names.map((host) => path.join(hosts, host, waiting)), waiting]
}

/** The entries of a directory; none if it does not exist or is not a directory. */
async function entriesOf(directory: string, doing: string, layout: Layout): Promise<string[]> {
  try {
    return (await fs.readdir(directory)).filter((name) => !isDeleted(name))
  } catch (error) {
    if (isMissing(error)) return []
    throw fileSystemError(failureOf(error, 'scandir', directory), `${doing} the ${shownName(layout)}`)
  }
}

function notEmpty(layout: Layout, waiting: string, count: number): QueueNotEmptyError {
  return new QueueNotEmptyError(
    `${count === 1 ? '1 item waits' : `${count} items wait`} in the ${shownName(layout)} ` +
      `(${inspect(waiting)}), so it is not uninstalled`,
    {
      path: waiting,
      advice: 'Wait until workers have finished, or remove the items together with the queue (option force)',
      adviceKey: layout.parent === undefined ? 'empty-queue' : 'empty-host',
    },
  )
}

async function takeApart(layout: Layout, settings: Settings, force: boolean): Promise<void> {
  const hidden = hiddenName()
  const lock = await lockDirectory(layout.path)
  try {
    const failure = await native.relocate(layout.root, layout.name, hidden, false)
    if (failure?.moved === false) {
      // Another process has uninstalled it first.
      if (failure.errno === -ENOENT) throw queueMissing(layout, failure.syscall)
      throw fileSystemError(pathsAsText(failure), `uninstall the ${shownName(layout)}`)
    }
    const aside = path.join(layout.root, hidden)
    if (!force) await removeEmptyQueue(layout, settings, aside, hidden)
    await removeLeftover(aside, 'which was a queue')
    if (failure === undefined) return
    throw new NotDurableError(layout.name, { cause: systemError(pathsAsText(failure)) }, 'uninstall')
  } finally {
    await lock?.close()
  }
}

/**
 * Locks a directory that is about to be hidden, so that a repair removes it only when this process has died. Where the directory cannot be
 * locked, the uninstallation works without: two processes that remove one directory lose no item.
 */
async function lockDirectory(directory: string): Promise<fs.FileHandle | undefined> {
  try {
    const opened = await fs.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    await BESIDE.lock(opened.fd, 'flock', false)
    return opened
  } catch {
    return undefined
  }
}

/** Why a queue with a hidden name cannot be removed. */
interface Obstacle {
  /** The directory in the way, relative to the queue. */
  readonly place: string
  /** How many items a worker has in it, if it is one of claimed items. */
  readonly claimed: number
  readonly error: unknown
}

/**
 * Removes only the directories, which must be empty. A producer that was about to add an item may be faster, and then
 * the queue is put back; otherwise it finds no directory, and its enqueue fails. No item is lost.
 */
async function removeEmptyQueue(
  layout: Layout,
  settings: Settings,
  aside: string,
  hidden: string,
): Promise<void> {
  const removed = new Map<string, Stats>()
  const obstacle = await removePlaces(aside, layout, settings, removed)
  if (obstacle === undefined) return
  await putBack(layout, aside, hidden, removed)
  const { place, claimed, error } = obstacle
  const inTheWay = path.join(layout.path, place)
  if (claimed > 0) throw notEmpty(layout, inTheWay, claimed)
  if (error instanceof FsqError) throw error
  const isFull = isNotEmpty(error)
  if (isFull) {
    const { length } = await entriesOf(inTheWay, 'look for items in', layout)
    if (length > 0) throw notEmpty(layout, inTheWay, length)
  }
  throw fileSystemError(
    failureOf(error, 'rmdir', path.join(aside, place)),
    `uninstall the ${shownName(layout)}`,
    isFull ? STILL_OPEN : undefined,
  )
}

/**
 * Removes the directories of waiting items, so that no item comes any more.
 *
 * @param removed - Gets the directories that were removed, also if there is an obstacle.
 */
async function removePlaces(
  aside: string,
  layout: Layout,
  settings: Settings,
  removed: Map<string, Stats>,
): Promise<Obstacle | undefined> {
  let place = layout.directories[Place.queue] ?? ''
  try {
    for (place of await waitingPlaces(aside, layout, settings)) {
      const directory = path.join(aside, place)
      try {
        const info = await fs.stat(directory)
        await removeDeleted(directory)
        await fs.rmdir(directory)
        removed.set(directory, info)
      } catch (error) {
        // A host may have none, and what another process has left of a queue.
        if (!isMissing(error)) throw error
      }
    }
    // Items come to claimed/ from queue/ alone, so none comes there from now on.
    for (const claimed of await claimedPlaces(aside, layout, settings)) {
      place = path.relative(aside, claimed)
      const { length } = await claimedIn(claimed)
      if (length > 0) return { place, claimed: length, error: undefined }
    }
  } catch (error) {
    return { place, claimed: 0, error }
  }
  return undefined
}

function isNotEmpty(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')
}

/**
 * Removes a directory that an installation or an uninstallation has left under a hidden name, unless a producer had the queue open and has added
 * an item.
 *
 * @returns Whether it has been removed. Otherwise an item is in it.
 * @throws As `node:fs`, or a file system error.
 */
export async function removeHidden(hidden: string, settings: Settings): Promise<boolean> {
  const removed = new Map<string, Stats>()
  const obstacle = await removePlaces(hidden, layoutAt(hidden, settings), settings, removed)
  if (obstacle !== undefined) {
    for (const [directory, info] of removed) await remake(directory, info)
    if (obstacle.claimed > 0 || isNotEmpty(obstacle.error)) return false
    throw obstacle.error
  }
  await fs.rm(hidden, { recursive: true, force: true })
  return true
}

/**
 * Removes files that were deleted while open, because they would keep their directory from being removed. One that is
 * open on this machine cannot be removed, and the directory stays.
 */
async function removeDeleted(directory: string): Promise<void> {
  for (const name of (await fs.readdir(directory)).filter(isDeleted))
    await fs.unlink(path.join(directory, name)).catch(() => undefined)
}

/** Restores the name of a queue that was moved aside, and the directories that were removed from it. */
async function putBack(
  layout: Layout,
  aside: string,
  hidden: string,
  removed: ReadonlyMap<string, Stats>,
): Promise<void> {
  let problem: unknown
  for (const [directory, info] of removed)
    await remake(directory, info).catch((error: unknown) => (problem = error))
  // In any case: under its hidden name, a repair would remove it with its items.
  const failure = await native.relocate(layout.root, hidden, layout.name, false)
  if (failure?.moved === false)
    throw fileSystemError(
      { errno: failure.errno, syscall: failure.syscall, path: aside, dest: layout.path },
      `put back the ${shownName(layout)}, which is now called ${aside} and holds items,`,
    )
  if (problem !== undefined)
    throw fileSystemError(
      failureOf(problem, 'mkdir', layout.path),
      `make a directory of the ${shownName(layout)} again, which holds items,`,
    )
}

async function remake(directory: string, { mode, uid, gid }: Stats): Promise<void> {
  await fs.mkdir(directory)
  try {
    await fs.chown(directory, process.geteuid?.() === 0 ? uid : -1, gid)
  } catch (error) {
    // Only root may give a directory to another user. Workers can use it if its group or mode permits.
    if (codeOf(error) !== 'EPERM') throw error
  }
  await fs.chmod(directory, mode)
}

function pathsAsText(failure: Failure): Failure {
  return failureIn({ ...failure, published: false }) ?? failure
}
