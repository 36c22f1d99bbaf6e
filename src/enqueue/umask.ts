/**
 * Changes of the umask of this process. Native code looks at the mode of one new file for many (fsq standard, section 3), and must know when
 * such a look no longer counts.
 *
 * @module
 */
import process from 'node:process'

import { native } from '../addon/native.js'

interface Owner {
  umask: (...mask: readonly (string | number)[]) => number
}

let isWatched = false

/**
 * From now on, native code knows when `process.umask()` is called. The function has to be replaced for this: the kernel has no call that
 * only reads the umask.
 */
export function watchUmask(): void {
  if (isWatched) return
  isWatched = true
  const owner: Owner = process
  const umask = owner.umask.bind(process)
  owner.umask = (...mask) => {
    // Before and after, because another thread may make a file at any moment. A call without a mask sets it to 0 for a moment.
    native.noteUmask()
    try {
      return umask(...mask)
    } finally {
      native.noteUmask()
    }
  }
}
