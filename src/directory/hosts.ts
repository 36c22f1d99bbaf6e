/**
 * The hosts of a queue (fsq standard, section 12): queues below it, one for each machine or consumer that gets a copy of its items.
 *
 * @module
 */
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { inspect } from 'node:util'

import { codeOf, errnoOf, failureOf } from '../errors/errno.js'
import { FsqError, QueueMissingError } from '../errors/classes.js'
import { fileSystemError } from '../errors/system-error.js'
import { LOCK_MARKER, type Settings } from '../settings.js'
import { claimKindOf } from './claim-kind.js'
import {
  type InstallOptions,
  type UninstallOptions,
  installQueue,
  makeHostsDirectory,
  uninstallQueue,
} from './install.js'
import { type Layout, hostLayoutOf, hostsPath, shownName } from './layout.js'
import { checkQueue } from './presence.js'

const { ENOENT } = os.constants.errno
const MOST_ATTEMPTS = 5

/** How a host is added. */
export type AddHostOptions = Pick<InstallOptions, 'force'>

/**
 * The names of the hosts, sorted. Skips hidden names, of hosts under installation or removal.
 *
 * @param onSkipped - Called with the path of each other entry that is no directory.
 * @throws {@link QueueMissingError}, {@link NotAQueueError} or a file system error.
 */
export async function hostsOf(
  queue: Layout,
  settings: Settings,
  onSkipped?: (file: string) => void,
): Promise<string[]> {
  await checkQueue(queue)
  const directory = hostsPath(queue, settings)
  const names = await entriesOf(directory, queue)
  const areHosts = await Promise.all(names.map((name) => isHost(path.join(directory, name))))
  names.forEach((name, index) => {
    if (areHosts[index] === false) onSkipped?.(path.join(directory, name))
  })
  return names.filter((_, index) => areHosts[index]).sort()
}

async function entriesOf(directory: string, queue: Layout): Promise<readonly string[]> {
  try {
    return (await fs.readdir(directory)).filter((name) => !name.startsWith('.'))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw fileSystemError(
      failureOf(error, 'scandir', directory),
      `list the hosts of the queue ${inspect(queue.name)}`,
    )
  }
}

/** `undefined`: it has just been removed. */
async function isHost(file: string): Promise<boolean | undefined> {
  return fs.stat(file).then(
    (info) => info.isDirectory(),
    // A link whose target is missing is still an entry.
    async (error: unknown) => {
      if (codeOf(error) !== 'ENOENT') return false
      return fs.lstat(file).then(
        () => false,
        () => undefined,
      )
    },
  )
}

/**
 * The layouts of some hosts of a queue, or of all, sorted by name.
 *
 * @param names - Each counts once.
 * @throws {@link QueueMissingError} if the queue, one of these hosts or any host is missing; {@link QueueNameError}.
 */
export async function hostLayouts(
  queue: Layout,
  settings: Settings,
  names: readonly string[] | undefined,
  onSkipped?: (file: string) => void,
): Promise<readonly Layout[]> {
  const known = await hostsOf(queue, settings, onSkipped)
  const layouts = [...new Set(names ?? known)].sort().map((host) => hostLayoutOf(queue, host, settings))
  const missing = layouts.find(({ name }) => !known.includes(name))
  if (missing === undefined && layouts.length > 0) return layouts
  const shown = inspect(queue.name)
  throw new QueueMissingError(
    missing === undefined
      ? `The queue ${shown} has no hosts (${hostsPath(queue, settings)})`
      : `The queue ${shown} has no host ${inspect(missing.name)} (${missing.path})`,
    {
      path: missing?.path ?? hostsPath(queue, settings),
      advice: 'queue.addHost() adds a host',
      adviceKey: 'add-host',
    },
  )
}

/**
 * Adds a host: its queue appears complete, or not at all. Its workers claim items as those of the queue do.
 *
 * @throws {@link QueueNameError}, before anything is made; {@link QueueExistsError}; {@link QueueMissingError} or a file system error.
 */
export async function addHost(
  queue: Layout,
  host: string,
  settings: Settings,
  { force }: AddHostOptions,
): Promise<void> {
  const layout = hostLayoutOf(queue, host, settings)
  if (queue.parent !== undefined)
    throw new FsqError(`The ${shownName(queue)} is a host itself, and can have no hosts`, {
      advice: 'Add hosts to the queue that it belongs to',
    })
  await checkQueue(queue)
  const claims = await claimKindOf(queue)
  const lockKind = claims === 'lock' && (await hasLockMarker(queue)) ? 'fcntl' : undefined
  for (let attempt = 1; ; attempt++) {
    await makeHostsDirectory(queue, settings)
    try {
      await installQueue(layout, settings, { force, claims, lockKind })
      return
    } catch (error) {
      // Two processes make hosts/ at the same time, and the second one has replaced the first one's, which was empty.
      if (errnoOf(error) !== -ENOENT || attempt === MOST_ATTEMPTS) throw error
    }
  }
}

async function hasLockMarker(queue: Layout): Promise<boolean> {
  const marker = path.join(queue.path, LOCK_MARKER)
  return fs.lstat(marker).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw fileSystemError(failureOf(error, 'lstat', marker), `find out how items of the queue are locked`)
    },
  )
}

/**
 * Removes a host with its queue. The directory of the hosts stays.
 *
 * @throws {@link QueueNotEmptyError} if items wait there or are worked on, unless forced; {@link QueueMissingError} or a file system error.
 */
export async function removeHost(
  queue: Layout,
  host: string,
  settings: Settings,
  options: UninstallOptions,
): Promise<void> {
  const layout = hostLayoutOf(queue, host, settings)
  await checkQueue(queue)
  await uninstallQueue(layout, settings, options)
}
