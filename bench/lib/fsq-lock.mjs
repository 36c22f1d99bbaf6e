// As in fsq.mjs, and a file of its own: that one is what an import of 'fsq' is measured by.
export { lock, tryLockSync, unlockSync } from '../../dist/lock.js'
