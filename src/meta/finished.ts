/**
 * Waiting until an item is finished, by whichever process.
 *
 *     waits ──> a change in done/ or fail/, or the time for a look ──> looked for ──> done, failed or gone
 *       ^                                                                │
 *       └─────────────────── still in queue/ <───────────────────────────┘
 *
 * @module
 */
import fs from 'node:fs'

import { Place } from '../addon/native.js'
import { withOpenPath } from '../directory/calls.js'
import { placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { Finder, type FoundItem } from '../inspect/find.js'
import { Slices } from '../inspect/slices.js'
import { STATES } from '../inspect/states.js'
import { type RawName, fromRaw } from '../name/charset.js'
import { itemKey } from '../name/item-name.js'
import { checkIdOrKey, checkOptions, checkSignal } from '../options.js'
import type { Settings } from '../settings.js'
import { type Attempt, attemptsOf } from './attempts.js'
import { clearTimeout, setTimeout } from '../real-timers.js'

// A watch may miss events, and none tells that an item was discarded.
const FIRST_LOOK_MS = 250
const LONGEST_LOOK_MS = 5000

/** How long to wait for an item. */
export interface FinishedOptions {
  /** Its abort ends the wait. */
  readonly signal?: AbortSignal | undefined
}

/** How an item has ended. */
export type Finished =
  | { readonly state: 'done'; readonly id: string }
  | {
      readonly state: 'failed'
      readonly id: string
      /** The attempts that have not succeeded, the oldest first; none if no worker of this package made them. */
      readonly attempts: readonly Attempt[]
    }
  /** There is no such item: it was discarded, removed or pruned, or has never been. */
  | { readonly state: 'gone' }

/**
 * Resolves when an item is finished; at once if it is.
 *
 * @throws {@link SettingError}, {@link EncodingError} for a text that no name can have, the reason of the signal, or as
 * {@link QueueDirectory.open}.
 */
export async function finished(
  directory: QueueDirectory,
  settings: Settings,
  idOrKey: unknown,
  options: FinishedOptions,
): Promise<Finished> {
  checkIdOrKey(idOrKey)
  checkOptions('finished', options, ['signal'])
  const { signal } = options
  checkSignal(signal)
  signal?.throwIfAborted()
  await directory.open()
  let key: RawName | undefined
  const bell = new Bell(directory, signal, (name) => itemKey(name, settings.encode) === key)
  try {
    if (!directory.isLocal) await bell.watchLater()
    const finder = new Finder(directory, settings, new Slices())
    let name = idOrKey
    for (;;) {
      const item = await finder.find(name, STATES)
      if (item === undefined) return { state: 'gone' }
      if (item.state !== 'waiting') return await ended(directory, settings, item)
      const isKnown = key !== undefined
      key = itemKey(item.parsed.raw, settings.encode)
      // By its id it is found without a listing.
      name = fromRaw(item.parsed.raw, settings.charset)
      // It may have been finished while its key was not known yet.
      if (!isKnown) continue
      await bell.rung()
      signal?.throwIfAborted()
      directory.checkOpen()
    }
  } finally {
    bell.close()
  }
}

async function ended(
  directory: QueueDirectory,
  settings: Settings,
  { state, parsed }: FoundItem,
): Promise<Finished> {
  const id = fromRaw(parsed.raw, settings.charset)
  if (state === 'done') return { state: 'done', id }
  return { state: 'failed', id, attempts: await attemptsOf(directory, settings, id) }
}

/** Rings when an item may have been finished, when the wait is aborted, and when the queue handle is closed. */
class Bell {
  readonly #watches: fs.FSWatcher[] = []
  readonly #stopListening: () => void
  readonly #signal: AbortSignal | undefined
  readonly #isMeant: (name: RawName) => boolean
  readonly #paths: readonly string[]
  readonly #ring = (): void => {
    this.#isRung = true
    this.#answer?.()
  }
  #isRung = false
  #answer: (() => void) | undefined
  #pauseMs = FIRST_LOOK_MS

  /** @param isMeant - Whether a name in done/ or fail/ may be that of the item. */
  constructor(
    directory: QueueDirectory,
    signal: AbortSignal | undefined,
    isMeant: (name: RawName) => boolean,
  ) {
    this.#signal = signal
    signal?.addEventListener('abort', this.#ring)
    this.#stopListening = directory.onClose(this.#ring)
    this.#isMeant = isMeant
    this.#paths = [Place.done, Place.fail].map((place) => placePath(directory.layout, place))
    if (directory.isLocal) for (const path of this.#paths) this.#watch(path)
  }

  /** Watches where a file server may keep a look at a path waiting. Never rejects. */
  async watchLater(): Promise<void> {
    for (const path of this.#paths)
      await withOpenPath(path, (opened) => this.#watch(opened)).catch(() => undefined)
  }

  /** Resolves when it has rung since the last call, and after a while in any case. */
  async rung(): Promise<void> {
    if (!this.#isRung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#pauseMs)
        this.#answer = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_LOOK_MS)
    }
    this.#answer = undefined
    this.#isRung = false
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#ring)
    this.#stopListening()
    for (const watch of this.#watches) watch.close()
  }

  /** Without a watch, as where the system has no room for one more, the looks are enough. */
  #watch(path: string): void {
    try {
      const watch = fs.watch(path, { encoding: 'buffer' }, (_event, name) => {
        if (name === null || this.#isMeant(name.toString('latin1'))) this.#ring()
      })
      watch.on('error', () => {
        watch.close()
      })
      this.#watches.push(watch)
    } catch {
      return
    }
  }
}
