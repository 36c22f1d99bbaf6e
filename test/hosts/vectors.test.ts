/**
 * Replays recorded commands of the first implementation on hosts: the same files before, the same command, the same files after. Where a
 * record names a defect, our outcome is what its text asks for.
 */
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { tryLockSync } from '../../src/lock.js'
import { useCommandBed } from '../support/command.js'
import { given, isRoot } from '../support/needs.js'

interface Entry {
  readonly path: string
  readonly type: 'dir' | 'file' | 'fifo' | 'link'
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly nlink?: number
  readonly content?: string | { readonly base64: string }
}

interface Operation {
  readonly id: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly before: readonly Entry[]
  readonly after: readonly Entry[]
  readonly rc: number
  readonly stdout: string
  readonly defect?: string
  readonly flock_held_on?: string
}

const vectors = JSON.parse(fs.readFileSync(new URL('../vectors/hosts.json', import.meta.url), 'utf8')) as {
  readonly about: { readonly items: { readonly I: string } }
  readonly operations: readonly Operation[]
}
const { I } = vectors.about.items

/** Our exit codes and entries in place of the recorded ones, by the record. */
interface Ours {
  readonly rc: number
  /** Entries that are there afterwards, and others that are not. */
  readonly there?: readonly string[]
  readonly gone?: readonly string[]
  /** Default: nothing has changed but for these. */
  readonly isFree?: boolean
}

const ITEM = `q/queue/${I}`
const AT = (host: string, place = 'queue'): string => `q/hosts/${host}/${place}/${I}`
const STAYS: Ours = { rc: 111, there: [ITEM], gone: [`q/done/${I}`, `q/fail/${I}`], isFree: true }

/** What the texts of the defects ask for. */
const OURS: Readonly<Record<string, Ours>> = {
  'add-host: exists, -f': { rc: 0, there: ['q/hosts/h1/queue'], isFree: true },
  'add-host: exists, -f, one character': { rc: 0, there: ['q/hosts/h/queue'], isFree: true },
  'add-host: no such queue, then one': { rc: 111, there: ['q/hosts/h1/queue'], isFree: true },
  'add-host: a/b': { rc: 111, gone: ['q/hosts'] },
  'add-host: ..': { rc: 111, gone: ['q/hosts'] },
  'add-host: long option': { rc: 0, there: ['q/hosts/h1/queue'], isFree: true },
  'install -a a/b': { rc: 111, gone: ['q'] },
  'down-host: -u (documented)': { rc: 0, there: ['q/hosts/h1/down'], isFree: true },
  'rm-host: with a waiting item': { rc: 111, there: [AT('h1')] },
  'rm-host: with an item being worked on': { rc: 111, there: [AT('h1')] },
  'rm-host: two queues, first without': { rc: 111, gone: ['q2/hosts/h1'], isFree: true },
  'host-dist: same host twice': { rc: 0, there: [`q/done/${I}`, AT('h1')], gone: [ITEM], isFree: true },
  'host-dist: no such host': { ...STAYS, isFree: false },
  'host-dist: host without queue/': STAYS,
  'host-dist: host without tmp/': STAYS,
  // Theirs does not compare the contents. Another item of the same name at the host is no copy of this one.
  'host-dist: item already waits at the host': STAYS,
  'host-dist: item already done at the host': {
    rc: 0,
    there: [`q/done/${I}`],
    gone: [AT('h1')],
    isFree: true,
  },
  'host-dist -g: no FIFO': { rc: 111, there: [`q/done/${I}`], gone: [ITEM], isFree: true },
  'host-dist -n': { rc: 0, there: [`q/done/${I}`], gone: [ITEM], isFree: true },
  'host-dist -L: item locked by another': { rc: 0, there: [`q/done/${I}`], gone: [ITEM], isFree: true },
  'host-dist -i: queue down': { rc: 0, there: [`q/done/${I}`], gone: [ITEM], isFree: true },
  'host-dist: host down': { rc: 0, there: [`q/done/${I}`], gone: [ITEM], isFree: true },
  'host-dist: hosts/ empty': { ...STAYS, isFree: false },
  'host-dist: a plain file in hosts/': {
    rc: 0,
    there: [`q/done/${I}`, AT('h1')],
    gone: [ITEM],
    isFree: true,
  },
  'scan --host=h1': { rc: 0, there: [AT('h1', 'done')], gone: [AT('h1')], isFree: true },
  'scan --hosts=h1': { rc: 100 },
  'scan -A h1: h1 down': { rc: 111, there: [AT('h1')] },
  'scan -A h1: q down': { rc: 111, there: [AT('h1')] },
  'scan -A h1: both down': { rc: 111, there: [AT('h1')] },
  'scan -a: h1 and q down': { rc: 111, there: [AT('h1')] },
  'scan -a: no hosts/': { rc: 111 },
  'scan -a: a plain file in hosts/': { rc: 0, isFree: true },
}

/** Records that ask for the same, and whose files differ for a reason of their own. */
const EXCEPTIONS: Readonly<Record<string, (entries: Map<string, string>) => void>> = {
  // Theirs truncates and removes the file of this name in tmp/. Ours uses names that no other process has, and leaves that one alone.
  'host-dist: leftover in tmp/ of the host': (entries) => {
    entries.delete(`q/hosts/h1/tmp/${I}`)
  },
}

const bed = useCommandBed()

function contentOf({ content = '' }: Entry): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content.base64, 'base64')
}

function build(entries: readonly Entry[]): void {
  for (const entry of entries) {
    const file = path.join(bed.root, entry.path)
    if (entry.type === 'dir') fs.mkdirSync(file)
    else if (entry.type === 'file') {
      const twin = entries.find(
        (other) =>
          (entry.nlink ?? 1) > 1 &&
          other.nlink === entry.nlink &&
          other.path < entry.path &&
          path.basename(other.path) === path.basename(entry.path),
      )
      if (twin === undefined) fs.writeFileSync(file, contentOf(entry))
      else fs.linkSync(path.join(bed.root, twin.path), file)
    }
  }
}

/** Owners need root, FIFOs a program. */
async function finishBuild(entries: readonly Entry[]): Promise<void> {
  for (const { path: file, type } of entries)
    if (type === 'fifo') await bed.sh(`mkfifo '${path.join(bed.root, file)}'`)
  for (const { path: file, type, mode, uid, gid } of entries.toReversed()) {
    if (type === 'link') continue
    if (isRoot) fs.chownSync(path.join(bed.root, file), uid, gid)
    fs.chmodSync(path.join(bed.root, file), Number.parseInt(mode, 8))
  }
}

function describeEntry({ type, mode, uid, gid, nlink }: Entry, bytes: Buffer): string {
  const owner = isRoot ? ` ${uid}:${gid}` : ''
  return type === 'file'
    ? `${type} ${mode}${owner} ${nlink} ${bytes.toString('base64')}`
    : `${type} ${mode}${owner}`
}

function look(): Map<string, string> {
  const found = new Map<string, string>()
  const visit = (directory: string): void => {
    for (const name of fs.readdirSync(path.join(bed.root, directory)).sort()) {
      // What workers of this package write beside the items is no part of an item.
      if (name === 'meta') continue
      const at = path.join(directory, name)
      const info = fs.lstatSync(path.join(bed.root, at))
      const type = info.isDirectory() ? 'dir' : info.isFIFO() ? 'fifo' : info.isFile() ? 'file' : 'link'
      const mode = (info.mode & 0o7777).toString(8).padStart(4, '0')
      const { uid, gid, nlink } = info
      const bytes = type === 'file' ? fs.readFileSync(path.join(bed.root, at)) : Buffer.alloc(0)
      found.set(at, describeEntry({ path: at, type, mode, uid, gid, nlink }, bytes))
      if (type === 'dir') visit(at)
    }
  }
  visit('')
  return found
}

function wanted(entries: readonly Entry[]): Map<string, string> {
  return new Map(
    entries.map((entry) => [
      entry.path,
      describeEntry({ ...entry, mode: entry.mode.padStart(4, '0') }, contentOf(entry)),
    ]),
  )
}

/** What `fsq` is called with. */
function commandOf({ argv }: Operation): string {
  const quoted = argv.slice(1).map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`)
  return `fsq ${quoted.join(' ')}`
}

function needsRoot({ before, after, argv }: Operation): boolean {
  return (
    [...before, ...after].some(({ uid, gid }) => uid !== 0 || gid !== 0) ||
    argv.includes('-o') ||
    argv.includes('-u')
  )
}

test('each record of a defect is judged', () => {
  const defects = vectors.operations
    .filter(({ id, defect }) => defect !== undefined || id === 'host-dist: item already waits at the host')
    .map(({ id }) => id)
  expect(Object.keys(OURS).toSorted()).toEqual(defects.toSorted())
})

for (const record of vectors.operations) {
  const { test: declare } = given(isRoot || !needsRoot(record))
  declare(`${record.id}${record.defect === undefined ? '' : `: ${record.defect}`}`, async () => {
    build(record.before)
    await finishBuild(record.before)
    const before = look()
    const lock =
      record.flock_held_on === undefined ? undefined : tryLockSync(path.join(bed.root, record.flock_held_on))
    const { code, stdout } = await bed.sh(commandOf(record), {
      env: { ...record.env, FSQ_DURABILITY: 'enqueue' },
    })
    lock?.unlock()
    const after = look()
    const ours = OURS[record.id]
    if (ours === undefined) {
      EXCEPTIONS[record.id]?.(after)
      expect({ code, after: Object.fromEntries(after) }).toEqual({
        code: record.rc,
        after: Object.fromEntries(wanted(record.after)),
      })
      if (record.argv[1] === 'scan')
        expect(stdout.split('\n').toSorted()).toEqual(record.stdout.split('\n').toSorted())
      return
    }
    expect(code).toBe(ours.rc)
    for (const file of ours.there ?? []) expect([file, after.has(file)]).toEqual([file, true])
    for (const file of ours.gone ?? []) expect([file, after.has(file)]).toEqual([file, false])
    if (ours.isFree !== true) expect(Object.fromEntries(after)).toEqual(Object.fromEntries(before))
    // Nothing is lost or hidden: no leftover of an installation, no file in tmp/.
    expect([...after.keys()].filter((file) => /(^|\/)\.fsq-|\/tmp\/./.test(file))).toEqual([])
  })
}
