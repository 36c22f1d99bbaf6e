/**
 * Finds out, together with a second process, what a queue promises that two machines work.
 *
 * @module
 */
import fs from 'node:fs'
import { inspect } from 'node:util'

import { FsqError, PeerError } from '../../errors/classes.js'
import { codeOf, failureOf } from '../../errors/errno.js'
import { fileSystemError } from '../../errors/system-error.js'
import { checkOptions, checkSignal } from '../../options.js'
import { clearTimeout, setTimeout } from '../../real-timers.js'
import { checkedDirectory } from '../checked-directory.js'
import { leaseOf, mountRefusals } from '../mount-options.js'
import { Meeting, type Peer } from './meeting.js'
import { type PeerFacts, type PeerPromises, peerPromisesOf } from './peer-promises.js'
import { PATIENCE_MS, type Session, otherEnded } from './session.js'
import {
  DIRECTORIES,
  compareClocks,
  exchange,
  lookAtNames,
  raceRenames,
  tryDelays,
  tryLocks,
  tryTargets,
} from './trials.js'

// Longer than the meeting waits.
const MEETING_MS = 1.5 * PATIENCE_MS
const SILENCE_MS = 2_000
// Where a server does not answer, nothing can be removed.
const PARTING_MS = 4_000

/** Options of {@link probePeer}. */
export interface PeerOptions {
  /** Ends the call, with the reason of the signal. */
  readonly signal?: AbortSignal | undefined
}

/** The result of {@link probePeer}: plain data, fit for JSON. */
export interface PeerProbe extends PeerFacts {
  /** The absolute path of the directory on this machine. */
  readonly path: string
  /** The other process. */
  readonly peer: Peer
  /** What a queue promises that both machines work. */
  readonly promises: PeerPromises
}

/**
 * Finds out what a queue promises that two machines work. Call it on both at about the same time, each with the path of the same
 * directory: the two processes find each other through files in it, and try for a few seconds whether locks exclude, whether names
 * are fresh, whether renames are exclusive, how soon new files are seen, and how far the clocks are apart. Safe beside queues in use. Both remove all
 * that they have made (in `.fsq-peer`).
 *
 * No call to the file system is made on the JavaScript thread. While a server does not answer, the process cannot exit: end it with SIGKILL
 * then, as `fsq doctor --peer` does with the child process in which it calls this function.
 *
 * @param directory - An existing directory that both processes may write to, such as FSQ_ROOT.
 * @throws {@link SettingError} for invalid arguments; {@link PeerError} if no other process comes within 10 s, if it ends early, or if a trial
 * takes longer than 10 s; the reason of the signal; a file system error.
 * @example
 * ```ts
 * const { peer, promises } = await probePeer('/mnt/fsq')
 * console.log(peer.host, promises.renameClaims.kept, promises.renameClaims.reason)
 * // node-2 yes each of 30 names that both machines renamed at a time went to one of them
 * ```
 */
export async function probePeer(directory: string, options: PeerOptions = {}): Promise<PeerProbe> {
  checkOptions('probePeer', options, ['signal'])
  checkSignal(options.signal)
  return playWithPeer(checkedDirectory(directory), options.signal, () => undefined)
}

/**
 * {@link probePeer}, with checked arguments.
 *
 * @param directory - An absolute path.
 * @param onWait - Called if the other process is not there yet.
 */
export async function playWithPeer(
  directory: string,
  signal: AbortSignal | undefined,
  onWait: () => void,
): Promise<PeerProbe> {
  signal?.throwIfAborted()
  const ending = new AbortController()
  const onAbort = (): void => {
    ending.abort(signal?.reason)
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  const meeting = new Meeting(directory, ending.signal)
  let isOver = false
  try {
    const met = meeting.meet(PATIENCE_MS, onWait)
    const [peer, session] = await limited('they met', met, ending.signal, undefined, MEETING_MS)
    const facts = await play(directory, session)
    isOver = true
    return { path: directory, peer, ...facts, promises: peerPromisesOf(facts) }
  } catch (error) {
    // Not instanceof Error: an error of Node is one of another realm in a test runner.
    const isSystemError = typeof error === 'object' && error !== null && 'syscall' in error
    throw isSystemError && !(error instanceof FsqError) ? accessError(error, directory) : error
  } finally {
    signal?.removeEventListener('abort', onAbort)
    // Calls that wait end.
    ending.abort()
    const left = meeting.leave(isOver)
    await limited('they parted', left, undefined, undefined, isOver ? PATIENCE_MS : PARTING_MS).catch(
      () => undefined,
    )
  }
}

async function play(directory: string, session: Session): Promise<PeerFacts> {
  const trial = async <Result>(what: string, result: Promise<Result>): Promise<Result> => {
    try {
      return await limited(what, result, session.signal, session, PATIENCE_MS)
    } catch (error) {
      // The other process has removed the directory of the session.
      throw codeOf(error) === 'ENOENT' ? otherEnded() : error
    }
  }
  await trial('they began', session.begin(...DIRECTORIES))
  const refusals = await trial('they read the options of the mount', mountRefusals(directory))
  const refusalsOfPeer = Number(await trial('they compared mounts', exchange(session, refusals.length)))
  const kernel = kernelId()
  const kernelOfPeer = await trial('they compared kernels', exchange(session, kernel))
  const oneMachine = kernel !== '' && kernelOfPeer === kernel
  const lease = (await trial('they read the lease', leaseOf(directory))) ?? null
  const [clocks, sight] = await trial('they compared clocks', compareClocks(session))
  const fcntl = await trial('they tried fcntl locks', tryLocks(session, 'fcntl'))
  const flock = await trial('they tried flock', tryLocks(session, 'flock'))
  const kind = fcntl.works ? 'fcntl' : flock.works ? 'flock' : undefined
  const names = await trial('they looked at names', lookAtNames(session, kind))
  const renames = await trial('they raced for names', raceRenames(session, clocks, sight))
  const targets = await trial('they moved files onto names', tryTargets(session))
  const delays = await trial('they set times', tryDelays(session))
  return {
    oneMachine,
    refusals,
    refusalsOfPeer,
    lease,
    clocks,
    sight,
    locks: { fcntl, flock },
    names,
    renames,
    targets,
    delays,
  }
}

/** Identifies the running kernel; empty: this system has no such id. */
function kernelId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/**
 * Settles like `result`. Rejects with the reason of the signal, or when the time is over.
 *
 * @param what - What the two processes did, to follow 'while'.
 * @param patience - Milliseconds.
 */
async function limited<Result>(
  what: string,
  result: Promise<Result>,
  signal: AbortSignal | undefined,
  session: Session | undefined,
  patience: number,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      reject(tooLate(what, session, patience))
    }, patience)
    signal?.addEventListener('abort', onAbort, { once: true })
    result.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    })
  })
}

function tooLate(what: string, session: Session | undefined, patience: number): PeerError {
  const time = `for ${patience / 1000} s, while ${what}`
  return session === undefined || session.silence > SILENCE_MS
    ? new PeerError(`The file system did not answer ${time}`, { advice: 'Check its server, and the network' })
    : new PeerError(`Nothing new of the other process was seen ${time}`, {
        advice:
          'It hangs or was killed, or this mount shows new files late: mount it with shorter cache times',
      })
}

function accessError(error: unknown, directory: string): FsqError {
  return fileSystemError(failureOf(error, 'open', directory), `probe the directory ${inspect(directory)}`)
}
