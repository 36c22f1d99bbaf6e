// Records of the first implementation: the files before and after, as test/vectors/hosts.json has them.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { isRoot } from '../support/needs.js'

export interface Entry {
  readonly path: string
  readonly type: 'dir' | 'file' | 'fifo' | 'link' | '?'
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly nlink?: number
  readonly content?: string | { readonly base64: string }
}

/** What all records have. */
export interface Recorded {
  readonly id: string
  readonly env: Readonly<Record<string, string>>
  readonly before: readonly Entry[]
  readonly after: readonly Entry[]
  /** What is wrong, and what a new implementation does instead. */
  readonly defect?: string
}

/** All records, by their kind. */
export const RECORDS: unknown = JSON.parse(
  fs.readFileSync(new URL('../vectors/hosts.json', import.meta.url), 'utf8'),
)

/** Makes the files of a record. Owners need root, FIFOs a program. */
export function build(root: string, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const file = path.join(root, entry.path)
    if (entry.type === 'dir') fs.mkdirSync(file)
    else if (entry.type === 'fifo') spawnSync('mkfifo', [file])
    else if (entry.type === 'file') {
      const twin = entries.find(
        (other) =>
          (entry.nlink ?? 1) > 1 &&
          other.nlink === entry.nlink &&
          other.path < entry.path &&
          path.basename(other.path) === path.basename(entry.path),
      )
      if (twin === undefined) fs.writeFileSync(file, contentOf(entry))
      else fs.linkSync(path.join(root, twin.path), file)
    }
  }
  for (const { path: name, type, mode, uid, gid } of entries.toReversed()) {
    if (type === 'link' || type === '?') continue
    if (isRoot) fs.chownSync(path.join(root, name), uid, gid)
    fs.chmodSync(path.join(root, name), Number.parseInt(mode, 8))
  }
}

/** The files that there are, by their paths, in the form of {@link wanted}. */
export function look(root: string): Map<string, string> {
  const found = new Map<string, string>()
  const visit = (directory: string): void => {
    for (const name of fs.readdirSync(path.join(root, directory)).sort()) {
      // What workers of this package write beside the items is no part of an item.
      if (name === 'meta') continue
      const at = path.join(directory, name)
      const info = fs.lstatSync(path.join(root, at))
      const type = info.isDirectory() ? 'dir' : info.isFIFO() ? 'fifo' : info.isFile() ? 'file' : 'link'
      const mode = (info.mode & 0o7777).toString(8).padStart(4, '0')
      const { uid, gid, nlink } = info
      const bytes = type === 'file' ? fs.readFileSync(path.join(root, at)) : Buffer.alloc(0)
      found.set(at, describeEntry({ path: at, type, mode, uid, gid, nlink }, bytes))
      if (type === 'dir') visit(at)
    }
  }
  visit('')
  return found
}

/** The files of a record. */
export function wanted(entries: readonly Entry[]): Map<string, string> {
  return new Map(
    entries
      .filter(({ type }) => type !== '?')
      .map((entry) => [
        entry.path,
        describeEntry({ ...entry, mode: entry.mode.padStart(4, '0') }, contentOf(entry)),
      ]),
  )
}

/** A command line of a record, for a shell. */
export function commandOf({ argv }: { readonly argv: readonly string[] }): string {
  const quoted = argv.slice(1).map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`)
  return `fsq ${quoted.join(' ')}`
}

function contentOf({ content = '' }: Entry): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content.base64, 'base64')
}

function describeEntry({ type, mode, uid, gid, nlink }: Entry, bytes: Buffer): string {
  const owner = isRoot ? ` ${uid}:${gid}` : ''
  return type === 'file'
    ? `${type} ${mode}${owner} ${nlink} ${bytes.toString('base64')}`
    : `${type} ${mode}${owner}`
}
