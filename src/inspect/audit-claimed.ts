/**
 * What can be wrong with claims by renaming (fsq standard, section 11).
 *
 * @module
 */
import type { Stats } from 'node:fs'
import path from 'node:path'

import { isClaimedName, parseWorkerName } from '../directory/claimed.js'
import type { Layout } from '../directory/layout.js'
import { LOCK_MARKER } from '../settings.js'
import { ageText } from './age-text.js'
import { type Entry, entriesOf, nameText } from './entries.js'
import { type About, type LocatedFinding, auditAccess } from './finding.js'
import { isDirectoryBy } from './queues.js'
import type { Slices } from './slices.js'
import { lifeOfWorker } from './worker-lock.js'

/** A worker makes its `.lock` milliseconds after its directory. */
const MADE_MS = 3600 * 1000

/**
 * What is wrong with the guard and with claimed/ of one queue with claims by renaming.
 *
 * @param own - Of the queue.
 */
export async function* auditClaimed(
  layout: Layout,
  own: Stats,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const { calls } = slices
  const { claimedPath, downPath } = layout
  const about = { queue: layout.name, layout }
  if ((await calls.lstat(downPath)) === undefined) {
    const message =
      'is missing: it keeps workers that do not know claims by renaming from running items twice'
    yield { ...about, path: downPath, kind: 'missing', message, fix: { action: 'make guard' } }
  }
  const marker = path.join(layout.path, LOCK_MARKER)
  if ((await calls.lstat(marker)) !== undefined) {
    const message = 'has no effect: workers claim items by renaming them'
    const file = { raw: LOCK_MARKER, path: Buffer.from(marker) }
    yield { ...about, path: marker, file, kind: 'foreign', message, fix: { action: 'remove' } }
  }
  if (!(await isDirectoryBy(calls, claimedPath))) {
    const isThere = (await calls.lstat(claimedPath)) !== undefined
    yield {
      ...about,
      path: claimedPath,
      ...(isThere
        ? { kind: 'foreign', message: 'is no directory, so that no item can be claimed' }
        : { kind: 'missing', message: 'is missing', fix: { action: 'make directory' } }),
    }
    return
  }
  for await (const { raw, path: file, info } of entriesOf(claimedPath, slices)) {
    const at = { ...about, path: nameText(file.toString('latin1')) }
    if (!info.isDirectory() || parseWorkerName(raw) === undefined)
      yield { ...at, kind: 'foreign', message: 'is no directory of a worker, and is left alone' }
    else {
      yield* auditAccess(at, own, calls)
      yield* auditWorker(at, info, slices)
    }
  }
}

async function* auditWorker(
  about: About,
  info: Stats,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  let items = 0
  for await (const entry of entriesOf(about.path, slices, true)) {
    if (!isClaimedName(entry.raw)) continue
    if (entry.info.isFile()) items++
    else yield foreignItem(about, entry)
  }
  const life = await lifeOfWorker(about.path, slices.calls)
  if (items > 0 && (life === 'dead' || life === 'unmade')) {
    const [held, wait, them] =
      items === 1 ? (['1 item', 'waits', 'it'] as const) : ([`${items} items`, 'wait', 'them'] as const)
    const message = `is of a worker that has died: ${held} ${wait} for the next worker, which puts ${them} back`
    yield { ...about, kind: 'abandoned', message }
  }
  const age = Date.now() - Math.max(info.mtimeMs, info.ctimeMs)
  if (items > 0 || life !== 'unmade' || age < MADE_MS) return
  const message = `is left from a worker that died ${ageText(age / 1000)} ago while it started`
  yield { ...about, kind: 'stale', message, fix: { action: 'remove empty directory' } }
}

function foreignItem(about: About, { path: file }: Entry): LocatedFinding {
  const message = 'is no regular file, and is never worked on'
  return { ...about, path: nameText(file.toString('latin1')), kind: 'foreign', message }
}
