/**
 * Who works on what, by what the kernel lists. Trying a lock would make a worker pass the item by.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

// 1: FLOCK  ADVISORY  WRITE 1234 fd:01:131145 0 EOF
const LOCK = /^[0-9]+: (?:FLOCK|OFDLCK) +\S+ +WRITE +(-?[0-9]+) +([0-9a-f]+):([0-9a-f]+):([0-9]+) /gm

/** The processes that hold locks on files of one file system, by inode; -1: one that the kernel does not name. */
export type Workers = ReadonlyMap<number, readonly number[]>

/** `undefined`: this system does not tell. Processes of other containers do not show. */
export function workersOn(directory: string): Workers | undefined {
  let locks: string
  let device: string | undefined
  try {
    locks = fs.readFileSync('/proc/locks', 'utf8')
    device = deviceOf(fs.realpathSync(directory))
  } catch {
    return undefined
  }
  if (device === undefined) return undefined
  const workers = new Map<number, number[]>()
  for (const [, pid, major = '', minor = '', inode] of locks.matchAll(LOCK)) {
    if (`${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}` !== device) continue
    workers.set(Number(inode), [...(workers.get(Number(inode)) ?? []), Number(pid)])
  }
  return workers
}

/** The device of the mount that the path is on, as /proc/locks has it: on some file systems not that of stat(2). */
function deviceOf(file: string): string | undefined {
  let best = ''
  let device: string | undefined
  for (const line of fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , number, , escaped = ''] = line.split(' ')
    const mount = unescaped(escaped)
    const isAbove = file === mount || mount === '/' || file.startsWith(`${mount}/`)
    // The last of equal ones lies on top.
    if (!isAbove || mount === '' || mount.length < best.length) continue
    best = mount
    device = number
  }
  return device
}

/** The mount points that are directories of this one. */
export function mountsIn(directory: string): readonly string[] {
  let mounts: string
  try {
    mounts = fs.readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return []
  }
  return mounts
    .split('\n')
    .map((line) => unescaped(line.split(' ')[4] ?? ''))
    .filter((mount) => path.dirname(mount) === directory)
}

function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
