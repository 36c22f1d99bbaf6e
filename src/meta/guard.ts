/**
 * The journal of a worker of a queue: writes down what the worker has in hand, buries other workers that have died, and keeps the
 * reasons of failures.
 *
 * Of one item:
 *
 *     begin() ── its marks are read, then a line in the worker's file ──> runs ──> finished ──> end() ── the line is blank
 *        └── too many marks: 'crashed', and no line, as it does not run
 *
 * Of the guard:
 *
 *     opened ── closing(): a death leaves no mark from now on ──> closing ── close(): the file is removed ──> closed
 *
 * All items that begin, or end, in one tick share one pwrite(2). Marks are read only of items that meta/crashed/ names.
 *
 * Looks for dead workers come at the start, before items run (burial.ts says how often), and every ten seconds; the guards of a process
 * share them (looks.ts). The same look makes the worker's own file anew if another program has removed it.
 *
 * @module
 */

import type { ItemContext } from '../item/context.js'
import type { WorkItem } from '../item/work-item.js'
import { itemKey } from '../name/item-name.js'
import type { Settings } from '../settings.js'
import {
  type Counters,
  type FailedAttempt,
  type Journal,
  type Suspicion,
  type WorkerState,
  noCounts,
} from '../work/journal.js'
import { BOOT } from './boot.js'
import type { Crash } from '../item/dead-workers.js'
import { MetaDirectory } from './directory.js'
import { loggedError } from './logged-error.js'
import { LockFile } from './lock-file.js'
import { type Looker, Looks } from './looks.js'
import { suspicionOf } from './suspicion.js'
import { WorkerFile } from './worker-file.js'
import { WorkerLines, shortProgress } from './worker-lines.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

/** Progress and counters are written at most four times a second. */
const FLUSH_MS = 250

/** What a guard is told by its worker. */
export interface GuardOptions {
  /** How many crashes an item may cause before it fails unrun. At least 1. */
  readonly maxCrashes: number
  /** Whether marks have consequences for this worker: items with marks run alone, or fail unrun. Default: true. */
  readonly suspects?: boolean | undefined
  /** How many items the worker runs at a time, at the moment. */
  readonly concurrency: () => number
  /** Called with each mark that this guard has made. An error that it throws ends the look. */
  readonly onCrashed: (crash: Crash) => void
}

interface InHand {
  readonly line: number
  readonly since: string
}

/** The guards of this process that are open. */
const open = new Set<Guard>()

/** See the module comment. */
export class Guard implements Journal<WorkItem> {
  readonly #options: GuardOptions
  readonly #meta: MetaDirectory
  readonly #lines: WorkerLines
  readonly #file: WorkerFile | LockFile
  readonly #context: ItemContext
  #stopListening: (() => void) | undefined
  #stopReading: (() => void) | undefined
  readonly #looker: Looker
  /** `undefined`: not open. */
  #looks: Looks | undefined
  readonly #settings: Settings
  readonly #started = new Date().toISOString()
  readonly #inHand = new Map<WorkItem, InHand>()
  /** What {@link progress} has been told and is not written yet. */
  readonly #untold = new Map<WorkItem, unknown>()
  #state: WorkerState = 'running'
  #counters: Counters = noCounts()
  #flushes: NodeJS.Timeout | undefined

  constructor(context: ItemContext, options: GuardOptions) {
    this.#options = options
    this.#context = context
    this.#meta = new MetaDirectory(context.directory.layout, context.reporter)
    const items = options.concurrency()
    this.#file = context.directory.claimsByRename
      ? new LockFile(context.directory, this.#meta, items)
      : new WorkerFile(this.#meta, new WorkerLines(items))
    this.#lines = this.#file.lines
    this.#settings = context.settings
    const file = this.#file
    this.#looker = {
      meta: this.#meta,
      get fileName() {
        return file.name
      },
      ensureFile() {
        file.ensure()
        file.flush()
      },
      onCrashed: options.onCrashed,
    }
  }

  /** Begins to watch: makes the file of the worker, and buries the workers that have died before. */
  open(): void {
    closeAtExit()
    open.add(this)
    const { claimsByRename } = this.#context.directory
    const place = { buriesDead: !claimsByRename, isFar: this.#isFar }
    const looks = Looks.join(this.#looker, this.#meta.layout, this.#settings, place)
    this.#looks = looks
    const { deadWorkers } = this.#context
    if (claimsByRename) this.#stopListening = deadWorkers.onCrash(this.#options.onCrashed)
    if (this.#isFar)
      this.#stopReading = deadWorkers.onClaims((names) =>
        looks.readMarks(names.map((name) => itemKey(name, this.#settings.encode))),
      )
    this.#writeWorker()
    this.#looks.look(this.#looker)
  }

  begin(items: readonly WorkItem[], ended: readonly WorkItem[] = []): readonly Suspicion[] {
    this.#drop(ended)
    this.#looks?.lookSoon(this.#looker, items.some(cameByEvent))
    const suspicions = this.#suspicions(items)
    const since = new Date().toISOString()
    let index = 0
    for (const item of items) if (suspicions?.[index++] !== 'crashed') this.#hold(item, since)
    this.#file.flush()
    return suspicions ?? allUnsuspected(items.length)
  }

  get written(): Promise<void> | undefined {
    return this.#file.written
  }

  end(items: readonly WorkItem[]): void {
    this.#drop(items)
    this.#file.flush()
  }

  #drop(items: readonly WorkItem[]): void {
    for (const item of items) {
      const inHand = this.#inHand.get(item)
      // An item with too many marks has none.
      if (inHand !== undefined) this.#lines.drop(inHand.line)
      this.#inHand.delete(item)
      if (this.#untold.size > 0) this.#untold.delete(item)
      this.#forget(item)
    }
  }

  /** The marks of an item that is finished no longer count, and nothing is kept of one that is discarded. */
  #forget(item: WorkItem): void {
    const looks = this.#looks
    if (looks === undefined) return
    if (item.isDiscarded) {
      // Without a failed try or a crash it has no log.
      if (!this.#isFar || item.tries > 0 || looks.areMarks) looks.forgetLog(item.rawKey)
    } else if (looks.areMarks && isOver(item)) looks.forgetMarks(item.rawKey)
  }

  failed(item: WorkItem, { error, ms, due, reason }: FailedAttempt): void {
    const entry = this.#looks?.logs.entry(item.rawKey, {
      at: new Date().toISOString(),
      try: item.tries + 1,
      ms: Math.round(ms),
      host: this.#meta.host,
      pid: process.pid,
      id: item.id,
      error: loggedError(error),
      due: due === undefined ? undefined : new Date(due).toISOString(),
      reason,
    })
    if (entry !== undefined) item.logBeforeFinish(entry)
  }

  progress(item: WorkItem, value: unknown): void {
    if (!this.#inHand.has(item)) return
    this.#untold.set(item, value)
    this.#flushSoon()
  }

  state(state: WorkerState, counters: Counters): void {
    const isNew = state !== this.#state
    this.#state = state
    this.#counters = counters
    if (isNew) this.#writeWorker()
    else this.#flushSoon()
  }

  closing(): void {
    this.#state = 'closing'
    this.#writeWorker()
  }

  close(): void {
    open.delete(this)
    clearTimeout(this.#flushes)
    this.#flushes = undefined
    // The file of a queue whose claims are renames stays, for other workers of the handle.
    for (const { line } of this.#inHand.values()) this.#lines.drop(line)
    this.#file.close()
    this.#stopListening?.()
    this.#stopReading?.()
    this.#looks?.leave(this.#looker)
    this.#looks = undefined
    this.#inHand.clear()
    this.#untold.clear()
  }

  #hold(item: WorkItem, since: string): void {
    if (this.#inHand.has(item)) return
    const id = item.rawId
    this.#inHand.set(item, { since, line: this.#lines.hold({ id, since }) })
    item.heldBy = this
  }

  /** `undefined`: no item has a mark. */
  #suspicions(items: readonly WorkItem[]): readonly Suspicion[] | undefined {
    const looks = this.#looks
    if (looks === undefined || !looks.areMarks || this.#options.suspects === false) return undefined
    return items.map((item) => (looks.isMarked(item.rawKey) ? this.#suspicion(item) : 'none'))
  }

  #suspicion(item: WorkItem): Suspicion {
    return suspicionOf(this.#looks?.logOf(item.rawKey) ?? [], this.#options.maxCrashes)
  }

  /** Whether a file server may keep a call waiting, so that this thread makes none. */
  get #isFar(): boolean {
    const { claimsByRename, isLocal } = this.#context.directory
    return claimsByRename && !isLocal
  }

  #writeWorker(): void {
    this.#file.tell({
      version: 1,
      pid: process.pid,
      host: this.#meta.host,
      ...(BOOT === undefined ? {} : { boot: BOOT }),
      started: this.#started,
      concurrency: this.#options.concurrency(),
      state: this.#state,
      counters: this.#counters,
    })
    this.#file.flush()
  }

  #flushSoon(): void {
    this.#flushes ??= setTimeout(() => {
      this.#flushes = undefined
      this.#writeProgress()
      this.#writeWorker()
    }, FLUSH_MS).unref()
  }

  #writeProgress(): void {
    for (const [item, value] of this.#untold) {
      const inHand = this.#inHand.get(item)
      const progress = shortProgress(value)
      if (inHand === undefined) continue
      this.#lines.update(inHand.line, { id: item.rawId, since: inHand.since, progress })
    }
    this.#untold.clear()
  }
}

function cameByEvent(item: WorkItem): boolean {
  return item.cameByEvent
}

/** Whether the item has left queue/. */
function isOver({ outcome }: WorkItem): boolean {
  return outcome === 'done' || outcome === 'failed'
}

let unsuspected: readonly Suspicion[] = []

/** The usual answer, shared by the ticks of one size. */
function allUnsuspected(count: number): readonly Suspicion[] {
  if (unsuspected.length !== count) unsuspected = Object.freeze(new Array<Suspicion>(count).fill('none'))
  return unsuspected
}

let closesAtExit = false

/** A program that ends itself on purpose, as in a handler of SIGTERM, has not died of its items. */
function closeAtExit(): void {
  if (closesAtExit) return
  closesAtExit = true
  process.once('exit', (code) => {
    if (code === 0) for (const guard of open) guard.closing()
  })
}
