/**
 * The take-over of dead workers, in queues whose claims are renames (fsq standard, section 11): a worker that gets the lock of another
 * one's directory in claimed/ gives the items in it back.
 *
 *     locked by its worker ── the worker dies ──> free ── seize ──> a mark for each item in hand ──> back in queue/ ──> removed
 *                                                  ^                                                      │
 *                                                  └── this process dies, or a move fails ────────────────┘
 *
 * A scan looks at its start, and a loop that waits about every second: no event tells of the death of a process on another machine. A line goes to
 * the log of an item ahead of its move, so the worker that claims it next finds the mark.
 *
 * @module
 */
import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'
import { debuglog } from 'node:util'

import { Place, type QueueHandle, type Seized, isFailure, native } from '../addon/native.js'
import type { LogForm } from '../addon/packing.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import type { FsqError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import type { Claims } from '../item/claims.js'
import type { Crash, DeadWorkers } from '../item/dead-workers.js'
import { isLost } from '../item/moves.js'
import { type CrashMark, crashMark, diesOfItems } from './crash.js'
import { crashedPath, metaPath, partPath, rawLogPath } from './layout.js'
import { logForm, textOf } from './log.js'
import { parseWorkerLines } from './worker-lines.js'
import type { RawName } from '../name/charset.js'
import type { Reporter } from '../report.js'
import { CLAIMED_DIRECTORY, type Settings } from '../settings.js'
import { clearInterval, performance, setInterval } from '../real-timers.js'

const { EDQUOT, ENOENT, ENOSPC, ENOTEMPTY } = os.constants.errno
const LOOK_MS = 1000
const READ_WRITE = 0o666
const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
// In a queue that a group may write to, a planted link must not lead elsewhere.
const MAKE = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK
const debug = debuglog('fsq')
const MODE_BITS = 0o7777

/** The parts of a queue handle that a take-over uses. */
interface TakeOverContext {
  readonly directory: QueueDirectory
  readonly claims: Claims
  readonly settings: Settings
  readonly reporter: Reporter
}

/** The take-overs of one queue handle. */
export class TakeOver implements DeadWorkers {
  readonly #context: TakeOverContext
  readonly #crashListeners = new Set<(crash: Crash) => void>()
  readonly #markReaders = new Set<(names: readonly RawName[]) => Promise<void>>()
  #looking: Promise<void> | undefined
  #lookedAt = -LOOK_MS
  /** How many loops wait. */
  #waiting = 0
  #timer: NodeJS.Timeout | undefined

  constructor(context: TakeOverContext) {
    this.#context = context
  }

  readMarks(items: readonly { readonly name: RawName }[]): Promise<void> | undefined {
    if (this.#markReaders.size === 0 || items.length === 0) return undefined
    const names = items.map(({ name }) => name)
    return Promise.all([...this.#markReaders].map(async (read) => read(names))).then(() => undefined)
  }

  onClaims(read: (names: readonly RawName[]) => Promise<void>): () => void {
    this.#markReaders.add(read)
    return () => {
      this.#markReaders.delete(read)
    }
  }

  /**
   * Calls back with each item that a dead worker had in hand.
   *
   * @returns A function that stops listening.
   */
  onCrash(callback: (crash: Crash) => void): () => void {
    this.#crashListeners.add(callback)
    return () => {
      this.#crashListeners.delete(callback)
    }
  }

  beginWaiting(): () => void {
    this.#waiting++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.#waiting > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** {@link look}, unless the last look was less than a second ago. */
  async lookLately(queue: QueueHandle): Promise<void> {
    if (performance.now() - this.#lookedAt >= LOOK_MS - LOOK_MS / 10) await this.look(queue)
  }

  /** Takes dead workers over. Reports an error, so that the scan goes on with the other items. Never rejects. */
  look(queue: QueueHandle): Promise<void> {
    if (this.#waiting > 0) this.#plan()
    this.#looking ??= this.#look(queue).finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Only the first look begins this, so that loops in queues with locks have no timer. */
  #plan(): void {
    this.#timer ??= setInterval(() => {
      const { opened, claimsByRename } = this.#context.directory
      if (opened !== undefined && claimsByRename) void this.lookLately(opened)
    }, LOOK_MS).unref()
  }

  async #look(queue: QueueHandle): Promise<void> {
    const { claims, directory } = this.#context
    if (directory.closed) return
    this.#lookedAt = performance.now()
    claims.inFlight.begin()
    try {
      const seized = await native.seize(queue)
      if (isFailure(seized)) this.#reportLook(directory.error(seized, 'look for dead workers of'))
      else for (const worker of seized) await this.#bury(queue, worker)
    } catch (error) {
      // The handle of the queue was closed meanwhile; the locks on what was seized are free, so another worker goes on.
      debug('take-over: %O', error)
    } finally {
      claims.inFlight.end()
    }
  }

  async #bury(queue: QueueHandle, worker: Seized): Promise<void> {
    try {
      const marks = this.#marksOf(worker)
      const form = marks.size === 0 ? undefined : await this.#prepareMarks([...marks.values()])
      await Promise.all(
        worker.names.map(async (name, index) => {
          const claim = { handle: queue, number: worker.claims[index] ?? 0, name }
          await this.#giveBack(claim, marks.get(name), form)
        }),
      )
    } catch (error) {
      // Without the marks, the items stay where they are: a full disk must not lose a mark.
      const at = pathOf(error) ?? metaPath(this.#context.directory.layout)
      this.#report(
        worker.name,
        fileSystemError(failureOf(error, 'open', at), 'mark the items of a dead worker'),
      )
    } finally {
      native.release(worker.claims)
      const failure = await native.dismiss(worker.directory)
      if (failure !== undefined && failure.errno !== -ENOTEMPTY && failure.errno !== -ENOENT)
        this.#report(
          worker.name,
          this.#context.directory.error(failure, 'remove the directory of a dead worker in'),
        )
    }
  }

  async #giveBack(
    claim: { readonly handle: QueueHandle; readonly number: number; readonly name: RawName },
    mark: CrashMark | undefined,
    form: LogForm | undefined,
  ): Promise<void> {
    const { claims, directory } = this.#context
    // Not by the call that moves it: a full disk must not lose a mark, so without it the item stays where it is.
    if (mark !== undefined && form !== undefined && !(await this.#append(claim.name, mark, form))) return
    const { left, name, failure } = await claims.moves.make({
      claim,
      place: Place.queue,
      to: claim.name,
      due: 0,
    })
    if (left) {
      if (mark !== undefined) for (const callback of this.#crashListeners) callback(mark.crash)
      claims.notifyReleased(name)
    } else if (failure !== undefined && !isLost(failure)) {
      this.#report(claim.name, directory.error(failure, 'give back an item of a dead worker in'))
    }
  }

  /** The items that the worker had in hand, by their names. An item that it had only claimed is no cause of its death. */
  #marksOf({ name, lines, names }: Seized): ReadonlyMap<RawName, CrashMark> {
    const { worker, held } = parseWorkerLines(lines)
    if (worker === undefined || !diesOfItems(worker, true)) return new Map()
    const there = new Set(names)
    const inHand = held.filter(({ id }) => there.has(id))
    const { settings } = this.#context
    return new Map(
      inHand.map((item) => [item.id, crashMark({ ...worker, name }, item, inHand.length, settings)]),
    )
  }

  /** @returns Whether the item may go back. After an error that another look cannot mend, it does so without its mark. */
  async #append(
    name: RawName,
    { key, line }: CrashMark,
    [lock, mode, user, group]: LogForm,
  ): Promise<boolean> {
    const path = rawLogPath(this.#context.directory.layout, key)
    const result = await native.appendLog(path, textOf(line), lock, mode, user, group)
    if (!isFailure(result)) return true
    const error = fileSystemError(result, 'mark an item of a dead worker')
    if (result.errno === -ENOSPC || result.errno === -EDQUOT) {
      this.#report(name, error)
      return false
    }
    const message = `goes back to queue/ without a crash mark: ${error.message}`
    this.#context.reporter.reportBeside('meta', name, message, error)
    return true
  }

  /** Makes the files that tell which items have marks, beside this thread: a file server may keep each call waiting. */
  async #prepareMarks(marks: readonly CrashMark[]): Promise<LogForm> {
    const { layout } = this.#context.directory
    const { mode, gid } = await fs.stat(layout.path)
    const directories = [metaPath(layout), partPath(layout, 'log'), partPath(layout, 'crashed')]
    for (const directory of directories) await makeDirectory(directory, mode & MODE_BITS, gid)
    const fileMode = mode & READ_WRITE
    for (const { key } of marks) {
      const file = await fs.open(crashedPath(layout, key), MAKE, fileMode)
      await file.chmod(fileMode).catch(() => undefined)
      await file.close()
    }
    return logForm('flock', { directoryMode: mode & MODE_BITS, fileMode, owner: { user: -1, group: gid } })
  }

  #reportLook(error: FsqError): void {
    const message = `cannot be looked through, so items of dead workers stay there until the next look: ${error.message}`
    this.#context.reporter.reportBeside('unmovable', CLAIMED_DIRECTORY, message, error)
  }

  #report(name: RawName, error: FsqError): void {
    this.#context.reporter.reportBeside('unmovable', name, `is left in claimed/: ${error.message}`, error)
  }
}

function pathOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null | undefined)?.path
}

/** Makes a directory that each user of the queue may write to; harmless if it exists. */
async function makeDirectory(directory: string, mode: number, group: number): Promise<void> {
  try {
    await fs.mkdir(directory, mode & 0o777)
    await fs.chmod(directory, mode)
    await fs.chown(directory, -1, group)
  } catch (error) {
    // EPERM: another user's, or one that cannot be given to the group; its mode decides who may write there.
    if (codeOf(error) !== 'EEXIST' && codeOf(error) !== 'EPERM') throw error
  }
}
