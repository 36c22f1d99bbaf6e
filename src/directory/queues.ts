/**
 * Finding the queues in a root directory.
 *
 * @module
 */
import fs from 'node:fs/promises'
import path from 'node:path'

import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { layoutOf } from './layout.js'
import { hasAllPlaces, rootMissing } from './presence.js'
import { type SettingOverrides, resolveSettings } from '../settings.js'

/**
 * Lists the names of the queues in the root: directories, or symbolic links to directories, that contain the four
 * directories of a queue. Omits queues under installation or removal, whose names start with `.`, and directories
 * that this user may not read.
 *
 * @param options - Settings; `root` defaults to the root of the process.
 * @returns The names, sorted as text.
 * @throws {@link QueueMissingError} if the root does not exist, {@link SettingError}, or a file system error.
 * @example
 * ```ts
 * await queues({ root: '/var/fsq' }) // ['a_queue', 'mail']
 * ```
 */
export async function queues(options: SettingOverrides = {}): Promise<string[]> {
  const settings = resolveSettings(options)
  const entries = await entriesOf(path.resolve(settings.root))
  const candidates = entries.filter((name) => !name.startsWith('.'))
  // A directory that cannot be read must not hide the others.
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
