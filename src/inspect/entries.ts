/**
 * The files of a queue, whatever their names. Nothing here opens or locks a file, and of each directory only the names are held
 * in memory.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import { opendir, readdir } from 'node:fs/promises'

import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type FileCalls, HERE } from '../directory/calls.js'
import { type Layout, isDeleted, placePath } from '../directory/layout.js'
import { type RawName, pathText, printable } from '../name/charset.js'
import { Place } from '../addon/native.js'
import type { Slices } from './slices.js'

const READ_AHEAD = 1024

/** One file, as it was when it was looked at. */
export interface Entry {
  readonly raw: RawName
  /** As bytes: the name need not be text. */
  readonly path: Buffer
  readonly info: fs.Stats
}

/**
 * The entries of a directory, in any order. Entries that vanish meanwhile are skipped.
 *
 * @param mayVanish - The directory itself may vanish, as that of a worker in claimed/.
 */
export async function* entriesOf(
  directory: string,
  slices: Slices,
  mayVanish = false,
): AsyncGenerator<Entry, void, undefined> {
  // Not by fs.opendir: on file systems without types in directories, Node calls lstat by itself, with the name taken for
  // text, and a missing entry ends the listing.
  const names = await listing(directory, async () => namesIn(directory, mayVanish))
  for (const name of names) {
    if (slices.isOver) await slices.next()
    if (isDeleted(name)) continue
    // Nothing is awaited that is there: very many entries are looked at.
    const entry =
      slices.calls === HERE ? entryNamed(directory, name) : await lookAt(directory, name, slices.calls)
    if (entry !== undefined) yield entry
  }
}

async function namesIn(directory: string, mayVanish: boolean): Promise<readonly RawName[]> {
  try {
    return await readdir(directory, 'latin1')
  } catch (error) {
    if (mayVanish && codeOf(error) === 'ENOENT') return []
    throw error
  }
}

/**
 * {@link entriesOf} for a directory of any size: of its names, only some are held in memory at a time. Entries that are removed meanwhile hide
 * no others. An entry may come twice.
 */
export async function* entriesInParts(
  directory: string,
  slices: Slices,
): AsyncGenerator<readonly Entry[], void, undefined> {
  for await (const names of namesInParts(directory)) {
    const entries: Entry[] = []
    for (const name of names) {
      if (slices.isOver) await slices.next()
      if (isDeleted(name)) continue
      const entry =
        slices.calls === HERE ? entryNamed(directory, name) : await lookAt(directory, name, slices.calls)
      if (entry !== undefined) entries.push(entry)
    }
    yield entries
  }
}

async function* namesInParts(directory: string): AsyncGenerator<readonly RawName[], void, undefined> {
  const names: RawName[] = []
  try {
    const entries = await opendir(directory, { encoding: 'latin1', bufferSize: READ_AHEAD })
    for await (const { name } of entries) if (names.push(name) === READ_AHEAD) yield names.splice(0)
    yield names
  } catch (error) {
    // As above: a file system without types.
    if (failureOf(error, '', directory).syscall !== 'lstat') throw listingError(error, directory)
    yield await listing(directory, async () => namesIn(directory, false))
  }
}

/** How many regular files there are. */
export async function countFiles(directory: string, slices: Slices): Promise<number> {
  try {
    return await listing(directory, async () => countByTypes(directory))
  } catch (error) {
    if (!(error instanceof FsqError) || error.syscall !== 'lstat') throw error
  }
  let files = 0
  for await (const { info } of entriesOf(directory, slices)) if (info.isFile()) files++
  return files
}

async function countByTypes(directory: string): Promise<number> {
  let files = 0
  for await (const entry of await opendir(directory, { encoding: 'latin1', bufferSize: READ_AHEAD }))
    if (entry.isFile() && !isDeleted(entry.name)) files++
  return files
}

/** The entry with a name; `undefined`: there is none. */
export function entryNamed(directory: string, raw: RawName): Entry | undefined {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(raw, 'latin1')])
  const info = fs.lstatSync(path, { throwIfNoEntry: false })
  return info === undefined ? undefined : { raw, path, info }
}

/** {@link entryNamed} by these calls. */
export async function lookAt(directory: string, raw: RawName, calls: FileCalls): Promise<Entry | undefined> {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(raw, 'latin1')])
  const info = await calls.lstat(path)
  return info === undefined ? undefined : { raw, path, info }
}

/**
 * Whether a file of done/ or fail/ is also in queue/ or in claimed/ under the same name: its move was cut in half, and the next claim or
 * take-over completes it. If its name here were removed before that, the item would run again.
 */
export async function isStillWaiting(
  layout: Layout,
  { raw, info }: Entry,
  calls: FileCalls,
): Promise<boolean> {
  if (info.nlink === 1) return false
  for (const directory of [placePath(layout, Place.queue), ...(await workersNow(layout, calls))]) {
    const twin = await lookAt(directory, raw, calls)
    if (twin?.info.ino === info.ino && twin.info.dev === info.dev) return true
  }
  return false
}

/** The directories of workers in claimed/; none if there is no claimed/. */
async function workersNow({ claimedPath }: Layout, calls: FileCalls): Promise<readonly string[]> {
  try {
    return (await calls.names(claimedPath)).map((worker) => `${claimedPath}/${worker}`)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return []
    throw fileSystemError(failureOf(error, 'scandir', claimedPath), 'list a directory')
  }
}

/** A name as text that leads to the file. A name that is not UTF-8 has no such text: it is escaped. */
export function nameText(raw: RawName): string {
  const text = pathText(raw)
  return Buffer.from(text).toString('latin1') === raw ? text : printable(raw)
}

async function listing<Result>(directory: string, list: () => Promise<Result>): Promise<Result> {
  try {
    return await list()
  } catch (error) {
    throw listingError(error, directory)
  }
}

function listingError(error: unknown, directory: string): unknown {
  const failure = failureOf(error, '', directory)
  if (failure.errno === 0 || failure.syscall === '') return error
  return fileSystemError(failure, 'list a directory')
}

/** Whether a file is not due yet (fsq standard, section 4). */
export function isDelayed({ mtimeMs, ctimeMs }: fs.Stats, now: number): boolean {
  return mtimeMs > ctimeMs && mtimeMs > now
}
