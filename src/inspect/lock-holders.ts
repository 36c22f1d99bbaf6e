/**
 * Which processes hold which items, by the kernel's list of locks. A try to lock an item would make workers skip it.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import type { FileCalls } from '../directory/calls.js'
import { MOUNT_TABLE, allMounts, findMount, mountId } from '../probe/mounts.js'

// 1: FLOCK  ADVISORY  WRITE 1234 fd:01:131145 0 EOF
const LOCK = /^[0-9]+: (?:FLOCK|OFDLCK) +\S+ +WRITE +(-?[0-9]+) +([0-9a-f]+):([0-9a-f]+):([0-9]+) /gm

/** The processes that hold locks on files of one file system, by inode. -1: a process that the kernel does not name. */
export type Workers = ReadonlyMap<number, readonly number[]>

/**
 * The lock holders on the file system of a directory; `undefined`: this system does not list them. Processes of other containers
 * are missing.
 */
export async function workersOn(directory: string, calls: FileCalls): Promise<Workers | undefined> {
  let locks: string
  let device: string | undefined
  try {
    locks = fs.readFileSync('/proc/locks', 'utf8')
    device = await deviceOf(directory, calls)
  } catch {
    return undefined
  }
  if (device === undefined) return undefined
  const workers = new Map<number, number[]>()
  for (const [, pid, major = '', minor = '', inode] of locks.matchAll(LOCK)) {
    if (`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}` !== device) continue
    const known = workers.get(Number(inode)) ?? []
    // While locks come and go, the kernel may list a lock twice.
    if (!known.includes(Number(pid))) workers.set(Number(inode), [...known, Number(pid)])
  }
  return workers
}

/** The device of a directory, as /proc/locks writes it. */
async function deviceOf(directory: string, calls: FileCalls): Promise<string | undefined> {
  const descriptor = await calls.open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    const id = mountId(fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))
    return findMount(fs.readFileSync(MOUNT_TABLE, 'utf8'), id)?.device
  } finally {
    await calls.close(descriptor)
  }
}

/** The mount points directly in a directory. */
export function mountsIn(directory: string): readonly string[] {
  try {
    const mounts = allMounts(fs.readFileSync(MOUNT_TABLE, 'utf8'))
    return mounts.map(({ point }) => point).filter((point) => path.dirname(point) === directory)
  } catch {
    return []
  }
}
