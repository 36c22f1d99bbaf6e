/**
 * Mends what an audit has found.
 *
 * @module
 */
import { constants } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import path from 'node:path'

import { Place } from '../addon/native.js'
import type { FileCalls } from '../directory/calls.js'
import { claimKindBy } from '../directory/claim-kind.js'
import { WORKER_OWNED } from '../directory/claimed.js'
import { hostsOf } from '../directory/hosts.js'
import { removeHidden } from '../directory/install.js'
import { type Layout, hostLayoutOf, placePath } from '../directory/layout.js'
import { receivedPath } from '../directory/received.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { FsqError, SettingError } from '../errors/classes.js'
import { codeOf } from '../errors/errno.js'
import { findingsIn, plainFinding } from '../inspect/audit.js'
import type { Finding, Fix, FoundFile, LocatedFinding } from '../inspect/finding.js'
import { isOfSystem } from '../inspect/queues.js'
import { Slices } from '../inspect/slices.js'
import { type RawName, bytePath } from '../name/charset.js'
import { freeEntropies } from '../name/item-name.js'
import { checkFlag, checkOptions } from '../options.js'
import { mountRefusals } from '../probe/mount-options.js'
import type { Settings } from '../settings.js'
import { convertToRename, isConvertible } from './convert.js'
import { makeClaimed, makeGuard } from './queue-files.js'
import { type Unchanged, underLock } from './under-lock.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

const REASONS: Readonly<Record<Unchanged, string>> = {
  busy: 'A worker holds it',
  gone: 'It has moved meanwhile',
  full: 'It holds items: give it the name of a queue or a host, or remove it by hand',
}

/** How a queue is repaired. */
export interface RepairOptions {
  /** Only says what would be mended. Default: false. */
  readonly dryRun?: boolean | undefined
  /**
   * `rename`: also converts a queue whose workers lock items, so that workers of several machines can share it (see `claims` of
   * {@link Queue.install}). The queue must be idle: it is down meanwhile, and the conversion waits some seconds for workers that
   * have items in hand. Default: nothing is converted.
   */
  readonly claims?: 'rename' | undefined
}

/** A finding that was not mended. */
export interface UnmendedFinding extends Finding {
  /** Why, as a sentence without its full stop. */
  readonly reason: string
}

/** The outcome of a repair. */
export interface Repaired {
  /** What has been mended; in a dry run, what would be tried. */
  readonly mended: readonly Finding[]
  /** What has not been mended. */
  readonly unmended: readonly UnmendedFinding[]
}

/**
 * Mends what can be mended in one queue.
 *
 * @throws {@link SettingError}; as {@link findingsIn}.
 */
export async function repair(
  directory: QueueDirectory,
  settings: Settings,
  options: RepairOptions,
): Promise<Repaired> {
  checkOptions('repair', options, ['dryRun', 'claims'])
  const { dryRun = false, claims } = options
  checkFlag('dryRun', dryRun)
  if (claims !== undefined && (claims as string) !== 'rename')
    throw new SettingError('claims', claims, "'rename'")
  directory.checkOpen()
  const calls = await directory.findCalls()
  const converted: Converted[] = []
  if (claims !== undefined) {
    const { layout: queue } = directory
    const hosts = (await hostsOf(queue, settings)).map((host) => hostLayoutOf(queue, host, settings))
    for (const layout of [queue, ...hosts]) {
      const found = await convert(layout, settings, dryRun, calls)
      if (found !== undefined) converted.push(found)
    }
  }
  const findings: LocatedFinding[] = []
  // All of them first: a directory that changes while it is listed may show a file twice or not at all.
  for await (const finding of findingsIn(directory, settings)) findings.push(finding)
  const mended: Finding[] = []
  const unmended: UnmendedFinding[] = []
  for (const { reason, ...finding } of converted) {
    if (reason === undefined) mended.push(plainFinding(finding))
    else unmended.push({ ...plainFinding(finding), reason })
  }
  const slices = new Slices(() => {
    directory.checkOpen()
  })
  for (const finding of findings) {
    if (slices.isOver) await slices.next()
    const reason = await reasonNotToMend(finding, settings, dryRun, calls)
    if (reason === undefined) mended.push(plainFinding(finding))
    else unmended.push({ ...plainFinding(finding), reason })
  }
  return { mended, unmended }
}

/** A queue that was to be converted, with the reason if nothing was changed. */
type Converted = LocatedFinding & { readonly reason: string | undefined }

/**
 * Converts a queue whose workers lock items.
 *
 * @returns What was found, with the reason if nothing was changed; `undefined`: its workers rename items already.
 * @throws As {@link convertToRename}.
 */
export async function convert(
  layout: Layout,
  settings: Settings,
  dryRun: boolean,
  calls: FileCalls,
): Promise<Converted | undefined> {
  if (!(await isConvertible(layout))) return undefined
  const refusals = await mountRefusals(layout.path)
  const refusal =
    refusals.length === 0 ? undefined : `Its mount is not for several machines: ${refusals.join('; ')}`
  return {
    queue: layout.name,
    layout,
    kind: 'claims',
    path: layout.path,
    message: 'has workers that lock items',
    fix: { action: 'claim by renaming' },
    reason: refusal ?? (dryRun ? undefined : await convertToRename(layout, settings, calls)),
  }
}

/** @returns Why nothing was changed. */
async function reasonNotToMend(
  finding: LocatedFinding,
  settings: Settings,
  dryRun: boolean,
  calls: FileCalls,
): Promise<string | undefined> {
  if (finding.kind === 'abandoned') return `The next ${isOfReceiver(finding) ? 'receiver' : 'worker'} does so`
  if (!isMendable(finding)) return 'Only a person can mend it'
  if (dryRun) return undefined
  try {
    const unchanged = await mend(finding, settings, calls)
    return unchanged && REASONS[unchanged]
  } catch (error) {
    if (!isOfSystem(error)) throw error
    return codeOf(error) === 'ENOENT' ? REASONS.gone : error.message
  }
}

function isOfReceiver({ path: file, layout }: LocatedFinding): boolean {
  return layout !== undefined && file.startsWith(`${receivedPath(layout)}/`)
}

/** A finding that can be mended. */
export type Mendable = LocatedFinding & {
  readonly fix: Exclude<Fix, { readonly action: 'claim by renaming' }>
}

/** Whether a finding can be mended. */
export function isMendable(finding: LocatedFinding): finding is Mendable {
  return finding.fix !== undefined
}

/**
 * Applies the fix of a finding.
 *
 * @returns Why nothing was changed.
 */
export async function mend(
  { path: file, fix, file: found, layout }: Mendable,
  settings: Settings,
  calls: FileCalls,
): Promise<Unchanged | undefined> {
  switch (fix.action) {
    case 'set mode':
      await change(found?.path ?? file, calls, (descriptor) => calls.fchmod(descriptor, fix.mode))
      return undefined
    case 'set owner':
      await change(file, calls, (descriptor) => calls.fchown(descriptor, fix.user, fix.group))
      return undefined
    case 'remove':
      if (found !== undefined) await calls.unlink(found.path)
      return undefined
    case 'remove directory': {
      const outcome = { isRemoved: false }
      const unchanged = await underLock(file, undefined, calls, async () => {
        outcome.isRemoved = await removeHidden(file, settings)
      })
      return unchanged ?? (outcome.isRemoved ? undefined : 'full')
    }
    case 'move to fail/': {
      if (found === undefined || layout === undefined) return undefined
      const fail = placePath(layout, Place.fail)
      // Where workers rename items, no lock is needed: the link below fails if a worker has claimed the item.
      if ((await claimKindBy(layout, calls)) === 'lock')
        return underLock(found.path, layout, calls, async () => moveInto(fail, found, settings, calls))
      await moveInto(fail, found, settings, calls)
      return undefined
    }
    case 'remove empty directory':
      await rm(path.join(file, WORKER_OWNED), { force: true })
      await rmdir(file)
      return undefined
    case 'make directory':
      if (layout !== undefined) await makeClaimed(layout)
      return undefined
    case 'make guard':
      if (layout !== undefined) await makeGuard(layout)
      return undefined
  }
}

/** Moves a file into a directory. Never replaces another file. */
async function moveInto(
  directory: string,
  { raw, path: from }: FoundFile,
  { encode }: Settings,
  calls: FileCalls,
): Promise<void> {
  for (const name of namesFor(raw, encode)) {
    const to = bytePath(directory, name)
    if (await move(from, to, calls)) return
  }
  throw new FsqError(`There is no free name for it in ${directory}`, { advice: 'Move it by hand' })
}

function* namesFor(raw: RawName, encode: string): Generator<RawName> {
  yield raw
  yield* freeEntropies(raw, encode)
}

/** @returns Whether the file has been moved. Otherwise another file has the name. */
async function move(from: Buffer, to: Buffer, calls: FileCalls): Promise<boolean> {
  try {
    // A link never replaces a file. A worker that sees both names completes the move.
    await calls.link(from, to)
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'EEXIST' && code !== 'EPERM') throw error
    const there = await calls.lstat(to)
    const isItself = there !== undefined && there.ino === (await calls.lstat(from))?.ino
    if (there !== undefined && !isItself) return false
    // Linux lets a user link only files that the user owns, or may read and write.
    if (there === undefined) {
      await calls.rename(from, to)
      return true
    }
  }
  await calls.removeAll(from)
  return true
}

/** By descriptor: in a queue that a group may write to, a planted link must not lead root to another file. */
async function change(
  file: string | Buffer,
  calls: FileCalls,
  call: (descriptor: number) => void | Promise<void>,
): Promise<void> {
  const descriptor = await calls.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const info = await calls.fstat(descriptor)
    if (info.isFile() && info.nlink > 1)
      throw new FsqError('has more than one name, perhaps planted; look at it')
    await call(descriptor)
  } finally {
    await calls.close(descriptor)
  }
}
