/**
 * The paths of the parts of a queue (fsq standard, section 1).
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import path from 'node:path'
import { inspect } from 'node:util'

import { QueueNameError } from '../errors/classes.js'
import { Place } from '../addon/native.js'
import { CLAIMED_DIRECTORY, type Settings, downOfRename } from '../settings.js'
import { LONGEST_NAME } from '../name/limits.js'

/** The paths of one queue. */
export interface Layout {
  readonly name: string
  /** Absolute, so that a later change of the working directory does not move the queue. */
  readonly root: string
  readonly path: string
  /** The file that stops scans while it exists. In a queue with claims by renaming it always exists, as the guard of the queue. */
  readonly downPath: string
  /** The down file of a queue with claims by renaming. */
  readonly renameDownPath: string
  /** The directory of claimed items, of a queue with claims by renaming. */
  readonly claimedPath: string
  /** The FIFO that wakes a listener. The host queues of a queue share one. */
  readonly triggerPath: string
  /** Of a host queue: the queue whose items it has. */
  readonly parent?: Layout
  /** The names of the four directories, by {@link Place}. */
  readonly directories: readonly string[]
}

/**
 * Checks the name of a queue: not empty, no leading `.` (reserved for queues under installation or removal), no `/`,
 * no NUL, at most 255 bytes.
 *
 * @param of - What has the name. That of a host obeys the same rules.
 * @throws {@link QueueNameError}
 */
export function checkQueueName(name: unknown, of: 'queue' | 'host' = 'queue'): asserts name is string {
  const problem = problemOf(name)
  if (problem === undefined) return
  const shown = inspect(name, { depth: 0, maxStringLength: 80 })
  const message = `${shown} cannot be the name of a ${of}: ${problem}`
  if (of === 'host') throw new QueueNameError(message, { advice: "Use a label such as 'berlin'" })
  throw new QueueNameError(message, {
    advice: "Use a name such as 'a_queue'; the directory it is in is the option 'root' (FSQ_ROOT)",
    adviceKey: 'name-queue',
  })
}

function problemOf(name: unknown): string | undefined {
  if (typeof name !== 'string') return 'it is not a string'
  if (name === '') return 'it is empty'
  if (name.includes('/')) return "it has a '/'"
  if (name.includes('\0')) return 'it has a NUL'
  if (name.startsWith('.'))
    return "it starts with '.', which is kept for queues under installation or removal"
  if (!name.isWellFormed()) return 'it has a lone surrogate, half of a character'
  const bytes = Buffer.byteLength(name)
  return bytes > LONGEST_NAME ? `it has ${bytes} bytes, and ${LONGEST_NAME} are allowed` : undefined
}

/**
 * The layout of a queue under these settings.
 *
 * @throws {@link QueueNameError} if the name is not valid for a queue.
 */
export function layoutOf(name: string, settings: Settings): Layout {
  checkQueueName(name)
  return layoutAt(path.join(path.resolve(settings.root), name), settings)
}

/** The layout of the queue that is this directory, which may be hidden. */
export function layoutAt(queue: string, settings: Settings): Layout {
  return {
    name: path.basename(queue),
    root: path.dirname(queue),
    path: queue,
    downPath: path.join(queue, settings.down),
    renameDownPath: path.join(queue, downOfRename(settings.down)),
    claimedPath: path.join(queue, CLAIMED_DIRECTORY),
    triggerPath: path.join(queue, settings.trigger),
    directories: [settings.queue, settings.tmp, settings.done, settings.fail],
  }
}

/** The directory of the host queues of a queue (fsq standard, section 12). */
export function hostsPath(queue: Layout, { hosts }: Settings): string {
  return path.join(queue.path, hosts)
}

/** The FIFO that the host queues of a queue share. */
export function hostsTriggerPath(queue: Layout, { hostsTrigger }: Settings): string {
  return path.join(queue.path, hostsTrigger)
}

/**
 * The layout of the queue of a host.
 *
 * @throws {@link QueueNameError} if the name is not valid for a queue.
 */
export function hostLayoutOf(parent: Layout, host: string, settings: Settings): Layout {
  checkQueueName(host, 'host')
  return {
    ...layoutOf(host, { ...settings, root: hostsPath(parent, settings) }),
    triggerPath: hostsTriggerPath(parent, settings),
    parent,
  }
}

/** The queue and, of a host queue, its host, as messages name them. */
export function shownName({ name, parent }: Layout): string {
  return parent === undefined
    ? `queue ${inspect(name)}`
    : `host ${inspect(name)} of the queue ${inspect(parent.name)}`
}

/** The absolute paths of the directories of a queue. */
export interface QueuePaths {
  /** Waiting items, and items that are being worked on. */
  readonly queue: string
  /** Items under construction. */
  readonly tmp: string
  /** Items whose work succeeded. */
  readonly done: string
  /** Items that failed permanently. */
  readonly fail: string
}

export function pathsOf(layout: Layout): QueuePaths {
  const { queue, tmp, done, fail } = Place
  return {
    queue: placePath(layout, queue),
    tmp: placePath(layout, tmp),
    done: placePath(layout, done),
    fail: placePath(layout, fail),
  }
}

/** The path of a directory of the queue, or of an entry in it. */
export function placePath(layout: Layout, place: Place, ...entry: string[]): string {
  return path.join(layout.path, layout.directories[place] ?? '', ...entry)
}

/**
 * Whether this is the name that NFS or FUSE gives a file deleted while it is open. The file disappears with the last
 * close and is not an item.
 */
export function isDeleted(name: string): boolean {
  return name.startsWith('.nfs') || name.startsWith('.fuse_hidden')
}
