/**
 * Finds out which features a directory's file system has, by trying them.
 *
 * @module
 */
import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import { inspect } from 'node:util'

import { FileSystemError, type FsqError, PermissionError } from '../errors/classes.js'
import { type Failure, codeOf, failureOf } from '../errors/errno.js'
import { type ErrnoMeaning, fileSystemError, systemError } from '../errors/system-error.js'
import { withOpenPath } from '../directory/calls.js'
import { removeLeftover } from '../directory/files.js'
import { checkedDirectory } from './checked-directory.js'
import { isSharedByFuse, mountOf } from './mounts.js'
import { type NativeProbe, Reach, isFailure, native, newWatch } from '../addon/native.js'
import { type Feature, type Features, type Probe, fittingLockKind, promisesOf } from './promises.js'

const PREFIX = '.fsq-probe-'
const WATCH_MS = 2_000
const NO_EFFECT = 1
const { ENOENT, EPERM } = os.constants.errno
const MISSING: ErrnoMeaning = [FileSystemError, 'Make it, or probe its parent directory']
// The directory exists, but no directory can be made in it.
const NOTHING_GROWS =
  'No directory can be made in it: it is on a file system of the kernel (such as /proc), is immutable, or was just ' +
  'removed. Probe another'
const BARREN: ReadonlyMap<number, ErrnoMeaning> = new Map([
  [ENOENT, [FileSystemError, NOTHING_GROWS]],
  [EPERM, [PermissionError, NOTHING_GROWS]],
])

/**
 * Finds out which features the file system of a directory has. It tries each one in a temporary directory (`.fsq-probe-…`) below the
 * given one and removes that again, also after an error. Takes milliseconds, or two seconds if the system does not report changes of a
 * directory. Safe beside queues that are in use.
 *
 * @param directory - An existing directory that this process may write to, such as FSQ_ROOT.
 * @throws {@link SettingError} for a value that is not a path; a file system error if the directory is missing
 * ({@link FileSystemError}), cannot be written to ({@link PermissionError}, {@link ReadOnlyError}), or if a call fails for a reason that
 * says nothing about the file system, such as {@link DiskFullError}.
 * @example
 * ```ts
 * const { fileSystem, features, promises } = await probe('/var/fsq')
 * console.log(fileSystem, features.flock.works, promises.claims.kept, promises.claims.reason)
 * // ext4 true yes flock locks keep others out, and end with their holder
 * ```
 */
export async function probe(directory: string): Promise<Probe> {
  const where = checkedDirectory(directory)
  const fileSystem = await native.findFileSystem(where)
  if (isFailure(fileSystem)) {
    const meaning = fileSystem.errno === -ENOENT ? MISSING : undefined
    throw fileSystemError({ ...fileSystem, path: where }, doing(where), meaning)
  }
  const scratch = await makeScratch(where)
  let found: NativeProbe
  let features: Features
  try {
    const result = await native.probe(scratch)
    if (isFailure(result)) throw fileSystemError({ ...result, path: scratch }, doing(where))
    found = result
    const tried = await Promise.all([
      tryWatch(scratch, fileSystem.reach === Reach.local),
      tryReflink(scratch),
    ])
    features = featuresOf(found, ...tried)
  } finally {
    await removeLeftover(scratch, 'in which the file system was probed')
  }
  const mount = await mountOf(where)
  const facts = {
    fileSystem: mount?.type ?? fileSystem.name,
    network: networkOf(fileSystem.reach, mount?.type),
    features,
    timestampStep: found.timestampStep,
  }
  return {
    path: where,
    ...facts,
    ...(mount === undefined ? {} : { source: mount.source }),
    device: found.device,
    nameMax: found.nameMax,
    lockKind: fittingLockKind(facts),
    promises: promisesOf(facts),
  }
}

/** For FUSE, statfs(2) does not say which file system it is; the type of the mount does. */
export function networkOf(reach: number, type: string | undefined): Probe['network'] {
  if (isSharedByFuse(type)) return true
  return reach === Reach.unknown ? 'unknown' : reach === Reach.network
}

function doing(where: string): string {
  return `probe the directory ${inspect(where)}`
}

async function makeScratch(where: string): Promise<string> {
  try {
    const scratch = await fs.mkdtemp(path.join(where, PREFIX))
    // Independent of the umask.
    await fs.chmod(scratch, 0o700)
    return scratch
  } catch (error) {
    throw nodeError(error, where)
  }
}

function nodeError(error: unknown, where: string): FsqError {
  const failure = failureOf(error, 'mkdtemp', where)
  return fileSystemError(failure, doing(where), BARREN.get(-failure.errno))
}

function featuresOf({ features }: NativeProbe, watching: Feature, reflink: Feature): Features {
  const named = Object.fromEntries(
    Object.entries(features).map(([name, outcome]): [string, Feature] => [name, featureOf(outcome)]),
  )
  // Native code tries all other features.
  return { ...(named as unknown as Features), watch: watching, reflink }
}

/** @param outcome - 0: the feature works. Otherwise an error number, or {@link NO_EFFECT}. */
function featureOf(outcome: number): Feature {
  if (outcome === 0) return { works: true }
  if (outcome === NO_EFFECT) return { works: false, reason: 'no effect' }
  return { works: false, reason: systemError({ errno: outcome, syscall: '' }).code ?? String(outcome) }
}

function failed(error: unknown): Feature {
  return { works: false, reason: codeOf(error) ?? String(error) }
}

/** Tries the watch that wakes a waiting scan. */
async function tryWatch(scratch: string, isLocal: boolean): Promise<Feature> {
  const watch = newWatch()
  const timer = new AbortController()
  try {
    // EMFILE: this user has no watcher left, see fs.inotify.max_user_instances.
    const arm = (at: string): Failure | undefined => native.armWatch(watch, at, at)
    const failure = isLocal ? arm(scratch) : await withOpenPath(scratch, arm)
    if (failure !== undefined) return featureOf(failure.errno)
    const notified = new Promise<number>((resolve) => {
      const notify = (): void => {
        resolve(0)
      }
      if (native.awaitWatch(watch, false, notify) !== undefined) notify()
    })
    await fs.writeFile(path.join(scratch, 'watched'), '')
    const timedOut = later(WATCH_MS, NO_EFFECT, { signal: timer.signal }).catch(() => NO_EFFECT)
    return featureOf(await Promise.race([notified, timedOut]))
  } catch (error) {
    return failed(error)
  } finally {
    timer.abort()
    native.closeWatch(watch)
  }
}

async function tryReflink(scratch: string): Promise<Feature> {
  try {
    // A file that native code has made.
    const source = path.join(scratch, 'one')
    await fs.copyFile(source, path.join(scratch, 'reflink'), constants.COPYFILE_FICLONE_FORCE)
    return { works: true }
  } catch (error) {
    return failed(error)
  }
}
