/**
 * Adds many items, described on standard input, in one process.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import { enqueueMany } from '../enqueue/bulk.js'
import type { Enqueuer } from '../enqueue/enqueuer.js'
import type { EnqueueEntry } from '../enqueue/entry.js'
import {
  EnqueueManyError,
  type EnqueueOutcome,
  EncodingError,
  FsqError,
  NameTooLongError,
  PayloadError,
  SettingError,
} from '../errors/classes.js'
import { explain } from './advice.js'
import { readSome, say } from './output.js'
import { Progress } from './progress.js'

const STDIN = 0
const NUL = 0
const NEWLINE = 10
const KEYS = ['args', 'data', 'json', 'base64', 'delay'] as const

export interface BatchOptions {
  /** Each record ends at a NUL and is the contents of an item; otherwise each is a line of JSON. */
  readonly isNullSeparated: boolean
  /** Called with the ids of added items, in their order. */
  readonly onQueued: (ids: readonly string[]) => Promise<void>
}

export interface BatchOutcome {
  readonly count: number
  /** Whether all items have been added. */
  readonly isWhole: boolean
}

/**
 * Adds the items. A faulty item gets a message, and the others are added. An error that is not about the item (no space, for
 * example) ends the reading.
 *
 * @param args - Arguments that each item has before its own.
 */
export async function enqueueBatch(
  enqueuer: Enqueuer,
  args: readonly string[],
  options: BatchOptions,
): Promise<BatchOutcome> {
  const what = options.isNullSeparated ? 'item' : 'line'
  const progress = new Progress('items queued')
  const read = options.isNullSeparated ? (data: Buffer) => ({ data, args }) : lineReader(args)
  let count = 0
  let line = 0
  let isWhole = true
  // The records of one read are added before the next read, which may wait for a user at a terminal.
  for (const records of readRecords(options.isNullSeparated ? NUL : NEWLINE)) {
    const { entries, numbers, refused } = readEntries(records, line, read)
    line += records.length
    const outcomes = await enqueueAll(enqueuer, entries)
    const failed = outcomes.flatMap((outcome, index) =>
      'error' in outcome ? [[numbers[index] ?? 0, outcome.error] as const] : [],
    )
    const ids = outcomes.flatMap((outcome) => ('id' in outcome ? [outcome.id] : []))
    count += ids.length
    const faults = [...refused, ...failed].sort(([a], [b]) => a - b)
    if (faults.length > 0) {
      isWhole = false
      progress.clear()
      sayFaults(faults, what)
    }
    try {
      if (ids.length > 0) await options.onQueued(ids)
    } catch (error) {
      progress.clear()
      say(`stopped: nothing after ${what} ${line} was read; ${count} queued until then`)
      throw error
    }
    if (failed.some(([, error]) => !isAboutItem(error))) {
      say(`stopped: nothing after ${what} ${line} was read`)
      break
    }
    progress.show(count)
  }
  progress.clear()
  return { count, isWhole }
}

type Fault = readonly [number: number, error: FsqError]

/** An error of the queue, such as a full disk, hits many items in a row: one message says so. */
function sayFaults(faults: readonly Fault[], what: string): void {
  let index = 0
  while (index < faults.length) {
    const [number, error] = faults[index++] as Fault
    say(`${what} ${number}: ${explain(error)}`)
    let last = number
    while (isSame(faults[index], last + 1, error)) {
      last++
      index++
    }
    if (last > number) say(`${last === number + 1 ? what : `${what}s ${number + 1} to`} ${last}: the same`)
  }
}

function isSame(fault: Fault | undefined, wanted: number, { code, errno }: FsqError): boolean {
  if (fault === undefined) return false
  const [number, error] = fault
  return number === wanted && !isAboutItem(error) && error.code === code && error.errno === errno
}

interface Entries {
  readonly entries: EnqueueEntry[]
  /** The numbers of their records, counted from 1. */
  readonly numbers: number[]
  readonly refused: Fault[]
}

function readEntries(
  records: readonly Buffer[],
  before: number,
  read: (record: Buffer) => EnqueueEntry | undefined,
): Entries {
  const result: Entries = { entries: [], numbers: [], refused: [] }
  records.forEach((record, index) => {
    const number = before + index + 1
    try {
      const entry = read(record)
      if (entry === undefined) return
      result.entries.push(entry)
      result.numbers.push(number)
    } catch (error) {
      if (!(error instanceof FsqError)) throw error
      result.refused.push([number, error])
    }
  })
  return result
}

async function enqueueAll(
  enqueuer: Enqueuer,
  entries: readonly EnqueueEntry[],
): Promise<readonly EnqueueOutcome[]> {
  try {
    const ids = await enqueueMany(enqueuer, entries, {})
    return ids.map((id) => ({ id }))
  } catch (error) {
    if (error instanceof EnqueueManyError) return error.outcomes
    throw error
  }
}

function isAboutItem(error: FsqError): boolean {
  return [EncodingError, NameTooLongError, PayloadError, SettingError].some((kind) => error instanceof kind)
}

/** The records of each read. The last record of the input needs no separator after it. */
function* readRecords(end: number): Generator<readonly Buffer[]> {
  let begun: Buffer[] = []
  for (;;) {
    const chunk = readSome(STDIN)
    if (chunk.length === 0) break
    const records: Buffer[] = []
    let from = 0
    for (let at = chunk.indexOf(end); at !== -1; at = chunk.indexOf(end, from)) {
      records.push(Buffer.concat([...begun, chunk.subarray(from, at)]))
      begun = []
      from = at + 1
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
    if (records.length > 0) yield records
  }
  if (begun.length > 0) yield [Buffer.concat(begun)]
}

/** Reads lines of JSON. Skips empty lines. */
function lineReader(args: readonly string[]): (line: Buffer) => EnqueueEntry | undefined {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  return (line) => {
    let value: unknown
    try {
      const text = decoder.decode(line)
      if (text.trim() === '') return undefined
      value = JSON.parse(text)
    } catch (cause) {
      throw new PayloadError(`it is no JSON (${cause instanceof Error ? cause.message : String(cause)})`, {
        cause,
      })
    }
    return readEntry(Array.isArray(value) ? { args: value } : value, args)
  }
}

function readEntry(value: unknown, before: readonly string[]): EnqueueEntry {
  if (!isRecord(value))
    throw new PayloadError(`expected an array of arguments or an object of ${KEYS.join(', ')}`)
  const { args = [], data, json, base64, delay } = value
  if (!Array.isArray(args) || !args.every((arg) => typeof arg === 'string')) {
    throw new PayloadError('"args" is not an array of strings')
  }
  if ([data, json, base64].filter((given) => given !== undefined).length > 1) {
    throw new PayloadError('it has more than one of "data", "json" and "base64"')
  }
  if (delay !== undefined && typeof delay !== 'number') throw new PayloadError('"delay" is not a number')
  return {
    args: [...before, ...args],
    data: json === undefined ? contents(data, base64) : { json },
    delay,
  }
}

type ItemRecord = { readonly [Key in (typeof KEYS)[number]]?: unknown }

function isRecord(value: unknown): value is ItemRecord {
  const known: readonly string[] = KEYS
  return typeof value === 'object' && value !== null && Object.keys(value).every((key) => known.includes(key))
}

function contents(data: unknown, base64: unknown): string | Buffer | null {
  if (base64 === undefined) {
    if (data === undefined || data === null || typeof data === 'string') return data ?? null
    throw new PayloadError('"data" is not a string; other values go as "json"')
  }
  // Node would skip characters that are not base64, without an error.
  if (typeof base64 === 'string' && /^(?:[\w+/-]{4})*(?:[\w+/-]{2,3}={0,2})?$/.test(base64)) {
    return Buffer.from(base64, 'base64')
  }
  throw new PayloadError('"base64" is not bytes in base64')
}
