/**
 * The functions of the first implementation, with its names in camelCase. Each calls {@link Queue} or {@link WorkItem}, which can do
 * more.
 *
 * Functions that take the name of a queue use the settings of the process ({@link setConst}, the environment). Their last parameter
 * overrides settings for one call and also has the options of the call. `enqueue` and `senqueue` take any number of arguments, so
 * `venqueue` and `vsenqueue` take the options instead.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import type { EnqueueOptions } from '../enqueue/entry.js'
import type { InstallOptions, UninstallOptions } from '../directory/install.js'
import { type RetryOptions, type RetryOutcome, WorkItem } from '../item/work-item.js'
import type { NameArgument } from '../name/codec.js'
import type { Payload } from '../enqueue/payload.js'
import { Queue } from '../queue.js'
import type { ScanForeverOptions, ScanOptions } from '../scan/options.js'
import { type SettingOverrides, isSetting } from '../settings.js'
import type { PullOptions } from '../directory/trigger.js'
import { shareQueue, useQueue } from './shared-queues.js'

/** Settings except the name of the trigger, and the options of an enqueue: there, `trigger` says whether to pull the trigger. */
export type VenqueueOptions = Omit<SettingOverrides, 'trigger'> & EnqueueOptions

/** The contents of an item as a file: a path, a descriptor, or another payload, such as a stream. */
export type FilePayload = string | URL | number | Exclude<Payload, string>

function checkAreOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null) return
  throw new SettingError('options', options, 'an object of settings and options')
}

/**
 * Separates the settings among the options of a call from the call's own options.
 *
 * @param except - An option of the call that has the name of a setting.
 */
export function separate<Own extends object>(
  options: object,
  except = '',
): [overrides: SettingOverrides, own: Own] {
  checkAreOptions(options)
  const entries = Object.entries(options)
  const part = (areSettings: boolean): unknown =>
    Object.fromEntries(entries.filter(([name]) => (isSetting(name) && name !== except) === areSettings))
  return [part(true) as SettingOverrides, part(false) as Own]
}

function open<Own extends object>(name: string, options: object): [queue: Queue, own: Own] {
  const [overrides, own] = separate<Own>(options)
  return [shareQueue(name, overrides), own]
}

function checkItem(item: WorkItem): void {
  if (item instanceof WorkItem) return
  throw new SettingError('item', item, 'an item that scan() has handed out')
}

/**
 * Makes a queue. See {@link Queue.install}, which also returns a handle on it.
 *
 * @param options - Settings, and `force`.
 * @throws {@link QueueExistsError}, {@link QueueMissingError} if the root does not exist, or a file system error.
 * @example
 * ```ts
 * await fsq.install('a_queue', { queueGroup: 'workers' })
 * ```
 */
export async function install(name: string, options: SettingOverrides & InstallOptions = {}): Promise<void> {
  checkAreOptions(options)
  await (await Queue.install(name, options)).close()
}

/**
 * Removes a queue with all its done and failed items. See {@link Queue.uninstall}.
 *
 * @param options - Settings, and `force`: remove it even if items wait.
 * @throws {@link QueueNotEmptyError}, {@link QueueMissingError}, {@link NotAQueueError}, or a file system error.
 * @example
 * ```ts
 * await fsq.uninstall('a_queue', { force: true })
 * ```
 */
export async function uninstall(
  name: string,
  options: SettingOverrides & UninstallOptions = {},
): Promise<void> {
  const [overrides, own] = separate<UninstallOptions>(options)
  // Not through a shared handle: uninstalling closes the handle and releases what others have claimed through it.
  await new Queue(name, overrides).uninstall(own)
}

/**
 * Adds a copy of a file as an item.
 *
 * @param file - Its path, or an open descriptor, FileHandle or stream.
 * @param args - The arguments of the item.
 * @returns The id of the item.
 * @throws As {@link Queue.enqueue}; {@link PayloadError} if the file cannot be read.
 * @example
 * ```ts
 * await fsq.enqueue('a_queue', '/path/to/data.file', 'args', 'to', 'enqueue')
 * ```
 */
export async function enqueue(
  name: string,
  file: FilePayload,
  ...args: readonly NameArgument[]
): Promise<string> {
  return venqueue(name, file, args)
}

/**
 * Adds a string or other data as an item.
 *
 * @param data - Its contents.
 * @param args - Its arguments.
 * @returns The id of the item.
 * @throws As {@link Queue.enqueue}.
 * @example
 * ```ts
 * await fsq.senqueue('a_queue', 'data', 'args', 'to', 'enqueue')
 * ```
 */
export async function senqueue(
  name: string,
  data: Payload,
  ...args: readonly NameArgument[]
): Promise<string> {
  return vsenqueue(name, data, args)
}

/**
 * {@link enqueue} with the arguments as one list, and with options.
 *
 * @param options - Settings, `delay` in milliseconds, and `trigger`.
 * @example
 * ```ts
 * await fsq.venqueue('a_queue', '/path/to/data.file', ['args'], { delay: 60_000 })
 * ```
 */
export async function venqueue(
  name: string,
  file: FilePayload,
  args: readonly NameArgument[],
  options: VenqueueOptions = {},
): Promise<string> {
  return vsenqueue(name, filePayload(file), args, options)
}

function filePayload(file: FilePayload): Payload {
  if (typeof file === 'string' || file instanceof URL) return { path: file }
  return typeof file === 'number' ? { fd: file } : file
}

/**
 * {@link senqueue} with the arguments as one list, and with options.
 *
 * @param options - Settings, `delay` in milliseconds, and `trigger`.
 * @example
 * ```ts
 * await fsq.vsenqueue('a_queue', 'data', ['args'], { durability: 'none' })
 * ```
 */
export async function vsenqueue(
  name: string,
  data: Payload,
  args: readonly NameArgument[],
  options: VenqueueOptions = {},
): Promise<string> {
  const [overrides, own] = separate<EnqueueOptions>(options, 'trigger')
  return useQueue(name, overrides, async (queue) => queue.enqueue(data, args, own))
}

/**
 * Claims the waiting items one after the other. See {@link Queue.scan}.
 *
 * @param options - Settings and {@link ScanOptions}.
 * @throws As {@link Queue.scan}.
 * @example
 * ```ts
 * for await (const work of fsq.scan('a_queue')) {
 *   console.log(work.arguments.join(' '))
 *   await fsq.done(work)
 * }
 * ```
 */
export function scan(
  name: string,
  options: SettingOverrides & ScanOptions = {},
): AsyncGenerator<WorkItem, void, undefined> {
  const [queue, own] = open<ScanOptions>(name, options)
  return queue.scan(own)
}

/**
 * Like {@link scan}, but waits for more items after the last one. See {@link Queue.scanForever}.
 *
 * @param options - Settings and {@link ScanForeverOptions}.
 * @throws As {@link Queue.scanForever}.
 * @example
 * ```ts
 * for await (const work of fsq.scanForever('a_queue')) await fsq.done(work)
 * ```
 */
export function scanForever(
  name: string,
  options: SettingOverrides & ScanForeverOptions = {},
): AsyncGenerator<WorkItem, void, undefined> {
  const [queue, own] = open<ScanForeverOptions>(name, options)
  return queue.scanForever(own)
}

/** The work has been done: {@link WorkItem.done}. */
export async function done(item: WorkItem): Promise<void> {
  checkItem(item)
  await item.done()
}

/** {@link done} by another name. */
export async function success(item: WorkItem): Promise<void> {
  await done(item)
}

/** The work has failed for good: {@link WorkItem.fail}. */
export async function fail(item: WorkItem): Promise<void> {
  checkItem(item)
  await item.fail()
}

/** {@link fail} by another name. */
export async function failPerm(item: WorkItem): Promise<void> {
  await fail(item)
}

/**
 * The work has failed for now: {@link WorkItem.retry}. If the item has been tried as often as the scan allows
 * (`FSQ_MAX_TRIES`, 1 unless set) or is past its TTL, it fails for good.
 *
 * @param options - `delay`: milliseconds until the item is due again.
 * @returns Where the item is now: `'waiting'` or `'failed'`.
 * @example
 * ```ts
 * fsq.setConst('FSQ_MAX_TRIES', 2)
 * for await (const work of fsq.scan('a_queue')) await fsq.failTmp(work)
 * ```
 */
export async function failTmp(item: WorkItem, options: RetryOptions = {}): Promise<RetryOutcome> {
  checkItem(item)
  return item.retry(options)
}

/** {@link failTmp} by another name. */
export async function retry(item: WorkItem, options: RetryOptions = {}): Promise<RetryOutcome> {
  return failTmp(item, options)
}

/** Forbids scans of a queue: {@link Queue.down}. */
export async function down(name: string, options: SettingOverrides = {}): Promise<void> {
  await shareQueue(name, options).down()
}

/** Allows scans of a queue again: {@link Queue.up}. */
export async function up(name: string, options: SettingOverrides = {}): Promise<void> {
  await shareQueue(name, options).up()
}

/** Whether scans of a queue are forbidden: {@link Queue.isDown}. */
export async function isDown(name: string, options: SettingOverrides = {}): Promise<boolean> {
  return shareQueue(name, options).isDown()
}

/** Makes the trigger of a queue: {@link Queue.trigger}. */
export async function trigger(name: string, options: SettingOverrides = {}): Promise<void> {
  await shareQueue(name, options).trigger()
}

/** Removes the trigger of a queue: {@link Queue.untrigger}. */
export async function untrigger(name: string, options: SettingOverrides = {}): Promise<void> {
  await shareQueue(name, options).untrigger()
}

/**
 * Pulls the trigger of a queue, which wakes waiting scans: {@link Queue.triggerPull}.
 *
 * @param options - Settings, and `ignoreListener`: no error if no process listens.
 */
export async function triggerPull(name: string, options: SettingOverrides & PullOptions = {}): Promise<void> {
  const [queue, own] = open<PullOptions>(name, options)
  await queue.triggerPull(own)
}
