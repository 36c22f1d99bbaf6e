/**
 * What `fsq top` shows: queues, the workers that live, and failures by reason. Gathered from the files of the queues alone, again and
 * again; nothing here locks or writes.
 *
 * @module
 */
import os from 'node:os'

import { HERE } from '../../directory/calls.js'
import { Place } from '../../addon/native.js'
import { claimKindSync, isDownSync } from '../../directory/claim-kind.js'
import { claimedIn } from '../../directory/claimed.js'
import { type Layout, layoutOf, placePath } from '../../directory/layout.js'
import { type Entry, isDelayed } from '../../inspect/entries.js'
import { enqueuedAt } from '../../inspect/items.js'
import { workersOn } from '../../inspect/lock-holders.js'
import { isOfSystem, queuesIn } from '../../inspect/queues.js'
import { Slices } from '../../inspect/slices.js'
import { parseIfItem } from '../../inspect/states.js'
import { MetaDirectory } from '../../meta/directory.js'
import {
  type FailedItem,
  type FailureGroup,
  failureReason,
  failuresByReason,
  readableLog,
} from '../../meta/failures.js'
import { type WorkerInfo, knownWorkers, workersWithoutFile } from '../../meta/workers.js'
import type { RawName } from '../../name/charset.js'
import { itemKey } from '../../name/item-name.js'
import type { Settings } from '../../settings.js'
import { withHosts } from '../queues.js'
import { FollowedDirectory, Rates } from './followed.js'

/** The minutes whose rates are shown. */
const MINUTES = 8

/** A queue at one moment. */
export interface QueueView {
  readonly layout: Layout
  readonly waiting: number
  /** `undefined`: this system does not list who holds locks. */
  readonly working: number | undefined
  readonly delayed: number
  /** Milliseconds since the oldest item was enqueued; `undefined`: there is none. */
  readonly oldestAge: number | undefined
  /** The items that were done in each of the last minutes, the oldest minute first. */
  readonly doneByMinute: readonly number[]
  readonly done: number
  readonly failed: number
  /** `running`: a worker has been seen. `up`: none has, but one may come. */
  readonly state: 'running' | 'up' | 'down' | 'unreadable'
  /** Why it cannot be read. */
  readonly error?: Error
  readonly workers: readonly WorkerInfo[]
  readonly failures: readonly FailureGroup<Failure>[]
}

/** A failed item. */
export interface Failure extends FailedItem {
  readonly raw: RawName
}

/** All that is shown, at one moment. */
export interface Snapshot {
  readonly root: string
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly queues: readonly QueueView[]
}

interface Waiting {
  readonly inode: number
  /** Milliseconds since the epoch. */
  readonly enqueuedAt: number
  /** When it is due, in milliseconds since the epoch; 0: it was due when it was looked up. */
  readonly due: number
}

/** Gathers snapshots. */
export class Model {
  readonly #settings: Settings
  readonly #names: readonly string[]
  readonly #queues = new Map<string, FollowedQueue>()

  /** @param names - Queues, with those of their hosts; none: all that there are. Hosts are looked for at each look. */
  constructor(names: readonly string[], settings: Settings) {
    this.#names = names
    this.#settings = settings
  }

  /**
   * @param check - Called again and again meanwhile. What it throws ends the look.
   * @throws {@link QueueMissingError} or a file system error if the queues cannot be listed.
   */
  async look(check: () => void = () => undefined): Promise<Snapshot> {
    const named =
      this.#names.length > 0
        ? this.#names.map((name) => layoutOf(name, this.#settings))
        : queuesIn(this.#settings)
    const layouts = withHosts(named, this.#settings)
    const queues: QueueView[] = []
    for (const layout of layouts) queues.push(await this.#queue(layout).look(check))
    this.#forgetAllBut(new Set(layouts.map(({ path }) => path)))
    return { root: this.#settings.root, at: Date.now(), queues }
  }

  #queue(layout: Layout): FollowedQueue {
    const known = this.#queues.get(layout.path)
    if (known !== undefined) return known
    const queue = new FollowedQueue(layout, this.#settings)
    this.#queues.set(layout.path, queue)
    return queue
  }

  #forgetAllBut(paths: ReadonlySet<string>): void {
    for (const path of this.#queues.keys()) if (!paths.has(path)) this.#queues.delete(path)
  }
}

class FollowedQueue {
  readonly #layout: Layout
  readonly #settings: Settings
  readonly #waiting: FollowedDirectory<Waiting>
  readonly #done: FollowedDirectory<true>
  readonly #failed: FollowedDirectory<Failure>
  readonly #rates = new Rates(MINUTES)
  #failures: readonly FailureGroup<Failure>[] = []
  /** The items that workers held at the last look. */
  #locked: readonly RawName[] = []

  constructor(layout: Layout, settings: Settings) {
    this.#layout = layout
    this.#settings = settings
    this.#waiting = new FollowedDirectory(placePath(layout, Place.queue), (entry) => this.#waitingOf(entry))
    this.#done = new FollowedDirectory(placePath(layout, Place.done), (entry) => this.#doneOf(entry))
    this.#failed = new FollowedDirectory(placePath(layout, Place.fail), (entry) => this.#failureOf(entry))
  }

  async look(check: () => void): Promise<QueueView> {
    try {
      return await this.#look(new Slices(check))
    } catch (error) {
      if (!isOfSystem(error)) throw error
      return unreadable(this.#layout, error)
    }
  }

  async #look(slices: Slices): Promise<QueueView> {
    await this.#waiting.look(slices)
    await this.#done.look(slices)
    if (await this.#failed.look(slices)) this.#failures = failuresByReason(this.#failed.facts.values())
    const known = await this.#known()
    const isRename = claimKindSync(this.#layout) === 'rename'
    const claimed = isRename ? await claimedIn(this.#layout.claimedPath) : []
    const holders = isRename
      ? new Map<number, readonly number[]>()
      : await workersOn(placePath(this.#layout, Place.queue), HERE)
    const now = Date.now()
    const counts = { waiting: 0, working: 0, delayed: 0 }
    const locked: RawName[] = []
    let oldest = Number.POSITIVE_INFINITY
    for (const { raw } of claimed) {
      const parsed = parseIfItem(raw, this.#settings)
      if (parsed === undefined) continue
      oldest = Math.min(oldest, enqueuedAt(parsed, this.#settings))
      counts.working++
      locked.push(raw)
    }
    const taken = new Set(locked)
    for (const [raw, { inode, enqueuedAt: begin, due }] of this.#waiting.facts) {
      // It was claimed after queue/ was listed.
      if (taken.has(raw)) continue
      oldest = Math.min(oldest, begin)
      if (holders?.has(inode) === true) {
        counts.working++
        locked.push(raw)
      } else if (due > now) counts.delayed++
      else counts.waiting++
    }
    this.#lookUpReleased(locked)
    const workers = isRename ? known : [...known, ...this.#others(known, holders, locked)]
    return {
      layout: this.#layout,
      ...counts,
      working: holders === undefined ? undefined : counts.working,
      oldestAge: oldest === Number.POSITIVE_INFINITY ? undefined : Math.max(0, now - oldest),
      doneByMinute: this.#rates.until(this.#done.listedAt),
      done: this.#done.facts.size,
      failed: this.#failed.facts.size,
      state: isDownSync(this.#layout) ? 'down' : workers.length > 0 ? 'running' : 'up',
      workers,
      failures: this.#failures,
    }
  }

  /** A release can delay an item, which changes the time of the file, and not that of the directory. */
  #lookUpReleased(locked: readonly RawName[]): void {
    const still = new Set(locked)
    for (const raw of this.#locked)
      if (!still.has(raw) && this.#waiting.facts.has(raw)) this.#waiting.lookUp(raw)
    this.#locked = locked
  }

  /** None if this user may not look into meta/. */
  async #known(): Promise<readonly WorkerInfo[]> {
    const look = async (): Promise<readonly WorkerInfo[]> => knownWorkers(this.#layout, this.#settings, HERE)
    return (await new MetaDirectory(this.#layout).attemptLater('workers', look)) ?? []
  }

  /** The processes that hold locks on items and have no file in meta/workers/. */
  #others(
    known: readonly WorkerInfo[],
    holders: ReadonlyMap<number, readonly number[]> | undefined,
    locked: readonly RawName[],
  ): readonly WorkerInfo[] {
    const pids = new Set(known.map(({ pid }) => pid))
    const items = locked.map((raw) => {
      return { raw, pids: holders?.get(this.#waiting.facts.get(raw)?.inode ?? 0) ?? [] }
    })
    // The kernel names processes of this machine only.
    return workersWithoutFile(items, pids, this.#settings).map((worker) =>
      worker.pid === undefined ? worker : { ...worker, host: os.hostname() },
    )
  }

  #waitingOf({ raw, info }: Entry): Waiting | undefined {
    const parsed = info.isFile() ? parseIfItem(raw, this.#settings) : undefined
    if (parsed === undefined) return undefined
    const due = isDelayed(info, Date.now()) ? info.mtimeMs : 0
    return { inode: info.ino, enqueuedAt: enqueuedAt(parsed, this.#settings), due }
  }

  #doneOf({ info }: Entry): true | undefined {
    if (!info.isFile()) return undefined
    this.#rates.add(info.ctimeMs)
    return true
  }

  #failureOf({ raw, info }: Entry): Failure | undefined {
    if (!info.isFile()) return undefined
    const log = readableLog(this.#layout, itemKey(raw, this.#settings.encode))
    return { raw, failedAt: info.ctimeMs, reason: failureReason(log) }
  }
}

function unreadable(layout: Layout, error: Error): QueueView {
  return {
    layout,
    waiting: 0,
    working: undefined,
    delayed: 0,
    oldestAge: undefined,
    doneByMinute: Array.from({ length: MINUTES }, () => 0),
    done: 0,
    failed: 0,
    state: 'unreadable',
    error,
    workers: [],
    failures: [],
  }
}
