/**
 * Mends what an audit has found.
 *
 * @module
 */
import fs from 'node:fs'

import { Place } from '../addon/native.js'
import { placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { FsqError } from '../errors/classes.js'
import { codeOf } from '../errors/errno.js'
import { findingsIn, plainFinding } from '../inspect/audit.js'
import type { Finding, Fix, FoundFile, LocatedFinding } from '../inspect/finding.js'
import { isOfSystem } from '../inspect/queues.js'
import { Slices } from '../inspect/slices.js'
import type { RawName } from '../name/charset.js'
import { freeEntropies } from '../name/item-name.js'
import { checkFlag, checkOptions } from '../options.js'
import type { Settings } from '../settings.js'
import { type Unchanged, underLock } from './under-lock.js'

const REASONS: Readonly<Record<Unchanged, string>> = {
  busy: 'A worker holds it',
  gone: 'It has moved meanwhile',
}

/** How a queue is repaired. */
export interface RepairOptions {
  /** Only says what would be mended. Default: false. */
  readonly dryRun?: boolean | undefined
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
  checkOptions('repair', options, ['dryRun'])
  const { dryRun = false } = options
  checkFlag('dryRun', dryRun)
  const findings: LocatedFinding[] = []
  // All of them first: a directory that changes while it is listed may show a file twice or not at all.
  for await (const finding of findingsIn(directory, settings)) findings.push(finding)
  const mended: Finding[] = []
  const unmended: UnmendedFinding[] = []
  const slices = new Slices(() => {
    directory.checkOpen()
  })
  for (const finding of findings) {
    if (slices.isOver) await slices.next()
    const reason = isMendable(finding) ? tryToMend(finding, settings, dryRun) : 'Only a person can mend it'
    if (reason === undefined) mended.push(plainFinding(finding))
    else unmended.push({ ...plainFinding(finding), reason })
  }
  return { mended, unmended }
}

/** @returns Why nothing was changed. */
function tryToMend(finding: Mendable, settings: Settings, dryRun: boolean): string | undefined {
  if (dryRun) return undefined
  try {
    const unchanged = mend(finding, settings)
    return unchanged && REASONS[unchanged]
  } catch (error) {
    if (!isOfSystem(error)) throw error
    return codeOf(error) === 'ENOENT' ? REASONS.gone : error.message
  }
}

/** A finding that can be mended. */
export type Mendable = LocatedFinding & { readonly fix: Fix }

/** Whether a finding can be mended. */
export function isMendable(finding: LocatedFinding): finding is Mendable {
  return finding.fix !== undefined
}

/**
 * Applies the fix of a finding.
 *
 * @returns Why nothing was changed.
 */
export function mend(
  { path: file, fix, file: found, layout }: Mendable,
  settings: Settings,
): Unchanged | undefined {
  switch (fix.action) {
    case 'set mode':
      change(found?.path ?? file, (descriptor) => fs.fchmodSync(descriptor, fix.mode))
      return undefined
    case 'set owner':
      change(file, (descriptor) => fs.fchownSync(descriptor, fix.user, fix.group))
      return undefined
    case 'remove':
      if (found !== undefined) fs.unlinkSync(found.path)
      return undefined
    case 'remove directory':
      return underLock(file, undefined, () => fs.rmSync(file, { recursive: true, force: true }))
    case 'move to fail/': {
      if (found === undefined || layout === undefined) return undefined
      const fail = placePath(layout, Place.fail)
      return underLock(found.path, layout, () => moveInto(fail, found, settings))
    }
  }
}

/** Moves a file into a directory. Never replaces another file. */
function moveInto(directory: string, { raw, path: from }: FoundFile, { encode }: Settings): void {
  for (const name of namesFor(raw, encode)) {
    const to = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, 'latin1')])
    if (move(from, to)) return
  }
  throw new FsqError(`There is no free name for it in ${directory}`, { advice: 'Move it by hand' })
}

function* namesFor(raw: RawName, encode: string): Generator<RawName> {
  yield raw
  yield* freeEntropies(raw, encode)
}

/** @returns Whether the file has been moved. Otherwise another file has the name. */
function move(from: Buffer, to: Buffer): boolean {
  try {
    // A link never replaces a file. A worker that sees both names completes the move.
    fs.linkSync(from, to)
  } catch (error) {
    const code = codeOf(error)
    if (code !== 'EEXIST' && code !== 'EPERM') throw error
    const there = fs.lstatSync(to, { throwIfNoEntry: false })
    const isItself = there !== undefined && there.ino === fs.lstatSync(from).ino
    if (there !== undefined && !isItself) return false
    // Linux lets a user link only files that the user owns, or may read and write.
    if (there === undefined) {
      fs.renameSync(from, to)
      return true
    }
  }
  fs.rmSync(from, { force: true })
  return true
}

/** By descriptor: in a queue that a group may write to, a planted link must not lead root to another file. */
function change(file: string | Buffer, call: (descriptor: number) => void): void {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const info = fs.fstatSync(descriptor)
    if (info.isFile() && info.nlink > 1)
      throw new FsqError('has more than one name, perhaps planted; look at it')
    call(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}
