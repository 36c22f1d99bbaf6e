/**
 * What can be wrong with meta/ (fsq standard, section 10). The files of dead workers are no finding: the next worker buries them.
 *
 * @module
 */
import type { Stats } from 'node:fs'
import path from 'node:path'

import { Place } from '../addon/native.js'
import { type Layout, placePath } from '../directory/layout.js'
import { META_PARTS, type MetaPart, isHidden, isWorkerFileName, metaPath, partPath } from '../meta/layout.js'
import type { RawName } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { ageText } from './age-text.js'
import { type Entry, entriesOf, nameText } from './entries.js'
import { type About, type LocatedFinding, auditAccess } from './finding.js'
import { isDirectoryBy } from './queues.js'
import type { Slices } from './slices.js'

/** As for a file in tmp/: a person who restores or moves items by hand has that long. */
const STALE_MS = 36 * 3600 * 1000
/** A worker makes its file within milliseconds. */
const MADE_MS = 3600 * 1000

const FILES: Readonly<Record<MetaPart, string>> = {
  workers: 'file of a worker',
  log: 'log',
  crashed: 'crash mark',
}

/**
 * What is wrong with the meta/ of one queue, which exists.
 *
 * @param own - Of the queue.
 */
export async function* auditMeta(
  layout: Layout,
  settings: Settings,
  own: Stats,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const { calls } = slices
  const meta = metaPath(layout)
  const about = { queue: layout.name, path: meta, layout }
  if (!(await isDirectoryBy(calls, meta))) {
    yield {
      ...about,
      kind: 'foreign',
      message: 'is no directory, so workers leave no crash marks and no reasons',
    }
    return
  }
  yield* auditAccess(about, own, calls)
  for await (const { raw, path: file } of entriesOf(meta, slices)) {
    const part = META_PARTS.find((known) => known === raw)
    const at = { ...about, path: nameText(file.toString('latin1')) }
    if (part === undefined)
      yield { ...at, kind: 'foreign', message: 'is no part of meta/, and is left alone' }
    else if (!(await isDirectoryBy(calls, at.path)))
      yield { ...at, kind: 'foreign', message: 'is no directory' }
    else {
      yield* auditAccess(at, own, calls)
      yield* auditPart(part, at, layout, settings, slices)
    }
  }
}

async function* auditPart(
  part: MetaPart,
  about: About,
  layout: Layout,
  settings: Settings,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const old: Entry[] = []
  for await (const entry of entriesOf(partPath(layout, part), slices)) {
    const { raw, path: file, info } = entry
    const at = { ...about, path: nameText(file.toString('latin1')), file: { raw, path: file } }
    const age = Date.now() - info.mtimeMs
    if (!info.isFile() || (part === 'workers' && !isWorkerFileName(raw)))
      yield {
        ...at,
        kind: 'foreign',
        message: `is no ${FILES[part]}, and is left alone`,
      }
    else if (part !== 'workers' && age > STALE_MS) old.push(entry)
    else if (part === 'workers' && isHidden(raw) && age > MADE_MS) {
      const message = `is left from a worker that died ${ageText(age / 1000)} ago while it started`
      yield { ...at, kind: 'stale', message, fix: { action: 'remove' } }
    }
  }
  if (part !== 'workers') yield* auditOrphans(part, about, old, layout, settings, slices)
}

/** The old files of items that are nowhere in the queue any more. */
async function* auditOrphans(
  part: 'log' | 'crashed',
  about: About,
  old: readonly Entry[],
  layout: Layout,
  settings: Settings,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const orphans = new Map<RawName, Entry>(old.map((entry) => [entry.raw, entry]))
  for (const place of [Place.queue, Place.done, Place.fail]) {
    const directory = placePath(layout, place)
    if (orphans.size === 0 || !(await isDirectoryBy(slices.calls, directory))) continue
    for await (const { raw } of entriesOf(directory, slices)) orphans.delete(itemKey(raw, settings.encode))
  }
  for (const { raw, path: file } of orphans.values()) {
    const at = path.join(partPath(layout, part), nameText(raw))
    const message = `is the ${FILES[part]} of an item that is gone`
    yield { ...about, path: at, file: { raw, path: file }, kind: 'stale', message, fix: { action: 'remove' } }
  }
}
