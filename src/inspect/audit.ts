/**
 * Finds what is wrong with queues. Changes nothing and locks no item.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import type { FileCalls } from '../directory/calls.js'
import { claimKindOf } from '../directory/claim-kind.js'
import { type Layout, placePath } from '../directory/layout.js'
import { queueMissing } from '../directory/presence.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import { FsqError } from '../errors/classes.js'
import { isExpired, nameAfterTry } from '../item/limits.js'
import { pathText } from '../name/charset.js'
import { Place } from '../addon/native.js'
import {
  CLAIMED_DIRECTORY,
  FORWARDED_DIRECTORY,
  LOCK_MARKER,
  META_DIRECTORY,
  RECEIVED_DIRECTORY,
  RENAME_MARKER,
  type Settings,
  downOfRename,
} from '../settings.js'
import { ageText } from './age-text.js'
import { auditClaimed } from './audit-claimed.js'
import { auditHosts } from './audit-hosts.js'
import { auditMeta } from './audit-meta.js'
import { auditReceived } from './audit-received.js'
import { type Entry, entriesOf, isDelayed, nameText } from './entries.js'
import { enqueuedAt } from './items.js'
import { type About, type Finding, type LocatedFinding, auditMode } from './finding.js'
import { mountsIn } from './lock-holders.js'
import { entriesIn, isDirectory, isDirectoryBy, isOfSystem } from './queues.js'
import { Slices } from './slices.js'
import { parseIfItem } from './states.js'

/** No enqueue takes longer (fsq standard, section 3). */
const STALE_MS = 36 * 3600 * 1000
/** Clocks that are set by NTP differ by less. */
const SKEW_MS = 60_000
/** No probe takes longer. */
const PROBE_MS = 3600 * 1000
const UNCONVERTED =
  'is left from a conversion to claims by renaming that was cut short: convert the queue again (fsq repair --claims=rename), or remove it'
const HIDDEN = /^\.fsq-[A-Za-z0-9]{6}$/
const PROBED = /^\.fsq-(probe-|peer$)/

/**
 * Findings about one queue, which may lack any of its parts.
 *
 * @throws {@link QueueMissingError}, {@link QueueClosedError} or a file system error.
 */
export async function* findingsIn(
  directory: QueueDirectory,
  settings: Settings,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const { layout } = directory
  directory.checkOpen()
  const calls = await directory.findCalls()
  const slices = new Slices(() => {
    directory.checkOpen()
  }, calls)
  directory.checkOpen()
  if (!(await isDirectoryBy(calls, layout.path, true))) throw queueMissing(layout, 'stat')
  try {
    yield* auditQueue(layout, settings, slices)
  } catch (error) {
    if (error instanceof FsqError || !isOfSystem(error)) throw error
    throw fileSystemError(failureOf(error, 'lstat', layout.path), 'audit the queue')
  }
}

/** {@link findingsIn}, as plain objects. */
export async function* audit(
  directory: QueueDirectory,
  settings: Settings,
): AsyncGenerator<Finding, void, undefined> {
  for await (const finding of findingsIn(directory, settings)) yield plainFinding(finding)
}

/** The part of a finding that does not depend on where it was made. */
export function plainFinding({ kind, path: file, message, fix }: LocatedFinding): Finding {
  return { kind, path: file, message, ...(fix && { fix }) }
}

/** Remains of installations and probes in the directory that holds the queues. */
export function* leftoversIn(settings: Settings): Generator<LocatedFinding> {
  const { root } = settings
  for (const name of entriesIn(root)) {
    const file = path.join(root, name)
    const about = { queue: undefined, path: file } as const
    if (!name.startsWith('.') || !isDirectory(file)) continue
    const fix = { action: 'remove directory' } as const
    if (HIDDEN.test(name)) {
      const message = 'is left from an installation or a removal, unless one is under way'
      yield { ...about, kind: 'half-installed', message, fix }
    } else if (PROBED.test(name)) {
      const age = Date.now() - fs.lstatSync(file).ctimeMs
      if (age < PROBE_MS) continue
      const message = `is left from a probe (fsq doctor) ${ageText(age / 1000)} ago`
      yield { ...about, kind: 'stale', message, fix }
    } else if (isLikeQueue(file, settings)) {
      const message = 'is hidden and looks like a queue that another program has installed by halves'
      yield { ...about, kind: 'half-installed', message }
    }
  }
}

function isLikeQueue(file: string, { queue, tmp, done, fail }: Settings): boolean {
  return [queue, tmp, done, fail].some((name) => isDirectory(path.join(file, name)))
}

/** Findings about one queue. */
export async function* auditQueue(
  layout: Layout,
  settings: Settings,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const { calls } = slices
  const mounts = mountsIn(await calls.realpath(layout.path))
  const own = there(await calls.stat(layout.path), 'stat', layout.path)
  const isRename = (await claimKindOf(layout)) === 'rename'
  const isFcntl = !isRename && (await calls.lstat(path.join(layout.path, LOCK_MARKER))) !== undefined
  yield* auditOthers(layout, settings, own, isRename, slices)
  if (isRename) yield* auditClaimed(layout, own, slices)
  if (isRename && (await isDirectoryBy(calls, layout.claimedPath)))
    yield* auditDirectory({ queue: layout.name, path: layout.claimedPath, layout }, own, mounts, calls)
  for (const place of [Place.queue, Place.tmp, Place.done, Place.fail]) {
    const directory = placePath(layout, place)
    const about = { queue: layout.name, path: directory, layout }
    if (!(await isDirectoryBy(calls, directory))) {
      yield { ...about, kind: 'missing', message: 'is no directory: install the queue anew' }
      continue
    }
    yield* auditDirectory(about, own, mounts, calls)
    for await (const entry of entriesOf(directory, slices)) {
      const { raw, path: bytes } = entry
      const file = { ...about, path: path.join(directory, nameText(raw)), file: { raw, path: bytes } }
      if (!entry.info.isFile())
        yield { ...file, kind: 'foreign', message: 'is no regular file, and is never worked on' }
      else if (place === Place.tmp) yield* auditDraft(file, entry)
      else if (place === Place.queue) yield* auditItem(file, entry, settings, neededMode(own, isFcntl))
    }
  }
  if (layout.parent === undefined)
    yield* auditHosts(layout, settings, slices.calls, (host) => auditQueue(host, settings, slices))
}

/** Findings about entries of a queue other than its four directories. */
async function* auditOthers(
  layout: Layout,
  settings: Settings,
  own: fs.Stats,
  isRename: boolean,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const { down, trigger, hosts, hostsTrigger } = settings
  const ofRename: readonly string[] = [RENAME_MARKER, CLAIMED_DIRECTORY, downOfRename(down)]
  for await (const { raw, path: file, info } of entriesOf(layout.path, slices)) {
    const name = pathText(raw)
    if (layout.directories.includes(name) || name === hosts) continue
    const about = { queue: layout.name, kind: 'foreign', path: nameText(file.toString('latin1')) } as const
    if (name === trigger || name === hostsTrigger) {
      if (!info.isFIFO()) yield { ...about, message: 'is no FIFO, and so no trigger' }
    } else if (name === down || (isRename && name === downOfRename(down))) {
      if (!info.isFile()) yield { ...about, message: 'is no regular file, and forbids scans all the same' }
    } else if (name === META_DIRECTORY) yield* auditMeta(layout, settings, own, slices)
    else if (name === RECEIVED_DIRECTORY) yield* auditReceived(layout, own, slices)
    else if (name === FORWARDED_DIRECTORY) {
      if (!info.isDirectory()) yield { ...about, message: 'is no directory, so nothing can be forwarded' }
    } else if (ofRename.includes(name)) {
      if (!isRename) yield { ...about, kind: 'half-installed', message: UNCONVERTED }
    } else if (name !== LOCK_MARKER) yield { ...about, message: 'is no part of a queue, and is left alone' }
  }
}

async function* auditDirectory(
  about: About,
  own: fs.Stats,
  mounts: readonly string[],
  calls: FileCalls,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const info = there(await calls.lstat(about.path), 'lstat', about.path)
  if (info.dev !== own.dev || mounts.includes(await calls.realpath(about.path))) {
    yield {
      ...about,
      kind: 'mount',
      message: 'is on another mount than the queue: items cannot be moved. Mount the whole queue',
    }
  }
  yield* auditMode(about, info, own)
  if (info.uid !== own.uid || info.gid !== own.gid) {
    const message = `belongs to ${info.uid}:${info.gid}, and the queue to ${own.uid}:${own.gid}`
    yield { ...about, kind: 'owner', message, fix: { action: 'set owner', user: own.uid, group: own.gid } }
  }
}

/** @throws ENOENT if the directory has just been removed. */
function there(info: fs.Stats | undefined, syscall: string, directory: string): fs.Stats {
  if (info !== undefined) return info
  throw systemError({ errno: -os.constants.errno.ENOENT, syscall, path: directory })
}

function* auditDraft(about: About, { info }: Entry): Generator<LocatedFinding> {
  // The older of the two times: a restored backup has a new ctime, and a delayed item has an mtime in the future.
  const age = Date.now() - Math.min(info.ctimeMs, info.mtimeMs)
  if (age < STALE_MS) return
  const message = `is left from an enqueue that ended ${ageText(age / 1000)} ago`
  yield { ...about, kind: 'stale', message, fix: { action: 'remove' } }
}

/**
 * The mode bits that an item needs, so that each user who may write to the queue can work on it. Fcntl locks need files that
 * are open for writing.
 */
function neededMode({ mode }: fs.Stats, isFcntl: boolean): number {
  const others = mode & 0o022
  return isFcntl ? 0o600 | others | (others << 1) : 0o400 | (others << 1)
}

function* auditItem(
  about: About,
  entry: Entry,
  settings: Settings,
  needed: number,
): Generator<LocatedFinding> {
  const { raw, info } = entry
  const now = Date.now()
  const parsed = parseIfItem(raw, settings)
  if (parsed === undefined) {
    yield {
      ...about,
      kind: 'malformed',
      message: 'has a name that no item has',
      fix: { action: 'move to fail/' },
    }
    return
  }
  const mode = info.mode & 0o7777
  if ((mode & needed) !== needed) {
    const message = `has mode ${mode.toString(8)}, so that not all workers can ${(needed & 0o200) === 0 ? 'read' : 'lock'} it`
    yield { ...about, kind: 'mode', message, fix: { action: 'set mode', mode: mode | needed } }
  }
  const begin = enqueuedAt(parsed, settings)
  const skew = Math.max(begin, isDelayed(info, now) ? 0 : info.mtimeMs, info.ctimeMs) - now
  if (skew > SKEW_MS) {
    yield { ...about, kind: 'clock', message: `is from ${ageText(skew / 1000)} ahead: clocks do not agree` }
  }
  if (isExpired(begin, settings.ttl, now)) {
    const message = `is ${ageText((now - begin) / 1000)} old, and ${settings.ttl} s are allowed`
    yield { ...about, kind: 'expired', message, fix: { action: 'move to fail/' } }
  }
  if (nameAfterTry(parsed, settings.encode) === undefined) {
    yield { ...about, kind: 'ungrowable', message: 'fails at its next retry: its name would be too long' }
  }
}
