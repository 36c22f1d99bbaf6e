/**
 * The functions of the first implementation, by its names in camelCase. Each is little more than a line over {@link Queue}
 * and {@link WorkItem}, which can do more.
 *
 * Those that take the name of a queue have the settings of the process ({@link setConst}, the environment); the last
 * parameter overrides them for one call, and has the options of the call besides. `enqueue` and `senqueue` take as many
 * arguments as there are, so theirs goes to `venqueue` and `vsenqueue`.
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
import type { ScanForeverOptions, ScanOptions } from '../scan/scan.js'
import { type SettingOverrides, isSetting } from '../settings.js'
import type { PullOptions } from '../directory/trigger.js'
import { shareQueue, useQueue } from './shared-queues.js'

/** Settings, but for the name of the trigger, and the options of an enqueue, of which `trigger` says whether to pull it. */
export type VenqueueOptions = Omit<SettingOverrides, 'trigger'> & EnqueueOptions

/** The contents of an item as a file: its path, its descriptor, or another payload, such as a stream. */
export type FilePayload = string | URL | number | Exclude<Payload, string>

function checkAreOptions(options: unknown): void {
  if (typeof options === 'object' && options !== null) return
  throw new SettingError('options', options, 'an object of settings and options')
}

/** The settings among the options of a call, and the options of its own, `except` those that a setting has the name of. */
function separate<Own extends object>(options: object, except = ''): [overrides: SettingOverrides, own: Own] {
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
 * Makes a queue. See {@link Queue.install}, which also gives a handle on it.
 *
 * @param options - Settings, and `force`.
 * @throws {@link QueueExistsError}, {@link QueueMissingError} if there is no root, or a file system error.
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
 * Removes a queue with all that is done and failed. See {@link Queue.uninstall}.
 *
 * @param options - Settings, and `force`: even if items wait.
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
  // Not through a shared handle: it would be closed, with what others have claimed through it.
  await new Queue(name, overrides).uninstall(own)
}

/**
 * Adds a file as an item. Its contents are copied.
 *
 * @param file - Its path, or what is open: a descriptor, a FileHandle, a stream.
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
 * Adds a string, or other data at hand, as an item.
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
 * {@link enqueue} with the arguments as one list, and options.
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
 * {@link senqueue} with the arguments as one list, and options.
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
 * Claims the items that wait, one after the other. See {@link Queue.scan}.
 *
 * @param options - Settings and those of {@link ScanOptions}.
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
 * {@link scan} that waits for more when all are handed out. See {@link Queue.scanForever}.
 *
 * @param options - Settings and those of {@link ScanForeverOptions}.
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
 * The work has failed for now: {@link WorkItem.retry}. Where the item has been tried as often as the scan allows
 * (`FSQ_MAX_TRIES`, 1 unless set) or is past its TTL, it fails for good.
 *
 * @param options - `delay`: milliseconds until it is due again.
 * @returns Where it is now: `'waiting'` or `'failed'`.
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

/** Allows them again: {@link Queue.up}. */
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

/** Removes it: {@link Queue.untrigger}. */
export async function untrigger(name: string, options: SettingOverrides = {}): Promise<void> {
  await shareQueue(name, options).untrigger()
}

/**
 * Pulls it, which wakes who waits for items: {@link Queue.triggerPull}.
 *
 * @param options - Settings, and `ignoreListener`: it is no error if nobody listens.
 */
export async function triggerPull(name: string, options: SettingOverrides & PullOptions = {}): Promise<void> {
  const [queue, own] = open<PullOptions>(name, options)
  await queue.triggerPull(own)
}
