/**
 * Putting items into a queue (fsq standard, section 3): the calls for one item, and the way that each entry takes into
 * native code.
 *
 * @module
 */
import { ownerOf } from '../directory/owner.js'
import { Batcher } from '../addon/batcher.js'
import { BufferPool } from './buffer-pool.js'
import { MOST_REOPENINGS, type QueueDirectory } from '../directory/open-directory.js'
import {
  type EnqueueOptions,
  type EnqueueSyncOptions,
  type Entry,
  EntryMaker,
  NO_ARGUMENTS,
  type ReadyEntry,
  type StreamedEntry,
  checkNameFits,
  isInMemory,
  isStreamed,
} from './entry.js'
import { PayloadError } from '../errors/classes.js'
import { toRaw } from '../name/charset.js'
import type { NameArgument } from '../name/codec.js'
import { type DraftHandle, type ItemForm, type QueueHandle, isFailure, native } from '../addon/native.js'
import { Upload } from './upload.js'
import { awaitCompletions } from '../addon/completions.js'
import { Outcomes, type Result, asFsqError, isAdded, isCancelled, isLost } from './outcome.js'
import type { Payload } from './payload.js'
import type { Settings } from '../settings.js'
import { Cancellation } from '../cancellation.js'
import type { Reporter } from '../report.js'
import { pullQuietly } from '../directory/trigger.js'

/** The native functions that add several entries. */
type NativeCall = 'enqueue' | 'enqueueInLane' | 'enqueueBulk'

// For all calls that leave them out.
const NO_OPTIONS = Object.freeze({})
// Of items that are made durable together, and of others.
const BATCH_LIMIT = 256
const SMALL_BATCH = 16

/** Adds items to one queue. */
export class Enqueuer {
  readonly entryMaker: EntryMaker
  readonly outcomes: Outcomes
  readonly isDurable: boolean
  readonly #directory: QueueDirectory
  readonly #settings: Settings
  readonly #reporter: Reporter
  readonly #pool = new BufferPool()
  readonly #batcher: Batcher<ReadyEntry, Result>
  #form: ItemForm | undefined

  constructor(directory: QueueDirectory, settings: Settings, reporter: Reporter) {
    this.#directory = directory
    this.#settings = settings
    this.#reporter = reporter
    this.entryMaker = new EntryMaker(settings, this.#pool)
    this.outcomes = new Outcomes(directory, settings.charset)
    this.isDurable = settings.durability !== 'none'
    this.#batcher = new Batcher(
      (entries) => this.enqueueAll(entries, this.isDurable ? 'enqueue' : 'enqueueInLane'),
      this.isDurable ? BATCH_LIMIT : SMALL_BATCH,
      !this.isDurable,
    )
  }

  async enqueue(
    data: Payload,
    args: readonly NameArgument[] = NO_ARGUMENTS,
    options: EnqueueOptions = NO_OPTIONS,
  ): Promise<string> {
    const entry = this.entryMaker.make('enqueue', data, args, options)
    const { signal } = options
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
      throw new PayloadError('The payload is read bit by bit, and enqueueSync cannot wait for that', {
        advice: 'Use enqueue, or write it into a file first and pass { path }',
      })
    }
    for (let attempt = 0; ; attempt++) {
      const handle = this.#directory.openSync()
      const result = native.enqueueSync(handle, this.#itemForm(), entry.suffix, entry.payload, entry.due)
      if (!isLost(result) || attempt === MOST_REOPENINGS) {
        if (entry.trigger) this.#pullTrigger([entry], [result])
        return this.outcomes.idOf(result, entry)
      }
      this.#directory.forget(handle)
    }
  }

  /** Whether {@link enqueueAll} can call native code at once. */
  get isOpen(): boolean {
    return this.#form !== undefined && this.#directory.opened !== undefined
  }

  /** @throws The error for the queue or its settings, with which no entry can be added. */
  async open(): Promise<void> {
    this.#itemForm()
    await this.#directory.open()
  }

  /**
   * Reads a source to its end and adds what it gives.
   *
   * @param signal - The source has a {@link Cancellation} of its own for it, which closing the queue raises, too, and a source
   * that takes too long: that ends this entry, and no other one of its call.
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

  async #enqueueReady(entry: ReadyEntry): Promise<Result> {
    // A file can be large: it must not hold up the items that would share its batch.
    if (isInMemory(entry)) return this.#batcher.submit(entry)
    const [result] = await this.enqueueAll([entry], 'enqueue')
    return result as Result
  }

  /** One result an entry, in their order. Pulls the trigger, if one of them asks for it. */
  async enqueueAll(entries: readonly ReadyEntry[], call: NativeCall): Promise<Result[]> {
    const handle = this.#directory.opened ?? (await this.#directory.open())
    const ended = this.#enqueueInto(handle, entries, call)
    if (call === 'enqueueInLane') awaitCompletions()
    const results: Result[] = await ended
    if (results.some(isLost)) await this.#enqueueLost(handle, entries, results, call)
    for (const { payload } of entries) this.#pool.giveBack(payload)
    this.#pullTrigger(entries, results)
    return results
  }

  /** Entries that met a directory that is gone are tried again in the one that took its place. */
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
        const again = await this.#enqueueInto(
          handle,
          lost.map((index) => entries[index] as ReadyEntry),
          call,
        )
        lost.forEach((index, position) => {
          results[index] = again[position] as Result
        })
      } catch (error) {
        // The result of these entries alone: others of their batch are in the queue, and must be told so.
        for (const index of lost) results[index] = asFsqError(error)
      }
    }
  }

  async #enqueueInto(
    handle: QueueHandle,
    entries: readonly ReadyEntry[],
    call: NativeCall,
  ): Promise<Result[]> {
    this.#directory.checkOpen()
    return native[call](
      handle,
      this.#itemForm(),
      entries.map(({ suffix }) => suffix),
      entries.map(({ payload }) => payload),
      entries.some(({ due }) => due !== 0) ? entries.map(({ due }) => due) : undefined,
      entries.some(({ stop }) => stop !== undefined) ? entries.map(({ stop }) => stop) : undefined,
    )
  }

  #itemForm(): ItemForm {
    const settings = this.#settings
    this.#form ??= native.newItemForm({
      delimiter: settings.delimiter.charCodeAt(0),
      escape: settings.encode.charCodeAt(0),
      timeFormat: settings.timefmt,
      utc: settings.utc,
      ...ownerOf(settings, 'item'),
      mode: settings.itemMode,
      durable: this.isDurable,
      plainSync: settings.sync === 'plain',
    })
    return this.#form
  }

  /** One pull for all that are in the queue now: whoever it wakes scans them all. */
  #pullTrigger(entries: readonly ReadyEntry[], results: readonly Result[]): void {
    if (!entries.some(({ trigger }, index) => trigger && isAdded(results[index] as Result))) return
    const error = pullQuietly(this.#directory.layout)
    if (error === undefined) return
    const name = toRaw(this.#settings.trigger, 'utf8')
    this.#reporter.reportBeside('trigger', name, `was not pulled: ${error.message}`, error)
  }
}
