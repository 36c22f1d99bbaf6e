import { createRequire } from 'node:module'

import { lock, tryLockSync, unlockSync } from '../lib/fsq-lock.mjs'

const require = createRequire(import.meta.url)

/** Locks and unlocks an open descriptor once. */
export const ours = {
  flock(descriptor) {
    if (tryLockSync(descriptor) === undefined) throw new Error('taken')
    unlockSync(descriptor)
  },
  fcntl(descriptor) {
    if (tryLockSync(descriptor, { kind: 'fcntl' }) === undefined) throw new Error('taken')
    unlockSync(descriptor, { kind: 'fcntl' })
  },
  async path(file) {
    const held = await lock(file)
    held.unlock()
  },
}

/** The same with the fastest package that takes this kind of lock; `undefined` if it is not installed. */
export const lockPeers = {
  flock: withPeer('fs-ext', ({ flockSync }) => (descriptor) => {
    flockSync(descriptor, 'exnb')
    flockSync(descriptor, 'un')
  }),
  fcntl: withPeer('fs-native-extensions', ({ tryLock, unlock }) => (descriptor) => {
    if (!tryLock(descriptor)) throw new Error('taken')
    unlock(descriptor)
  }),
  path: withPeer('proper-lockfile', ({ lock: lockFile }) => async (file) => {
    const release = await lockFile(file)
    await release()
  }),
}

function withPeer(name, use) {
  try {
    return { name, once: use(require(name)) }
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}
