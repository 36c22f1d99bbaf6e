/**
 * Moves failed items back to queue/.
 *
 * @module
 */
import { constants } from 'node:fs'

import type { FileCalls } from '../directory/calls.js'
import { placePath } from '../directory/layout.js'
import type { QueueDirectory } from '../directory/open-directory.js'
import { SettingError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type Entry, lookAt } from '../inspect/entries.js'
import { Finder } from '../inspect/find.js'
import { namesIn } from '../inspect/names.js'
import { Slices } from '../inspect/slices.js'
import { PLACES, parseIfItem } from '../inspect/states.js'
import { LastAttempts, errorText } from '../meta/attempts.js'
import type { RawName } from '../name/charset.js'
import type { ParsedName } from '../name/item-name.js'
import { checkMilliseconds, checkOptions, checkSignal, dueAfter } from '../options.js'
import type { Reporter } from '../report.js'
import type { Settings } from '../settings.js'
import { BackMoves } from './back-moves.js'
import type { FinishedState } from './prune.js'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const CONDITIONS = ['ids', 'argument', 'olderThan', 'error', 'limit'] as const

/** Selects the failed items that match every given criterion. */
export interface FailedFilter {
  /** Ids or keys of items. */
  readonly ids?: readonly string[] | undefined
  /** An argument that an item has, as a whole. */
  readonly argument?: string | undefined
  /** Milliseconds since an item came to fail/, at least. */
  readonly olderThan?: number | undefined
  /**
   * A part of the error of the last attempt, as `NAME: MESSAGE`, in the same case. Items whose attempts no worker has written down never match.
   */
  readonly error?: string | undefined
  /** How many items move at most: the first ones in FIFO order, or in that of the ids. */
  readonly limit?: number | undefined
}

/** How failed items are moved back. */
export interface RedriveOptions {
  /**
   * `reset`: they have no tries behind them. `keep`: their tries stay as they are; where the limit is reached, a scan fails
   * them again, unrun. Default: `reset`.
   */
  readonly tries?: 'reset' | 'keep' | undefined
  /**
   * Where the items are. `done`: items of done/, which run again, or are forwarded again with the ids that they had. Default: `failed`.
   */
  readonly from?: 'failed' | 'done' | undefined
  /** Milliseconds, counted from the call, until they are due. Default: 0, at once. */
  readonly delay?: number | undefined
  /** Ends the call between two items. */
  readonly signal?: AbortSignal | undefined
}

/** The outcome of a redrive. */
export interface Redriven {
  /** How many wait again. */
  readonly moved: number
  /** How many ids named no item in fail/, or an item that left it meanwhile. */
  readonly gone: number
}

/**
 * Moves failed items back to queue/, one after the other.
 *
 * @throws {@link SettingError}; {@link EncodingError} for an id that no item can have; the reason of the signal;
 * {@link QueueClosedError}, as {@link QueueDirectory.open}, or a file system error. Items that have moved by then stay where
 * they are.
 */
export async function redrive(
  directory: QueueDirectory,
  settings: Settings,
  reporter: Reporter,
  filter: FailedFilter | 'all',
  options: RedriveOptions,
): Promise<Redriven> {
  checkFilter(filter)
  checkOptions('redrive', options, ['tries', 'from', 'delay', 'signal'])
  const { tries = 'reset', from = 'failed', delay, signal } = options
  if (!['reset', 'keep'].includes(tries)) throw new SettingError('tries', tries, "'reset' or 'keep'")
  if (!['failed', 'done'].includes(from)) throw new SettingError('from', from, "'failed' or 'done'")
  checkSignal(signal)
  const due = dueAfter(delay)
  const check = (): void => {
    directory.checkOpen()
    signal?.throwIfAborted()
  }
  check()
  let moved = 0
  let gone = 0
  const wanted = filter === 'all' ? {} : filter
  await directory.open()
  const { layout, calls } = directory
  const moves = new BackMoves(layout, settings, tries === 'keep', calls, from)
  try {
    for await (const { entry } of selectFailed(directory, settings, wanted, new Slices(check, calls), from)) {
      check()
      if (moved === wanted.limit) break
      const timing = entry === undefined || due === 0 ? undefined : await setDue(entry, due, calls)
      const isThere = entry !== undefined && timing !== 'gone'
      const name = isThere ? await moves.move(entry) : undefined
      if (name === undefined) {
        gone++
        continue
      }
      moved++
      if (timing === 'refused')
        reporter.reportBeside('undelayed', name, 'is due at once: only its owner may set its time')
    }
  } finally {
    await moves.close()
  }
  return { moved, gone }
}

function checkFilter(filter: FailedFilter | 'all'): void {
  if (filter === 'all') return
  if (typeof filter !== 'object' || (filter as unknown) === null)
    throw new SettingError('filter', filter, "an object of conditions, or 'all'")
  checkOptions('the filter of redrive', filter, CONDITIONS)
  const { ids, argument, olderThan, error, limit } = filter
  if (CONDITIONS.every((condition) => filter[condition] === undefined))
    throw new SettingError(
      'filter',
      filter,
      "one with ids, argument, olderThan, error or limit, or 'all' for all failed items",
    )
  if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === 'string')))
    throw new SettingError('ids', ids, 'an array of ids or keys of items, strings')
  if (argument !== undefined && typeof argument !== 'string')
    throw new SettingError('argument', argument, 'an argument of items, a string')
  if (olderThan !== undefined) checkMilliseconds('olderThan', olderThan)
  if (error !== undefined && (typeof error !== 'string' || error === ''))
    throw new SettingError('error', error, 'a part of the name or the message of an error, a string')
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1))
    throw new SettingError('limit', limit, 'a whole number of 1 or more')
}

/** An item that a filter selects. */
export interface SelectedItem {
  /** The id or key by which the filter names it; `undefined`: the filter has no ids. */
  readonly named: string | undefined
  /** `undefined`: it is not in fail/. */
  readonly entry: Entry | undefined
}

/**
 * The items in fail/, or in done/, that fit the filter, whatever its limit, in FIFO order or in that of the ids.
 *
 * @throws {@link EncodingError} for an id that no item can have; as {@link QueueDirectory.open}, or a file system error.
 */
export async function* selectFailed(
  directory: QueueDirectory,
  settings: Settings,
  { ids, argument, olderThan, error }: FailedFilter,
  slices: Slices,
  from: FinishedState = 'failed',
): AsyncGenerator<SelectedItem, void, undefined> {
  const path = placePath(directory.layout, PLACES[from])
  const latest = olderThan === undefined ? Number.POSITIVE_INFINITY : Date.now() - olderThan
  const names =
    ids === undefined
      ? allFailed(directory, settings, slices, from)
      : failedNamed(directory, settings, new Set(ids), slices, from)
  let attempts: LastAttempts | undefined
  for await (const { named, parsed } of names) {
    if (parsed === undefined) {
      yield { named, entry: undefined }
      continue
    }
    if (argument !== undefined && !parsed.args.includes(argument)) continue
    if (error !== undefined) {
      attempts ??= await LastAttempts.list(directory, settings)
      const last = await attempts.of(parsed.raw)
      if (last?.error === undefined || !errorText(last.error).includes(error)) continue
    }
    const entry = await lookAt(path, parsed.raw, slices.calls)
    if (entry === undefined || entry.info.ctimeMs <= latest) yield { named, entry }
  }
}

interface Named {
  readonly named: string | undefined
  /** `undefined`: no item in fail/ has the name. */
  readonly parsed: ParsedName | undefined
}

async function* allFailed(
  directory: QueueDirectory,
  settings: Settings,
  slices: Slices,
  from: FinishedState,
): AsyncGenerator<Named, void, undefined> {
  for await (const name of namesIn(directory, PLACES[from], slices)) {
    const parsed = parseIfItem(name, settings)
    if (parsed !== undefined) yield { named: undefined, parsed }
  }
}

async function* failedNamed(
  directory: QueueDirectory,
  settings: Settings,
  ids: ReadonlySet<string>,
  slices: Slices,
  from: FinishedState,
): AsyncGenerator<Named, void, undefined> {
  await directory.open()
  const found = await new Finder(directory, settings, slices).findAll([...ids], [from])
  // Several ids may mean one item.
  const seen = new Set<RawName>()
  for (const [named, items] of found) {
    if (items.length === 0) yield { named, parsed: undefined }
    for (const { parsed } of items) {
      if (seen.has(parsed.raw)) continue
      seen.add(parsed.raw)
      yield { named, parsed }
    }
  }
}

/** Sets when an item is due. Before it moves: in queue/ a worker could claim it at once. */
async function setDue(
  { path: file, info }: Entry,
  due: number,
  calls: FileCalls,
): Promise<'set' | 'refused' | 'gone'> {
  let descriptor: number
  try {
    descriptor = await calls.open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'gone'
    if (codeOf(error) === 'EACCES') return 'refused'
    throw fileSystemError(failureOf(error, 'open', file.toString()), 'delay an item')
  }
  try {
    const { dev, ino } = await calls.fstat(descriptor)
    if (dev !== info.dev || ino !== info.ino) return 'gone'
    await calls.futimes(descriptor, info.atime, new Date(due))
    return 'set'
  } catch (error) {
    if (codeOf(error) === 'EPERM') return 'refused'
    throw fileSystemError(failureOf(error, 'futime', file.toString()), 'delay an item')
  } finally {
    await calls.close(descriptor)
  }
}
