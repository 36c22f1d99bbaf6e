import { describe, expect, test } from '@jest/globals'

import {
  leaseIn,
  leaseOf,
  leaseOfSync,
  leaseToKeep,
  mountRefusals,
  mountRefusalsSync,
  refusalsOf,
} from '../../src/probe/mount-options.js'
import { findMount } from '../../src/probe/mounts.js'
import { useTestBed } from '../support/queue.js'

const bed = useTestBed()

/** The reasons for a mount, as the table of the kernel shows it. */
function reasonsFor(type: string, options: string, recoversLocks = false): readonly string[] {
  const mount = findMount(`7 1 0:52 / /mnt rw,relatime shared:1 - ${type} server:/share ${options}`, '7')
  if (mount === undefined) throw new Error('no mount')
  return refusalsOf(mount, recoversLocks)
}

const NFS = 'rw,vers=4.2,rsize=262144,hard,proto=tcp,timeo=600,sec=sys,clientaddr=10.0.0.2,local_lock=none'
const NFS_3 = 'rw,vers=3,rsize=262144,namlen=255,hard,nolock,proto=tcp,mountvers=3,local_lock=all'
const CIFS = 'rw,vers=3.1.1,cache=strict,username=u,uid=0,soft,nounix,serverino,mapposix'

describe('several machines can work a queue', () => {
  test.each([
    ['nfs4', NFS],
    ['nfs4', NFS.replace('4.2', '4.0')],
    ['cifs', CIFS],
    ['smb3', CIFS],
    ['lustre', 'rw,checksum,flock,nouser_xattr'],
    ['gfs2', 'rw'],
    ['ceph', 'rw,name=admin,secret=<hidden>,acl'],
    ['fuse.ceph-fuse', 'rw,user_id=0,allow_other'],
    ['fuse.glusterfs', 'rw,user_id=0,allow_other'],
    ['ext4', 'rw'],
  ])('on %s with %s', (type, options) => {
    expect(reasonsFor(type, options)).toEqual([])
  })
})

describe('several machines cannot work a queue', () => {
  test.each([
    ['nfs4', NFS.replace('local_lock=none', 'local_lock=posix'), [/local_lock=none/]],
    ['nfs4', NFS.replace('hard', 'soft'), [/soft mount.*hard/]],
    ['nfs4', NFS.replace('hard', 'softerr'), [/soft mount.*hard/]],
    ['nfs', NFS_3, [/version 2 and 3.*vers=4\.2/, /without nolock/, /local_lock=none/]],
    ['nfs', 'rw,vers=2,hard,local_lock=none', [/version 2 and 3/]],
    ['cifs', `${CIFS},nobrl`, [/without nobrl/]],
    ['smb3', CIFS.replace(',serverino', ''), [/mount it with serverino/]],
    ['lustre', 'rw,localflock', [/localflock.*with flock/]],
    ['lustre', 'rw', [/without flock.*with flock/]],
    ['ocfs2', 'rw,localflocks', [/without localflocks/]],
    ['9p', 'rw,trans=virtio', [/9p does not pass locks.*NFSv4\.2/]],
    ['virtiofs', 'rw', [/virtiofs does not/]],
    ['fuse.sshfs', 'rw', [/sshfs does not/]],
  ])('on %s with %s', (type, options, says) => {
    const reasons = reasonsFor(type, options)
    expect(reasons).toHaveLength(says.length)
    for (const [at, pattern] of says.entries()) expect(reasons[at]).toMatch(pattern)
    // They end a sentence of the caller.
    for (const reason of reasons) expect(reason).toMatch(/[^.]$/)
  })

  test('whose kernel takes lost locks back', () => {
    expect(reasonsFor('nfs4', NFS, true)).toEqual([expect.stringContaining('nfs.recover_lost_locks=0')])
    expect(reasonsFor('ext4', 'rw', true)).toEqual([])
  })
})

test('a local directory has neither reasons nor a lease, by both forms', async () => {
  expect([await mountRefusals(bed.root), mountRefusalsSync(bed.root)]).toEqual([[], []])
  expect([await leaseOf(bed.root), leaseOfSync(bed.root)]).toEqual([undefined, undefined])
  expect([await mountRefusals(bed.path('missing')), await leaseOf(bed.path('missing'))]).toEqual([
    [],
    undefined,
  ])
})

describe('the lease', () => {
  const mounted = (point: string, type: string, rest: string): string =>
    `device server:/share mounted on ${point} with fstype ${type} statvers=1.1\n\topts:\trw,vers=4.2\n\tage:\t7\n${rest}`
  const nfsv4 = (seconds: number): string =>
    `\tnfsv4:\tbm0=0xfdffbfff,bm1=0x40f9be3e,acl=0x3,sessions,pnfs=not configured,lease_time=${seconds},lease_expired=0\n\tsec:\tflavor=1\n`
  const statistics = [
    'device sysfs mounted on /sys with fstype sysfs\n',
    mounted('/mnt', 'nfs4', nfsv4(1)),
    mounted('/mnt', 'nfs4', nfsv4(90)),
    mounted('/mnt/a\\040b', 'nfs4', nfsv4(20)),
    mounted('/mnt/v3', 'nfs', '\tcaps:\tcaps=0x3fc7\n'),
    mounted('/mnt/last', 'nfs4', nfsv4(30)),
  ].join('')

  test.each([
    ['/mnt', 90_000],
    ['/mnt/a b', 20_000],
    ['/mnt/v3', undefined],
    ['/mnt/last', 30_000],
    ['/sys', undefined],
    ['/', undefined],
  ])('of %s', (point, lease) => {
    expect(leaseIn(statistics, point)).toBe(lease)
  })

  test.each([
    ['the system tells it', 0, 90_000, 90_000],
    ['the setting is shorter than what the system tells', 30_000, 90_000, 30_000],
    ['the setting is longer: the server decides', 60_000, 20_000, 20_000],
    ['only the setting tells it', 60_000, undefined, 60_000],
    ['neither tells it', 0, undefined, 20_000],
    ['the file system is local', 0, 0, 0],
    ['the file system is local, and a test sets it', 1000, 0, 1000],
  ])('%s', (_, chosen, known, lease) => {
    expect(leaseToKeep(chosen, known)).toBe(lease)
  })

  test('where the system has no such file', () => {
    expect(leaseIn('', '/mnt')).toBeUndefined()
  })
})
