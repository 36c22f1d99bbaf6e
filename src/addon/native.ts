/**
 * The seam: this file alone types the addon. Native code is the mechanism (directories, locks, links, renames). It answers with plain
 * values, and with a {@link Failure} where a system call has failed; the modules above decide what a failure means.
 *
 * Names cross the seam as {@link RawName}s, one character a byte; paths of the caller cross it as plain strings.
 *
 * @module
 */

import addon from '#binding'

import { AddonMissingError } from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'

/** The bytes of a file name: each character, U+0000 to U+00FF, is a byte. Equal bytes are equal strings. */
export type RawName = string

declare const handleOf: unique symbol

/** An open queue directory: descriptors of the queue and of its four directories. */
export interface QueueHandle {
  readonly [handleOf]: 'queue'
}

/** The directory of a dead worker in claimed/, locked by this process until {@link Native.dismiss} or until the handle is collected. */
export interface SeizedHandle {
  readonly [handleOf]: 'seized'
}

/** A dead worker of a queue that claims by renaming, whose directory this process has taken over. */
export interface Seized {
  readonly directory: SeizedHandle
  /** HOST-PID-RANDOM, its name in claimed/. */
  readonly name: RawName
  /** The contents of its `.lock`. */
  readonly lines: Buffer
  /** The items that it had claimed, as claims of this process: `finish` moves them. */
  readonly claims: readonly number[]
  /** The names of those items. */
  readonly names: readonly RawName[]
}

/** The names in a directory at one moment, in FIFO order, kept outside the JavaScript heap. */
export interface ListingHandle {
  readonly [handleOf]: 'listing'
}

/** An item that is written piece by piece: an inode without a name in queue/. Unless it is enqueued, it vanishes with this handle. */
export interface DraftHandle {
  readonly [handleOf]: 'draft'
}

/** Cancels one operation. */
export interface StopHandle {
  readonly [handleOf]: 'stop'
}

/** The items that a waiting scan has skipped, with the descriptors of those that other workers hold. */
export interface SkippedHandle {
  readonly [handleOf]: 'skipped'
}

/** The watch of one waiter. */
export interface WatchHandle {
  readonly [handleOf]: 'watch'
}

/**
 * Events in a watched queue, besides the names that have appeared in queue/, as bits. They are hints: only a listing is the truth.
 */
export const Happened = {
  /** A file in queue/ was closed, so its lock may be free. */
  closed: 1,
  /** The queue itself has changed: it is down, moved or removed. */
  look: 2,
  /** More has happened than native code could remember. */
  lost: 4,
  /** The trigger was pulled. */
  pulled: 8,
} as const

/** The four directories of a queue, by their number in native code. */
export const Place = { queue: 0, tmp: 1, done: 2, fail: 3 } as const
export type Place = (typeof Place)[keyof typeof Place]

/** The types of directory entries, by their number in native code. */
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

/** The form of the names and files of new items. */
export interface ItemFormValues {
  /** Character codes. */
  readonly delimiter: number
  readonly escape: number
  readonly timeFormat: string
  readonly utc: boolean
  /** Ids; -1: stays as the kernel sets it. */
  readonly user: number
  readonly group: number
  readonly mode: number
  readonly durable: boolean
  /** Contents are made durable by fsync alone, whatever native code knows about the file system. */
  readonly plainSync: boolean
  /**
   * The suffix of each item is its whole name. EEXIST: queue/, done/ or fail/ has the name. Default: native code makes the names, with
   * time and entropy.
   */
  readonly exact?: boolean
}

/** {@link ItemFormValues}, as native code has read them. */
export interface ItemForm {
  readonly [handleOf]: 'form'
}

/** The reach of a file system, by its number in native code: other machines may change files on a `network` one. */
export const Reach = { local: 0, network: 1, unknown: 2 } as const

/** The file system of a directory. */
export interface FileSystem {
  readonly name: string
  readonly reach: number
}

/** The answer of one call of `pruneNext`. */
export interface Pruned {
  /** Whether no entries are behind these. The next call begins with the first one again. */
  readonly isOver: boolean
  /** How many files were removed. */
  readonly count: number
  /** How many of them changed at exactly the given moment. */
  readonly equals: number
  readonly removed: readonly RawName[]
  /** Old files with several names, which stay. */
  readonly linked: readonly RawName[]
  /** The first one, with a name as its path. The other files were looked at all the same. */
  readonly failure?: Failure
}

/** The answer of one call of `changesNext`. */
export interface Changes {
  /** As in {@link Pruned}. */
  readonly isOver: boolean
  readonly changes: Float64Array
  /** As in {@link Pruned}. */
  readonly failure?: Failure
}

/** The features of a directory. */
export interface NativeProbe {
  /** 0: the feature works; a negative error number: a call has failed; 1: no call has failed, and there was no effect. */
  readonly features: Readonly<Record<string, number>>
  /** Nanoseconds; 0: unknown. */
  readonly timestampStep: number
  /** Bytes; 0: unknown. */
  readonly nameMax: number
  readonly device: number
}

/**
 * The contents of a new item: bytes, which must not change meanwhile; the path of a file; the descriptor of a file, which is read from
 * its position on and keeps that position; a draft; or nothing.
 */
export type NativePayload = Uint8Array | string | number | DraftHandle | null

/** The failure of an enqueue. With a `name`, the item is in the queue, but not durable. */
export interface EnqueueFailure extends Failure {
  readonly name?: RawName
  readonly nameBytes?: number
  readonly nameLimit?: number
}

/** The name of the new item, or the failure. */
export type EnqueueResult = RawName | EnqueueFailure

/**
 * `undefined`: success. `moved`: the item has left queue/, and a later call has failed. `errno` 0: no call of the move has failed, but
 * the item is `undelayed`, or there is something to tell of its log: its size, which is too long, or why it lacks the line.
 */
export type FinishResult =
  (Failure & { readonly moved: boolean; readonly undelayed: boolean; readonly log?: LogResult }) | undefined

/** The results, and how many microseconds the call has taken. */
export type EnqueueAnswer = readonly [results: EnqueueResult[], spent: number]

/** One result for each move. A number: all have succeeded, and the call has taken so many microseconds. */
export type FinishAnswer = FinishResult[] | number

/** The size of a log, or why a line could not be appended. */
export type LogResult = number | Failure

export interface InstallPlan {
  readonly root: string
  readonly hidden: string
  readonly name: string
  /** Relative to the queue. A parent comes before what is in it. */
  readonly directories: readonly string[]
  /** The names of markers and guards and their contents, alternating. */
  readonly files: readonly string[]
  /** Triggers. */
  readonly fifos?: readonly { readonly name: string; readonly mode: number }[]
  readonly mode: number
  readonly user: number
  readonly group: number
  readonly replace: boolean
}

/** `leftover`: the present name of the queue that was replaced. */
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
  /**
   * @param names - Of queue, tmp, done and fail, of the down file, of the marker for fcntl locks; then of the marker for claims by
   * renaming, of the directory of claimed items, and of the down file of such a queue; of a host queue, then the path of its queue.
   */
  openQueue(path: string, names: readonly string[], locking: boolean): Promise<QueueHandle | Failure>
  openQueueSync(path: string, names: readonly string[], locking: boolean): QueueHandle | Failure
  closeQueue(queue: QueueHandle): void
  /** Closes the queue when the last of its claims is finished or released; until then it can be used. */
  retireQueue(queue: QueueHandle): void
  /** Whether workers of the queue lock items by fcntl. */
  usesFcntl(queue: QueueHandle): boolean
  /** Whether workers of the queue claim items by renaming them. */
  claimsByRename(queue: QueueHandle): boolean
  fileSystemOf(queue: QueueHandle): FileSystem

  /**
   * The name of the directory of this handle in claimed/; `undefined`: it has none, as it has not claimed yet, or its fence has fallen and
   * it has not claimed since. The file of the worker is `.lock` in this directory.
   */
  workerName(queue: QueueHandle): RawName | undefined
  /** Makes the directory of this handle in claimed/, unless it has one. */
  makeWorker(queue: QueueHandle): Promise<Failure | undefined>
  /** Whether a claim by rename is lost, because the fence of its worker has fallen. Reads memory only. */
  isLost(claim: number): boolean
  /**
   * How long the file system keeps the locks of a machine that it no longer hears from, in milliseconds; 0: they end with their
   * process only, and there is no fence. Counts for the directories that the next claims make.
   */
  setLease(queue: QueueHandle, milliseconds: number): void
  /** How many milliseconds are left until the fence falls; 0: it has fallen; -1: there is no fence. Reads memory only. */
  fence(queue: QueueHandle): number
  /**
   * At the end of a handle that has given back all its items: removes its directory in claimed/. Does nothing if the handle has no
   * such directory, or if its fence has fallen. ENOTEMPTY: items are in it, and it stays; a take-over gives them back.
   */
  retireWorker(queue: QueueHandle): Promise<Failure | undefined>
  /**
   * Takes over the directories of dead workers: those whose lock is free. Completes the moves that were cut in half, by removing the name
   * in claimed/. The other items are claims of this process from now on.
   */
  seize(queue: QueueHandle): Promise<readonly Seized[] | Failure>
  /** Removes the directory of a dead worker, once its items are back in queue/. ENOTEMPTY: it is left to the next take-over. */
  dismiss(directory: SeizedHandle): Promise<Failure | undefined>
  /**
   * Opens a claimed item for reading; the caller closes the descriptor by {@link closeDescriptor}. EBADF: there is no such claim. EOWNERDEAD: the item
   * is lost, or the fence has fallen.
   */
  openItem(claim: number): Promise<number | Failure>
  openItemSync(claim: number): number | Failure

  /**
   * Fails with ECANCELED once `stop` is set.
   *
   * @param seed - 0: FIFO order; else the seed by which the blocks are shuffled.
   * @param least - Lists only the first names, so many of them and at most twice as many. Default: all.
   * @param after - Lists the names behind those of this listing, which may be closed then.
   */
  list(
    queue: QueueHandle,
    place: Place,
    seed: number,
    skipped?: SkippedHandle,
    stop?: StopHandle,
    least?: number,
    after?: ListingHandle,
  ): Promise<ListingHandle | Failure>
  listSync: (...args: Parameters<Native['list']>) => ListingHandle | Failure
  closeListing(listing: ListingHandle): void
  listingSize(listing: ListingHandle): number
  /** How many microseconds native code took to read and sort the names. */
  listingSpent(listing: ListingHandle): number
  /** Names and types, alternating. */
  listingEntries(listing: ListingHandle, from: number, count: number): (RawName | number)[]
  /** The names at these positions, whose claims were released, are claimed again. */
  reopenNames(listing: ListingHandle, positions: readonly number[]): void

  /**
   * Reads the next entries of an open directory, on Linux about 1,500 of them, elsewhere all, and removes the files that changed before a
   * moment, unless they have several names.
   *
   * @param descriptor - That only this function and {@link changesNext} read from.
   * @param before - In microseconds since the epoch.
   * @param equals - How many of those go that changed at exactly that moment.
   * @param named - Whether the names of the removed files are wanted.
   */
  pruneNext(descriptor: number, before: number, equals: number, named: boolean): Promise<Pruned>
  /** When the next files of such a directory changed, in microseconds since the epoch, and in any order. */
  changesNext(descriptor: number): Promise<Changes>

  /** @param lately - A look that is less than 10 ms old, of whichever call on this handle, will do. */
  isDownSync(queue: QueueHandle, lately: boolean): boolean | Failure
  /** {@link isDownSync} on another thread. */
  isDown(queue: QueueHandle, lately: boolean): Promise<boolean | Failure>
  /** This process has taken a queue down: no look from before counts. */
  noteDown(): void
  /**
   * @param looks - The most names that native code looks at.
   * @param escape - Character code of the encode character; 0: native code does not parse the names.
   * @param stop - Once it is set, native code looks at no more names.
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
  /** Other code gets the descriptor of a claim and may close it: from now on native code checks it before each use. */
  lendClaim(claim: number): void

  newSkipped(): SkippedHandle
  closeSkipped(skipped: SkippedHandle): void
  /** How many items other workers hold whose descriptors are kept open. */
  skippedKept(skipped: SkippedHandle): number
  /** How many items other workers hold of which only the names are kept. */
  skippedUnkept(skipped: SkippedHandle): number
  /** Whether another pass would find only delayed and unreadable items. Cheap. */
  skippedQuiet(skipped: SkippedHandle, queue: QueueHandle): boolean
  /** Milliseconds until the first of the delayed items is due, 0: it is due; -1: there is none. */
  skippedDueIn(skipped: SkippedHandle): number

  /** @param inLoop - Whether the event loop of Node may poll, instead of another thread. The first call decides for all. */
  newWatch(inLoop: boolean): WatchHandle
  closeWatch(watch: WatchHandle): void
  /** Opens the FIFO, if it exists and is not open yet. */
  listenTrigger(watch: WatchHandle, path: string): Promise<Failure | undefined>
  listenTriggerSync(watch: WatchHandle, path: string): Failure | undefined
  /**
   * Watches the directory of the queue, its queue/ and its parent, instead of those watched before. After a failure, the watch tells only of pulls of
   * the trigger.
   *
   * @param queue - The open queue: its directories are watched without a look at their paths (on Linux), as that look can wait for a file server.
   */
  armWatch(
    watch: WatchHandle,
    queuePath: string,
    itemsPath: string,
    parentPath?: string,
    queue?: QueueHandle,
  ): Failure | undefined
  disarmWatch(watch: WatchHandle): void
  /**
   * The bits of {@link Happened} since the last call. If nothing has happened, calls `callback` once with them when something does.
   * {@link listNews} has the names that have appeared, until the next call of this function.
   */
  awaitWatch(watch: WatchHandle, closes: boolean, callback: (happened: number) => void): number | undefined
  /** The bits of {@link Happened}; the callback will not be called. */
  cancelWatch(watch: WatchHandle): number
  /**
   * Fills a listing anew: with the names that have appeared, the given names, and the items that are due; if `kept`, with the
   * items of {@link skippedKept}; if `unkept`, with a part of the items of {@link skippedUnkept}. Lists each name once.
   *
   * @returns The number of names.
   */
  listNews(
    listing: ListingHandle,
    skipped: SkippedHandle,
    watch: WatchHandle,
    names: readonly RawName[] | undefined,
    kept: boolean,
    unkept: boolean,
  ): number
  /** mkfifo(2); the umask applies. */
  makeFifo(path: string, mode: number): Promise<Failure | undefined>
  makeFifoSync(path: string, mode: number): Failure | undefined

  /**
   * Takes claims and moves their items. When it resolves, the claims that could not be moved are held again. Native code makes one such
   * call after the other, on one thread. Call it through `finish` of `addon/lane.ts`.
   *
   * @param moves - Packed by `packMoves` of `addon/packing.ts`. Read before this returns.
   * @param names - The new names; `undefined`: the name stays.
   * @param logs - For each item, the path of its log and a line that is appended ahead of the move.
   * @param form - A {@link LogForm}, and the size above which a log is told to be too long.
   */
  finish(
    queue: QueueHandle,
    moves: Float64Array,
    count: number,
    names: readonly (RawName | undefined)[] | undefined,
    durable: boolean,
    logs?: readonly (string | undefined)[],
    form?: Float64Array,
  ): Promise<FinishAnswer>
  finishSync: (...args: Parameters<Native['finish']>) => FinishAnswer
  /**
   * Unlocks and closes claims; ignores a number that no claim has. In a queue that claims by renaming, only forgets them: their items stay
   * claimed until this worker ends. `finish` with the same name and the place queue gives such an item back.
   */
  release(claims: readonly number[]): void

  /** This process sets its umask. Called before and after. */
  noteUmask(): void
  newItemForm(values: ItemFormValues): ItemForm
  enqueue(
    queue: QueueHandle,
    form: ItemForm,
    suffixes: readonly RawName[],
    payloads: readonly NativePayload[],
    dues?: readonly number[],
    stops?: readonly (StopHandle | undefined)[],
  ): Promise<EnqueueAnswer>
  /**
   * Moves files to the same names in another directory of the queue. None replaces another file. For files that no worker can claim.
   *
   * @returns For each file 0, or a negative error number. ESTALE: the path names another queue now, and no file was moved.
   */
  transfer(queue: QueueHandle, from: Place, to: Place, names: readonly RawName[]): Promise<readonly number[]>
  /** {@link enqueue} for small items: one call after the other, on one thread. Call it through `addon/lane.ts`. */
  enqueueInLane: Native['enqueue']
  /** {@link enqueue} for many items at once: one call after the other, on another thread. */
  enqueueBulk: Native['enqueue']
  /** {@link enqueue} for drafts of {@link writeItem}, in the same lane. */
  enqueueInWriter(
    queue: QueueHandle,
    form: ItemForm,
    suffixes: readonly RawName[],
    payloads: readonly NativePayload[],
    dues: readonly number[] | undefined,
    stops: readonly (StopHandle | undefined)[] | undefined,
    writer: number,
  ): Promise<EnqueueAnswer>
  enqueueSync(
    queue: QueueHandle,
    form: ItemForm,
    suffix: RawName,
    payload: NativePayload,
    due: number,
  ): EnqueueResult
  openDraft(queue: QueueHandle, form: ItemForm, suffix: RawName): Promise<DraftHandle | EnqueueFailure>
  /**
   * Writes bytes into a draft, without copying them first. The bytes must not change meanwhile. EFAULT: their buffer has lost its
   * memory meanwhile, and there is no draft.
   *
   * @param writer - The lane that does it, of `addon/writers.ts`.
   */
  writeItem(
    queue: QueueHandle,
    form: ItemForm,
    suffix: RawName,
    bytes: Uint8Array,
    stop: StopHandle | undefined,
    writer: number,
  ): Promise<DraftHandle | EnqueueFailure>
  /** Make one call at a time for a draft. The bytes must not change meanwhile. */
  writeDraft(draft: DraftHandle, bytes: Uint8Array): Promise<Failure | undefined>
  /** Removes the draft. Not to be called while it is written or enqueued. */
  discardDraft(draft: DraftHandle): Promise<void>
  /** How many bytes it has read, 0 at the end, or a failure; EAGAIN: no bytes are there yet. Never waits. */
  readPipe(descriptor: number, into: Uint8Array): Promise<number | Failure>
  newStop(): StopHandle
  /** Ends the operation with ECANCELED, unless its item already has its name in queue/. */
  setStop(stop: StopHandle): void

  /** The file system of a directory. */
  findFileSystem(directory: string): Promise<FileSystem | Failure>
  /** Tries features in an empty directory of the caller. */
  probe(directory: string): Promise<NativeProbe | Failure>
  install(plan: InstallPlan): Promise<InstallResult>
  /**
   * Renames within `root`, never replaces a file, and makes the rename durable.
   *
   * @param strict - Fails with EINVAL or ENOSYS where the file system has no rename that refuses to replace a file. Otherwise a plain
   * rename takes its place there.
   */
  relocate(
    root: string,
    from: string,
    to: string,
    strict: boolean,
  ): Promise<(Failure & { readonly moved: boolean }) | undefined>

  formatTime(format: string, seconds: number, microseconds: number, utc: boolean): string
  /** Milliseconds since the epoch; `undefined` if the text is not exactly what the format writes. */
  parseTime(format: string, text: string, utc: boolean): number | undefined
  /** When a file or directory was last modified, in milliseconds since the epoch; `undefined`: nothing has the path. */
  modifiedAt(path: RawName): number | Failure | undefined
  /** `undefined`: there is no such name. */
  userId(name: string): number | Failure | undefined
  groupId(name: string): number | Failure | undefined

  /**
   * Appends a line to the log of an item. The numbers are those of a {@link LogForm}.
   *
   * @param line - With its newline.
   * @returns The size of the log. ENOENT: its directory is missing.
   */
  appendLog(
    path: RawName,
    line: string,
    lock: number,
    mode: number,
    user: number,
    group: number,
  ): Promise<LogResult>
  appendLogSync: (...args: Parameters<Native['appendLog']>) => LogResult

  /**
   * Opens the file or directory at a path, locks it without waiting (EAGAIN: another holder has the lock), and holds it as a claim.
   * `null`: the path names neither a regular file nor a directory.
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
   * Locks without waiting.
   *
   * @returns `undefined`: success; else a negative error number (EAGAIN: another holder has the lock).
   * @param start - With `length`, the range of an fcntl lock. Default: the whole file.
   * @param length - 0: to the end of the file.
   *
   * @param packed - The descriptor and the operation, by `packLock` of `addon/packing.ts`.
   */
  lockDescriptor(packed: number, start?: number, length?: number): number | undefined
  /** {@link lockDescriptor} on another thread. */
  lockDescriptorLater(packed: number, start?: number, length?: number): Promise<number | undefined>
  /** Another descriptor of the same open file, not below `least`. The caller closes it by {@link closeDescriptor}. */
  raiseDescriptor(descriptor: number, least: number): number | Failure
  /**
   * Closes a descriptor that native code has opened. Not `node:fs`: in a worker thread, that warns of descriptors that it has not opened, and
   * does not close them when the thread is terminated. Native code does.
   *
   * @returns False: it is no such descriptor.
   */
  closeDescriptor(descriptor: number): boolean
  /** {@link closeDescriptor} on another thread. */
  closeDescriptorLater(descriptor: number): Promise<boolean>
  unlockDescriptor(packed: number, start?: number, length?: number): number | undefined
  /** {@link lockDescriptor} on the descriptor of a claim. EBADF: other code has closed the descriptor. */
  lockClaim(packed: number, start: number, length: number): number | undefined

  /**
   * pipe(2). The caller closes both ends. Other programs do not inherit them. A read from the read end never waits.
   *
   * @returns The read end and the write end.
   */
  openPipe(): readonly [number, number] | Failure

  /** How many claims this thread holds. */
  heldClaims(): number
  /** How often this thread has gone to sleep in the kernel; -1: unknown. */
  sleeps(): number
  /** Drops the calls that have not begun, because the process exits. */
  stop(): void
  /** The hash of the sources of this build (native/source-hash.cjs). */
  readonly sourceHash: string
}

// The loader says what is missing and which command builds it.
if (addon instanceof Error) {
  const { problem, advice } = addon as Error & { readonly problem: string; readonly advice: string }
  throw new AddonMissingError(problem, { cause: addon, advice })
}

export const native = addon as Native

// `process` is the global throughout: importing node:process opens stdin, stdout and stderr, which takes milliseconds.
// Node empties its pool before a process ends: without this, `process.exit()` would wait for all queued calls.
process.once('exit', () => {
  native.stop()
})

// Other runtimes export the functions of Node's event loop, and abort when they are called. On macOS this has never been tried.
const HAS_NODES_LOOP =
  process.platform === 'linux' && !('bun' in process.versions) && !('deno' in process.versions)

/** Whether a watch tells of files that are closed or touched; kqueue on macOS tells only of names. */
export const WATCHES_FILES = process.platform === 'linux'

/** Makes a watch that watches nothing yet. */
export function newWatch(): WatchHandle {
  return native.newWatch(HAS_NODES_LOOP)
}

/** Whether native code has returned a failure instead of a value. */
export function isFailure(value: unknown): value is Failure {
  return typeof value === 'object' && value !== null && 'errno' in value && 'syscall' in value
}
