/**
 * Claims, moves and lock operations as numbers. A call into native code costs more for each object and each argument that it
 * passes, so one array of numbers carries a batch. This file alone knows the position of each number; native/bindings/ has its
 * counterparts in claim_bindings.cc, finish_bindings.cc and lock_bindings.cc.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'

import type { Failure } from '../errors/errno.js'
import type { ClaimNote, LogResult, PackedClaims, Place, RawName } from './native.js'

/** The positions of the numbers that describe a whole batch of claims. */
export const BatchNumber = {
  /** How many names native code has looked at. */
  looked: 0,
  /** How many microseconds that took. */
  spent: 1,
  /** How many items other workers hold. */
  busy: 2,
  /** How many items are not due yet. */
  delayed: 3,
  /** 1: the queue is down. */
  down: 4,
  /** 1: the listing has no more names. 2: nor has it, and there were more names behind it. */
  ended: 5,
} as const

/** The positions of the numbers that describe one claim, from {@link claimNumbersAt} on. */
export const ClaimNumber = {
  /** The number by which native code knows the claim. */
  claim: 0,
  /** -1: the item was claimed by renaming it, and is not open. */
  descriptor: 1,
  size: 2,
  /** Where the contents begin in the contents of the batch; -1: native code has not read them. */
  offset: 3,
  /** In the listing. */
  position: 4,
  /** The tries in the name, if the name is valid and holds no escape; else -1: the name is to be parsed. */
  tries: 5,
  /** When the item was claimed by renaming it, in microseconds by the clock of the file system; 0: it was locked. */
  claimedAt: 6,
} as const

const NUMBERS_A_BATCH = Object.keys(BatchNumber).length
const NUMBERS_A_CLAIM = Object.keys(ClaimNumber).length

/** The position of the first number of the claim at `index`. */
export function claimNumbersAt(index: number): number {
  return NUMBERS_A_BATCH + index * NUMBERS_A_CLAIM
}

/** A file in queue/ that native code has locked, or has moved to the directory of this worker in claimed/. */
export interface ClaimedFile {
  /** The number by which native code knows the claim. */
  readonly number: number
  /** -1: the file is not open. */
  readonly descriptor: number
  readonly name: RawName
  /** Bytes. */
  readonly size: number
  /** The small contents of the whole batch; those of this file begin at `offset`. */
  readonly contents: Buffer
  /** -1: native code has not read the contents. */
  readonly offset: number
  /** In the listing. */
  readonly position: number
  /** The tries in the name; -1: the name is to be parsed. */
  readonly tries: number
  /** When the file was moved to claimed/, in microseconds by the clock of the file system; 0: it was locked. */
  readonly claimedAt: number
}

/** The answer of one call that claims. */
export interface ClaimBatch {
  readonly files: readonly ClaimedFile[]
  /** Names that native code has skipped for another reason than a lock or a due time. */
  readonly notes: readonly ClaimNote[]
  /** The error that stopped the call; the files are locked all the same. */
  readonly failure: Failure | undefined
  /** How many names native code has looked at. */
  readonly looked: number
  /** Microseconds. */
  readonly spent: number
  /** How many items other workers hold. */
  readonly busy: number
  /** How many items are not due yet. */
  readonly delayed: number
  readonly isDown: boolean
  /** The listing has no more names. */
  readonly isEnded: boolean
  /** The listing has no more names, and there were more behind it. */
  readonly hasMore: boolean
}

const NO_NOTES: readonly ClaimNote[] = []

/** Reads what `claim` of native code has packed. */
export function unpackClaims([numbers, names, contents, notes, failure]: PackedClaims): ClaimBatch {
  return {
    files: names.map((name, index) => unpackClaim(numbers, claimNumbersAt(index), name, contents)),
    notes: notes ?? NO_NOTES,
    failure,
    looked: numbers[BatchNumber.looked] as number,
    spent: numbers[BatchNumber.spent] as number,
    busy: numbers[BatchNumber.busy] as number,
    delayed: numbers[BatchNumber.delayed] as number,
    isDown: numbers[BatchNumber.down] === 1,
    isEnded: numbers[BatchNumber.ended] !== 0,
    hasMore: numbers[BatchNumber.ended] === 2,
  }
}

function unpackClaim(numbers: Float64Array, at: number, name: RawName, contents: Buffer): ClaimedFile {
  return {
    number: numbers[at + ClaimNumber.claim] as number,
    descriptor: numbers[at + ClaimNumber.descriptor] as number,
    name,
    size: numbers[at + ClaimNumber.size] as number,
    contents,
    offset: numbers[at + ClaimNumber.offset] as number,
    position: numbers[at + ClaimNumber.position] as number,
    tries: numbers[at + ClaimNumber.tries] as number,
    claimedAt: numbers[at + ClaimNumber.claimedAt] as number,
  }
}

/** A claimed item on its way to another directory, or to another name in queue/. */
export interface PackableMove {
  readonly claim: { readonly number: number; readonly name: RawName }
  readonly place: Place
  readonly to: RawName
  /** Milliseconds since the epoch; 0: the item is due at once. */
  readonly due: number
  readonly log?: LogEntry | undefined
}

/**
 * How the logs of a queue are locked and made: a {@link LockOperation}, the mode, the user and the group (-1: as the kernel sets them) of
 * a new one, and the size in bytes above which a log is too long.
 */
export type LogForm = readonly [lock: number, mode: number, user: number, group: number, longest: number]

/** A line that is appended to the log of an item ahead of the item's move. */
export interface LogEntry {
  readonly path: RawName
  /** With its newline. */
  readonly line: string
  readonly form: LogForm
  /** Called if the line could not be appended, or the log is too long. Never throws. */
  readonly settle: (result: LogResult) => void
}

const NUMBERS_A_MOVE = 3

/** How many numbers `count` moves take. */
export function moveNumbers(count: number): number {
  return count * NUMBERS_A_MOVE
}

/**
 * Writes moves into `numbers`.
 *
 * @returns The new names, where an item gets one; `undefined`: all keep theirs.
 */
export function packMoves(
  moves: readonly PackableMove[],
  numbers: Float64Array,
): (RawName | undefined)[] | undefined {
  let names: (RawName | undefined)[] | undefined
  let at = 0
  for (const [index, { claim, place, to, due }] of moves.entries()) {
    numbers[at++] = claim.number
    numbers[at++] = place
    numbers[at++] = due
    if (to !== claim.name) (names ??= [])[index] = to
  }
  return names
}

/** Lines for the logs, as `finish` of native code takes them. */
export interface PackedLogs {
  readonly lines: readonly (string | undefined)[]
  readonly form: Float64Array
}

/** @returns `undefined`: no move has a line. All lines of one call have one form, as all its items are in one queue. */
export function packLogs(moves: readonly PackableMove[]): PackedLogs | undefined {
  let lines: (string | undefined)[] | undefined
  let form: LogForm | undefined
  for (const [index, { log }] of moves.entries()) {
    if (log === undefined) continue
    lines ??= new Array<string | undefined>(2 * moves.length).fill(undefined)
    lines[2 * index] = log.path
    lines[2 * index + 1] = log.line
    form = log.form
  }
  return lines === undefined || form === undefined ? undefined : { lines, form: new Float64Array(form) }
}

/** The parts of a lock operation: one of the two kinds of lock, and whether the lock is exclusive. */
export const LockOperation = { flock: 1, fcntl: 2, exclusive: 4 } as const

const LOCK_OPERATIONS = 8

/** A descriptor, or the number of a claim, and a {@link LockOperation} in one number. */
export function packLock(target: number, operation: number): number {
  return target * LOCK_OPERATIONS + operation
}
