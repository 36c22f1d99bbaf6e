import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { FileSystemError, PeerError, SettingError } from '../../src/errors/classes.js'
import { probePeer } from '../../src/index.js'
import { type PeerFacts, duration, peerPromisesOf } from '../../src/probe/peer/peer-promises.js'
import type { PeerProbe } from '../../src/probe/peer/probe-peer.js'
import type { Feature } from '../../src/probe/promises.js'
import { checkError, errorOf, inProgram, until, useTestBed } from '../support/queue.js'

const bed = useTestBed()

test('two programs find the same, as plain data', async () => {
  const body = 'return fsq.probePeer(given.root)'
  const programs = [1, 2].map(async () => inProgram<PeerProbe>(body, { given: { root: bed.root } }))
  const [one, other] = await Promise.all(programs)
  expect(one).toMatchObject({ path: bed.root, promises: { renameClaims: { kept: 'yes' } } })
  expect(one?.peer).toEqual({ host: expect.any(String), pid: expect.any(Number) })
  expect(one?.peer.pid).not.toBe(other?.peer.pid)
  expect(one?.clocks.apart).toBe(-(other?.clocks.apart ?? 0) || 0)
  const { peer: _peer, clocks: _clocks, promises: _promises, ...shared } = one as PeerProbe
  expect(other).toMatchObject(shared)
  expect(fs.readdirSync(bed.root)).toEqual([])
})

describe('a call that ends without a result', () => {
  test('is aborted: it rejects with the reason, and nothing is left', async () => {
    const reason = new Error('enough')
    checkAborted(await errorOf(async () => probePeer(bed.root, { signal: AbortSignal.abort(reason) })))
    const abort = new AbortController()
    const call = errorOf(async () => probePeer(bed.root, { signal: abort.signal }))
    await until(
      'it waits',
      () => fs.existsSync(bed.path('.fsq-peer')) && fs.readdirSync(bed.path('.fsq-peer')).length > 0,
    )
    abort.abort(reason)
    checkAborted(await call)
    expect(fs.readdirSync(bed.root)).toEqual([])

    function checkAborted(error: unknown): void {
      expect(error).toBe(reason)
    }
  })

  test('is told what a third process is told', async () => {
    const abort = new AbortController()
    const call = errorOf(async () => probePeer(bed.root, { signal: abort.signal }))
    const place = bed.path('.fsq-peer')
    await until('it waits', () => fs.existsSync(place) && fs.readdirSync(place).length > 0)
    const [, id = ''] = fs.readdirSync(place)[0]?.split('_') ?? []
    // A process that sees this one, and takes another one.
    for (const name of ['hello1_0_elsewhere_7', `sees_0_${id}`, 'takes_0_1'])
      fs.writeFileSync(`${place}/${name}`, '')
    checkError(await call, {
      type: PeerError,
      says: /process 7 on elsewhere plays with a third one\. Let two/,
    })
    expect(fs.readdirSync(place)).toHaveLength(3)
  })

  test('has arguments that make no sense, or no directory', async () => {
    for (const directory of ['', 'a\0b', 7 as unknown as string])
      checkError(await errorOf(async () => probePeer(directory)), {
        type: SettingError,
        says: /^directory is /,
      })
    const options = [{ timeout: 7 }, { signal: 'x' }, null] as unknown as { signal?: AbortSignal }[]
    for (const option of options)
      checkError(await errorOf(async () => probePeer(bed.root, option)), { type: SettingError, says: /./ })
    checkError(await errorOf(async () => probePeer(bed.path('missing'))), {
      type: FileSystemError,
      cause: 'ENOENT',
      says: /^Cannot probe the directory '.*missing'/,
    })
  })
})

describe('the promises', () => {
  const works: Feature = { works: true }
  const fails = (reason: string): Feature => ({ works: false, reason })
  const FACTS: PeerFacts = {
    oneMachine: false,
    refusals: [],
    refusalsOfPeer: 0,
    lease: 90_000,
    clocks: { apart: 20, uncertainty: 5, stampsApart: 3, stampsUncertainty: 15 },
    sight: { median: 4, most: 9 },
    locks: { fcntl: works, flock: works },
    names: { looks: 40, stale: 40, staleAfterAsking: 0, renamed: 0 },
    renames: { races: 30, twice: 0, lost: 0 },
    targets: { link: works, renameNoReplace: works },
    delays: works,
  }
  const EVERY = {
    lockClaims: 'yes',
    renameClaims: 'yes',
    finishedOnce: 'yes',
    toldBefore: 'yes',
    claimNumbers: 'yes',
    delays: 'yes',
    clocks: 'yes',
  }
  const BY_RENAME = { renameClaims: 'no', finishedOnce: 'no', toldBefore: 'no' }

  test.each<[string, Partial<PeerFacts>, object, string]>([
    ['all', {}, {}, ''],
    ['flock is refused, as on NFS', { locks: { fcntl: works, flock: fails('EBADF') } }, {}, ''],
    [
      'no lock',
      { locks: { fcntl: fails('no effect'), flock: fails('ENOLCK') } },
      { lockClaims: 'no', ...BY_RENAME },
      'ENOLCK',
    ],
    [
      'fcntl locks have no effect',
      { locks: { fcntl: fails('no effect'), flock: works } },
      BY_RENAME,
      'take live workers for dead',
    ],
    ['there are no fcntl locks', { locks: { fcntl: fails('EINVAL'), flock: works } }, {}, ''],
    ['a refused mount', { refusals: ['why'] }, { lockClaims: 'no', ...BY_RENAME }, 'why'],
    [
      'a refused mount of the other',
      { refusalsOfPeer: 2 },
      { lockClaims: 'no', ...BY_RENAME },
      'other machine',
    ],
    [
      'both win',
      { renames: { races: 30, twice: 1, lost: 0 } },
      { lockClaims: 'no', ...BY_RENAME },
      '1 succeeded in both',
    ],
    [
      'neither wins',
      { renames: { races: 30, twice: 0, lost: 2 } },
      { lockClaims: 'no', ...BY_RENAME },
      '2 succeeded in neither',
    ],
    [
      'a name cache',
      { names: { looks: 40, stale: 40, staleAfterAsking: 3, renamed: 0 } },
      { lockClaims: 'no' },
      '3 of 40',
    ],
    [
      'a rename of a name that is gone',
      { names: { looks: 40, stale: 0, staleAfterAsking: 0, renamed: 1 } },
      BY_RENAME,
      '1 of 40',
    ],
    ['no rename without replacing', { targets: { link: works, renameNoReplace: fails('EINVAL') } }, {}, ''],
    ['no links', { targets: { link: fails('EPERM'), renameNoReplace: works } }, {}, ''],
    [
      'neither',
      { targets: { link: fails('EPERM'), renameNoReplace: fails('EINVAL') } },
      { finishedOnce: 'no' },
      'link (EPERM) nor rename (EINVAL)',
    ],
    [
      'a rename that replaces',
      { targets: { link: works, renameNoReplace: fails('no effect') } },
      { finishedOnce: 'no' },
      'has replaced',
    ],
    ['an unknown lease', { lease: null }, { toldBefore: 'unsure' }, 'FSQ_LEASE'],
    ['no delays', { delays: fails('no effect') }, { delays: 'no' }, 'due at once'],
    ['clocks that differ', { clocks: { ...FACTS.clocks, apart: -2_000 } }, { clocks: 'no' }, '2 s apart'],
    [
      'clocks that differ, and stamp files',
      { clocks: { ...FACTS.clocks, apart: 1_000, stampsApart: 1_000 } },
      { claimNumbers: 'no' },
      '1 s apart',
    ],
  ])('%s', (_what, changed, broken, says) => {
    const promises = peerPromisesOf({ ...FACTS, ...changed })
    const kept = Object.entries(promises).map(([name, promised]: [string, { kept: string }]) => [
      name,
      promised.kept,
    ])
    expect(Object.fromEntries(kept)).toEqual({ ...EVERY, ...broken })
    for (const { reason } of Object.values(promises) as { reason: string }[]) expect(reason).toMatch(/[^.]$/)
    // The other promises follow from this one.
    const names = 'renameClaims' in broken ? ['renameClaims'] : Object.keys(broken)
    for (const name of names) expect(promises[name as keyof typeof promises].reason).toContain(says)
  })

  test('name durations', () => {
    expect([0.4, 999, 1_000, 90_000, 20_440].map(duration)).toEqual([
      '0 ms',
      '999 ms',
      '1 s',
      '90 s',
      '20.4 s',
    ])
  })
})
