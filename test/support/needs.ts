/** Tests of what not every user and system has; elsewhere they are skipped, and jest says so. */
import process from 'node:process'

import { test } from '@jest/globals'

export const isRoot = process.getuid?.() === 0

/** Only root may give files to others, and only root can become somebody else, who may not do something. */
export const ifRoot: typeof test.skip = isRoot ? test : test.skip

/** inotify, /proc and what statfs(2) answers are Linux's, and so is the way in which a child shares a lock. */
export const onLinux: typeof test.skip = process.platform === 'linux' ? test : test.skip
