/**
 * The functions of the first implementation for hosts, and those that put an item into other queues under its name, with its names in
 * camelCase. Each calls {@link Queue}, which can do more.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs/promises'
import { inspect, types } from 'node:util'

import { Place } from '../addon/native.js'
import { isQueueDown } from '../directory/down.js'
import { type AddHostOptions, hostLayouts } from '../directory/hosts.js'
import type { UninstallOptions } from '../directory/install.js'
import { type Layout, hostLayoutOf, hostsTriggerPath, layoutOf, placePath } from '../directory/layout.js'
import { BESIDE } from '../directory/calls.js'
import { type PullOptions, makeTrigger, pullTrigger, removeTrigger } from '../directory/trigger.js'
import { PayloadError, SettingError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { Copier, type Outgoing, outgoingOf } from '../hosts/copier.js'
import { WorkItem } from '../item/work-item.js'
import { pathText, toRaw, bytePath } from '../name/charset.js'
import { parseItemName } from '../name/item-name.js'
import { checkFlag, checkOptions } from '../options.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../settings.js'
import { separate } from './functions.js'
import { shareQueue } from './shared-queues.js'

/** Options of the functions that put an item into other queues. */
export interface ReenqueueOptions {
  /** The queue of an item that is given by its name. Default: none, so that the item itself has to be given. */
  readonly srcQueue?: string | undefined
  /** Makes hard links instead of copies: all queues then share one file, with one lock. Default: false. */
  readonly link?: boolean | undefined
  /** These hosts of the queues get the item, not the queues themselves. */
  readonly toHosts?: readonly string[] | undefined
  /** All hosts of the queues get it. Default: false. */
  readonly allHosts?: boolean | undefined
}

function list(hosts: string | readonly string[]): readonly string[] {
  if (typeof hosts === 'string') return [hosts]
  if (Array.isArray(hosts)) return hosts as readonly string[]
  throw new SettingError('hosts', hosts, 'the name of a host, or an array of them')
}

function hostOf(name: string, host: string, options: SettingOverrides): [layout: Layout, settings: Settings] {
  const settings = resolveSettings(options)
  return [hostLayoutOf(layoutOf(name, settings), host, settings), settings]
}

/** Options of {@link installHost}. */
export interface InstallHostOptions extends AddHostOptions {
  /** Forbids scans of the new hosts at once. Default: false. */
  readonly isDown?: boolean | undefined
}

/**
 * Adds hosts to a queue. See {@link Queue.addHost}.
 *
 * @param hosts - The name of one host, or several.
 * @param options - Settings, `force` and `isDown`.
 * @example
 * ```ts
 * await fsq.installHost('a_queue', ['berlin', 'paris'])
 * ```
 */
export async function installHost(
  name: string,
  hosts: string | readonly string[],
  options: SettingOverrides & InstallHostOptions = {},
): Promise<void> {
  const [overrides, { isDown = false, ...own }] = separate<InstallHostOptions>(options)
  checkFlag('isDown', isDown)
  const queue = shareQueue(name, overrides)
  for (const host of list(hosts)) {
    const added = await queue.addHost(host, own)
    if (isDown) await added.down()
  }
}

/** Removes hosts of a queue. See {@link Queue.removeHost}. */
export async function uninstallHost(
  name: string,
  hosts: string | readonly string[],
  options: SettingOverrides & UninstallOptions = {},
): Promise<void> {
  const [overrides, own] = separate<UninstallOptions>(options)
  for (const host of list(hosts)) await shareQueue(name, overrides).removeHost(host, own)
}

/**
 * The names of the hosts of a queue, sorted.
 *
 * @throws {@link QueueMissingError}, also if the queue has no hosts; {@link Queue.hosts} then gives an empty list.
 */
export async function hosts(name: string, options: SettingOverrides = {}): Promise<string[]> {
  const settings = resolveSettings(options)
  return (await hostLayouts(layoutOf(name, settings), settings, undefined)).map((host) => host.name)
}

/** Forbids scans of hosts: {@link Queue.down} of each. */
export async function downHost(
  name: string,
  hosts: string | readonly string[],
  options: SettingOverrides = {},
): Promise<void> {
  for (const host of list(hosts)) await shareQueue(name, options).host(host).down()
}

/** Allows scans of hosts again: {@link Queue.up} of each. */
export async function upHost(
  name: string,
  hosts: string | readonly string[],
  options: SettingOverrides = {},
): Promise<void> {
  for (const host of list(hosts)) await shareQueue(name, options).host(host).up()
}

/** Whether scans of a host are forbidden by its own file. {@link Queue.isDown} of the host is true, too, while the queue is down. */
export async function hostIsDown(
  name: string,
  host: string,
  options: SettingOverrides = {},
): Promise<boolean> {
  const [layout] = hostOf(name, host, options)
  return isQueueDown(layout)
}

/** Makes the trigger that the hosts of a queue share. Its mode is `itemMode`. */
export async function hostTrigger(name: string, options: SettingOverrides = {}): Promise<void> {
  const [layout, settings] = sharedTrigger(name, options)
  await makeTrigger(layout, settings, BESIDE)
}

/** Removes the trigger that the hosts of a queue share. */
export async function hostUntrigger(name: string, options: SettingOverrides = {}): Promise<void> {
  await removeTrigger(sharedTrigger(name, options)[0], BESIDE)
}

/**
 * Pulls the trigger that the hosts of a queue share.
 *
 * @param options - Settings, and `ignoreListener`: no error if no process listens.
 */
export async function hostTriggerPull(
  name: string,
  options: SettingOverrides & PullOptions = {},
): Promise<void> {
  const [overrides, own] = separate<PullOptions>(options)
  await pullTrigger(sharedTrigger(name, overrides)[0], own, BESIDE)
}

/** The layout of the queue, with the trigger of its hosts as its own. */
function sharedTrigger(name: string, options: SettingOverrides): [layout: Layout, settings: Settings] {
  const settings = resolveSettings(options)
  const layout = layoutOf(name, settings)
  return [{ ...layout, triggerPath: hostsTriggerPath(layout, settings) }, settings]
}

/**
 * Puts an item into other queues, under the name that it has. The item itself stays as it is.
 *
 * A queue that has an item of this name with these contents keeps it as it is. In a queue whose claims are renames, an item that a worker claims
 * at the same moment may come twice.
 *
 * @param item - A claimed item.
 * @param queues - The names of the queues.
 * @returns The name of the item.
 * @throws {@link ContentError} if a queue has another item of this name, with other contents; {@link QueueMissingError}, before any queue
 * gets the item; a file system error.
 * @example
 * ```ts
 * for await (const work of fsq.scan('a_queue')) {
 *   await fsq.reenqueue(work, 'audit', 'archive')
 *   await fsq.done(work)
 * }
 * ```
 */
export async function reenqueue(item: WorkItem, ...queues: readonly string[]): Promise<string> {
  return vreenqueue(item, queues)
}

/**
 * {@link reenqueue} with the queues as one list, and with options.
 *
 * @param item - A claimed item, or the name of an item that waits in `srcQueue`.
 * @param options - Settings and {@link ReenqueueOptions}.
 */
export async function vreenqueue(
  item: WorkItem | string,
  queues: readonly string[],
  options: SettingOverrides & ReenqueueOptions = {},
): Promise<string> {
  const [overrides, own] = separate<ReenqueueOptions>(options)
  checkOptions('vreenqueue', own, ['srcQueue', 'link', 'toHosts', 'allHosts'])
  const settings = resolveSettings(overrides)
  const isLinked = own.link === true
  if (item instanceof WorkItem)
    return item.whileRead(async () => give(await outgoingOf(item, isLinked), queues, own, settings))
  const { srcQueue } = own
  if (typeof srcQueue !== 'string')
    throw new SettingError('srcQueue', srcQueue, 'the name of the queue that the item waits in')
  const directory = placePath(layoutOf(srcQueue, settings), Place.queue)
  const raw = rawOf(item, settings)
  const file = bytePath(directory, raw)
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants
  const handle = await fs.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error: unknown) => {
    throw fileSystemError(failureOf(error, 'open', pathText(file.toString('latin1'))), 'read an item')
  })
  try {
    const { size } = await handle.stat()
    const outgoing: Outgoing = {
      id: item,
      raw,
      size,
      payload: isLinked ? null : handle.fd,
      directory: isLinked ? directory : undefined,
      read: () => handle.createReadStream({ start: 0, autoClose: false }),
    }
    return await give(outgoing, queues, own, settings)
  } finally {
    await handle.close()
  }
}

/**
 * Puts an item with this name and these contents into queues.
 *
 * @param id - The name of the item.
 */
export async function sreenqueue(
  id: string,
  data: string | Uint8Array,
  ...queues: readonly string[]
): Promise<string> {
  return vsreenqueue(id, data, queues)
}

/** {@link sreenqueue} with the queues as one list, and with options. */
export async function vsreenqueue(
  id: string,
  data: string | Uint8Array,
  queues: readonly string[],
  options: SettingOverrides & Omit<ReenqueueOptions, 'srcQueue' | 'link'> = {},
): Promise<string> {
  const [overrides, own] = separate<ReenqueueOptions>(options)
  checkOptions('vsreenqueue', own, ['toHosts', 'allHosts'])
  const settings = resolveSettings(overrides)
  const payload = typeof data === 'string' ? Buffer.from(data) : data
  if (!types.isUint8Array(payload))
    throw new PayloadError(`The contents are ${inspect(data)}, expected a string or bytes`)
  const outgoing: Outgoing = {
    id,
    raw: rawOf(id, settings),
    size: payload.length,
    payload,
    directory: undefined,
    async *read() {
      yield payload
    },
  }
  return give(outgoing, queues, own, settings)
}

/** The bytes of a name, which must be one that an item can have. */
function rawOf(id: string, settings: Settings): string {
  if (typeof (id as unknown) !== 'string') throw new SettingError('id', id, 'the name of an item')
  const raw = toRaw(id, settings.charset)
  parseItemName(raw, settings)
  return raw
}

async function give(
  outgoing: Outgoing,
  queues: readonly string[],
  { link, toHosts, allHosts }: ReenqueueOptions,
  settings: Settings,
): Promise<string> {
  if (!Array.isArray(queues)) throw new SettingError('queues', queues, 'an array of the names of queues')
  if (toHosts !== undefined && !Array.isArray(toHosts))
    throw new SettingError('toHosts', toHosts, 'an array of the names of hosts')
  checkFlag('allHosts', allHosts ?? false)
  checkFlag('link', link ?? false)
  const targets: Layout[] = []
  for (const name of queues as readonly string[]) {
    const layout = layoutOf(name, settings)
    const areHosts = allHosts === true || toHosts !== undefined
    const names = allHosts === true ? undefined : toHosts
    targets.push(...(areHosts ? await hostLayouts(layout, settings, names) : [layout]))
  }
  const copiers = targets.map((target) => new Copier(target, settings, link === true))
  try {
    for (const copier of copiers) await copier.open()
    for (const copier of copiers) {
      const held = await copier.claimedPath(outgoing)
      const [problem] =
        held === undefined ? await copier.give([outgoing]) : [await copier.compare(outgoing, held)]
      if (problem !== undefined) throw problem
    }
  } finally {
    for (const copier of copiers) copier.close()
  }
  return outgoing.id
}
