/**
 * What can be wrong with queues. Looking changes nothing and locks nothing.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'

import { type Layout, placePath } from '../layout.js'
import { pathText, printable } from '../name/charset.js'
import { withTries } from '../name/item-name.js'
import { Place } from '../native.js'
import { LOCK_MARKER, type Settings } from '../settings.js'
import { type Entry, entriesOf, isDelayed } from './directory-entries.js'
import { enqueuedAt, parse } from './items.js'
import { entriesIn, isDirectory, queueNamed, queuesIn } from './queues.js'
import { ageText } from './table.js'
import { mountsIn } from './workers.js'

/** No enqueue takes so long (fsq standard, section 3). */
const STALE_MS = 36 * 3600 * 1000
/** Clocks that agree as well as most do. */
const SKEW_MS = 60_000
const LONGEST_NAME = 255
/** No probe takes so long. */
const PROBE_MS = 3600 * 1000
const HIDDEN = /^\.fsq-[A-Za-z0-9]{6}$/
const PROBED = /^\.fsq-probe-/
const READABLE = 0o440

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
  /** Made fit to be shown. */
  readonly path: string
  readonly message: string
  /** What is left out, only a person can do. */
  readonly fix?: Fix
  /** The file, where there is one. */
  readonly entry?: Entry
  readonly layout?: Layout
}

/** Looks through the queues with these names, or through all of them and the directory that they are in. */
export function auditAll(names: readonly string[], settings: Settings): readonly Finding[] {
  const layouts = names.length > 0 ? names.map((name) => queueNamed(name, settings)) : queuesIn(settings)
  const findings = layouts.flatMap((layout) => [...auditQueue(layout, settings)])
  return names.length > 0 ? findings : [...findings, ...leftovers(settings)]
}

function* leftovers({ root }: Settings): Generator<Finding> {
  for (const name of entriesIn(root)) {
    const file = path.join(root, name)
    const about = { queue: undefined, path: file, fix: { action: 'remove directory' } } as const
    if (HIDDEN.test(name) && isDirectory(file)) {
      const message = 'is left from an installation or a removal, unless one is under way'
      yield { ...about, kind: 'half-installed', message }
    } else if (PROBED.test(name) && isDirectory(file)) {
      const age = Date.now() - fs.lstatSync(file).ctimeMs
      if (age < PROBE_MS) continue
      const message = `is left from a probe (fsq doctor) ${ageText(age / 1000)} ago`
      yield { ...about, kind: 'stale', message }
    }
  }
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
      const file = { ...about, path: path.join(directory, printable(entry.raw)), entry }
      if (!entry.info.isFile())
        yield { ...file, kind: 'foreign', message: 'is no regular file, and is never worked on' }
      else if (place === Place.tmp) yield* auditDraft(file, entry)
      else if (place === Place.queue)
        yield* auditItem(file, entry, settings, isFcntl ? lockable(own) : READABLE)
    }
  }
}

/** What is in a queue beside its four directories. */
function* auditOthers(layout: Layout, settings: Settings): Generator<Finding> {
  const { down, trigger, hosts, hostsTrigger } = settings
  for (const { raw, path: file, info } of entriesOf(layout.path)) {
    const name = pathText(raw)
    if (layout.directories.includes(name) || name === hosts) continue
    const about = { queue: layout.name, kind: 'foreign', path: printable(file.toString('latin1')) } as const
    if (name === trigger || name === hostsTrigger) {
      if (!info.isFIFO()) yield { ...about, message: 'is no FIFO, and so no trigger' }
    } else if (name === down) {
      if (!info.isFile()) yield { ...about, message: 'is no regular file, and forbids scans all the same' }
    } else if (name !== LOCK_MARKER) yield { ...about, message: 'is no part of a queue, and is left alone' }
  }
}

type About = Pick<Finding, 'queue' | 'path' | 'entry' | 'layout'>

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
  // Not mtime, which is when a delayed item is due.
  const age = Date.now() - info.ctimeMs
  if (age < STALE_MS) return
  const message = `is left from an enqueue that ended ${ageText(age / 1000)} ago`
  yield { ...about, kind: 'stale', message, fix: { action: 'remove' } }
}

/** Fcntl locks need files that are open for writing; whoever may write to the queue may work it. */
function lockable({ mode }: fs.Stats): number {
  const others = mode & 0o022
  return 0o600 | others | (others << 1)
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
    const message = `has mode ${mode.toString(8)}, so that not all workers can ${needed === READABLE ? 'read' : 'lock'} it`
    yield { ...about, kind: 'mode', message, fix: { action: 'set mode', mode: mode | needed } }
  }
  const begin = enqueuedAt(parsed, settings)
  const skew = Math.max(begin, isDelayed(info, now) ? 0 : info.mtimeMs, info.ctimeMs) - now
  if (skew > SKEW_MS) {
    yield { ...about, kind: 'clock', message: `is from ${ageText(skew / 1000)} ahead: clocks do not agree` }
  }
  if (settings.ttl > 0 && now - begin >= settings.ttl * 1000) {
    const message = `is ${ageText((now - begin) / 1000)} old, and ${settings.ttl} s are allowed`
    yield { ...about, kind: 'expired', message, fix: { action: 'move to fail/' } }
  }
  if (withTries(raw, parsed.tries + 1, settings.encode).length > LONGEST_NAME) {
    yield { ...about, kind: 'ungrowable', message: 'fails at its next retry: its name would be too long' }
  }
}
