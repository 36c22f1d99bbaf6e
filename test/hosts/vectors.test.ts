/**
 * Replays recorded commands of the first implementation on hosts: the same files before, the same command, the same files after. Where a
 * record names a defect, our outcome is what its text asks for.
 */
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { tryLockSync } from '../../src/lock.js'
import { useCommandBed } from '../support/command.js'
import { given, isRoot } from '../support/needs.js'
import { RECORDS, type Recorded, build, commandOf, look, wanted } from './recorded.js'

interface Operation extends Recorded {
  readonly argv: readonly string[]
  readonly rc: number
  readonly stdout: string
  readonly flock_held_on?: string
}

const vectors = RECORDS as {
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
    build(bed.root, record.before)
    const before = look(bed.root)
    const lock =
      record.flock_held_on === undefined ? undefined : tryLockSync(path.join(bed.root, record.flock_held_on))
    const { code, stdout } = await bed.sh(commandOf(record), {
      env: { ...record.env, FSQ_DURABILITY: 'enqueue' },
    })
    lock?.unlock()
    const after = look(bed.root)
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
