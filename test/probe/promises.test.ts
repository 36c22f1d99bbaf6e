import { describe, expect, test } from '@jest/globals'

import type { Feature, Features } from '../../src/probe/promises.js'
import { type Promised, type Promises, fittingLockKind, promisesOf } from '../../src/probe/promises.js'

const works: Feature = { works: true }
const fails: Feature = { works: false, reason: 'EOPNOTSUPP' }

const ALL: Features = {
  unnamedFiles: works,
  linkEmptyPath: works,
  linkProcFd: works,
  hardLinks: works,
  renameNoReplace: works,
  renameExchange: works,
  flock: works,
  ofdLocks: works,
  watch: works,
  delays: works,
  modes: works,
  fifos: works,
  syncDirectory: works,
  copyInKernel: works,
  reflink: works,
  caseSensitive: works,
}

const without = (...names: (keyof Features)[]): Features => ({
  ...ALL,
  ...Object.fromEntries(names.map((name) => [name, fails])),
})

const local = (features: Features, fileSystem = 'ext4', timestampStep = 1): Promises =>
  promisesOf({ fileSystem, network: false, features, timestampStep })

const kept = (promises: Promises): Record<string, string> =>
  Object.fromEntries(
    Object.entries(promises).map(([name, promised]: [string, Promised]) => [name, promised.kept]),
  )

const EVERY = {
  claims: 'yes',
  whole: 'yes',
  noOverwrite: 'yes',
  durable: 'yes',
  wakeUps: 'yes',
  delays: 'yes',
  modes: 'yes',
  triggers: 'yes',
  replacing: 'yes',
}

describe('a local file system', () => {
  test.each(['ext4', 'xfs', 'btrfs'])('%s keeps every promise', (fileSystem) => {
    expect(kept(local(ALL, fileSystem))).toEqual(EVERY)
  })

  test.each<[(keyof Features)[], object]>([
    [['flock'], {}],
    [['ofdLocks'], {}],
    [['flock', 'ofdLocks'], { claims: 'no' }],
    [['unnamedFiles', 'linkEmptyPath', 'linkProcFd'], {}],
    [['linkEmptyPath', 'linkProcFd'], {}],
    [['linkEmptyPath', 'hardLinks'], {}],
    [['hardLinks', 'unnamedFiles'], { whole: 'no' }],
    [['hardLinks', 'linkEmptyPath', 'linkProcFd'], { whole: 'no' }],
    [['renameNoReplace'], {}],
    [['renameNoReplace', 'hardLinks'], { noOverwrite: 'no' }],
    [['renameExchange'], { replacing: 'no' }],
    [['watch'], { wakeUps: 'no' }],
    [['delays'], { delays: 'no' }],
    [['modes'], { modes: 'no' }],
    [['fifos'], { triggers: 'no' }],
    [['syncDirectory'], { durable: 'no' }],
    [['copyInKernel', 'reflink', 'caseSensitive'], {}],
  ])('without %j', (missing, changed) => {
    const promises = local(without(...missing))
    expect(kept(promises)).toEqual({ ...EVERY, ...changed })
    for (const { reason } of Object.values(promises)) expect(reason).toMatch(/[^.]$/)
    for (const [name, verdict] of Object.entries(changed))
      if (verdict === 'no') expect(promises[name as keyof Promises].reason).toContain('(EOPNOTSUPP)')
  })

  test('in memory survives no power cut, and is unsure where none was tried', () => {
    for (const fileSystem of ['tmpfs', 'ramfs', 'devtmpfs'])
      expect(local(ALL, fileSystem).durable.kept).toBe('no')
    for (const fileSystem of ['ext2', 'overlay', 'zfs', 'apfs', 'fuse.bindfs', '0x12345'])
      expect(local(ALL, fileSystem).durable.kept).toBe('unsure')
  })

  test('that keeps times coarsely delays coarsely', () => {
    expect(local(ALL, 'vfat', 2_000_000_000).delays).toEqual({
      kept: 'yes',
      reason: 'to 2 s, as the file system keeps the times of files',
    })
  })
})

describe('a file system that other machines may change', () => {
  test('a network file system promises little', () => {
    const facts = { fileSystem: 'nfs4', network: true, features: ALL, timestampStep: 1 } as const
    expect(kept(promisesOf(facts))).toEqual({
      ...EVERY,
      claims: 'unsure',
      whole: 'unsure',
      durable: 'unsure',
      wakeUps: 'no',
      triggers: 'unsure',
    })
    expect(promisesOf(facts).claims.reason).toMatch(/lockKind 'fcntl'.*2 machines/)
  })

  test.each([
    ['cifs', 'SMB', '2 of 200'],
    ['smb3', 'SMB', '2 of 200'],
    ['smb2', 'SMB', '2 of 200'],
    ['fuse.glusterfs', 'GlusterFS', '3 of 400'],
  ] as const)('%s: locks are not enough, and that is said', (fileSystem, name, twice) => {
    const { claims } = promisesOf({ fileSystem, network: true, features: ALL, timestampStep: 1 })
    expect(claims.kept).toBe('no')
    expect(claims.reason).toMatch(
      new RegExp(`^on ${name} .* 2 machines ran ${twice} items twice.* one machine .*lockKind 'fcntl'`),
    )
  })

  test.each([
    ['nfs4', /NFSv4\.2.*ran none of 800 items twice.*lease/],
    ['fuse.ceph-fuse', /CephFS.*ran none of 800 items twice.*lease/],
    ['nfs', /try it with two machines/],
    ['9p', /try it with two machines/],
  ] as const)('%s: what was tried is said, and what was not', (fileSystem, says) => {
    const { claims } = promisesOf({ fileSystem, network: true, features: ALL, timestampStep: 1 })
    expect(claims.kept).toBe('unsure')
    expect(claims.reason).toMatch(/^fcntl locks keep out others.*lockKind 'fcntl'/)
    expect(claims.reason).toMatch(says)
  })

  test('FUSE may be one', () => {
    const facts = { fileSystem: 'fuse.sshfs', network: 'unknown', features: ALL, timestampStep: 1 } as const
    expect(kept(promisesOf(facts))).toEqual({
      ...EVERY,
      claims: 'unsure',
      durable: 'unsure',
      wakeUps: 'unsure',
      triggers: 'unsure',
    })
  })
})

test.each([
  [false, [], 'flock'],
  [false, ['flock'], 'fcntl'],
  [false, ['ofdLocks'], 'flock'],
  [false, ['flock', 'ofdLocks'], null],
  [true, [], 'fcntl'],
  [true, ['ofdLocks'], 'flock'],
  ['unknown', [], 'flock'],
] as const)('network %p, without %j: the kind of lock that fits is %p', (network, missing, kind) => {
  const facts = { fileSystem: 'x', network, features: without(...missing), timestampStep: 1 }
  expect(fittingLockKind(facts)).toBe(kind)
})
