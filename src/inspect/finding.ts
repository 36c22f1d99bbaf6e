/**
 * What an audit finds.
 *
 * @module
 */
import type { Stats } from 'node:fs'

import type { FileCalls } from '../directory/calls.js'
import type { Layout } from '../directory/layout.js'
import type { RawName } from '../name/charset.js'

/** What would mend a finding. */
export type Fix =
  | { readonly action: 'remove' | 'remove directory' | 'remove empty directory' | 'move to fail/' }
  | { readonly action: 'make directory' | 'make guard' }
  | { readonly action: 'claim by renaming' }
  | { readonly action: 'set mode'; readonly mode: number }
  | { readonly action: 'set owner'; readonly user: number; readonly group: number }

/**
 * The kinds of problems in a queue.
 *
 * - `stale`: a crashed enqueue has left a file in tmp/, a probe or a worker a directory.
 * - `malformed`: the name of a file in queue/ is not that of an item.
 * - `foreign`: it is not a regular file, or no part of a queue; never worked on.
 * - `mode`: mode bits keep some workers from an item, or differ from those of the queue.
 * - `owner`: a directory belongs to another user or group than the queue.
 * - `missing`: one of the four directories is not there; or claimed/ or the guard of a queue with claims by renaming.
 * - `mount`: a directory is on another mount than the queue, so that no item can be moved.
 * - `clock`: an item is from the future: clocks differ.
 * - `expired`: an item is older than the TTL; a scan fails it unrun.
 * - `ungrowable`: an item fails at its next retry, as its name would be too long.
 * - `half-installed`: an installation, a removal or a conversion was cut short.
 * - `abandoned`: a worker that has died holds items in claimed/, or a receiver in received/. No problem: the next worker puts them back, and the
 *   next receiver brings them into queue/.
 * - `claims`: the workers of the queue lock items. Found only by a repair that is to change that.
 */
export type FindingKind =
  | 'stale'
  | 'malformed'
  | 'foreign'
  | 'mode'
  | 'owner'
  | 'missing'
  | 'mount'
  | 'clock'
  | 'expired'
  | 'ungrowable'
  | 'half-installed'
  | 'abandoned'
  | 'claims'

/** One thing that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind
  /** The path of what it is about, as text. */
  readonly path: string
  /** What is wrong with it, to follow the path. */
  readonly message: string
  /** What would mend it. Not set: only a person can do that. */
  readonly fix?: Fix
}

/** A finding, and where it was made. */
export interface LocatedFinding extends Finding {
  readonly queue: string | undefined
  /** The file, where there is one. */
  readonly file?: FoundFile
  readonly layout?: Layout
}

/** As little of a file as mending it needs: there may be very many. */
export interface FoundFile {
  readonly raw: RawName
  readonly path: Buffer
}

/** What a finding is about. */
export type About = Pick<LocatedFinding, 'queue' | 'path' | 'file' | 'layout'>

/** Whether the mode of a directory is that of the queue. */
export function* auditMode(about: About, info: Stats, own: Stats): Generator<LocatedFinding> {
  const [mode, wanted] = [info.mode & 0o7777, own.mode & 0o7777]
  if (mode === wanted) return
  const message = `has mode ${mode.toString(8)}, and the queue has ${wanted.toString(8)}`
  yield { ...about, kind: 'mode', message, fix: { action: 'set mode', mode: wanted } }
}

/** Whether the mode and the group of a directory that a worker has made are those of the queue. Its owner may be any user who works the queue. */
export async function* auditAccess(
  about: About,
  own: Stats,
  calls: FileCalls,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const info = await calls.lstat(about.path)
  if (info === undefined) return
  yield* auditMode(about, info, own)
  if (info.gid === own.gid) return
  const message = `belongs to the group ${info.gid}, and the queue to ${own.gid}`
  yield { ...about, kind: 'owner', message, fix: { action: 'set owner', user: info.uid, group: own.gid } }
}
