/**
 * What can be wrong with received/ (fsq standard, section 13). Nothing in it is ever removed by a repair: a staged file can be the only
 * copy of an item, and the ledger keeps messages from arriving twice.
 *
 * @module
 */
import type { Stats } from 'node:fs'
import path from 'node:path'

import type { Layout } from '../directory/layout.js'
import {
  RECEIVER_LOCK,
  RECEIVER_TURN,
  STAGED_DIRECTORY,
  isSegmentName,
  receivedPath,
} from '../directory/received.js'
import { ageText } from './age-text.js'
import { type Entry, entriesOf, nameText } from './entries.js'
import { type About, type LocatedFinding, auditAccess } from './finding.js'
import { isDirectoryBy } from './queues.js'
import type { Slices } from './slices.js'
import { lifeOfHolder } from './worker-lock.js'

const LEFT_ALONE = 'is no part of received/, and is left alone'

/** What is wrong with the received/ of one queue, which exists. */
export async function* auditReceived(
  layout: Layout,
  own: Stats,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const received = receivedPath(layout)
  const about = { queue: layout.name, path: received, layout }
  if (!(await isDirectoryBy(slices.calls, received))) {
    yield { ...about, kind: 'foreign', message: 'is no directory, so that nothing can be received' }
    return
  }
  yield* auditAccess(about, own, slices.calls)
  for await (const entry of entriesOf(received, slices)) {
    const at = atEntry(about, entry)
    if (entry.info.isDirectory()) yield* auditReceiver(at, own, slices)
    else yield { ...at, kind: 'foreign', message: LEFT_ALONE }
  }
}

async function* auditReceiver(
  about: About,
  own: Stats,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  yield* auditAccess(about, own, slices.calls)
  for await (const entry of entriesOf(about.path, slices)) {
    const { raw, info } = entry
    const at = atEntry(about, entry)
    if (raw === STAGED_DIRECTORY && info.isDirectory()) yield* auditStaged(at, about.path, own, slices)
    else if (!info.isFile() || (raw !== RECEIVER_LOCK && raw !== RECEIVER_TURN && !isSegmentName(raw)))
      yield { ...at, kind: 'foreign', message: LEFT_ALONE }
  }
}

async function* auditStaged(
  about: About,
  receiver: string,
  own: Stats,
  slices: Slices,
): AsyncGenerator<LocatedFinding, void, undefined> {
  yield* auditAccess(about, own, slices.calls)
  let items = 0
  let oldest = Infinity
  for await (const entry of entriesOf(about.path, slices)) {
    if (entry.info.isFile()) {
      items++
      oldest = Math.min(oldest, entry.info.mtimeMs)
    } else
      yield { ...atEntry(about, entry), kind: 'foreign', message: 'is no regular file, and is never an item' }
  }
  const life = await lifeOfHolder(path.join(receiver, RECEIVER_LOCK), slices.calls)
  if (items === 0 || (life !== 'dead' && life !== 'unmade')) return
  const age = ageText((Date.now() - oldest) / 1000)
  const waiting = items === 1 ? `1 item, ${age} old, waits` : `${items} items, up to ${age} old, wait`
  const message = `is of a receiver that does not run: ${waiting} for its next start`
  yield { ...about, kind: 'abandoned', message }
}

function atEntry(about: About, { path: file }: Entry): About {
  return { ...about, path: nameText(file.toString('latin1')) }
}
