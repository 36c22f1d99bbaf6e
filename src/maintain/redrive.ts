/**
 * Moving failed items back to queue/.
 *
 * @module
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { native } from '../addon/native.js'
import type { Layout } from '../directory/layout.js'
import { FsqError } from '../errors/classes.js'
import { systemError } from '../errors/system-error.js'
import { type Entry, isStillWaiting } from '../inspect/entries.js'
import { type RawName, pathText, printable } from '../name/charset.js'
import { freeEntropies, withTries } from '../name/item-name.js'
import type { Settings } from '../settings.js'

const { EEXIST, ENOENT } = os.constants.errno

/**
 * Moves an item from fail/ to queue/.
 *
 * @param isKept - Its tries stay as they are. Otherwise they are 0.
 * @returns Its new name; `undefined`: it was not there any more.
 */
export async function moveBack(
  entry: Entry,
  layout: Layout,
  settings: Settings,
  isKept: boolean,
): Promise<RawName | undefined> {
  const { raw } = entry
  // Its worker died halfway: the item waits already, and the next claim completes its move to fail/.
  if (isStillWaiting(layout, entry)) return undefined
  const from = path.join(settings.fail, nameOf(raw))
  const first = isKept ? raw : withTries(raw, 0, settings.encode)
  for (const to of candidates(first, settings)) {
    const target = path.join(settings.queue, nameOf(to))
    // Where the file system knows no rename that never replaces, this is what keeps it from that.
    if (fs.existsSync(path.join(layout.path, target))) continue
    // Never a hard link and an unlink: a worker that sees both would take that for a move to fail/ cut in half.
    const failure = await native.relocate(layout.path, from, target)
    if (failure === undefined || failure.moved) return to
    if (failure.errno === -ENOENT) return undefined
    if (failure.errno === -EEXIST) continue
    const cause = systemError(failure)
    throw new FsqError(`Cannot retry the item ${printable(raw)} of ${layout.path}: ${cause.message}`, {
      cause,
    })
  }
  throw new FsqError(
    `Cannot retry the item ${printable(raw)} of ${layout.path}: there is no free name for it`,
  )
}

function* candidates(name: RawName, settings: Settings): Generator<RawName> {
  yield name
  yield* freeEntropies(name, settings.encode)
}

/** As text, as which native code takes it. */
function nameOf(raw: RawName): string {
  const text = pathText(raw)
  if (Buffer.from(text).toString('latin1') === raw) return text
  throw new FsqError(`The name ${printable(raw)} is not UTF-8`, { advice: 'Move it with mv' })
}
