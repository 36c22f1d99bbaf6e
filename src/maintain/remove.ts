/**
 * Removes items.
 *
 * @module
 */
import fs from 'node:fs'

import { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { Layout } from '../directory/layout.js'
import type { Item } from '../inspect/items.js'
import { type Unchanged, underLock } from './under-lock.js'

/**
 * Removes an item, unless a worker holds it.
 *
 * @returns Why it was not removed.
 */
export function removeItem({ entry: { path: file }, state }: Item, layout: Layout): Unchanged | undefined {
  try {
    if (state === 'waiting') return underLock(file, layout, () => fs.unlinkSync(file))
    fs.unlinkSync(file)
    return undefined
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'gone'
    if (error instanceof FsqError) throw error
    throw fileSystemError(failureOf(error, 'unlink', file.toString()), 'remove an item')
  }
}
