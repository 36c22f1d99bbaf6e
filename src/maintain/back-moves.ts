/**
 * Moves of single items from fail/ or done/ to queue/. None replaces another item.
 *
 * Where the file system has a rename that refuses to replace a file, the move is that rename. Without one:
 *
 * - In a queue whose workers lock items, a look for the name goes ahead of a plain rename.
 * - In a queue with claims by renaming, the item goes through a directory of this process in claimed/, by a link that fails if the
 *   name is taken. Workers of such queues take a second name in claimed/ for the end of a move to queue/.
 *
 * A link from fail/ itself would not do in either of them: a worker that sees both names takes that for a half-done move to fail/, and
 * completes it.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

import { Place, native } from '../addon/native.js'
import { type FileCalls, HERE } from '../directory/calls.js'
import { type ClaimKind, claimKindOf } from '../directory/claim-kind.js'
import { type Layout, placePath } from '../directory/layout.js'
import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError, systemError } from '../errors/system-error.js'
import { type Entry, isStillWaiting } from '../inspect/entries.js'
import { isFile } from '../inspect/names.js'
import { PLACES } from '../inspect/states.js'
import { MetaDirectory } from '../meta/directory.js'
import { forgetMarks } from '../meta/log.js'
import { forgetMarksLater } from '../meta/log-later.js'
import { type RawName, pathText, printable, bytePath } from '../name/charset.js'
import { freeEntropies, itemKey, withTries } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import { OwnDirectory } from './own-directory.js'
import type { FinishedState } from './prune.js'

const { EEXIST, EINVAL, ENOENT, ENOSYS } = os.constants.errno

export class BackMoves {
  readonly #layout: Layout
  readonly #settings: Settings
  readonly #isKept: boolean
  readonly #calls: FileCalls
  readonly #from: Place
  #kind: ClaimKind | undefined
  #own: OwnDirectory | undefined

  /**
   * @param isKept - Whether the tries of items stay as they are. Otherwise they become 0.
   * @param calls - For a program that has nothing else to do, those of this thread.
   * @param from - Where the items are.
   */
  constructor(
    layout: Layout,
    settings: Settings,
    isKept: boolean,
    calls = HERE,
    from: FinishedState = 'failed',
  ) {
    this.#calls = calls
    this.#from = PLACES[from]
    this.#layout = layout
    this.#settings = settings
    this.#isKept = isKept
  }

  /**
   * Moves an item.
   *
   * @returns Its new name; `undefined`: it is not there any more.
   * @throws {@link FsqError}
   */
  async move(entry: Entry): Promise<RawName | undefined> {
    const { raw } = entry
    // A worker died halfway: the item is still in queue/, and the next claim completes its move to fail/.
    if (await isStillWaiting(this.#layout, entry, this.#calls)) return undefined
    this.#kind ??= await claimKindOf(this.#layout)
    await this.#forgetCrashes(raw)
    const from = path.join(this.#layout.directories[this.#from] ?? '', nameOf(raw))
    for (const to of this.#candidates(raw)) {
      const target = path.join(this.#settings.queue, nameOf(to))
      if (await isFile(placePath(this.#layout, Place.queue), to)) continue
      const failure = await native.relocate(this.#layout.path, from, target, this.#kind === 'rename')
      if (failure === undefined || failure.moved) return to
      if (failure.errno === -ENOENT) return undefined
      if (failure.errno === -EEXIST) continue
      if (this.#kind === 'rename' && [EINVAL, ENOSYS].includes(-failure.errno)) return this.#moveByLink(raw)
      throw refused(this.#layout, raw, systemError({ ...failure, path: path.join(this.#layout.path, from) }))
    }
    throw refused(this.#layout, raw)
  }

  async close(): Promise<void> {
    await this.#own?.close()
    this.#own = undefined
  }

  async #moveByLink(raw: RawName): Promise<RawName | undefined> {
    const own = await this.#openOwn(raw)
    const from = bytePath(placePath(this.#layout, this.#from), raw)
    const held = own.of(raw)
    try {
      await fs.rename(from, held)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw refused(this.#layout, raw, error)
    }
    try {
      for (const to of this.#candidates(raw)) {
        if (!(await link(held, bytePath(placePath(this.#layout, Place.queue), to)))) continue
        await unlinkIfThere(held)
        return to
      }
    } catch (error) {
      // If this fails, too, or another item has the name by now, the next worker puts the item back in queue/.
      const isBack = await link(held, from).catch(() => false)
      if (isBack) await fs.unlink(held).catch(() => undefined)
      throw refused(this.#layout, raw, error)
    }
    throw refused(this.#layout, raw)
  }

  async #openOwn(raw: RawName): Promise<OwnDirectory> {
    try {
      return (this.#own ??= await OwnDirectory.make(this.#layout))
    } catch (error) {
      throw refused(this.#layout, raw, error)
    }
  }

  *#candidates(raw: RawName): Generator<RawName> {
    const { encode } = this.#settings
    const first = this.#isKept ? raw : withTries(raw, 0, encode)
    yield first
    yield* freeEntropies(first, encode)
  }

  /** Before the item moves: a worker that claims it at once must not fail it for its earlier crashes. */
  async #forgetCrashes(raw: RawName): Promise<void> {
    const meta = new MetaDirectory(this.#layout)
    const key = itemKey(raw, this.#settings.encode)
    if (this.#calls === HERE) meta.attempt('log', () => forgetMarks(meta, key))
    else await meta.attemptLater('log', async () => forgetMarksLater(meta, key))
  }
}

/** A worker that has claimed the item since the link has removed its other name. */
async function unlinkIfThere(file: Buffer): Promise<void> {
  try {
    await fs.unlink(file)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/** @returns Whether the file has the name. Otherwise another file has it. */
async function link(from: Buffer, to: Buffer): Promise<boolean> {
  try {
    await fs.link(from, to)
    return true
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    // A server may make a repeated call twice.
    const [held, there] = await Promise.all([fs.lstat(from), fs.lstat(to)])
    return held.ino === there.ino && held.dev === there.dev
  }
}

function refused(layout: Layout, raw: RawName, cause?: unknown): FsqError {
  const doing = `retry the item ${printable(raw)} of ${layout.path}`
  if (cause === undefined) return new FsqError(`Cannot ${doing}: there is no free name for it`)
  if (cause instanceof FsqError) return new FsqError(`Cannot ${doing}: ${cause.message}`, { cause })
  const { path: at = layout.path } = cause as NodeJS.ErrnoException
  return fileSystemError(failureOf(cause, 'rename', at), doing)
}

/** The name as text, as native code takes it. */
function nameOf(raw: RawName): string {
  const text = pathText(raw)
  if (Buffer.from(text).toString('latin1') === raw) return text
  throw new FsqError(`The name ${printable(raw)} is not UTF-8`, { advice: 'Move it with mv' })
}
