/**
 * Descriptors that are closed beside this thread: on a shared file system, a close can wait for the server.
 *
 * @module
 */
import fs from 'node:fs'

import { native } from '../addon/native.js'

/** Closes a descriptor. An error is of no consequence: nothing was written through it. */
export function closeLater(descriptor: number): void {
  fs.close(descriptor, () => undefined)
}

/** Closes the descriptor of an item that was claimed by a rename. */
export function closeItemLater(descriptor: number): void {
  void native.closeDescriptorLater(descriptor)
}
