/**
 * The lines of a worker's file (fsq standard, section 10): JSON, padded with blanks to 512 bytes. The first line describes the
 * worker; each of the others is blank, or one item that the worker has in hand.
 *
 * A line has its place for as long as its item is in hand, so one write of a range of lines tells of all that has changed:
 *
 *     blank ── hold() ──> holds an item ── drop() ──> blank
 *
 * Pure: worker-file.ts writes the bytes.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import { type RawName, pathText } from '../name/charset.js'
import { isFileName } from '../name/limits.js'
import type { Counters, WorkerState } from '../work/journal.js'

/** Bytes of a line, with its newline. */
export const LINE_BYTES = 512

const LONGEST_TEXT = LINE_BYTES - 1
const BLANK = 0x20
const NEWLINE = 0x0a
const LONGEST_PROGRESS = 200
// Neither escaped in JSON nor changed by UTF-8.
const PLAIN = /^[ !#-[\]-~]*$/

/** The first line: the worker. */
export interface WorkerLine {
  readonly version: 1
  readonly pid: number
  readonly host: string
  /** The boot of the machine during which the worker started; not set where the system does not tell. */
  readonly boot?: string
  /** When the worker started. */
  readonly started: string
  readonly concurrency: number
  readonly state: WorkerState
  readonly counters: Counters
}

/** Another line: an item in hand. */
export interface HeldItem {
  readonly id: RawName
  /** When the worker took it in hand. */
  readonly since: string
  /** What its handler has told of its progress. */
  readonly progress?: unknown
}

/** The bytes of a worker's file, and which of them have changed. */
export class WorkerLines {
  #bytes: Buffer
  /** The numbers of blank lines; the last one is used first. */
  readonly #free: number[] = []
  /** The range of bytes that has changed since {@link takeChange}. */
  #from = 0
  #to = 0

  /** @param items - How many items there is room for at first. */
  constructor(items: number) {
    this.#bytes = blankLines(1 + items)
    this.#to = this.#bytes.length
    this.#addFree(1)
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  set worker(worker: WorkerLine) {
    this.#write(0, fitted(worker))
  }

  /** Writes an item into a blank line. @returns The number of the line. */
  hold(item: HeldItem): number {
    if (this.#free.length === 0) this.#grow()
    const line = this.#free.pop() ?? 0
    // Nearly every item: nothing of it needs an escape, and the rest of the line is blank already.
    if (PLAIN.test(item.id)) {
      this.#bytes.write(
        `{"id":"${item.id}","since":"${item.since}"}`,
        line * LINE_BYTES,
        LONGEST_TEXT,
        'latin1',
      )
      this.#noteChange(line)
    } else this.#write(line, heldText(item))
    return line
  }

  /** Writes the item of a line anew. */
  update(line: number, item: HeldItem): void {
    this.#write(line, heldText(item))
  }

  /** Makes a line blank. */
  drop(line: number): void {
    const start = line * LINE_BYTES
    this.#bytes.fill(BLANK, start, start + LONGEST_TEXT)
    this.#noteChange(line)
    this.#free.push(line)
  }

  /** The range of bytes that has changed since the last call. */
  takeChange(): { readonly start: number; readonly end: number } {
    const change = { start: this.#from, end: this.#to }
    this.#from = this.#bytes.length
    this.#to = 0
    return change
  }

  /** All bytes are to be written again. */
  markAll(): void {
    this.#from = 0
    this.#to = this.#bytes.length
  }

  #write(line: number, text: string): void {
    const start = line * LINE_BYTES
    const written = this.#bytes.write(text, start, LONGEST_TEXT, 'utf8')
    this.#bytes.fill(BLANK, start + written, start + LONGEST_TEXT)
    this.#noteChange(line)
  }

  #noteChange(line: number): void {
    const start = line * LINE_BYTES
    if (start < this.#from) this.#from = start
    if (start + LINE_BYTES > this.#to) this.#to = start + LINE_BYTES
  }

  #grow(): void {
    const lines = this.#bytes.length / LINE_BYTES
    const added = blankLines(lines)
    this.#from = Math.min(this.#from, this.#bytes.length)
    this.#bytes = Buffer.concat([this.#bytes, added])
    // The new lines must reach the file, too: it has no holes.
    this.#to = this.#bytes.length
    this.#addFree(lines)
  }

  #addFree(first: number): void {
    for (let line = this.#bytes.length / LINE_BYTES - 1; line >= first; line--) this.#free.push(line)
  }
}

/** What a worker's file tells. `worker` is `undefined` if its line cannot be read. */
export interface WorkerRecord {
  readonly worker: WorkerLine | undefined
  readonly held: readonly HeldItem[]
}

/** Reads a worker's file, and skips lines that are no JSON, as of a write that was cut short. */
export function parseWorkerLines(bytes: Buffer): WorkerRecord {
  const lines: unknown[] = []
  for (let start = 0; start < bytes.length; start += LINE_BYTES)
    lines.push(parsed(bytes.toString('utf8', start, start + LINE_BYTES)))
  const [first, ...others] = lines
  return {
    worker: isWorkerLine(first) ? first : undefined,
    held: others.map(heldItem).filter((item) => item !== undefined),
  }
}

/** Cuts what a handler has told of its progress to what fits into a line. Never throws. */
export function shortProgress(value: unknown): unknown {
  let json: string | undefined
  try {
    json = jsonOf(value)
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'it is no JSON'
    return `cannot be shown: ${problem}`.slice(0, LONGEST_PROGRESS / 2)
  }
  if (json === undefined || Buffer.byteLength(json) <= LONGEST_PROGRESS) return value
  const text = typeof value === 'string' ? value : json
  let short = text.slice(0, LONGEST_PROGRESS)
  while (Buffer.byteLength(JSON.stringify(short)) > LONGEST_PROGRESS) short = short.slice(0, -10)
  return short.toWellFormed()
}

/** `undefined`: the value is none of JSON, such as a function. */
function jsonOf(value: unknown): string | undefined {
  return JSON.stringify(value)
}

function blankLines(count: number): Buffer {
  const bytes = Buffer.alloc(count * LINE_BYTES, BLANK)
  for (let end = LINE_BYTES; end <= bytes.length; end += LINE_BYTES) bytes[end - 1] = NEWLINE
  return bytes
}

function heldText({ id, since, progress }: HeldItem): string {
  const text = pathText(id)
  const isText = Buffer.from(text).toString('latin1') === id
  const name = isText ? { id: text } : { raw: rawText(id) }
  const more = progress === undefined ? {} : { progress }
  return (
    ifFits({ ...name, since, ...more }) ??
    ifFits({ ...name, since }) ??
    JSON.stringify({ raw: rawText(id), since })
  )
}

/** A long name whose bytes are no text, or take too many escapes. */
function rawText(id: RawName): string {
  return Buffer.from(id, 'latin1').toString('base64')
}

function ifFits(value: unknown): string | undefined {
  const text = JSON.stringify(value)
  return Buffer.byteLength(text) <= LONGEST_TEXT ? text : undefined
}

/** A worker's line fits, unless its host has a name that no host has. */
function fitted(worker: WorkerLine): string {
  return ifFits(worker) ?? JSON.stringify({ ...worker, host: '' })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isWorkerLine(value: unknown): value is WorkerLine {
  if (typeof value !== 'object' || value === null) return false
  const { version, pid, host, state } = value as Partial<WorkerLine>
  return version === 1 && typeof pid === 'number' && typeof host === 'string' && typeof state === 'string'
}

function heldItem(value: unknown): HeldItem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { id, raw, since, progress } = value as Readonly<Record<string, unknown>>
  const name =
    typeof raw === 'string' ? Buffer.from(raw, 'base64') : Buffer.from(typeof id === 'string' ? id : '')
  const held = name.toString('latin1')
  // Another user may have written the line: a path must not lead out of the queue.
  if (typeof since !== 'string' || !isFileName(held)) return undefined
  return { id: held, since, ...(progress === undefined ? {} : { progress }) }
}
