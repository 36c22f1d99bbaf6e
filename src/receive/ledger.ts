/**
 * The ledger: which messages have been received before, in files that a person can read.
 *
 *     received/SOURCE/ledger-20261127T073000.000Z     a segment, named by the time of its first line
 *
 *     + ID FIELD ...      an entry. Durable before `add` resolves
 *     = ID                the entry is settled: its effect is about to be visible. Written before `settle` resolves, and durable
 *                         with the next entry, or a second later
 *
 * A second `+` of an id takes the place of the first one, and is not settled. A byte of a field that would break the line is written
 * as `\xNN`.
 *
 * Lines are written at the known end of the last segment, so a line that was cut short is overwritten by the next one. After a crash the
 * end is that of the last whole line. Nothing is ever acknowledged that stands in an unfinished line, because its writer has not
 * returned.
 *
 * An entry is forgotten with its segment, once that is older than the time to keep. A segment is closed after a sixteenth of this time.
 * Each new segment lets at most two old ones go: if the clock jumps ahead, the ledger does not forget everything at once.
 *
 * If a write or an fsync fails, or a segment has been removed, the ledger is broken: what the disk has is not known. Each call rejects
 * from then on, and the owner opens the ledger again, and goes by what it finds.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'
import { inspect } from 'node:util'

import { isSegmentName, segmentName, segmentTime } from '../directory/received.js'
import { FsqError } from '../errors/classes.js'
import { failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { type MetaAccess } from '../meta/directory.js'
import { makeFile, openFile } from '../meta/files.js'
import { clearTimeout, nextTick, setTimeout } from '../real-timers.js'
import { isRemoved, readAt, syncDirectory, syncFile, writeAt } from './files.js'
import { LONGEST_SEGMENT, LedgerTable, hashOf } from './ledger-table.js'

const SEGMENTS_OF_AN_AGE = 16
const MOST_PRUNED = 2
/** Half of what a table can address, so that one batch never exceeds that. */
const FULL_SEGMENT = LONGEST_SEGMENT / 2
const CHUNK = 1024 * 1024
/** An id of 200 bytes and a name of 255, of which each byte may be escaped. */
const USUAL_LINE = 2048
const SYNC_MS = 1000

/** An id as it stands in a ledger: ASCII letters, digits and `._:-`. */
const ID = /^[A-Za-z0-9._:-]{1,200}$/

/** Options of {@link Ledger.open}. */
export interface LedgerOptions {
  /** Milliseconds until an entry may be forgotten. */
  readonly keep: number
  /** Called with each entry that the files have, also with one that a later entry replaces. Default: it is not read further. */
  readonly onEntry?: ((id: string, field: string) => void) | undefined
  /** The size of a segment in bytes after which the next one begins. Default: a gigabyte. */
  readonly fullSegment?: number | undefined
}

/** An entry that {@link Ledger.find} has found or {@link Ledger.add} has made. */
export interface LedgerEntry {
  readonly id: string
  /** As they were given to {@link Ledger.add}. */
  readonly fields: readonly string[]
  readonly isSettled: boolean
  /** @internal */
  readonly at: Place
}

interface Place {
  readonly segment: Segment
  readonly hash: number
  readonly position: number
}

interface Segment {
  readonly name: string
  readonly descriptor: number
  readonly table: LedgerTable
  /** The end of its last whole line. */
  size: number
  /** Whether there are bytes that no fsync has covered. */
  isDirty: boolean
}

/** A line on its way to the disk. */
interface Line {
  readonly text: string
  readonly isDurable: boolean
  readonly onWritten: (segment: Segment, position: number) => void
  readonly fail: (error: FsqError) => void
}

/** A line that is written and not durable. */
interface Written {
  readonly line: Line
  readonly segment: Segment
  readonly position: number
}

/** Whether a ledger can have this id. */
export function isLedgerId(id: unknown): id is string {
  return typeof id === 'string' && ID.test(id)
}

/** One ledger. The caller has the lock of its directory. */
export class Ledger {
  readonly #directory: string
  readonly #access: MetaAccess
  readonly #keep: number
  readonly #full: number
  /** The oldest first. */
  #segments: Segment[] = []
  /** Of segments that were pruned. A search may still read them, so they are closed at the next prune. */
  #pruned: number[] = []
  /** The entries in the files that were not settled when they were read. */
  readonly #unsettled = new Map<string, Place>()
  /** When the last segment was begun, by `performance.now()`. */
  #begun = 0
  #waiting: Line[] = []
  #writing: Promise<void> | undefined
  #written: Written[] = []
  #syncing: Promise<void> | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #failure: FsqError | undefined

  private constructor(directory: string, access: MetaAccess, { keep, fullSegment }: LedgerOptions) {
    this.#directory = directory
    this.#access = access
    this.#keep = keep
    this.#full = fullSegment ?? FULL_SEGMENT
  }

  /**
   * Reads the ledger of a directory, or begins one. What it has is durable when this resolves, also the lines that a process wrote and
   * did not sync before it died.
   *
   * @param access - The mode and the owner of its files.
   * @throws A file system error.
   */
  static async open(directory: string, access: MetaAccess, options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(directory, access, options)
    try {
      await ledger.#load(options.onEntry)
      return ledger
    } catch (error) {
      ledger.#closeFiles()
      throw ledger.#error(error, 'read')
    }
  }

  /** How many entries it has, with those that later ones have replaced. */
  get size(): number {
    return this.#segments.reduce((sum, { table }) => sum + table.size, 0)
  }

  /** The memory of the entries in bytes. */
  get bytes(): number {
    return this.#segments.reduce((sum, { table }) => sum + table.bytes, 0)
  }

  /** Why no line can be added any more: it has to be opened again. */
  get failure(): FsqError | undefined {
    return this.#failure
  }

  /**
   * Reads what other processes have written since, and makes it durable: the process may have died between a write and its fsync.
   * For a ledger that several processes write to in turns. The caller has the turn, and awaits each line that it adds before it
   * gives the turn up.
   *
   * @throws A file system error; the ledger is broken then.
   */
  async refresh(): Promise<void> {
    try {
      const names = (await fs.promises.readdir(this.#directory)).filter(isSegmentName).toSorted()
      const known = new Map(this.#segments.map((segment) => [segment.name, segment]))
      const latest = this.#segments.at(-1)?.name ?? ''
      for (const { name, descriptor } of this.#segments)
        if (!names.includes(name)) this.#pruned.push(descriptor)
      this.#segments = names.map((name) => known.get(name) ?? openSegment(this.#directory, name))
      // Others may have begun several segments since the last turn of this process.
      for (const segment of this.#segments.filter(({ name }) => name >= latest)) {
        const { size } = segment
        await loadSegment(segment, this.#unsettled)
        if (segment.size > size) await syncFile(segment.descriptor)
      }
      const last = this.#segments.at(-1)
      if (last === undefined) return
      fs.ftruncateSync(last.descriptor, last.size)
      this.#begun = beginOf(last)
    } catch (error) {
      const broken = this.#error(error, 'read')
      this.#break(broken)
      throw broken
    }
  }

  /**
   * The last entry of an id.
   *
   * @throws A file system error.
   */
  async find(id: string): Promise<LedgerEntry | undefined> {
    const hash = hashOf(id)
    for (const segment of this.#segments.toReversed()) {
      const positions = segment.table.positions(hash).toSorted((one, other) => other - one)
      for (const position of positions) {
        const [, found, ...fields] = (await this.#lineAt(segment, position)).split(' ')
        if (found !== id) continue
        const isSettled = segment.table.isSettled(hash, position)
        return { id, fields: fields.map(unescaped), isSettled, at: { segment, hash, position } }
      }
    }
    return undefined
  }

  /**
   * Adds an entry, which is durable when this resolves.
   *
   * @throws A file system error; the entry may be there or not.
   */
  async add(id: string, fields: readonly string[]): Promise<LedgerEntry> {
    const hash = hashOf(id)
    const text = `+ ${[id, ...fields.map(escaped)].join(' ')}\n`
    return new Promise((resolve, reject) => {
      this.#submit({
        text,
        isDurable: true,
        onWritten: (segment, position) => {
          segment.table.add(hash, position)
          resolve({ id, fields, isSettled: false, at: { segment, hash, position } })
        },
        fail: reject,
      })
    })
  }

  /**
   * Settles an entry. The line has reached the kernel when this resolves, so that it survives the end of the process, and not yet a
   * power cut.
   *
   * @throws As {@link add}.
   */
  async settle({ id, at }: LedgerEntry): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#submit({
        text: `= ${id}\n`,
        isDurable: false,
        onWritten: () => {
          at.segment.table.settle(at.hash, at.position)
          resolve()
        },
        fail: reject,
      })
    })
  }

  /** Waits for the lines on their way, makes them durable, and closes the files. Never rejects: the lines that matter have been awaited. */
  async close(): Promise<void> {
    await this.#writing
    await this.#sync()
    clearTimeout(this.#syncTimer)
    this.#break(new FsqError(`The ledger of ${this.#directory} has been closed`))
    this.#closeFiles()
  }

  #submit(line: Line): void {
    if (this.#failure !== undefined) {
      line.fail(this.#failure)
      return
    }
    this.#waiting.push(line)
    // Not at once: the other items of this tick share the write.
    this.#writing ??= new Promise((resolve) => {
      nextTick(() => void this.#write().finally(resolve))
    })
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting
      this.#waiting = []
      try {
        await this.#writeLines(lines)
      } catch (error) {
        this.#break(this.#error(error, 'write'), lines)
      }
    }
    this.#writing = undefined
  }

  async #writeLines(lines: readonly Line[]): Promise<void> {
    const segment = await this.#segmentToWrite()
    const bytes = Buffer.from(lines.map(({ text }) => text).join(''), 'latin1')
    await writeAt(segment.descriptor, bytes, segment.size)
    let position = segment.size
    segment.size += bytes.length
    segment.isDirty = true
    let isDurable = false
    for (const line of lines) {
      if (line.isDurable) {
        isDurable = true
        this.#written.push({ line, segment, position })
      } else line.onWritten(segment, position)
      position += line.text.length
    }
    if (isDurable) void this.#sync()
    else this.#syncLater()
  }

  #syncLater(): void {
    if (this.#syncTimer !== undefined) return
    this.#syncTimer = setTimeout(() => void this.#sync(), SYNC_MS)
    this.#syncTimer.unref()
  }

  /** Makes all that is written durable. Those who wait meanwhile share the next fsync. */
  async #sync(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing
    if (this.#failure !== undefined || !this.#segments.some(({ isDirty }) => isDirty)) return
    clearTimeout(this.#syncTimer)
    this.#syncTimer = undefined
    const written = this.#written
    this.#written = []
    this.#syncing = this.#syncSegments(written)
    await this.#syncing
  }

  async #syncSegments(written: readonly Written[]): Promise<void> {
    try {
      for (const segment of this.#segments.filter(({ isDirty }) => isDirty)) {
        segment.isDirty = false
        const [removed] = await Promise.all([isRemoved(segment.descriptor), syncFile(segment.descriptor)])
        if (removed)
          throw new FsqError(`${path.join(this.#directory, segment.name)} has been removed`, {
            advice: 'Leave the ledger alone: without it, a message that its source repeats arrives twice',
          })
      }
      for (const { line, segment, position } of written) line.onWritten(segment, position)
    } catch (error) {
      this.#break(
        this.#error(error, 'write'),
        written.map(({ line }) => line),
      )
    } finally {
      this.#syncing = undefined
    }
  }

  #break(error: FsqError, lines: readonly Line[] = []): void {
    this.#failure ??= error
    const all = [...lines, ...this.#waiting, ...this.#written.map(({ line }) => line)]
    this.#waiting = []
    this.#written = []
    for (const line of all) line.fail(error)
  }

  async #segmentToWrite(): Promise<Segment> {
    const last = this.#segments.at(-1)
    const age = performance.now() - this.#begun
    if (last !== undefined && last.size < this.#full && age < this.#keep / SEGMENTS_OF_AN_AGE) return last
    return this.#begin(last)
  }

  async #begin(last: Segment | undefined): Promise<Segment> {
    // A clock that was set back must not bring the names out of order.
    const time = Math.max(Date.now(), last === undefined ? 0 : segmentTime(last.name) + 1)
    const name = segmentName(time)
    const descriptor = makeFile(path.join(this.#directory, name), this.#access.fileMode, this.#access.owner)
    const segment = { name, descriptor, table: new LedgerTable(), size: 0, isDirty: false }
    this.#segments.push(segment)
    this.#begun = performance.now()
    await syncDirectory(this.#directory)
    this.#prune()
    return segment
  }

  /** Forgets segments whose last line is too old: the next segment begins after that line. */
  #prune(): void {
    const oldest = segmentName(Date.now() - this.#keep)
    for (const descriptor of this.#pruned.splice(0)) fs.closeSync(descriptor)
    for (let pruned = 0; pruned < MOST_PRUNED; pruned++) {
      const [first, second] = this.#segments
      if (first === undefined || second === undefined || second.name >= oldest) return
      fs.rmSync(path.join(this.#directory, first.name), { force: true })
      this.#pruned.push(first.descriptor)
      this.#segments = this.#segments.slice(1)
    }
  }

  async #load(onEntry: LedgerOptions['onEntry']): Promise<void> {
    const names = (await fs.promises.readdir(this.#directory)).filter(isSegmentName).toSorted()
    for (const name of names) {
      const segment = openSegment(this.#directory, name)
      this.#segments.push(segment)
      await loadSegment(segment, this.#unsettled, onEntry)
    }
    const last = this.#segments.at(-1)
    if (last === undefined) return
    fs.ftruncateSync(last.descriptor, last.size)
    for (const segment of this.#segments.slice(-MOST_PRUNED)) await syncFile(segment.descriptor)
    this.#begun = beginOf(last)
  }

  async #lineAt({ descriptor }: Segment, position: number): Promise<string> {
    const bytes = await readAt(descriptor, USUAL_LINE, position)
    const text = bytes.toString('latin1')
    const end = text.indexOf('\n')
    return end === -1 ? text : text.slice(0, end)
  }

  #closeFiles(): void {
    for (const { descriptor } of this.#segments.splice(0)) fs.closeSync(descriptor)
    for (const descriptor of this.#pruned.splice(0)) fs.closeSync(descriptor)
  }

  #error(error: unknown, doing: string): FsqError {
    if (error instanceof FsqError) return error
    if (error instanceof Error && 'syscall' in error)
      return fileSystemError(failureOf(error, '', this.#directory), `${doing} the ledger of a receiver`)
    return new FsqError(`Cannot ${doing} the ledger in ${this.#directory}: ${inspect(error)}`, {
      cause: error,
    })
  }
}

function openSegment(directory: string, name: string): Segment {
  const descriptor = openFile(path.join(directory, name), 'write')
  return { name, descriptor, table: new LedgerTable(), size: 0, isDirty: false }
}

/** When a segment was begun, by `performance.now()`. */
function beginOf({ name }: Segment): number {
  return performance.now() - Math.max(0, Date.now() - segmentTime(name))
}

/** Reads the lines of a segment behind those that were read before. */
async function loadSegment(
  segment: Segment,
  open: Map<string, Place>,
  onEntry?: LedgerOptions['onEntry'],
): Promise<void> {
  let rest = ''
  for (;;) {
    const from = segment.size + rest.length
    const chunk = await readAt(segment.descriptor, CHUNK, from)
    if (chunk.length === 0) return
    const text = rest + chunk.toString('latin1')
    let start = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      loadLine(text.slice(start, end), segment, segment.size + start, open, onEntry)
      start = end + 1
    }
    segment.size += start
    rest = text.slice(start)
  }
}

/** Lines of other forms are skipped: a power cut can leave bytes that no fsync covered. */
function loadLine(
  line: string,
  segment: Segment,
  position: number,
  open: Map<string, Place>,
  onEntry: LedgerOptions['onEntry'],
): void {
  const [kind, id, field = ''] = line.split(' ', 3)
  if (!isLedgerId(id)) return
  if (kind === '+') {
    const hash = hashOf(id)
    segment.table.add(hash, position)
    open.set(id, { segment, hash, position })
    onEntry?.(id, unescaped(field))
  } else if (kind === '=') {
    const place = open.get(id)
    if (place === undefined) return
    place.segment.table.settle(place.hash, place.position)
    open.delete(id)
  }
}

function escaped(field: string): string {
  return field.replace(
    /[\0- \\\x7f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

function unescaped(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\x([0-9a-f]{2})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}
