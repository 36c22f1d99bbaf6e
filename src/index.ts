/**
 * fsq, the file-system queue: one item is one file, a claim is a kernel lock, completion is one rename.
 *
 * @module
 */
export { Queue, type QueueOptions } from './queue.js'
export { WorkItem, type RetryOptions, type RetryOutcome } from './item.js'
export type { ScanForeverOptions, ScanOptions } from './scan.js'
export type { PullOptions } from './trigger.js'
export type { EnqueueEntry, EnqueueOptions } from './enqueue.js'
export type { InstallOptions, UninstallOptions } from './install.js'
export { ListedItem, type Counts, type ItemState, type ItemsOptions } from './lister.js'
export type { Payload } from './payload.js'
export type { Report, ReportListener, ReportType } from './report.js'
export { type Constants, type SettingOverrides, type Settings, getConst, setConst } from './settings.js'
export { type EncodeOptions, type NameArgument, decode, encode } from './name/encode.js'
export { type Deconstructed, construct, deconstruct } from './name/construct.js'
export * from './errors.js'
