/**
 * The system calls of looks and repairs on the files of a queue. On a file system of this machine, this thread makes them: each takes less
 * time than waking another thread. Elsewhere a file server can keep each of them waiting for minutes, and a thread of the pool makes them.
 *
 * Callers await each call, so they have one code for both.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import { link, lstat, open, readdir, realpath, rename, rm, stat, unlink } from 'node:fs/promises'
import { promisify } from 'node:util'

import { type LockKind, native } from '../addon/native.js'
import { LockOperation, packLock } from '../addon/packing.js'
import { codeOf } from '../errors/errno.js'

type Awaitable<Value> = Value | Promise<Value>
type FilePath = string | Buffer

/** They throw, or reject, as `node:fs`. */
export interface FileCalls {
  /** `undefined`: nothing has the path. */
  readonly stat: (path: FilePath) => Awaitable<fs.Stats | undefined>
  /** {@link stat} that does not follow a link. */
  readonly lstat: (path: FilePath) => Awaitable<fs.Stats | undefined>
  readonly realpath: (path: string) => Awaitable<string>
  /** The names in a directory, byte for byte. */
  readonly names: (directory: string) => Awaitable<readonly string[]>
  readonly link: (from: FilePath, to: FilePath) => Awaitable<void>
  readonly rename: (from: FilePath, to: FilePath) => Awaitable<void>
  readonly unlink: (path: FilePath) => Awaitable<void>
  /** Removes a file, or a directory with all that is in it. Harmless if there is neither. */
  readonly removeAll: (path: FilePath) => Awaitable<void>

  readonly open: (path: FilePath, flags: number) => Awaitable<number>
  readonly close: (descriptor: number) => Awaitable<void>
  readonly fstat: (descriptor: number) => Awaitable<fs.Stats>
  /** Reads from the beginning of a file to its end. */
  readonly readAll: (descriptor: number) => Awaitable<Buffer>
  readonly write: (descriptor: number, bytes: Buffer) => Awaitable<unknown>
  readonly fchmod: (descriptor: number, mode: number) => Awaitable<void>
  readonly fchown: (descriptor: number, user: number, group: number) => Awaitable<void>
  readonly futimes: (descriptor: number, accessed: Date, modified: Date) => Awaitable<void>
  /** Tries to lock a file; closing it unlocks it. Returns 0 or a negative error number (EAGAIN: another holder has the lock). */
  readonly lock: (descriptor: number, kind: LockKind, shared: boolean) => Awaitable<number>
  /** mkfifo(2). */
  readonly makeFifo: typeof native.makeFifo | typeof native.makeFifoSync
}

/** On this thread. */
export const HERE: FileCalls = {
  stat: (path) => fs.statSync(path, { throwIfNoEntry: false }),
  lstat: (path) => fs.lstatSync(path, { throwIfNoEntry: false }),
  realpath: (path) => fs.realpathSync(path),
  names: (directory) => fs.readdirSync(directory, 'latin1'),
  link: (from, to) => fs.linkSync(from, to),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  removeAll: (path) => fs.rmSync(path, { recursive: true, force: true }),
  open: (path, flags) => fs.openSync(path, flags),
  close: (descriptor) => fs.closeSync(descriptor),
  fstat: (descriptor) => fs.fstatSync(descriptor),
  readAll: (descriptor) => readAll(descriptor),
  write: (descriptor, bytes) => fs.writeSync(descriptor, bytes),
  fchmod: (descriptor, mode) => fs.fchmodSync(descriptor, mode),
  fchown: (descriptor, user, group) => fs.fchownSync(descriptor, user, group),
  futimes: (descriptor, accessed, modified) => fs.futimesSync(descriptor, accessed, modified),
  lock: (...lock) => native.lockDescriptor(packed(...lock)) ?? 0,
  makeFifo: (path, mode) => native.makeFifoSync(path, mode),
}

const read = promisify(fs.read)

/** On threads of the pool. */
export const BESIDE: FileCalls = {
  stat: async (path) => stat(path).catch(undefinedIfMissing),
  lstat: async (path) => lstat(path).catch(undefinedIfMissing),
  realpath,
  names: async (directory) => readdir(directory, 'latin1'),
  link,
  rename,
  unlink,
  removeAll: async (path) => rm(path, { recursive: true, force: true }),
  open: promisify<FilePath, number, number>(fs.open),
  close: promisify(fs.close),
  fstat: promisify<number, fs.Stats>(fs.fstat),
  readAll: readAllLater,
  write: promisify<number, Buffer, number>(fs.write),
  fchmod: promisify(fs.fchmod),
  fchown: promisify(fs.fchown),
  futimes: promisify(fs.futimes),
  lock: async (...lock) => (await native.lockDescriptorLater(packed(...lock))) ?? 0,
  makeFifo: async (path, mode) => native.makeFifo(path, mode),
}

/**
 * Gives a directory to a call that looks up its path on this thread, as calls that watch it do: under a path that leads to the open
 * directory. The kernel resolves that path without asking a file server.
 */
export async function withOpenPath<Result>(
  directory: string,
  use: (path: string) => Result,
): Promise<Result> {
  const opened = await open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    return use(process.platform === 'linux' ? `/proc/self/fd/${opened.fd}` : directory)
  } finally {
    await opened.close()
  }
}

/**
 * Has the kernel ask the file server which names these directories have: it may look a name up in its cache otherwise, on NFS for a minute. The
 * open of a directory asks. Never rejects: the looks that follow tell why one cannot be opened.
 */
export async function askForNames(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    await open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
      .then(async (opened) => opened.close())
      .catch(() => undefined)
  }
}

/** Reads from the beginning of a file to its end. */
export function readAll(descriptor: number): Buffer {
  const { size } = fs.fstatSync(descriptor)
  const bytes = Buffer.alloc(size)
  let filled = 0
  while (filled < size) {
    const count = fs.readSync(descriptor, bytes, filled, size - filled, filled)
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}

async function readAllLater(descriptor: number): Promise<Buffer> {
  const { size } = await BESIDE.fstat(descriptor)
  const bytes = Buffer.alloc(size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await read(descriptor, bytes, filled, size - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

function packed(descriptor: number, kind: LockKind, shared: boolean): number {
  return packLock(descriptor, LockOperation[kind] | (shared ? 0 : LockOperation.exclusive))
}

function undefinedIfMissing(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
  throw error
}
