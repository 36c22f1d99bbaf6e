/**
 * What the options of a mount mean for a queue that several machines work: why it cannot be worked there, and how long the server keeps
 * the locks of a machine that is cut off.
 *
 * @module
 */
import fs from 'node:fs'

import { type Mount, mountOf, mountOfSync } from './mounts.js'

// The options of each type of mount that forbid such a queue: the problem, and what to mount instead. A reason says both.
type Refusal = readonly [forbids: (mount: Mount) => boolean, reason: string]

const NFS_4 = 'mount it with vers=4.1 or vers=4.2'

const NFS: readonly Refusal[] = [
  [
    ({ options }) => options.some((option) => /^vers=[23](\.|$)/.test(option)),
    `NFS version 2 and 3 never free the locks of a machine that has died, and repeat a rename whose answer was lost: ${NFS_4}`,
  ],
  [
    ({ options }) => options.includes('nolock'),
    'with nolock, locks hold on one machine only: mount it without nolock',
  ],
  [
    ({ options }) => options.some((option) => /^local_lock=(?!none$)/.test(option)),
    'with local_lock, locks hold on one machine only: mount it with local_lock=none',
  ],
  [
    ({ options }) => options.includes('soft') || options.includes('softerr'),
    'on a soft mount, a rename can be reported as failed and be made all the same: mount it with hard',
  ],
]

const SMB: readonly Refusal[] = [
  [
    ({ options }) => options.includes('nobrl'),
    'with nobrl, locks hold on one machine only: mount it without nobrl',
  ],
  [
    ({ options }) => !options.includes('serverino'),
    'without serverino, the inode number of a file can change, so fsq cannot recognize an item that it has moved: mount it with serverino',
  ],
]

const LUSTRE: readonly Refusal[] = [
  [
    ({ options }) => options.includes('localflock'),
    'with localflock, locks hold on one machine only: mount it with flock',
  ],
  [
    ({ options }) => !options.includes('flock') && !options.includes('localflock'),
    'without flock, there are no locks: mount it with flock',
  ],
]

const CLUSTER: readonly Refusal[] = [
  [
    ({ options }) => options.includes('localflocks'),
    'with localflocks, locks hold on one machine only: mount it without localflocks',
  ],
]

function oneMachineOnly(what: string): readonly Refusal[] {
  return [
    [
      () => true,
      `${what} does not pass locks on to other machines: use NFSv4.2 or CephFS for several machines`,
    ],
  ]
}

// The default of cifs is `soft`, and `hard` does not repeat every call that a lost connection has cut off. A queue whose claims are renames
// looks again after a failed rename, so neither is refused.
const REFUSALS: Readonly<Record<string, readonly Refusal[]>> = {
  nfs: NFS,
  nfs4: NFS,
  cifs: SMB,
  smb3: SMB,
  lustre: LUSTRE,
  gfs2: CLUSTER,
  ocfs2: CLUSTER,
  '9p': oneMachineOnly('9p'),
  virtiofs: oneMachineOnly('virtiofs'),
  'fuse.sshfs': oneMachineOnly('sshfs'),
}

const RECOVERS_LOCKS =
  'with the kernel parameter recover_lost_locks, a machine takes back locks that it has lost, and its worker never learns of it: ' +
  'set nfs.recover_lost_locks=0'
const RECOVER_LOST_LOCKS = ['nfs', 'nfsv4', 'nfs4'].map(
  (module) => `/sys/module/${module}/parameters/recover_lost_locks`,
)

/**
 * Why several machines cannot work a queue on this mount; empty: no option forbids it.
 *
 * @param recoversLocks - Whether the kernel takes back NFS locks that were lost.
 */
export function refusalsOf(mount: Mount, recoversLocks: boolean): readonly string[] {
  const refusals = REFUSALS[mount.type] ?? []
  const reasons = refusals.filter(([forbids]) => forbids(mount)).map(([, reason]) => reason)
  return recoversLocks && mount.type === 'nfs4' ? [...reasons, RECOVERS_LOCKS] : reasons
}

/**
 * The lease of an NFSv4 mount in milliseconds, from a text in the format of /proc/self/mountstats; `undefined`: it has no such mount.
 *
 * @param point - The mount point.
 */
export function leaseIn(statistics: string, point: string): number | undefined {
  const mounts = statistics.split(/^(?=device )/m)
  // The last mount on a mount point hides the others.
  const mount = mounts.findLast((text) =>
    text.split('\n', 1)[0]?.includes(` mounted on ${escaped(point)} with `),
  )
  const [, seconds] = /^\s*nfsv4:.*\blease_time=(\d+)/m.exec(mount ?? '') ?? []
  return seconds === undefined ? undefined : Number(seconds) * 1000
}

// A path as the kernel writes it in this file.
function escaped(point: string): string {
  return point.replace(
    /[ \t\n\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
}

/**
 * Why several machines cannot work a queue in this directory, by the options of its mount; each reason says what to mount instead. Empty: no
 * option forbids it, or the system has no table of mounts.
 */
export async function mountRefusals(directory: string): Promise<readonly string[]> {
  return refusalsFor(await mountOf(directory))
}

/** Synchronous {@link mountRefusals}. */
export function mountRefusalsSync(directory: string): readonly string[] {
  return refusalsFor(mountOfSync(directory))
}

/** Where the system does not tell the lease: no server is known that gives locks to others sooner. */
const USUAL_LEASE_MS = 20_000

/**
 * The lease by which a worker stops, in milliseconds. A setting makes it shorter than what the system tells, but never longer: the server
 * decides, and a worker that went by a longer lease would go on after another one has its items.
 *
 * @param chosen - The setting; 0: none.
 * @param known - As {@link leaseOf} tells; 0: the file system is local.
 */
export function leaseToKeep(chosen: number, known: number | undefined): number {
  if (chosen === 0) return known ?? USUAL_LEASE_MS
  return known === undefined || known === 0 ? chosen : Math.min(chosen, known)
}

/**
 * How long the server of this directory keeps the locks of a machine that it no longer hears from, in milliseconds; `undefined`: the
 * system does not say (it does for NFSv4).
 */
export async function leaseOf(directory: string): Promise<number | undefined> {
  return leaseFor(await mountOf(directory))
}

/** Synchronous {@link leaseOf}. */
export function leaseOfSync(directory: string): number | undefined {
  return leaseFor(mountOfSync(directory))
}

function refusalsFor(mount: Mount | undefined): readonly string[] {
  if (mount === undefined) return []
  return refusalsOf(
    mount,
    RECOVER_LOST_LOCKS.some((parameter) => /^[Yy1]/.test(textOf(parameter))),
  )
}

function leaseFor(mount: Mount | undefined): number | undefined {
  return mount?.type === 'nfs4' ? leaseIn(textOf('/proc/self/mountstats'), mount.point) : undefined
}

/** The text of a file of the kernel; empty: there is no such file. */
function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
