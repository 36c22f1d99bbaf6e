/**
 * What can be wrong with queues. Looking changes nothing and locks nothing.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { type Layout, placePath } from '../directory/layout.js'
import { type RawName, pathText } from '../name/charset.js'
import { isExpired, nameAfterTry } from '../item/limits.js'
import { Place } from '../addon/native.js'
import { LOCK_MARKER, type Settings } from '../settings.js'
import { type Entry, entriesOf, isDelayed, nameText } from '../inspect/entries.js'
import { enqueuedAt, parse } from '../inspect/items.js'
import { QueueWalk, entriesIn, isDirectory, queueNamed, queuesIn } from './queues.js'
import { ageText } from './table.js'
import { mountsIn } from '../inspect/lock-holders.js'

/** No enqueue takes so long (fsq standard, section 3). */
const STALE_MS = 36 * 3600 * 1000
/** Clocks that agree as well as most do. */
const SKEW_MS = 60_000
/** No probe takes so long. */
const PROBE_MS = 3600 * 1000
const HIDDEN = /^\.fsq-[A-Za-z0-9]{6}$/
const PROBED = /^\.fsq-probe-/

/** What would mend a finding. */
export type Fix =
  | { readonly action: 'remove' | 'remove directory' | 'move to fail/' }
  | { readonly action: 'set mode'; readonly mode: number }
  | { readonly action: 'set owner'; readonly user: number; readonly group: number }

/** One thing that is not as it should be. */
export interface Finding {
  readonly queue: string | undefined
  readonly kind:
    | 'stale'
    | 'malformed'
    | 'foreign'
    | 'mode'
    | 'owner'
    | 'missing'
    | 'mount'
    | 'clock'
    | 'expired'
    | 'ungrowable'
    | 'half-installed'
  /** As text. */
  readonly path: string
  readonly message: string
  /** What is left out, only a person can do. */
  readonly fix?: Fix
  /** The file, where there is one. */
  readonly file?: FoundFile
  readonly layout?: Layout
}

/** As little of a file as mending it needs: there may be very many. */
export interface FoundFile {
  readonly raw: RawName
  readonly path: Buffer
}

/** Looks through the queues with these names, or through all of them and the directory that they are in. */
export class Audit {
  readonly #settings: Settings
  readonly #isOfAll: boolean
  readonly #walk: QueueWalk

  constructor(names: readonly string[], settings: Settings) {
    this.#settings = settings
    this.#isOfAll = names.length === 0
    this.#walk = new QueueWalk(
      this.#isOfAll ? queuesIn(settings) : names.map((name) => queueNamed(name, settings)),
    )
  }

  /** Whether all could be looked through; after {@link findings}. */
  get isWhole(): boolean {
    return this.#walk.isWhole
  }

  *findings(): Generator<Finding, void, undefined> {
    yield* this.#walk.each((layout) => auditQueue(layout, this.#settings))
    if (this.#isOfAll) yield* leftovers(this.#settings)
  }
}

function* leftovers(settings: Settings): Generator<Finding> {
  const { root } = settings
  for (const name of entriesIn(root)) {
    const file = path.join(root, name)
    const about = { queue: undefined, path: file } as const
    if (!name.startsWith('.') || !isDirectory(file)) continue
    const fix = { action: 'remove directory' } as const
    if (HIDDEN.test(name)) {
      const message = 'is left from an installation or a removal, unless one is under way'
      yield { ...about, kind: 'half-installed', message, fix }
    } else if (PROBED.test(name)) {
      const age = Date.now() - fs.lstatSync(file).ctimeMs
      if (age < PROBE_MS) continue
      const message = `is left from a probe (fsq doctor) ${ageText(age / 1000)} ago`
      yield { ...about, kind: 'stale', message, fix }
    } else if (isLikeQueue(file, settings)) {
      const message = 'is hidden and looks like a queue that another program has installed by halves'
      yield { ...about, kind: 'half-installed', message }
    }
  }
}

function isLikeQueue(file: string, { queue, tmp, done, fail }: Settings): boolean {
  return [queue, tmp, done, fail].some((name) => isDirectory(path.join(file, name)))
}

function* auditQueue(layout: Layout, settings: Settings): Generator<Finding> {
  const mounts = mountsIn(fs.realpathSync(layout.path))
  const own = fs.statSync(layout.path)
  const isFcntl = fs.existsSync(path.join(layout.path, LOCK_MARKER))
  yield* auditOthers(layout, settings)
  for (const place of [Place.queue, Place.tmp, Place.done, Place.fail]) {
    const directory = placePath(layout, place)
    const about = { queue: layout.name, path: directory, layout }
    if (!isDirectory(directory)) {
      yield { ...about, kind: 'missing', message: 'is no directory: install the queue anew' }
      continue
    }
    yield* auditDirectory(about, own, mounts)
    for (const entry of entriesOf(directory)) {
      const { raw, path: bytes } = entry
      const file = { ...about, path: path.join(directory, nameText(raw)), file: { raw, path: bytes } }
      if (!entry.info.isFile())
        yield { ...file, kind: 'foreign', message: 'is no regular file, and is never worked on' }
      else if (place === Place.tmp) yield* auditDraft(file, entry)
      else if (place === Place.queue) yield* auditItem(file, entry, settings, neededMode(own, isFcntl))
    }
  }
}

/** What is in a queue beside its four directories. */
function* auditOthers(layout: Layout, settings: Settings): Generator<Finding> {
  const { down, trigger, hosts, hostsTrigger } = settings
  for (const { raw, path: file, info } of entriesOf(layout.path)) {
    const name = pathText(raw)
    if (layout.directories.includes(name) || name === hosts) continue
    const about = { queue: layout.name, kind: 'foreign', path: nameText(file.toString('latin1')) } as const
    if (name === trigger || name === hostsTrigger) {
      if (!info.isFIFO()) yield { ...about, message: 'is no FIFO, and so no trigger' }
    } else if (name === down) {
      if (!info.isFile()) yield { ...about, message: 'is no regular file, and forbids scans all the same' }
    } else if (name !== LOCK_MARKER) yield { ...about, message: 'is no part of a queue, and is left alone' }
  }
}

type About = Pick<Finding, 'queue' | 'path' | 'file' | 'layout'>

function* auditDirectory(about: About, own: fs.Stats, mounts: readonly string[]): Generator<Finding> {
  const info = fs.lstatSync(about.path)
  if (info.dev !== own.dev || mounts.includes(fs.realpathSync(about.path))) {
    yield {
      ...about,
      kind: 'mount',
      message: 'is on another mount than the queue: items cannot be moved. Mount the whole queue',
    }
  }
  const [mode, wanted] = [info.mode & 0o7777, own.mode & 0o7777]
  if (mode !== wanted) {
    const message = `has mode ${mode.toString(8)}, and the queue has ${wanted.toString(8)}`
    yield { ...about, kind: 'mode', message, fix: { action: 'set mode', mode: wanted } }
  }
  if (info.uid !== own.uid || info.gid !== own.gid) {
    const message = `belongs to ${info.uid}:${info.gid}, and the queue to ${own.uid}:${own.gid}`
    yield { ...about, kind: 'owner', message, fix: { action: 'set owner', user: own.uid, group: own.gid } }
  }
}

function* auditDraft(about: About, { info }: Entry): Generator<Finding> {
  // The older of the two: a restored backup is changed now, and an item to be delayed was written in the future.
  const age = Date.now() - Math.min(info.ctimeMs, info.mtimeMs)
  if (age < STALE_MS) return
  const message = `is left from an enqueue that ended ${ageText(age / 1000)} ago`
  yield { ...about, kind: 'stale', message, fix: { action: 'remove' } }
}

/** What the mode of an item needs: whoever may write to the queue may work it. Fcntl locks need files that are open for writing. */
function neededMode({ mode }: fs.Stats, isFcntl: boolean): number {
  const others = mode & 0o022
  return isFcntl ? 0o600 | others | (others << 1) : 0o400 | (others << 1)
}

function* auditItem(about: About, entry: Entry, settings: Settings, needed: number): Generator<Finding> {
  const { raw, info } = entry
  const now = Date.now()
  const parsed = parse(raw, settings)
  if (parsed === undefined) {
    yield {
      ...about,
      kind: 'malformed',
      message: 'has a name that no item has',
      fix: { action: 'move to fail/' },
    }
    return
  }
  const mode = info.mode & 0o7777
  if ((mode & needed) !== needed) {
    const message = `has mode ${mode.toString(8)}, so that not all workers can ${(needed & 0o200) === 0 ? 'read' : 'lock'} it`
    yield { ...about, kind: 'mode', message, fix: { action: 'set mode', mode: mode | needed } }
  }
  const begin = enqueuedAt(parsed, settings)
  const skew = Math.max(begin, isDelayed(info, now) ? 0 : info.mtimeMs, info.ctimeMs) - now
  if (skew > SKEW_MS) {
    yield { ...about, kind: 'clock', message: `is from ${ageText(skew / 1000)} ahead: clocks do not agree` }
  }
  if (isExpired(begin, settings.ttl, now)) {
    const message = `is ${ageText((now - begin) / 1000)} old, and ${settings.ttl} s are allowed`
    yield { ...about, kind: 'expired', message, fix: { action: 'move to fail/' } }
  }
  if (nameAfterTry(parsed, settings.encode) === undefined) {
    yield { ...about, kind: 'ungrowable', message: 'fails at its next retry: its name would be too long' }
  }
}
