/**
 * The files of a queue as they lie there, whatever they are called. Nothing here opens or locks anything.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'

import { fileSystemError } from '../errors.js'
import type { RawName } from '../name/charset.js'

/** One file, as it was seen. */
export interface Entry {
  readonly raw: RawName
  /** Bytes: the name need not be text. */
  readonly path: Buffer
  readonly info: fs.Stats
}

/** The entries of a directory; those that vanish meanwhile are left out. */
export function* entriesOf(directory: string): Generator<Entry> {
  for (const name of namesIn(directory)) {
    const path = Buffer.concat([Buffer.from(`${directory}/`), name])
    const info = fs.lstatSync(path, { throwIfNoEntry: false })
    if (info !== undefined) yield { raw: name.toString('latin1'), path, info }
  }
}

function namesIn(directory: string): readonly Buffer[] {
  try {
    return fs.readdirSync(directory, { encoding: 'buffer' })
  } catch (error) {
    const { errno = 0, syscall = 'scandir' } = error as NodeJS.ErrnoException
    throw fileSystemError({ errno, syscall, path: directory }, 'list a directory')
  }
}

/** Whether a worker may not have it yet (fsq standard, section 4). */
export function isDelayed({ mtimeMs, ctimeMs }: fs.Stats, now: number): boolean {
  return mtimeMs > ctimeMs && mtimeMs > now
}
