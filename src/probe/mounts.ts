/**
 * The system's table of mounts. It has names where statfs(2) has numbers, and several file systems may share one number.
 *
 * @module
 */
import fs, { constants } from 'node:fs'

/** The table of Linux. */
export const MOUNT_TABLE = '/proc/self/mountinfo'

/** A mount. */
export interface Mount {
  /** Such as `ext4`, `nfs4` or `fuse.sshfs`. */
  readonly type: string
  /** The mounted device, share or other source. */
  readonly source: string
  /** The directory that is the mount point. */
  readonly point: string
  /** Its device, such as `8:1`: on some file systems, not the one that stat(2) reports. */
  readonly device: string
  /** The options of the mount and of its file system, such as `rw` and `vers=4.2`. */
  readonly options: readonly string[]
}

const SHARED_BY_FUSE: readonly (string | undefined)[] = ['fuse.glusterfs', 'fuse.ceph-fuse']
const FLAGS = constants.O_RDONLY | constants.O_DIRECTORY

/** Whether a mount of this type is of a FUSE file system that several machines share. statfs(2) has one number for all of FUSE. */
export function isSharedByFuse(type: string | undefined): boolean {
  return SHARED_BY_FUSE.includes(type)
}

/** The mount of a directory; `undefined` if the system has no such table (macOS, no /proc). */
export async function mountOf(directory: string): Promise<Mount | undefined> {
  try {
    const handle = await fs.promises.open(directory, FLAGS)
    try {
      return mountBehind(handle.fd)
    } finally {
      await handle.close()
    }
  } catch {
    // The mount only adds detail to the result.
    return undefined
  }
}

/** Synchronous {@link mountOf}. */
export function mountOfSync(directory: string): Mount | undefined {
  try {
    const descriptor = fs.openSync(directory, FLAGS)
    try {
      return mountBehind(descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
  } catch {
    return undefined
  }
}

// The files of /proc are in memory: reading them never waits for a server.
function mountBehind(descriptor: number): Mount | undefined {
  const info = fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')
  return findMount(fs.readFileSync(MOUNT_TABLE, 'utf8'), mountId(info))
}

/** The number of the mount of an open file, from its /proc/self/fdinfo. */
export function mountId(info: string): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(info)?.[1]
}

/** The mount with this number, in a table in the format of proc_pid_mountinfo(5). */
export function findMount(table: string, id: string | undefined): Mount | undefined {
  const line = table.split('\n').find((candidate) => candidate.startsWith(`${id} `))
  return line === undefined ? undefined : mountIn(line)
}

/** All mounts of such a table. */
export function allMounts(table: string): readonly Mount[] {
  return table.split('\n').flatMap((line) => mountIn(line) ?? [])
}

function mountIn(line: string): Mount | undefined {
  const [, , device, , point, options] = line.split(' ')
  const [, type, source, more = ''] = / - (\S+) (\S+) ?(\S*)/.exec(line) ?? []
  if (device === undefined || point === undefined || options === undefined) return undefined
  if (type === undefined || source === undefined) return undefined
  return {
    type,
    source: unescape(source),
    point: unescape(point),
    device,
    options: `${options},${more}`.split(',').filter((option) => option !== ''),
  }
}

// The table has spaces and similar characters as \040.
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
