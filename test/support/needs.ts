/** Tests of what not every user and system has; elsewhere they are skipped, and jest says so. */
import { spawnSync } from 'node:child_process'
import process from 'node:process'

import { describe, test } from '@jest/globals'

/** The functions that declare tests. */
interface Declarations {
  readonly test: typeof test.skip
  readonly describe: typeof describe.skip
}

/**
 * For tests that take a right or a program which the package itself does not: its suite has to pass without them. Say beside it what
 * they are for.
 */
export function given(isThere: boolean): Declarations {
  return isThere ? { test, describe } : { test: test.skip, describe: describe.skip }
}

export const isRoot = process.getuid?.() === 0

/** Only root may give files to other users, and only root can become another user, who lacks some permission. */
export const ifRoot: typeof test.skip = given(isRoot).test

/** inotify, /proc and what statfs(2) answers are Linux's, and so is the way in which a child shares a lock. */
export const onLinux: typeof test.skip = given(process.platform === 'linux').test

/** For tests that hold hundreds of items or queues. Node raises its own limit to the hard one, and cannot raise that. */
export function ifManyFiles(): Declarations {
  const isThere = spawnSync('sh', ['-c', 'ulimit -n 1000']).status === 0
  if (!isThere) console.warn('SKIPPED tests of many open files: they take a limit of 1000 (ulimit -Hn)')
  return given(isThere)
}

/** The option that turns on Node's permission model. */
export const PERMISSION_FLAG =
  Number.parseInt(process.versions.node) < 23 ? '--experimental-permission' : '--permission'
