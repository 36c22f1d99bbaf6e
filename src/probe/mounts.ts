/**
 * What the system's table of mounts says. It knows names where statfs(2) has numbers, of which several file systems may
 * share one.
 *
 * @module
 */
import { constants } from 'node:fs'
import fs from 'node:fs/promises'

/** Where Linux has it. */
export const MOUNT_TABLE = '/proc/self/mountinfo'

/** A mount. */
export interface Mount {
  /** As `ext4`, `nfs4` or `fuse.sshfs`. */
  readonly type: string
  /** A device, a share, or what else was mounted. */
  readonly source: string
  /** The directory that it is mounted on. */
  readonly point: string
  /** Its device, as `8:1`: on some file systems not that of stat(2). */
  readonly device: string
}

/** The mount that a directory is on; `undefined` where there is no such table (macOS, no /proc). */
export async function mountOf(directory: string): Promise<Mount | undefined> {
  try {
    const handle = await fs.open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      const info = await fs.readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8')
      return findMount(await fs.readFile(MOUNT_TABLE, 'utf8'), mountId(info))
    } finally {
      await handle.close()
    }
  } catch {
    // It only makes the answer nicer.
    return undefined
  }
}

/** The number of the mount that something open is on, by its /proc/self/fdinfo. */
export function mountId(info: string): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(info)?.[1]
}

/** The mount with the number, in a table as proc_pid_mountinfo(5) has it. */
export function findMount(table: string, id: string | undefined): Mount | undefined {
  const line = table.split('\n').find((candidate) => candidate.startsWith(`${id} `))
  return line === undefined ? undefined : mountIn(line)
}

/** All mounts of such a table. */
export function allMounts(table: string): readonly Mount[] {
  return table.split('\n').flatMap((line) => mountIn(line) ?? [])
}

function mountIn(line: string): Mount | undefined {
  const [, , device, , point] = line.split(' ')
  const [, type, source] = / - (\S+) (\S+)/.exec(line) ?? []
  if (device === undefined || point === undefined || type === undefined || source === undefined)
    return undefined
  return { type, source: unescape(source), point: unescape(point), device }
}

// Blanks and the like stand there as \040.
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
