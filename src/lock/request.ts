/**
 * Checks the arguments of the calls of `fsq/lock`: what they lock, and how.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'

import { SettingError } from '../errors/classes.js'
import type { RawName } from '../name/charset.js'
import { type LockKind, native } from '../addon/native.js'
import { LockOperation, packLock } from '../addon/packing.js'
import { checkFlag, checkOptions } from '../options.js'

/** The bytes that a lock of kind `fcntl` covers. */
export interface LockRange {
  /** The first byte. Default: 0. */
  readonly start?: number | undefined
  /** How many bytes; 0: to the end of the file, even if the file grows. Default: 0. */
  readonly length?: number | undefined
}

/** Which lock a call takes. */
export interface LockOptions extends LockRange {
  /** Others may hold shared locks at the same time, but not an exclusive one. Default: `false`, exclusive. */
  readonly shared?: boolean | undefined
  /** Default: `flock`. */
  readonly kind?: LockKind | undefined
  /** Make the file if it does not exist; only if the target is a path. Default: `true`. */
  readonly create?: boolean | undefined
}

/** Which lock a call releases. */
export interface UnlockOptions extends LockRange {
  /** Default: `flock`. */
  readonly kind?: LockKind | undefined
}

/** What can be locked: an open descriptor, which the caller still owns, or the file that a path names. */
export type LockTarget = number | string | URL | Buffer

/** {@link LockTarget} and {@link LockOptions}, checked. */
export interface LockRequest {
  /** The absolute path, for messages. `undefined`: a descriptor is locked. */
  readonly path: string | undefined
  /** `path` as bytes. */
  readonly rawPath: RawName
  /** The caller's descriptor; -1: a path is locked. */
  readonly descriptor: number
  readonly kind: LockKind
  readonly shared: boolean
  readonly start: number
  readonly length: number
  readonly create: boolean
}

/** The options that a call accepts. */
type OptionNames = Readonly<Record<string, true>>

const UNLOCK_OPTIONS: OptionNames = { kind: true, start: true, length: true }
const LOCK_OPTIONS: OptionNames = { shared: true, ...UNLOCK_OPTIONS, create: true }
export const LOCK_SYNC_OPTIONS: OptionNames = { ...LOCK_OPTIONS, timeout: true }
export const LOCK_WAIT_OPTIONS: OptionNames = { ...LOCK_SYNC_OPTIONS, signal: true }
const MOST_DESCRIPTOR = 2 ** 31 - 1
/** No options: nothing to check, which matters because a lock costs only two system calls. */
export const NO_OPTIONS = Object.freeze({})

// The last request without options: the next one is often the same.
let plainRequest: LockRequest | undefined

/**
 * Checks the arguments of a call that locks.
 *
 * @param call - The name of the call, for messages.
 * @param known - The options that the call accepts.
 * @throws {@link SettingError}
 */
export function lockRequest(
  call: string,
  target: LockTarget,
  options: LockOptions,
  known: OptionNames = LOCK_OPTIONS,
): LockRequest {
  if (options === NO_OPTIONS && plainRequest !== undefined && plainRequest.descriptor === target)
    return plainRequest
  if (options !== NO_OPTIONS) checkNames(call, options, known)
  const { shared = false, kind = 'flock', start = 0, length = 0, create = true } = options
  checkFlag('shared', shared)
  checkFlag('create', create)
  checkRange(kind, start, length)
  // A function of its own keeps both small enough to be inlined.
  if (typeof target !== 'number') return pathRequest(target, kind, shared, start, length, create)
  checkDescriptor(target)
  if (options.create !== undefined) {
    throw new SettingError('create', create, 'nothing, as a descriptor is locked: its file is there')
  }
  const request = { path: undefined, rawPath: '', descriptor: target, kind, shared, start, length, create }
  if (options === NO_OPTIONS) plainRequest = request
  return request
}

function pathRequest(
  target: Exclude<LockTarget, number>,
  kind: LockKind,
  shared: boolean,
  start: number,
  length: number,
  create: boolean,
): LockRequest {
  const bytes = absolute(pathBytes(target))
  const path = bytes.toString()
  return { path, rawPath: bytes.toString('latin1'), descriptor: -1, kind, shared, start, length, create }
}

/** {@link lockRequest} for a call that unlocks. */
export function unlockRequest(call: string, descriptor: number, options: UnlockOptions): LockRequest {
  if (options !== NO_OPTIONS) checkNames(call, options, UNLOCK_OPTIONS)
  const { kind = 'flock', start = 0, length = 0 } = options
  checkDescriptor(descriptor)
  checkRange(kind, start, length)
  return { path: undefined, rawPath: '', descriptor, kind, shared: false, start, length, create: false }
}

/** The kind of lock and whether it is exclusive, as native code takes them. */
export function lockOperation({ kind }: LockRequest, shared: boolean): number {
  return (
    (kind === 'flock' ? LockOperation.flock : LockOperation.fcntl) | (shared ? 0 : LockOperation.exclusive)
  )
}

/**
 * Locks the caller's descriptor, or changes its lock.
 *
 * @returns 0, or a negative error number.
 */
export function lockDescriptor(request: LockRequest, shared: boolean): number {
  const { descriptor, start, length } = request
  const packed = packLock(descriptor, lockOperation(request, shared))
  const errno =
    start === 0 && length === 0 ? native.lockDescriptor(packed) : native.lockDescriptor(packed, start, length)
  return errno ?? 0
}

/**
 * Releases the lock on the caller's descriptor.
 *
 * @returns 0, or a negative error number.
 */
export function unlockDescriptor(request: LockRequest): number {
  const { descriptor, start, length } = request
  const packed = packLock(descriptor, lockOperation(request, true))
  const errno =
    start === 0 && length === 0
      ? native.unlockDescriptor(packed)
      : native.unlockDescriptor(packed, start, length)
  return errno ?? 0
}

/**
 * Releases the flock on the caller's descriptor.
 *
 * @returns Whether that succeeded; if not, {@link unlockDescriptor} tells why.
 */
export function tryUnlock(descriptor: number): boolean {
  return (
    isDescriptor(descriptor) &&
    native.unlockDescriptor(packLock(descriptor, LockOperation.flock)) === undefined
  )
}

/** The descriptor or the path, for messages. */
export function describeTarget({ path, descriptor }: LockRequest): string {
  return path === undefined ? `the descriptor ${descriptor}` : inspect(path)
}

/** The `path` of an error, if a path was locked. */
export function about({ path }: LockRequest): { path?: string } {
  return path === undefined ? {} : { path }
}

/** {@link checkOptions}, faster if all options are known. */
function checkNames(call: string, options: unknown, known: OptionNames): void {
  if (typeof options === 'object' && options !== null) {
    let isKnown = true
    for (const key in options) isKnown &&= known[key] === true
    if (isKnown) return
  }
  checkOptions(call, options, Object.keys(known))
}

function checkRange(kind: LockKind, start: number, length: number): void {
  const given: string = kind
  if (given !== 'flock' && given !== 'fcntl') throw new SettingError('kind', kind, "'flock' or 'fcntl'")
  if (start === 0 && length === 0) return
  checkOffset('start', start)
  checkOffset('length', length)
  if (kind === 'fcntl') return
  const [option, value] = start === 0 ? ['length', length] : ['start', start]
  throw new SettingError(option, value, 'nothing, as flock locks whole files', "Use kind: 'fcntl' for ranges")
}

function checkOffset(option: string, value: unknown): void {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return
  throw new SettingError(option, value, 'a number of bytes, an integer of 0 or more')
}

function isDescriptor(descriptor: unknown): descriptor is number {
  return (
    Number.isInteger(descriptor) && (descriptor as number) >= 0 && (descriptor as number) <= MOST_DESCRIPTOR
  )
}

function checkDescriptor(descriptor: unknown): void {
  if (isDescriptor(descriptor)) return
  throw new SettingError('the descriptor', descriptor, 'that of an open file, an integer of 0 or more')
}

function pathBytes(target: unknown): Buffer {
  const value = target instanceof URL ? urlPath(target) : target
  // Not instanceof: a Buffer of another realm is valid, too.
  const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.isBuffer(value) ? value : undefined
  if (bytes === undefined || bytes.length === 0 || bytes.includes(0)) {
    throw new SettingError(
      'the target',
      target,
      'an open descriptor, or a path: a string, a Buffer or a file: URL',
    )
  }
  return bytes
}

function urlPath(url: URL): string {
  try {
    return fileURLToPath(url)
  } catch {
    throw new SettingError('the target', url.href, 'a file: URL of this host')
  }
}

// A wait may outlast a chdir. The path is only prefixed: resolving '..' here would ignore symbolic links.
function absolute(bytes: Buffer): Buffer {
  if (bytes[0] === '/'.charCodeAt(0)) return bytes
  return Buffer.concat([Buffer.from(`${process.cwd()}/`), bytes])
}
