/**
 * Watches the directories of one queue. inotify reports each change in its order. Elsewhere the system reports changes late and
 * merges them, so queue/ is listed after each report.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'
import { basename } from 'node:path'
import process from 'node:process'

import { Place } from '../../addon/native.js'
import { claimKindSync, isDownSync } from '../../directory/claim-kind.js'
import { type Layout, isDeleted, placePath } from '../../directory/layout.js'
import { TooManyFilesError } from '../../errors/classes.js'
import { failureOf } from '../../errors/errno.js'
import { type ErrnoMeaning, fileSystemError } from '../../errors/system-error.js'
import { entryNamed } from '../../inspect/entries.js'
import { DirectoryChanges } from '../../meta/directory-changes.js'
import { namesAt } from '../../meta/files.js'
import { partPath } from '../../meta/layout.js'
import { readableLog } from '../../meta/failures.js'
import type { CrashLine } from '../../meta/log.js'
import type { RawName } from '../../name/charset.js'
import type { Settings } from '../../settings.js'
import { type Change, Changes } from './changes.js'

const SETTLE_MS = 250
const LOOK_MS = 1000
/** The kernel does not tell Node of events that it has dropped, so queue/ is listed now and then. */
const CORRECT_MS = 5000
/** The share of a processor that these listings may take. */
const MOST_SHARE = 0.01
const MERGE_MS = 50

const { EMFILE, ENOSPC } = os.constants.errno
/** inotify has no instance (EMFILE) or no watch (ENOSPC) left. */
const NO_ROOM = [EMFILE, ENOSPC]
const MORE_WATCHES: ErrnoMeaning = [
  TooManyFilesError,
  'Raise the limits fs.inotify.max_user_instances or fs.inotify.max_user_watches, or that of open files (ulimit -n). fsq top needs none of them',
]

/** inotify reports each name in the order of the changes. */
const IS_EXACT = process.platform === 'linux'

/** Receives what happens in a queue. */
export interface WatchEvents {
  readonly onChange: (change: Change) => void
  readonly onCrash: (line: CrashLine) => void
  readonly onDown: (isDown: boolean) => void
  /** The queue has been removed. Nothing follows. */
  readonly onRemoved: () => void
  /** An error of a listener or of the system ends the watch. Nothing follows. */
  readonly onError: (error: unknown) => void
}

export class QueueWatcher {
  readonly #layout: Layout
  readonly #settings: Settings
  readonly #events: WatchEvents
  readonly #watches = new Map<string, fs.FSWatcher>()
  readonly #look: NodeJS.Timeout
  #changes: Changes | undefined
  #listing: DirectoryChanges
  #inode = 0
  #isDown = false
  #isRename = false
  #settling: NodeJS.Timeout | undefined
  #correcting: NodeJS.Timeout | undefined
  #nextCorrection = 0
  /** The keys whose logs have changed. */
  readonly #logged = new Set<RawName>()
  readonly #begun = Date.now()
  /** The same by `performance.now()`, which all waits go by: the clock of the day may be set meanwhile. */
  readonly #begunAt = performance.now()
  /** The crash marks that have been told. */
  readonly #marks = new Set<string>()

  /** @throws A file system error if the queue cannot be watched. */
  constructor(layout: Layout, settings: Settings, events: WatchEvents) {
    this.#layout = layout
    this.#settings = settings
    this.#events = events
    this.#listing = new DirectoryChanges(this.#path(Place.queue))
    this.#begin()
    this.#look = setInterval(() => {
      this.#guarded(() => {
        this.#lookAgain()
      })
    }, LOOK_MS)
  }

  get isDown(): boolean {
    return this.#isDown
  }

  /** Ends the watch. */
  close(): void {
    clearInterval(this.#look)
    clearTimeout(this.#settling)
    clearTimeout(this.#correcting)
    for (const watch of this.#watches.values()) watch.close()
    this.#watches.clear()
  }

  #begin(): void {
    for (const watch of this.#watches.values()) watch.close()
    this.#watches.clear()
    this.#inode = this.#inodeNow()
    this.#watch(this.#path(Place.queue), (raw, at) => {
      if (IS_EXACT) this.#changes?.inQueue(raw, at)
      else this.#correctSoon()
    })
    for (const place of [Place.done, Place.fail] as const)
      this.#watch(this.#path(place), (raw, at) => this.#changes?.inFinished(place, raw, at))
    this.#watch(this.#layout.path, () => {
      this.#lookForDown()
    })
    this.#isDown = isDownSync(this.#layout)
    this.#isRename = claimKindSync(this.#layout) === 'rename'
    // Listed after the watch has begun: a name may be both listed and reported, but is never missed.
    this.#listing.take()
    const changes = new Changes(
      this.#settings,
      this.#names(),
      (place, raw) => entryNamed(this.#path(place), raw)?.info.isFile() === true,
      (change) => {
        this.#events.onChange({ ...change, at: timeOfDay(change.at) })
      },
      this.#isRename,
    )
    this.#changes = changes
    trustLater(changes)
    this.#watchLogs(false)
    this.#plan(0)
  }

  /** @param onName - Called with each name that has come or gone, and the time by `performance.now()`. */
  #watch(path: string, onName: (raw: RawName, at: number) => void): void {
    const self = Buffer.from(basename(path)).toString('latin1')
    try {
      const watch = fs.watch(path, { encoding: 'buffer' }, (event, name) => {
        // 'change' is a change of a file, and all that some systems tell.
        if (name === null || (event === 'change' && IS_EXACT && path !== this.#logs)) return
        const raw = name.toString('latin1')
        // The directory itself reports its removal by its own name.
        if (isDeleted(raw) || raw === self) return
        this.#guarded(() => {
          onName(raw, performance.now())
          this.#settleSoon()
        })
      })
      watch.on('error', (error) => {
        this.#fail(error)
      })
      this.#watches.set(path, watch)
    } catch (error) {
      const failure = failureOf(error, 'watch', path)
      throw fileSystemError(
        failure,
        'watch a queue',
        NO_ROOM.includes(-failure.errno) ? MORE_WATCHES : undefined,
      )
    }
  }

  get #logs(): string {
    return partPath(this.#layout, 'log')
  }

  /** @param isNew - Whether the directory has been made since the watch of the queue began. */
  #watchLogs(isNew: boolean): void {
    const path = this.#logs
    if (this.#watches.has(path) || fs.lstatSync(path, { throwIfNoEntry: false }) === undefined) return
    this.#watch(path, (raw) => {
      this.#logged.add(raw)
    })
    // The first log of a queue is made together with the directory, and so before its watch.
    if (isNew) for (const raw of fs.readdirSync(path, 'latin1')) this.#logged.add(raw)
    this.#settleSoon()
  }

  #settleSoon(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined
      this.#guarded(() => {
        this.#settle()
        this.#tellCrashes()
        if (this.#changes?.isUnsettled === true) this.#settleSoon()
      })
    }, SETTLE_MS)
  }

  #settle(): void {
    this.#changes?.settle(performance.now(), this.#isRename ? this.#claimedNames() : undefined)
  }

  #claimedNames(): ReadonlySet<RawName> {
    const { claimedPath } = this.#layout
    return new Set(namesAt(claimedPath).flatMap((worker) => namesAt(`${claimedPath}/${worker}`)))
  }

  #tellCrashes(): void {
    // Set back, the clock gives new marks an earlier time than that of the beginning; set ahead, marks from before that still count.
    const begun = Math.min(this.#begun, timeOfDay(this.#begunAt))
    for (const raw of this.#logged) {
      for (const line of readableLog(this.#layout, raw)) {
        if (!('crashed' in line) || Date.parse(line.at) < begun) continue
        const mark = `${line.worker} ${line.since} ${line.id}`
        if (this.#marks.has(mark)) continue
        this.#marks.add(mark)
        this.#events.onCrash(line)
      }
    }
    this.#logged.clear()
  }

  #lookAgain(): void {
    const inode = this.#inodeNow()
    if (inode === 0) {
      this.close()
      this.#events.onRemoved()
      return
    }
    // Another queue has taken the place of this one.
    if (inode !== this.#inode) this.#begin()
    this.#lookForDown()
    this.#watchLogs(true)
    if (this.#changes?.isHolding === true) {
      this.#settle()
      this.#settleSoon()
    }
    if (performance.now() >= this.#nextCorrection && this.#listing.take()) this.#correct()
  }

  #lookForDown(): void {
    const isDown = isDownSync(this.#layout)
    // A queue that is being removed loses its file, too.
    if (isDown === this.#isDown || this.#inodeNow() !== this.#inode) return
    this.#isDown = isDown
    this.#events.onDown(isDown)
  }

  #correctSoon(): void {
    this.#correcting ??= setTimeout(() => {
      this.#correcting = undefined
      this.#guarded(() => {
        this.#correct()
      })
    }, MERGE_MS)
  }

  #correct(): void {
    const began = performance.now()
    const changes = this.#changes
    changes?.correct(this.#names(), performance.now())
    if (changes !== undefined) trustLater(changes)
    this.#settleSoon()
    this.#plan(performance.now() - began)
  }

  /** A listing that takes long is repeated less often. */
  #plan(costMs: number): void {
    this.#nextCorrection = performance.now() + Math.max(CORRECT_MS, costMs / MOST_SHARE)
  }

  #names(): readonly RawName[] {
    const path = this.#path(Place.queue)
    try {
      return fs.readdirSync(path, 'latin1').filter((name) => !isDeleted(name))
    } catch (error) {
      throw fileSystemError(failureOf(error, 'scandir', path), 'list a directory')
    }
  }

  /** 0: there is no such queue. */
  #inodeNow(): number {
    return fs.statSync(Buffer.from(this.#path(Place.queue)), { throwIfNoEntry: false })?.ino ?? 0
  }

  #path(place: Place): string {
    return placePath(this.#layout, place)
  }

  #guarded(change: () => void): void {
    try {
      change()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.close()
    this.#events.onError(error)
  }
}

/** The time of the day, in milliseconds since the epoch, of a moment by `performance.now()`. */
function timeOfDay(at: number): number {
  return Math.floor(Date.now() - (performance.now() - at))
}

/** The second turn of the event loop from now begins after it has read all events of before. */
function trustLater(changes: Changes): void {
  setImmediate(() => {
    setImmediate(() => {
      changes.trust()
    })
  })
}
