/**
 * Adds items to a queue (fsq standard, section 3): the calls for one item, and the steps that bring each entry into native
 * code. `bulk.ts` has the call for many.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import os from 'node:os'

import { Batcher } from '../addon/batcher.js'
import { CallThread, FEW_ITEMS } from '../addon/call-thread.js'
import { BufferPool } from './buffer-pool.js'
import { MOST_REOPENINGS, type QueueDirectory } from '../directory/open-directory.js'
import {
  type EnqueueOptions,
  type EnqueueSyncOptions,
  type Entry,
  EntryMaker,
  type LargeEntry,
  NO_ARGUMENTS,
  type ReadyEntry,
  type StreamedEntry,
  checkNameFits,
  isLarge,
  isSmall,
  isStreamed,
} from './entry.js'
import { type FsqError, PayloadError } from '../errors/classes.js'
import { toRaw } from '../name/charset.js'
import type { NameArgument } from '../name/codec.js'
import {
  type DraftHandle,
  type EnqueueAnswer,
  type ItemForm,
  type NativePayload,
  type QueueHandle,
  isFailure,
  native,
} from '../addon/native.js'
import { setTimeout } from '../real-timers.js'
import { itemFormOf } from './item-form.js'
import { Turns } from './turns.js'
import { Upload } from './upload.js'
import { watchUmask } from './umask.js'
import { enqueueHere } from '../addon/lane.js'
import { runLate } from '../addon/promises.js'
import { leaveWriter, takeWriter } from '../addon/writers.js'
import { Outcomes, type Result, asFsqError, isAdded, isCancelled, isLost } from './outcome.js'
import type { Payload } from './payload.js'
import type { Settings } from '../settings.js'
import { Cancellation } from '../cancellation.js'
import type { Reporter } from '../report.js'
import { pullQuietly, pullQuietlyLater } from '../directory/trigger.js'

/** The native functions that add any number of entries. A number: the lane that has written their contents. */
type NativeCall = 'enqueue' | 'enqueueInLane' | 'enqueueBulk' | number

const { EFAULT, EMFILE, ENFILE } = os.constants.errno
/** The buffer of large contents was transferred away. */
const GONE = { errno: -EFAULT, syscall: 'write' } as const

// One constant for all calls without options.
const NO_OPTIONS = Object.freeze({})
// Durable items of a batch share an fsync, so a large one pays. Other batches overlap, and a small one is full sooner.
const DURABLE_BATCH = 256
const SMALL_BATCH = 16
// In bytes. More takes as long as waking another thread.
const MOST_HERE = 16 * 1024
// How many large items may be on their way, each with a descriptor, and a text with its bytes. Without durability, as many as keep
// the lanes busy; else as many as share an fsync.
const LARGE_IN_FLIGHT = 9
const LARGE_BATCH = 64
// How often, and for how long each time, a large item waits for a descriptor.
const MOST_WAITS = 50
const WAIT_MS = 10

/** Adds items to one queue. */
export class Enqueuer {
  /** Whether items must be on the disk before a call resolves. */
  readonly isDurable: boolean
  readonly entryMaker: EntryMaker
  readonly outcomes: Outcomes
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #reporter: Reporter
  readonly #pool = new BufferPool()
  readonly #batcher: Batcher<ReadyEntry, Result>
  readonly #thread = new CallThread(FEW_ITEMS)
  /** Batches of large items that are durable, apart from small ones, which would wait for them. */
  readonly #largeBatcher: Batcher<ReadyEntry, Result>
  readonly #turns: Turns
  #form: ItemForm | undefined

  constructor(directory: QueueDirectory, settings: Settings, reporter: Reporter) {
    watchUmask()
    this.#directory = directory
    this.#settings = settings
    this.#reporter = reporter
    this.entryMaker = new EntryMaker(settings, this.#pool)
    this.outcomes = new Outcomes(directory, settings.charset)
    this.isDurable = settings.durability !== 'none'
    this.#batcher = this.isDurable
      ? new Batcher((entries) => this.enqueueAll(entries, 'enqueue'), DURABLE_BATCH, false)
      : new Batcher(
          (entries, mayRunHere) =>
            mayRunHere ? this.#enqueueLone(entries) : this.enqueueAll(entries, 'enqueueInLane'),
          SMALL_BATCH,
          true,
          { thread: this.#thread },
        )
    this.#largeBatcher = new Batcher((entries) => this.enqueueAll(entries, 'enqueue'), LARGE_BATCH, false)
    this.#turns = new Turns(this.isDurable ? LARGE_BATCH : LARGE_IN_FLIGHT)
  }

  /** Hot path: an entry in memory takes one promise, which its batch resolves. */
  enqueue(
    data: Payload,
    args: readonly NameArgument[] = NO_ARGUMENTS,
    options: EnqueueOptions = NO_OPTIONS,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      const entry = this.entryMaker.make('enqueue', data, args, options)
      if (options.signal !== undefined || isStreamed(entry) || !isSmall(entry)) {
        resolve(this.#enqueueAlone(entry, options.signal))
        return
      }
      this.#batcher.submit(
        entry,
        (result) => {
          if (typeof result === 'string') resolve(this.outcomes.idOfName(result))
          else resolve(runLate(() => this.outcomes.idOf(result, entry)))
        },
        reject,
      )
    })
  }

  /** An entry with a signal, or whose contents are not in memory. */
  async #enqueueAlone(entry: Entry, signal: AbortSignal | undefined): Promise<string> {
    if (isStreamed(entry)) {
      return this.outcomes.idOf(await this.enqueueStreamed(entry, signal), entry)
    }
    if (signal === undefined) return this.outcomes.idOf(await this.#enqueueReady(entry), entry)
    signal.throwIfAborted()
    const cancellation = new Cancellation(signal)
    try {
      const result = await this.#enqueueReady({ ...entry, stop: cancellation.handle })
      if (isCancelled(result)) cancellation.check()
      return this.outcomes.idOf(result, entry)
    } finally {
      cancellation.end()
    }
  }

  enqueueSync(
    data: Payload,
    args: readonly NameArgument[] = NO_ARGUMENTS,
    options: EnqueueSyncOptions = NO_OPTIONS,
  ): string {
    const entry = this.entryMaker.make('enqueueSync', data, args, options)
    if (isStreamed(entry)) {
      void entry.payload.stop()
      throw new PayloadError('The payload is a stream, a Blob or a pipe, which enqueueSync cannot wait for', {
        advice: 'Use enqueue, or write the contents into a file first and pass { path }',
      })
    }
    for (let attempt = 0; ; attempt++) {
      const handle = this.#directory.openSync()
      const result = native.enqueueSync(handle, this.#itemForm(), entry.suffix, entry.payload, entry.due)
      if (!isLost(result) || attempt === MOST_REOPENINGS) {
        if (isPulled([entry], [result])) this.#reportPull(pullQuietly(this.#directory.layout))
        return this.outcomes.idOf(result, entry)
      }
      this.#directory.forget(handle)
    }
  }

  /** Whether {@link enqueueAll} reaches native code without waiting. */
  get isOpen(): boolean {
    return this.#form !== undefined && this.#directory.opened !== undefined
  }

  /** @throws The error of the queue or of its settings, because of which no entry can be added. */
  async open(): Promise<void> {
    this.#itemForm()
    await this.#directory.open()
  }

  /**
   * Reads a source to its end and adds its contents as one item. The entry has a {@link Cancellation} of its own, also in a
   * bulk: a source that takes too long, or a close of the queue, ends it with an error that no other entry gets.
   *
   * @param signal - Cancels it, too.
   */
  async enqueueStreamed(entry: StreamedEntry, signal: AbortSignal | undefined): Promise<Result> {
    const { suffix, due, trigger, payload: source } = entry
    const cancellation = new Cancellation(signal)
    const upload = new Upload(source, cancellation, this.#directory)
    const onClose = (): void => {
      cancellation.raise(this.#directory.closedError())
    }
    const stopListening = this.#directory.onClose(onClose)
    try {
      cancellation.check()
      checkNameFits(suffix, this.#settings)
      await this.#directory.open()
      const payload = await upload.read(() => this.#openDraft(entry))
      const result = await this.#enqueueReady({ suffix, due, trigger, payload, stop: cancellation.handle })
      if (isCancelled(result)) cancellation.check()
      return result
    } finally {
      await upload.end()
      stopListening()
      cancellation.end()
    }
  }

  async #openDraft(entry: Entry): Promise<DraftHandle> {
    for (let attempt = 0; ; attempt++) {
      const handle = await this.#directory.open()
      this.#directory.checkOpen()
      const draft = await native.openDraft(handle, this.#itemForm(), entry.suffix)
      if (!isFailure(draft)) return draft
      if (!isLost(draft) || attempt === MOST_REOPENINGS) throw this.outcomes.errorOf(draft, entry)
      this.#directory.forget(handle)
    }
  }

  async #enqueueReady(entry: ReadyEntry | LargeEntry): Promise<Result> {
    if (isLarge(entry)) return this.#enqueueLarge(entry)
    // A file can be large, and would hold up the other items of a batch.
    if (isSmall(entry)) return submitTo(this.#batcher, entry)
    return this.#enqueueOne(entry, 'enqueue')
  }

  async #enqueueOne(entry: ReadyEntry, call: NativeCall): Promise<Result> {
    const [result] = await this.enqueueAll([entry], call)
    return result as Result
  }

  /** Adds an entry while no other is in flight: on this thread, while that is quick. */
  #enqueueLone(entries: readonly ReadyEntry[]): readonly Result[] | Promise<readonly Result[]> {
    const [entry] = entries
    const handle = this.#directory.opened
    if (handle === undefined || !this.#directory.isLocal || !this.#thread.isQuick || !isForHere(entry)) {
      return this.enqueueAll(entries, 'enqueueInLane')
    }
    const { suffix, payload, due } = entry
    const result = enqueueHere(this.#thread, handle, this.#itemForm(), suffix, payload, due)
    return this.#complete(handle, entries, [result], 'enqueueInLane')
  }

  async #enqueueLarge(entry: LargeEntry): Promise<Result> {
    const { size } = entry.payload
    const turn = this.#turns.take()
    if (turn !== undefined) await turn
    const writer = takeWriter(size)
    try {
      const written = await this.#write(entry, writer, true)
      if (!isEntry(written)) return written
      // The thread of the lane is awake, and has nothing to do but this.
      const adding = this.isDurable
        ? submitTo(this.#largeBatcher, written)
        : this.#enqueueOne(written, writer)
      return await discardUnlessAdded(written, adding)
    } finally {
      leaveWriter(writer, size)
      this.#turns.giveBack()
    }
  }

  /**
   * {@link enqueueAll} for entries of which some are large. Several threads write those before the first entry is added.
   */
  async enqueueMixed(entries: readonly (ReadyEntry | LargeEntry)[], call: NativeCall): Promise<Result[]> {
    if (!entries.some(isLarge)) return this.enqueueAll(entries as readonly ReadyEntry[], call)
    const written = await Promise.all(
      entries.map(async (entry) => (isLarge(entry) ? this.#writeInTurn(entry) : entry)),
    )
    await this.#freeDescriptors(entries, written)
    const ready = written.filter(isEntry)
    const added = ready.length === 0 ? Promise.resolve([]) : this.enqueueAll(ready, call)
    const discarded = ready.map(async (entry, index) =>
      discardUnlessAdded(
        entry,
        added.then((results) => results[index] as Result),
      ),
    )
    const results = await Promise.all(discarded)
    let next = 0
    return written.map((one) => (isEntry(one) ? (results[next++] as Result) : one))
  }

  /**
   * If there was no descriptor for one of the entries, gives up the drafts of those after it, which would hold the descriptors that it
   * needs. Native code adds the drafts before it first, and frees their descriptors.
   */
  async #freeDescriptors(
    entries: readonly (ReadyEntry | LargeEntry)[],
    written: (ReadyEntry | Unadded)[],
  ): Promise<void> {
    let lacks = false
    for (const [index, entry] of entries.entries()) {
      const one = written[index]
      if (!isLarge(entry) || one === undefined || !isEntry(one)) continue
      if (!isDraft(one.payload)) {
        lacks = true
      } else if (lacks) {
        await native.discardDraft(one.payload)
        const bytes = entry.payload.bytes(this.#pool)
        written[index] = entry.payload.isGone ? GONE : copyOf(entry, bytes)
        this.#pool.giveBack(bytes)
      }
    }
  }

  async #writeInTurn(entry: LargeEntry): Promise<ReadyEntry | Unadded> {
    const { size } = entry.payload
    const turn = this.#turns.take()
    if (turn !== undefined) await turn
    const writer = takeWriter(size)
    try {
      return await this.#write(entry, writer, false)
    } catch (error) {
      return asFsqError(error)
    } finally {
      leaveWriter(writer, size)
      this.#turns.giveBack()
    }
  }

  /**
   * Writes large contents into a draft. Without a descriptor for it, the contents are copied into memory.
   *
   * @param waits - Whether to wait for a descriptor first.
   */
  async #write(entry: LargeEntry, writer: number, waits: boolean): Promise<ReadyEntry | Unadded> {
    const { suffix, due, trigger, stop } = entry
    const bytes = entry.payload.bytes(this.#pool)
    try {
      for (let reopened = 0, waited = 0; ;) {
        const handle = this.#directory.opened ?? (await this.#directory.open())
        // Native code would take it for an item without contents.
        if (entry.payload.isGone) return GONE
        const draft = await native.writeItem(handle, this.#itemForm(), suffix, bytes, stop, writer)
        if (!isFailure(draft)) return { suffix, due, trigger, stop, payload: draft }
        if (isLost(draft) && reopened++ < MOST_REOPENINGS) {
          this.#directory.forget(handle)
          continue
        }
        if (draft.errno !== -EMFILE && draft.errno !== -ENFILE) return draft
        // Other large items may hold the last descriptors, each for a moment.
        if (waits && this.#turns.taken > 1 && waited++ < MOST_WAITS) {
          await later(WAIT_MS)
          continue
        }
        return copyOf(entry, bytes)
      }
    } finally {
      this.#pool.giveBack(bytes)
    }
  }

  /** Adds entries, and pulls the trigger if one of them asks for it. Returns one result per entry, in their order. */
  enqueueAll(entries: readonly ReadyEntry[], call: NativeCall): Promise<Result[]> {
    const handle = this.#directory.opened
    if (handle !== undefined) return this.#enqueueAllInto(handle, entries, call)
    return this.#directory.open().then((opened) => this.#enqueueAllInto(opened, entries, call))
  }

  #enqueueAllInto(handle: QueueHandle, entries: readonly ReadyEntry[], call: NativeCall): Promise<Result[]> {
    return this.#enqueueInto(handle, entries, call).then(([results, spent]) => {
      if (call === 'enqueueInLane') this.#thread.noteInPool(entries.length, spent)
      return this.#complete(handle, entries, results, call)
    })
  }

  #complete(
    handle: QueueHandle,
    entries: readonly ReadyEntry[],
    results: Result[],
    call: NativeCall,
  ): Result[] | Promise<Result[]> {
    if (results.some(isLost)) {
      return this.#enqueueLost(handle, entries, results, call).then(() => this.#end(entries, results))
    }
    return this.#end(entries, results)
  }

  /** One pull for all items that were added: the loop that it wakes scans them all. */
  #end(entries: readonly ReadyEntry[], results: Result[]): Result[] | Promise<Result[]> {
    for (const { payload } of entries) this.#pool.giveBack(payload)
    if (!isPulled(entries, results)) return results
    const { isLocal, layout } = this.#directory
    if (!isLocal) return this.#pullLater(results)
    this.#reportPull(pullQuietly(layout))
    return results
  }

  async #pullLater(results: Result[]): Promise<Result[]> {
    this.#reportPull(await pullQuietlyLater(this.#directory.layout))
    return results
  }

  /** Adds the lost entries again, to the directory that has replaced the stale one, and corrects their results. */
  async #enqueueLost(
    stale: QueueHandle,
    entries: readonly ReadyEntry[],
    results: Result[],
    call: NativeCall,
  ): Promise<void> {
    let handle = stale
    for (let attempt = 0; attempt < MOST_REOPENINGS; attempt++) {
      const lost = results.flatMap((result, index) => (isLost(result) ? [index] : []))
      if (lost.length === 0) return
      this.#directory.forget(handle)
      try {
        handle = await this.#directory.open()
        const [again] = await this.#enqueueInto(
          handle,
          lost.map((index) => entries[index] as ReadyEntry),
          call,
        )
        lost.forEach((index, position) => {
          results[index] = again[position] as Result
        })
      } catch (error) {
        // The result of the lost entries alone: the callers of the other entries must get the ids of their items.
        for (const index of lost) results[index] = asFsqError(error)
      }
    }
  }

  #enqueueInto(
    handle: QueueHandle,
    entries: readonly ReadyEntry[],
    call: NativeCall,
  ): Promise<EnqueueAnswer> {
    this.#directory.checkOpen()
    const args = [
      handle,
      this.#itemForm(),
      entries.map(({ suffix }) => suffix),
      entries.map(({ payload }) => payload),
      entries.some(({ due }) => due !== 0) ? entries.map(({ due }) => due) : undefined,
      entries.some(({ stop }) => stop !== undefined) ? entries.map(({ stop }) => stop) : undefined,
    ] as const
    if (typeof call === 'number') return native.enqueueInWriter(...args, call)
    return native[call](...args)
  }

  #itemForm(): ItemForm {
    this.#form ??= itemFormOf(this.#settings)
    return this.#form
  }

  #reportPull(error: FsqError | undefined): void {
    if (error === undefined) return
    const name = toRaw(this.#settings.trigger, 'utf8')
    this.#reporter.reportBeside('trigger', name, `was not pulled: ${error.message}`, error)
  }
}

/** Whether the entries that were added ask for a pull of the trigger. */
function isPulled(entries: readonly ReadyEntry[], results: readonly Result[]): boolean {
  return entries.some(({ trigger }, index) => trigger && isAdded(results[index] as Result))
}

/** Whether this thread may add the entry, if that is quick. */
function isForHere(
  entry: ReadyEntry | undefined,
): entry is ReadyEntry & { readonly payload: Uint8Array | null } {
  if (entry === undefined || entry.stop !== undefined) return false
  const { payload } = entry
  return payload === null || (payload instanceof Uint8Array && payload.byteLength <= MOST_HERE)
}

/** The result of an entry that is not in the queue. */
type Unadded = Exclude<Result, string>

function isEntry(written: ReadyEntry | Unadded): written is ReadyEntry {
  return 'suffix' in written
}

/** Removes the draft of an entry at once if its item could not be added. */
async function discardUnlessAdded({ payload }: ReadyEntry, adding: Promise<Result>): Promise<Result> {
  let result: Result | undefined
  try {
    return (result = await adding)
  } finally {
    if ((result === undefined || !isAdded(result)) && isDraft(payload)) await native.discardDraft(payload)
  }
}

function copyOf({ suffix, due, trigger, stop }: LargeEntry, bytes: Uint8Array): ReadyEntry {
  return { suffix, due, trigger, stop, payload: Buffer.from(bytes) }
}

function isDraft(payload: NativePayload): payload is DraftHandle {
  return typeof payload === 'object' && payload !== null && !(payload instanceof Uint8Array)
}

/** Adds an entry with the next batch. For the callers that need the result of native code, not an id. */
function submitTo(batcher: Batcher<ReadyEntry, Result>, entry: ReadyEntry): Promise<Result> {
  return new Promise((resolve, reject) => batcher.submit(entry, resolve, reject))
}

async function later(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}
