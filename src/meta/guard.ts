/**
 * The journal of a worker of a queue: writes down what the worker has in hand, buries other workers that have died, and keeps the
 * reasons of failures.
 *
 * Of one item:
 *
 *     begin() ── a line in the worker's file, then its marks are read ──> runs ──> finished ──> end() ── the line is blank
 *        └── too many marks: 'crashed', and no line, as it does not run
 *
 * Of the guard:
 *
 *     opened ── closing(): a death leaves no mark from now on ──> closing ── close(): the file is removed ──> closed
 *
 * All items that begin, or end, in one tick share one pwrite(2). Marks are looked for only while meta/log/ has files.
 *
 * Looks for dead workers come at the start, before items run (burial.ts says how often), and every ten seconds. The
 * same look makes the worker's own file anew if another program has removed it.
 *
 * @module
 */

import type { ItemContext } from '../item/context.js'
import type { WorkItem } from '../item/work-item.js'
import type { RawName } from '../name/charset.js'
import type { Counters, FailedAttempt, Journal, Suspicion, WorkerState } from '../work/journal.js'
import { BOOT } from './boot.js'
import { type Crash, Graveyard } from './burial.js'
import { MetaDirectory } from './directory.js'
import { DirectoryChanges } from './directory-changes.js'
import { infoAt, namesAt } from './files.js'
import { logPath, partPath } from './layout.js'
import { appendLine, readLog, removeLog } from './log.js'
import { loggedError } from './logged-error.js'
import { suspicionOf } from './suspicion.js'
import { WorkerFile } from './worker-file.js'
import { type HeldItem, WorkerLines, shortProgress } from './worker-lines.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

/** How often a worker looks for dead workers and for its own file. A random part keeps a hundred workers apart. */
const LOOK_MS = 10_000
/** Progress and counters are written at most four times a second. */
const FLUSH_MS = 250

/** What a guard is told by its worker. */
export interface GuardOptions {
  /** How many crashes an item may cause before it fails unrun. At least 1. */
  readonly maxCrashes: number
  /** How many items the worker runs at a time, at the moment. */
  readonly concurrency: () => number
  /** Called with each mark that this guard has made. An error that it throws ends the look. */
  readonly onCrashed: (crash: Crash) => void
}

interface InHand extends HeldItem {
  readonly line: number
}

const NOTHING_COUNTED: Counters = {
  started: 0,
  done: 0,
  retried: 0,
  failed: 0,
  postponed: 0,
  released: 0,
  crashed: 0,
}

/** The guards of this process that are open. */
const open = new Set<Guard>()

/** See the module comment. */
export class Guard implements Journal<WorkItem> {
  readonly #options: GuardOptions
  readonly #meta: MetaDirectory
  readonly #lines: WorkerLines
  readonly #file: WorkerFile
  readonly #graveyard: Graveyard
  readonly #logs: LogPresence
  readonly #started = new Date().toISOString()
  readonly #inHand = new Map<WorkItem, InHand>()
  /** What {@link progress} has been told and is not written yet. */
  readonly #untold = new Map<WorkItem, unknown>()
  #state: WorkerState = 'running'
  #counters = NOTHING_COUNTED
  #looks: NodeJS.Timeout | undefined
  #flushes: NodeJS.Timeout | undefined

  constructor(context: ItemContext, options: GuardOptions) {
    this.#options = options
    this.#meta = new MetaDirectory(context.directory.layout, context.reporter)
    this.#lines = new WorkerLines(options.concurrency())
    this.#file = new WorkerFile(this.#meta, this.#lines)
    this.#graveyard = new Graveyard(this.#meta, context.settings, () => this.#file.name)
    this.#logs = new LogPresence(this.#meta)
  }

  /** Begins to watch: makes the file of the worker, and buries the workers that have died before. */
  open(): void {
    closeAtExit()
    open.add(this)
    this.#writeWorker()
    this.#look()
  }

  begin(items: readonly WorkItem[], ended: readonly WorkItem[] = []): readonly Suspicion[] {
    this.#drop(ended)
    if (this.#graveyard.isDue) this.#lookSoon()
    const suspicions = this.#logs.areThere ? items.map((item) => this.#suspicion(item)) : undefined
    const since = new Date().toISOString()
    let index = 0
    for (const item of items) if (suspicions?.[index++] !== 'crashed') this.#hold(item, since)
    this.#file.flush()
    return suspicions ?? allUnsuspected(items.length)
  }

  end(items: readonly WorkItem[]): void {
    this.#drop(items)
    this.#file.flush()
  }

  #drop(items: readonly WorkItem[]): void {
    for (const item of items) {
      const inHand = this.#inHand.get(item)
      if (inHand !== undefined) this.#lines.drop(inHand.line)
      this.#inHand.delete(item)
      this.#untold.delete(item)
      if (item.isDiscarded && this.#logs.areThere) this.#forgetLog(item.rawKey)
    }
  }

  failed(item: WorkItem, { error, ms, due, reason }: FailedAttempt): void {
    this.#meta.attempt('log', () => {
      appendLine(this.#meta, item.rawKey, {
        at: new Date().toISOString(),
        try: item.tries + 1,
        ms: Math.round(ms),
        host: this.#meta.host,
        pid: process.pid,
        id: item.id,
        error: loggedError(error),
        ...(due === undefined ? {} : { due: new Date(due).toISOString() }),
        ...(reason === undefined ? {} : { reason }),
      })
    })
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
    clearTimeout(this.#looks)
    clearTimeout(this.#flushes)
    this.#looks = undefined
    this.#flushes = undefined
    this.#file.close()
    this.#graveyard.close()
    this.#inHand.clear()
    this.#untold.clear()
  }

  #hold(item: WorkItem, since: string): void {
    if (this.#inHand.has(item)) return
    const id = item.rawId
    this.#inHand.set(item, { id, since, line: this.#lines.hold({ id, since }) })
  }

  #suspicion(item: WorkItem): Suspicion {
    const lines = this.#meta.attempt('log', () => readLog(this.#meta.layout, item.rawKey))
    return suspicionOf(lines ?? [], this.#options.maxCrashes)
  }

  #forgetLog(key: RawName): void {
    this.#meta.attempt('log', () => {
      if (infoAt(logPath(this.#meta.layout, key)) !== undefined) removeLog(this.#meta.layout, key)
    })
  }

  #lookSoon(): void {
    this.#tell(this.#graveyard.lookSoon())
    if (this.#graveyard.isOwnMissing) this.#file.ensure()
    this.#logs.look()
  }

  #look(): void {
    this.#file.ensure()
    this.#file.flush()
    this.#tell(this.#graveyard.look())
    this.#logs.look()
    this.#looks = setTimeout(
      () => {
        this.#look()
      },
      LOOK_MS * (0.75 + Math.random() / 2),
    ).unref()
  }

  #tell(crashes: readonly Crash[]): void {
    for (const crash of crashes) this.#options.onCrashed(crash)
  }

  #writeWorker(): void {
    this.#lines.worker = {
      version: 1,
      pid: process.pid,
      host: this.#meta.host,
      ...(BOOT === undefined ? {} : { boot: BOOT }),
      started: this.#started,
      concurrency: this.#options.concurrency(),
      state: this.#state,
      counters: this.#counters,
    }
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
      const progress = this.#meta.attempt('workers', () => shortProgress(value))
      if (inHand !== undefined) this.#lines.update(inHand.line, { ...inHand, progress })
    }
    this.#untold.clear()
  }
}

/** Whether meta/log/ has files. */
class LogPresence {
  readonly #meta: MetaDirectory
  readonly #directory: string
  #areThere = false
  readonly #changes: DirectoryChanges

  constructor(meta: MetaDirectory) {
    this.#meta = meta
    this.#directory = partPath(meta.layout, 'log')
    this.#changes = new DirectoryChanges(this.#directory)
  }

  /** As of the last look. */
  get areThere(): boolean {
    return this.#areThere
  }

  /** Never throws. */
  look(): void {
    this.#meta.attempt('log', () => {
      if (!this.#changes.take()) return
      this.#areThere = this.#changes.exists && namesAt(this.#directory).length > 0
    })
  }
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
