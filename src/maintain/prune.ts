/**
 * Removes finished items, by age or by count.
 *
 * @module
 */
import type { QueueDirectory } from '../directory/open-directory.js'
import { SettingError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type FileCalls, HERE } from '../directory/calls.js'
import { type Layout, placePath } from '../directory/layout.js'
import { Logs } from '../meta/logs.js'
import type { Settings } from '../settings.js'
import { entriesInParts, entriesOf, entryNamed, isStillWaiting, lookAt } from '../inspect/entries.js'
import { Slices } from '../inspect/slices.js'
import { type ItemState, PLACES } from '../inspect/states.js'
import type { RawName } from '../name/charset.js'
import { checkMilliseconds, checkOptions } from '../options.js'

const PART_FILES = 1000

/** Which finished items stay. With both, an item stays only if it is young enough and among the last. */
export interface Keep {
  /** Milliseconds since the item came to done/ or fail/: older ones are removed. Default: no limit. */
  readonly age?: number | undefined
  /** How many stay, the last ones. Default: no limit. */
  readonly count?: number | undefined
}

/** What stays of a queue's finished items. Default: all of them. */
export interface PruneKeep {
  /** Of done/. */
  readonly done?: Keep | undefined
  /** Of fail/. */
  readonly failed?: Keep | undefined
}

const LIMITS = 'limits: { age }, { count }, or both'

/** The states of finished items. */
export type FinishedState = Exclude<ItemState, 'waiting'>

/**
 * Removes the finished items that are over the limits.
 *
 * @throws {@link SettingError}; as {@link QueueDirectory.open}; {@link QueueClosedError} if that happens meanwhile; a file system
 * error.
 */
export async function prune(
  directory: QueueDirectory,
  settings: Settings,
  keep: PruneKeep,
): Promise<{ removed: number }> {
  checkOptions('prune', keep, ['done', 'failed'])
  const states = (['done', 'failed'] as const).flatMap((state) => {
    const limits = keep[state]
    return limits === undefined ? [] : [[state, checkKeep(`prune for ${state}`, state, limits)] as const]
  })
  if (states.length === 0) throw new SettingError('keep', keep, 'limits for done or failed, or for both')
  await directory.open()
  const slices = new Slices(() => {
    directory.checkOpen()
  }, directory.calls)
  let removed = 0
  for (const [state, limits] of states) {
    for await (const files of surplusInParts(directory.layout, state, limits, slices))
      removed += await removeFinished(directory.layout, settings, state, files, slices)
  }
  return { removed }
}

/**
 * Checks which finished items are to stay.
 *
 * @param call - The call that takes the limits, for the error message.
 * @param option - The name of the limits.
 * @throws {@link SettingError}
 */
export function checkKeep(call: string, option: string, keep: unknown): Keep {
  if (typeof keep !== 'object' || keep === null) throw new SettingError(option, keep, LIMITS)
  checkOptions(call, keep, ['age', 'count'])
  const { age, count } = keep as Keep
  if (age === undefined && count === undefined) throw new SettingError(option, keep, LIMITS)
  if (age !== undefined) checkMilliseconds('age', age)
  if (count !== undefined && !(Number.isSafeInteger(count) && count >= 0))
    throw new SettingError('count', count, 'a whole number of 0 or more')
  return { age, count }
}

/** A file to remove. */
export interface Surplus {
  readonly raw: RawName
  /** Its ctime, which is when it was moved to where it is, in milliseconds since the epoch. */
  readonly moved: number
}

/** The files to remove, in any order. By age alone, only some of them are held in memory at a time. */
export async function* surplusInParts(
  layout: Layout,
  state: FinishedState,
  keep: Keep,
  slices: Slices,
): AsyncGenerator<readonly Surplus[], void, undefined> {
  if (keep.age === undefined || keep.count !== undefined) {
    yield await surplusIn(layout, state, keep, slices)
    return
  }
  const latest = Date.now() - keep.age
  const files: Surplus[] = []
  for await (const entries of entriesInParts(placePath(layout, PLACES[state]), slices)) {
    for (const { raw, info } of entries)
      if (info.isFile() && info.ctimeMs <= latest) files.push({ raw, moved: info.ctimeMs })
    if (files.length >= PART_FILES) yield files.splice(0)
  }
  yield files
}

/** The files to remove, in any order. */
export async function surplusIn(
  layout: Layout,
  state: FinishedState,
  { age, count }: Keep,
  slices: Slices,
): Promise<readonly Surplus[]> {
  const latest = age === undefined ? Number.NEGATIVE_INFINITY : Date.now() - age
  const files: Surplus[] = []
  for await (const { raw, info } of entriesOf(placePath(layout, PLACES[state]), slices)) {
    if (info.isFile() && (count !== undefined || info.ctimeMs <= latest))
      files.push({ raw, moved: info.ctimeMs })
  }
  const tooMany = count === undefined ? 0 : files.length - count
  if (tooMany <= 0) return files.filter(({ moved }) => moved <= latest)
  // The event loop waits for the sort, and numbers take a tenth of the time that objects take.
  const times = Float64Array.from(files, ({ moved }) => moved).sort()
  const last = times[tooMany - 1] ?? latest
  // Of the files with that time, only some are too many.
  let equals = tooMany - times.indexOf(last)
  return files.filter(({ moved }) => moved <= latest || moved < last || (moved === last && equals-- > 0))
}

/**
 * Removes finished items and their logs; skips those that are also in queue/, as their move was cut in half.
 *
 * @param onRemoved - Called after each removal, with the number of removals so far.
 * @returns How many have been removed.
 */
export async function removeFinished(
  layout: Layout,
  settings: Settings,
  state: FinishedState,
  files: readonly Surplus[],
  slices: Slices,
  onRemoved: (removed: number) => void = () => undefined,
): Promise<number> {
  const directory = placePath(layout, PLACES[state])
  const { calls } = slices
  const logs = await Logs.list(layout, calls === HERE)
  let removed = 0
  for (const { raw } of files) {
    if (slices.isOver) await slices.next()
    // As few promises as possible: very many items are removed.
    const entry = calls === HERE ? entryNamed(directory, raw) : await lookAt(directory, raw, calls)
    if (entry === undefined) continue
    if (entry.info.nlink > 1 && (await isStillWaiting(layout, entry, calls))) continue
    if (!(await unlink(entry.path, calls))) continue
    if (logs.areAny) await logs.removeOf(raw, settings)
    onRemoved(++removed)
  }
  return removed
}

/** @returns Whether there was a file to remove. */
async function unlink(file: Buffer, calls: FileCalls): Promise<boolean> {
  try {
    await calls.unlink(file)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw fileSystemError(failureOf(error, 'unlink', file.toString()), 'remove a finished item')
  }
}
