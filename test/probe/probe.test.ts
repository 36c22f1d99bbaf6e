import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'

import { describe, expect, jest, test } from '@jest/globals'

import {
  DiskFullError,
  FileSystemError,
  PermissionError,
  SettingError,
  TooManyFilesError,
} from '../../src/errors/classes.js'
import { Queue } from '../../src/index.js'
import { findMount, mountOf, mountOfSync } from '../../src/probe/mounts.js'
import { Reach } from '../../src/addon/native.js'
import { networkOf, probe } from '../../src/probe/probe.js'
import type { Features, Probe } from '../../src/probe/promises.js'
import type { Promises } from '../../src/probe/promises.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { onLinux } from '../support/needs.js'
import { type ShownError, checkError, errorOf, inProgram, useTestBed } from '../support/queue.js'

const bed = useTestBed()

const FEATURES = [
  'caseSensitive',
  'copyInKernel',
  'delays',
  'fifos',
  'flock',
  'hardLinks',
  'linkEmptyPath',
  'linkProcFd',
  'modes',
  'ofdLocks',
  'reflink',
  'renameExchange',
  'renameNoReplace',
  'syncDirectory',
  'unnamedFiles',
  'watch',
]

/** A probe in a program of its own, with faults. */
const probeWith = async (faults: string): Promise<Probe> =>
  inProgram<Probe>('return fsq.probe(given.root)', {
    given: { root: bed.root },
    flags: ['--require', FAULT_BUILD],
    env: { FSQ_FAULTS: faults },
  })

describe('probe', () => {
  test('says what is so, as plain data, and leaves nothing', async () => {
    const found = await probe(bed.root)
    expect(fs.readdirSync(bed.root)).toEqual([])
    expect(JSON.parse(JSON.stringify(found))).toEqual(found)
    expect(Object.keys(found.features).sort()).toEqual(FEATURES)
    const { works, reason } = found.features.reflink
    expect([works, reason === undefined]).toEqual([works, works])
    expect(found).toMatchObject({
      path: bed.root,
      device: fs.statSync(bed.root).dev,
      network: false,
      nameMax: 255,
      lockKind: 'flock',
      features: {
        hardLinks: { works: true },
        flock: { works: true },
        ofdLocks: { works: true },
        watch: { works: true },
      },
      promises: {
        claims: { kept: 'yes' },
        whole: { kept: 'yes' },
        noOverwrite: { kept: 'yes' },
        wakeUps: { kept: 'yes' },
      },
    })
  })

  onLinux('says the same of it as the table of mounts', async () => {
    const found = await probe('/dev/shm')
    expect(found).toMatchObject({ fileSystem: 'tmpfs', promises: { durable: { kept: 'no' } } })
    expect(found.timestampStep).toBeLessThanOrEqual(1_000_000)
    const mount = await mountOf(bed.root)
    expect(mount).toBeDefined()
    expect(await probe(bed.root)).toMatchObject({ fileSystem: mount?.type, source: mount?.source })
  })

  test('takes a relative path, and a symbolic link', async () => {
    fs.mkdirSync(bed.path('real é'))
    fs.symlinkSync('real é', bed.path('link'))
    expect(await probe(bed.path('link'))).toMatchObject({ path: bed.path('link') })
    expect(await probe(path.relative(process.cwd(), bed.path('real é')))).toMatchObject({
      path: bed.path('real é'),
    })
    expect(fs.readdirSync(bed.path('real é'))).toEqual([])
  })

  test('disturbs no queue beside it', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    await Promise.all(Array.from({ length: 4 }, async () => probe(bed.root)))
    expect(fs.readdirSync(bed.root)).toEqual(['q'])
    const ids: string[] = []
    for await (const item of queue.scan()) {
      await probe(queue.path)
      ids.push(item.id)
      await item.done()
    }
    expect(ids).toEqual([id])
    await queue.uninstall()
    await Queue.install('q', { root: bed.root }).then(async (again) => again.close())
  })

  test('works under any umask', async () => {
    const root = bed.path('root')
    fs.mkdirSync(root)
    fs.chmodSync(root, 0o777)
    const usual = await probe(root)
    const body = 'process.umask(0o777)\nreturn fsq.probe(given.root)'
    expect(await inProgram(body, { given: { root }, nobody: true })).toEqual(usual)
    expect(fs.readdirSync(root)).toEqual([])
  })
})

describe('a feature that does not work', () => {
  const ENOTSUP = os.constants.errno.EOPNOTSUPP
  type Row = [string, (keyof Features)[], (keyof Promises)[]]
  const rows: Row[] = [
    ['probe.unnamed', ['unnamedFiles', 'linkEmptyPath', 'linkProcFd'], []],
    ['probe.emptypath', ['linkEmptyPath'], []],
    ['probe.procfd', ['linkProcFd'], []],
    ['probe.link', ['hardLinks'], []],
    ['probe.exclusive', ['renameNoReplace'], []],
    ['probe.exchange', ['renameExchange'], ['replacing']],
    ['probe.flock', ['flock'], []],
    ['probe.ofd', ['ofdLocks'], []],
    ['probe.utimens', ['delays'], ['delays']],
    ['probe.chmod', ['modes'], ['modes']],
    ['probe.fifo', ['fifos'], ['triggers']],
    ['probe.sync', ['syncDirectory'], ['durable']],
    ['probe.copy', ['copyInKernel'], []],
    ['watch.init', ['watch'], ['wakeUps']],
    ['watch.add', ['watch'], ['wakeUps']],
  ]

  onLinux.each(rows)('%s: it is said with its errno', async (point, features, promises) => {
    const before = await probe(bed.root)
    const found = await probeWith(`${point}=errno:${ENOTSUP}`)
    const missing = Object.entries(found.features)
      .filter(([name, { works }]) => !works && before.features[name as keyof Features].works)
      .map(([name]) => name)
    expect(missing.sort()).toEqual([...features].sort())
    for (const name of features) expect(found.features[name].reason).toMatch(/^(ENOTSUP|EOPNOTSUPP)$/)
    for (const name of promises) expect(found.promises[name].kept).toBe('no')
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  onLinux.each(rows)('%s: an interrupted call changes nothing, whether it was made or not', async (point) => {
    const before = await probe(bed.root)
    const isMadeOnce = /emptypath|procfd|link|exclusive|exchange|fifo/.test(point)
    for (const action of isMadeOnce ? ['errno', 'errno-after'] : ['errno']) {
      const { features, promises } = await probeWith(`${point}#1=${action}:${os.constants.errno.EINTR}`)
      expect({ features, promises }).toEqual({ features: before.features, promises: before.promises })
      expect(fs.readdirSync(bed.root)).toEqual([])
    }
  })

  // The second of two descriptions gets the lock as well.
  onLinux.each(['flock', 'ofd'])('a lock (%s) that excludes no other holder does not work', async (kind) => {
    const found = await probeWith(`probe.${kind}=answer:0`)
    const isFlock = kind === 'flock'
    expect(found.features[isFlock ? 'flock' : 'ofdLocks']).toEqual({ works: false, reason: 'no effect' })
    expect(found.lockKind).toBe(isFlock ? 'fcntl' : 'flock')
  })

  onLinux.each([
    ['flock', 0],
    ['ofd', 2],
  ])(
    'a lock (%s) is tried as a claim takes it: on files opened with the access mode %i',
    async (kind, mode) => {
      const modes = await inProgram<number[]>(
        `
      const probing = fsq.probe(given.root)
      await until(() => fs.existsSync(given.pause))
      const modes = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          if (!fs.readlinkSync('/proc/self/fd/' + fd).endsWith('/one')) return []
          const [, flags] = /^flags:\\s*(\\d+)$/m.exec(fs.readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))
          return [Number.parseInt(flags, 8) & 3]
        } catch {
          return []
        }
      })
      fs.unlinkSync(given.pause)
      await probing
      return modes`,
        {
          given: { root: bed.root, pause: bed.path('pause') },
          flags: ['--require', FAULT_BUILD],
          env: { FSQ_FAULTS: `probe.${kind}=pause:${bed.path('pause')}` },
        },
      )
      expect(modes).toEqual([mode, mode])
    },
  )

  onLinux('no lock at all', async () => {
    const found = await probeWith('probe.flock=answer:0;probe.ofd=errno:22')
    expect(found.lockKind).toBe(null)
    expect(found.promises.claims).toEqual({
      kept: 'no',
      reason: 'neither flock (no effect) nor fcntl locks (EINVAL) keep others out',
    })
  })

  onLinux('a network file system is probed, not refused', async () => {
    const found = await probeWith('open.fstatfs=answer:0x6969')
    expect(found).toMatchObject({ network: true, lockKind: 'fcntl', promises: { wakeUps: { kept: 'no' } } })
    expect(await probeWith('open.fstatfs=answer:0x65735546')).toMatchObject({ network: 'unknown' })
  })
})

describe('errors', () => {
  test.each([undefined, null, 7, '', 'a\0b', {}])('%p is no path', async (directory) => {
    const error = await errorOf(async () => probe(directory as string))
    checkError(error, { type: SettingError, says: /^directory is .*, expected the path of a directory/ })
  })

  test('a directory that is missing', async () => {
    const missing = bed.path('missing')
    checkError(await errorOf(async () => probe(missing)), {
      type: FileSystemError,
      cause: 'ENOENT',
      path: missing,
      says: /^Cannot probe the directory '.*missing': no such file or directory .*Make it/,
    })
  })

  // As of /proc and /sys, if one is root.
  test.each([
    ['ENOENT', FileSystemError],
    ['EPERM', PermissionError],
  ] as const)('a directory that is there, in which %s is said of a new one', async (code, type) => {
    const error = Object.assign(new Error(code), { errno: -os.constants.errno[code], syscall: 'mkdtemp' })
    const make = jest.spyOn(fs.promises, 'mkdtemp').mockRejectedValue(error)
    checkError(await errorOf(async () => probe(bed.root)), {
      type,
      cause: code,
      path: bed.root,
      says: /No directory can be made in it.* Probe another/,
    })
    make.mockRestore()
  })

  test('a file', async () => {
    fs.writeFileSync(bed.path('file'), '')
    checkError(await errorOf(async () => probe(bed.path('file'))), {
      type: FileSystemError,
      cause: 'ENOTDIR',
      path: bed.path('file'),
      says: /not a directory/,
    })
  })

  test('a directory that may not be written to', async () => {
    const root = bed.path('root')
    fs.mkdirSync(root)
    fs.chmodSync(root, 0o555)
    const body = 'return errorOf(() => fsq.probe(given.root))'
    const error = await inProgram<ShownError>(body, { given: { root }, nobody: true })
    checkError(error, {
      type: PermissionError,
      cause: 'EACCES',
      path: root,
      says: /Cannot probe .*permission denied/,
    })
  })

  // A failure that says nothing about the file system must not become an answer.
  test.each([
    ['probe.write', 'ENOSPC', DiskFullError],
    ['probe.link', 'ENOSPC', DiskFullError],
    ['probe.open', 'EMFILE', TooManyFilesError],
    ['probe.flock', 'EIO', FileSystemError],
  ] as const)('%s that fails with %s, and nothing is left', async (point, cause, type) => {
    const error = await inProgram<ShownError>('return errorOf(() => fsq.probe(given.root))', {
      given: { root: bed.root },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: `${point}=errno:${os.constants.errno[cause]}` },
    })
    checkError(error, { type, cause, says: /^Cannot probe the directory/ })
    expect(error.path?.startsWith(bed.path('.fsq-probe-'))).toBe(true)
    expect(fs.readdirSync(bed.root)).toEqual([])
  })
})

test.each([
  ['fuse.glusterfs', Reach.unknown, true],
  ['fuse.ceph-fuse', Reach.unknown, true],
  ['fuse.sshfs', Reach.unknown, 'unknown'],
  [undefined, Reach.unknown, 'unknown'],
  ['ext4', Reach.local, false],
  ['nfs4', Reach.network, true],
] as const)('a mount of the type %p, %i by statfs(2), is on a network: %p', (type, reach, network) => {
  expect(networkOf(reach, type)).toBe(network)
})

describe('the table of mounts', () => {
  const table = [
    '21 28 0:20 / /proc rw,nosuid - proc proc rw',
    '22 28 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw',
    String.raw`221 28 0:52 / /mnt/a\040b rw - fuse.sshfs me@host:/a\040b\134c rw,user_id=0`,
    '',
  ].join('\n')

  test.each([
    [
      '22',
      { type: 'ext4', source: '/dev/vda', point: '/', device: '254:0', options: ['rw', 'relatime', 'rw'] },
    ],
    [
      '221',
      {
        type: 'fuse.sshfs',
        source: 'me@host:/a b\\c',
        point: '/mnt/a b',
        device: '0:52',
        options: ['rw', 'rw', 'user_id=0'],
      },
    ],
    ['2', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('mount %p', (id, mount) => {
    expect(findMount(table, id)).toEqual(mount)
  })

  test('of what cannot be opened', async () => {
    expect(await mountOf(bed.path('missing'))).toBeUndefined()
    expect(mountOfSync(bed.path('missing'))).toBeUndefined()
  })

  onLinux('is read alike by both forms', async () => {
    const mount = await mountOf(bed.root)
    expect(mount?.options).toContain('rw')
    expect(mountOfSync(bed.root)).toEqual(mount)
  })
})
