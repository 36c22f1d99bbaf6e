/**
 * The seam: the one place that knows the addon. Native code is mechanism (directories, locks, links, renames); it
 * answers with plain values, and with a {@link Failure} where a system call failed. What that means is decided above.
 *
 * Names cross the seam as {@link RawName}s, one character a byte; paths of the caller's as plain strings.
 *
 * @module
 */

import addon from '#binding'

import { AddonMissingError } from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'

/** A file name as its bytes: one character, U+0000 to U+00FF, a byte. Equal bytes are equal strings. */
export type RawName = string

declare const handleOf: unique symbol

/** An open queue directory: descriptors of the queue and of its four directories. */
export interface QueueHandle {
  readonly [handleOf]: 'queue'
}

/** The names in a directory at one moment, in FIFO order, kept outside the JavaScript heap. */
export interface ListingHandle {
  readonly [handleOf]: 'listing'
}

/** An item that is written bit by bit: an inode without a name in queue/. What is not enqueued vanishes with it. */
export interface DraftHandle {
  readonly [handleOf]: 'draft'
}

/** What ends one operation before its time. */
export interface StopHandle {
  readonly [handleOf]: 'stop'
}

/** What a scan that waits has passed by, with the descriptors of what others hold. */
export interface SkippedHandle {
  readonly [handleOf]: 'skipped'
}

/** What one waiter watches. */
export interface WatchHandle {
  readonly [handleOf]: 'watch'
}

/**
 * What has happened in a queue that is watched besides the names that have appeared in queue/, as bits: a hint, where a
 * listing is the truth.
 */
export const Happened = {
  /** A file in queue/ was closed, so its lock may be free. */
  closed: 1,
  /** The queue itself has changed: down, moved, removed. */
  look: 2,
  /** More than could be remembered. */
  lost: 4,
  /** The trigger was pulled. */
  pulled: 8,
} as const

/** The four directories of a queue, by their number in native code. */
export const Place = { queue: 0, tmp: 1, done: 2, fail: 3 } as const
export type Place = (typeof Place)[keyof typeof Place]

/** What a directory entry is, by its number in native code. */
export const ENTRY_TYPES = [
  'something unknown',
  'a regular file',
  'a directory',
  'a symbolic link',
  'a FIFO',
  'a socket',
  'a character device',
  'a block device',
] as const
export const REGULAR_FILE = 1

/** Why a name was skipped, by its number in native code. */
export const NoteKind = { foreign: 0, unreadable: 1, completed: 2 } as const

export interface ClaimNote {
  readonly kind: number
  readonly name: RawName
  readonly type: number
  readonly failure?: Failure
}

/**
 * The answer of one call of `claim`, packed: `numbers` and `names` are for `unpackClaims` of `addon/packing.ts`. `failure` stopped
 * the call; the claims before it are good.
 */
export type PackedClaims = readonly [
  numbers: Float64Array,
  names: readonly RawName[],
  contents: Buffer,
  notes?: readonly ClaimNote[],
  failure?: Failure,
]

/** How the name and the file of a new item are made. */
export interface ItemFormValues {
  /** Character codes. */
  readonly delimiter: number
  readonly escape: number
  readonly timeFormat: string
  readonly utc: boolean
  /** Ids, -1: leave. */
  readonly user: number
  readonly group: number
  readonly mode: number
  readonly durable: boolean
  /** Contents are made durable by fsync alone, whatever the file system is known for. */
  readonly plainSync: boolean
}

/** {@link ItemFormValues}, read once. */
export interface ItemForm {
  readonly [handleOf]: 'form'
}

/** How far a file system reaches, by its number in native code: other machines may change what is on a `network` one. */
export const Reach = { local: 0, network: 1, unknown: 2 } as const

/** The file system that something is on. */
export interface FileSystem {
  readonly name: string
  readonly reach: number
}

/** What can be done in a directory. */
export interface NativeProbe {
  /** 0: it works; a negative error number; 1: no call failed, and it had no effect. */
  readonly features: Readonly<Record<string, number>>
  /** Nanoseconds; 0: unknown. */
  readonly timestampStep: number
  /** Bytes; 0: unknown. */
  readonly nameMax: number
  readonly device: number
}

/**
 * What is written into an item: bytes that nobody else changes, the path of a file, the descriptor of one (from its
 * position on, which stays), what a draft holds, or nothing.
 */
export type NativePayload = Uint8Array | string | number | DraftHandle | null

/** What failed. With a `name`, the item is in the queue, but not durably. */
export interface EnqueueFailure extends Failure {
  readonly name?: RawName
  readonly nameBytes?: number
  readonly nameLimit?: number
}

/** The name of the new item, or what failed. */
export type EnqueueResult = RawName | EnqueueFailure

/** Nothing where all went well. `moved`: the item has left, whatever failed then; `errno` 0: only `undelayed`. */
export type FinishResult = (Failure & { readonly moved: boolean; readonly undelayed: boolean }) | undefined

export interface InstallPlan {
  readonly root: string
  readonly hidden: string
  readonly name: string
  readonly directories: readonly string[]
  /** The name of the file that asks for fcntl locks; empty: none is made. */
  readonly marker: string
  readonly mode: number
  readonly user: number
  readonly group: number
  readonly replace: boolean
}

/** `leftover`: what the queue that was replaced is called now. */
export type InstallResult = Partial<Failure> & { readonly published: boolean; readonly leftover?: RawName }

/**
 * Which of the kernel's locks is taken: by the workers of a queue on its items (fsq standard, section 4), or by `fsq/lock`. The
 * two do not see each other (on Linux, on local file systems).
 *
 * - `flock`: flock(2), on whole files.
 * - `fcntl`: open-file-description locks of fcntl(2), on ranges of bytes. POSIX locks of other programs see them.
 */
export type LockKind = 'flock' | 'fcntl'

/** A claim and its descriptor. */
export type PathLock = readonly [claim: number, descriptor: number]

interface Native {
  /** `names`: of queue, tmp, done, fail, of the down file, and of the marker of fcntl locks. */
  openQueue(path: string, names: readonly string[], locking: boolean): Promise<QueueHandle | Failure>
  openQueueSync(path: string, names: readonly string[], locking: boolean): QueueHandle | Failure
  closeQueue(queue: QueueHandle): void
  /** Closes it when the last of its claims is finished or released; until then it can be used. */
  retireQueue(queue: QueueHandle): void
  /** Whether its items are claimed by fcntl locks. */
  usesFcntl(queue: QueueHandle): boolean
  fileSystemOf(queue: QueueHandle): FileSystem

  /** `seed`: 0 for FIFO order, else in blocks that it shuffles. ECANCELED: it was stopped. */
  list(
    queue: QueueHandle,
    place: Place,
    seed: number,
    skipped?: SkippedHandle,
    stop?: StopHandle,
  ): Promise<ListingHandle | Failure>
  listSync: (...args: Parameters<Native['list']>) => ListingHandle | Failure
  closeListing(listing: ListingHandle): void
  listingSize(listing: ListingHandle): number
  /** How many microseconds it took to read and sort. */
  listingSpent(listing: ListingHandle): number
  /** Name and type by turns. */
  listingEntries(listing: ListingHandle, from: number, count: number): (RawName | number)[]
  seekListing(listing: ListingHandle, position: number): void

  isDownSync(queue: QueueHandle): boolean | Failure
  /**
   * @param looks - The most names to look at.
   * @param escape - Character code of the encode character; 0: the names are not looked into.
   * @param stop - Once it is set, no more names are looked at.
   */
  claim(
    queue: QueueHandle,
    listing: ListingHandle,
    limit: number,
    looks: number,
    readLimit: number,
    escape: number,
    skipped?: SkippedHandle,
    stop?: StopHandle,
  ): Promise<PackedClaims>
  claimSync: (...args: Parameters<Native['claim']>) => PackedClaims

  newSkipped(): SkippedHandle
  closeSkipped(skipped: SkippedHandle): void
  /** How many are held by others, and their descriptors are kept open. */
  skippedKept(skipped: SkippedHandle): number
  /** How many are held by others, and only their names are remembered. */
  skippedUnkept(skipped: SkippedHandle): number
  /** Whether another walk would find nothing but what is delayed or may not be opened. Cheap. */
  skippedQuiet(skipped: SkippedHandle, queue: QueueHandle): boolean
  /** When the first of the delayed ones is due, in milliseconds since the epoch; 0: there is none. */
  skippedDue(skipped: SkippedHandle): number

  /** `inLoop`: the event loop may look for itself, instead of another thread; the first call decides. */
  newWatch(inLoop: boolean): WatchHandle
  closeWatch(watch: WatchHandle): void
  /** Opens the FIFO if it is there and not open yet. */
  listenTrigger(watch: WatchHandle, path: string): Failure | undefined
  /**
   * From here on, what happens in the directory of the queue and in its queue/ is told, in place of what was watched before. A
   * failure: only pulls of the trigger are.
   */
  armWatch(watch: WatchHandle, queuePath: string, itemsPath: string): Failure | undefined
  disarmWatch(watch: WatchHandle): void
  /**
   * What has happened since the last call, see {@link Happened}; if nothing has, `callback` is called with that when something
   * does, once. Which names have appeared is for {@link listNews}, until the next call of this function.
   */
  awaitWatch(watch: WatchHandle, closes: boolean, callback: (happened: number) => void): number | undefined
  /** What has happened, and the callback will not be called. */
  cancelWatch(watch: WatchHandle): number
  /**
   * Fills a listing anew: with what has appeared, with the names that are given, with what is due at `now`, and with what is held
   * by others: if `kept`, those whose descriptors are kept open, if `unkept`, a part of the others. Each once.
   *
   * @returns How many there are.
   */
  listNews(
    listing: ListingHandle,
    skipped: SkippedHandle,
    watch: WatchHandle,
    names: readonly RawName[] | undefined,
    kept: boolean,
    unkept: boolean,
    now: number,
  ): number
  /** mkfifo(2); the umask applies. */
  makeFifo(path: string, mode: number): Failure | undefined

  /**
   * Takes the claims; those that could not be moved are held again when it resolves. One call after the other, on one thread. Call
   * it through `finish` of `addon/lane.ts`.
   *
   * @param moves - Packed by `packMoves` of `addon/packing.ts`. Read before this returns.
   * @param names - The new names; `undefined`: the name stays.
   * @returns One result a claim; `undefined`: all went well.
   */
  finish(
    queue: QueueHandle,
    moves: Float64Array,
    count: number,
    names: readonly (RawName | undefined)[] | undefined,
    durable: boolean,
  ): Promise<FinishResult[] | undefined>
  /**
   * Answers what of the calls that run one after the other has ended. That happens by itself, too, but takes a wake-up; none is sent while the
   * last call said `again`, as then another one follows at once.
   *
   * @returns How many are under way.
   */
  settleEnds(again: boolean): number
  /** Unlocks and closes claims; a number that is no claim's does nothing. */
  release(claims: readonly number[]): void

  newItemForm(values: ItemFormValues): ItemForm
  enqueue(
    queue: QueueHandle,
    form: ItemForm,
    suffixes: readonly RawName[],
    payloads: readonly NativePayload[],
    dues?: readonly number[],
    stops?: readonly (StopHandle | undefined)[],
  ): Promise<EnqueueResult[]>
  /** The same for what takes little time: one call after the other, on one thread. Call it through `addon/lane.ts`. */
  enqueueInLane: Native['enqueue']
  /** The same for many at once: one call after the other, on another one. */
  enqueueBulk: Native['enqueue']
  enqueueSync(
    queue: QueueHandle,
    form: ItemForm,
    suffix: RawName,
    payload: NativePayload,
    due: number,
  ): EnqueueResult
  openDraft(queue: QueueHandle, form: ItemForm, suffix: RawName): Promise<DraftHandle | EnqueueFailure>
  /** One call at a time for a draft; the bytes must not change meanwhile. */
  writeDraft(draft: DraftHandle, bytes: Uint8Array): Promise<Failure | undefined>
  /** Nothing of it stays. Not while it is written or enqueued. */
  discardDraft(draft: DraftHandle): Promise<void>
  /** Bytes read, 0 at the end, or a failure; EAGAIN: nothing is there yet. Never waits. */
  readPipe(descriptor: number, into: Uint8Array): Promise<number | Failure>
  newStop(): StopHandle
  /** The operation ends with ECANCELED, unless its item has its name already. */
  setStop(stop: StopHandle): void

  /** The file system that a directory is on. */
  findFileSystem(directory: string): Promise<FileSystem | Failure>
  /** Tries features in an empty directory of the caller's. */
  probe(directory: string): Promise<NativeProbe | Failure>
  install(plan: InstallPlan): Promise<InstallResult>
  /** Renames within `root`, never replacing, and makes it durable. */
  relocate(
    root: string,
    from: string,
    to: string,
  ): Promise<(Failure & { readonly moved: boolean }) | undefined>

  formatTime(format: string, seconds: number, microseconds: number, utc: boolean): string
  /** Milliseconds since the epoch; `undefined` if the text is not exactly what the format writes. */
  parseTime(format: string, text: string, utc: boolean): number | undefined
  /** `undefined`: nobody has the name. */
  userId(name: string): number | Failure | undefined
  groupId(name: string): number | Failure | undefined

  /**
   * Opens and locks what the path names, without waiting (EAGAIN: taken), and holds it as a claim. `null`: what is there is
   * neither a regular file nor a directory.
   */
  lockPath(
    path: RawName,
    operation: number,
    start: number,
    length: number,
    create: boolean,
  ): Promise<PathLock | Failure | null>
  lockPathSync(
    path: RawName,
    operation: number,
    start: number,
    length: number,
    create: boolean,
  ): PathLock | Failure | null
  /**
   * Without waiting: nothing, or a negative error number (EAGAIN: taken). The range is for fcntl: the whole file if it is left
   * out; a length of 0 goes to the end.
   *
   * @param packed - The descriptor and the operation, by `packLock` of `addon/packing.ts`.
   */
  lockDescriptor(packed: number, start?: number, length?: number): number | undefined
  unlockDescriptor(packed: number, start?: number, length?: number): number | undefined
  /** `lockDescriptor` on that of a claim; EBADF where somebody else has closed it. */
  lockClaim(packed: number, start: number, length: number): number | undefined

  /** How many claims this thread holds. */
  heldClaims(): number
  /** The process exits: what has not begun will not. */
  stop(): void
  /** Of the sources it was built from (native/source-hash.cjs). */
  readonly sourceHash: string
}

// The loader says what is missing and which command builds it.
if (addon instanceof Error) {
  const { problem, advice } = addon as Error & { readonly problem: string; readonly advice: string }
  throw new AddonMissingError(problem, { cause: addon, advice })
}

export const native = addon as Native

// `process` is the global throughout: importing node:process opens stdin, stdout and stderr, which takes milliseconds.
// The pool is emptied before a process may end: without this, `process.exit()` would wait for all that is still queued.
process.once('exit', () => {
  native.stop()
})

// Another runtime has the names of Node's event loop, and aborts when they are used. On macOS it has never been run.
const HAS_NODES_LOOP =
  process.platform === 'linux' && !('bun' in process.versions) && !('deno' in process.versions)

/** Whether a watch tells of files that are closed or touched; kqueue, which macOS has, tells of names only. */
export const WATCHES_FILES = process.platform === 'linux'

/** A watch of nothing yet. */
export function newWatch(): WatchHandle {
  return native.newWatch(HAS_NODES_LOOP)
}

/** Whether native code reports a failure rather than a value. */
export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'errno' in value && 'syscall' in value
}
