// Like fsq.mjs, but in a file of its own, because fsq.mjs measures the import of 'fsq' alone.
export { lock, tryLockSync, unlockSync } from '../../dist/lock.js'
