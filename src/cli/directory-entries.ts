/**
 * The files of a queue as they lie there, whatever they are called. Nothing here opens or locks any of them, and however
 * many there are, few are held in memory.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'

import { fileSystemError } from '../errors.js'
import { type RawName, pathText, printable } from '../name/charset.js'

const READ_AHEAD = 1024

/** One file, as it was seen. */
export interface Entry {
  readonly raw: RawName
  /** Bytes: the name need not be text. */
  readonly path: Buffer
  readonly info: fs.Stats
}

/** The entries of a directory, in the order in which they lie there; those that vanish meanwhile are left out. */
export function* entriesOf(directory: string): Generator<Entry> {
  for (const { name } of directoryEntries(directory)) {
    const entry = entryNamed(directory, name)
    if (entry !== undefined) yield entry
  }
}

/** How many regular files there are. */
export function countFiles(directory: string): number {
  let files = 0
  for (const entry of directoryEntries(directory)) if (entry.isFile()) files++
  return files
}

/** The entry with the name; `undefined`: there is none. */
export function entryNamed(directory: string, raw: RawName): Entry | undefined {
  const path = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(raw, 'latin1')])
  const info = fs.lstatSync(path, { throwIfNoEntry: false })
  return info === undefined ? undefined : { raw, path, info }
}

/** A name as text: as it is, so that a path with it leads to the file; one that is no UTF-8, which no text can be, as it is shown. */
export function nameText(raw: RawName): string {
  const text = pathText(raw)
  return Buffer.from(text).toString('latin1') === raw ? text : printable(raw)
}

/** Their names are {@link RawName}s. Not Buffers: Bun has none here. */
function* directoryEntries(directory: string): Generator<fs.Dirent> {
  try {
    const open = fs.opendirSync(directory, { encoding: 'latin1', bufferSize: READ_AHEAD })
    try {
      for (let entry = open.readSync(); entry !== null; entry = open.readSync()) yield entry
    } finally {
      open.closeSync()
    }
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException
    if (errno === undefined || syscall === undefined) throw error
    throw fileSystemError({ errno, syscall, path: directory }, 'list a directory')
  }
}

/** Whether a worker may not have it yet (fsq standard, section 4). */
export function isDelayed({ mtimeMs, ctimeMs }: fs.Stats, now: number): boolean {
  return mtimeMs > ctimeMs && mtimeMs > now
}
