/**
 * Which queues there are.
 *
 * @module
 */
import fs from 'node:fs/promises'
import path from 'node:path'

import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { hasAllPlaces } from './install.js'
import { layoutOf, rootMissing } from './layout.js'
import { type SettingOverrides, resolveSettings } from '../settings.js'

/**
 * The names of the queues in the root: directories, or symbolic links to such, that have the four directories of a queue.
 * Those under installation or removal, whose names start with `.`, are left out, and so is what this user may not look
 * into.
 *
 * @param options - `root`, where it is not that of the process, and other settings.
 * @returns Sorted as texts.
 * @throws {@link QueueMissingError} if there is no root, {@link SettingError}, or a file system error.
 * @example
 * ```ts
 * await queues({ root: '/var/fsq' }) // ['a_queue', 'mail']
 * ```
 */
export async function queues(options: SettingOverrides = {}): Promise<string[]> {
  const settings = resolveSettings(options)
  const entries = await entriesOf(path.resolve(settings.root))
  const candidates = entries.filter((name) => !name.startsWith('.'))
  // One that cannot be looked at must not hide the others.
  const areQueues = await Promise.all(
    candidates.map((name) => hasAllPlaces(layoutOf(name, settings)).catch(() => false)),
  )
  return candidates.filter((_, index) => areQueues[index]).sort()
}

async function entriesOf(root: string): Promise<string[]> {
  try {
    return await fs.readdir(root)
  } catch (error) {
    const failure = failureOf(error, 'scandir', root)
    if (codeOf(error) !== 'ENOENT') throw fileSystemError(failure, 'list the queues')
    throw rootMissing(root, failure)
  }
}
