/**
 * Descriptors that are closed beside this thread: on a shared file system, a close can wait for the server.
 *
 * @module
 */
import fs from 'node:fs'

/** Closes a descriptor. An error is of no consequence: nothing was written through it. */
export function closeLater(descriptor: number): void {
  fs.close(descriptor, () => undefined)
}
