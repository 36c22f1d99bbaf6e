import { readFileSync } from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { FsqError } from '../../src/errors/classes.js'
import { toRaw } from '../../src/name/charset.js'
import { construct, deconstruct, decode, encode } from '../../src/compat/names.js'
import type { NameArgument } from '../../src/name/codec.js'
import { parseItemName } from '../../src/name/item-name.js'
import { parseTimestamp } from '../../src/name/timestamp.js'
import { resolveSettings } from '../../src/settings.js'

type Row = Readonly<Record<string, unknown>>
type FileName = 'construct' | 'decode' | 'decode_charset' | 'deconstruct' | 'encode' | 'item'

const REJECTED = Symbol('rejected')
const settings = resolveSettings({ utc: true })

function read(file: FileName): Row[] {
  const json = readFileSync(new URL(`../vectors/${file}.json`, import.meta.url), 'utf8')
  // A whole number that JS would round becomes a bigint; strings are skipped over.
  const exact = json.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?=[,\]])/g, (token) =>
    token.startsWith('"') ? token : `{"bigint":"${token}"}`,
  )
  return JSON.parse(exact, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && 'bigint' in value ? BigInt(String(value.bigint)) : value,
  ) as Row[]
}

interface VectorFile {
  /** This package's result for a row. */
  readonly run: (row: Row) => unknown
  /** The result of the first implementation. */
  readonly want: (row: Row) => unknown
  /** The parts of a row that name it in the list of differences. */
  readonly input: readonly string[]
}

const options = (row: Row): { delimiter: string; encodeseq: string } => ({
  delimiter: row['delimiter'] as string,
  encodeseq: row['encodeseq'] as string,
})

const files: Readonly<Record<FileName, VectorFile>> = {
  encode: {
    run: (row) => encode(row['arg'] as string, options(row)),
    want: (row) => row['out'],
    input: ['arg', 'delimiter', 'encodeseq'],
  },
  decode: {
    run: (row) => decode(row['arg'] as string, options(row)),
    want: (row) => row['out'],
    input: ['arg', 'delimiter', 'encodeseq'],
  },
  decode_charset: {
    run: (row) => decode(row['arg'] as string, { ...options(row), charset: row['charset'] as string }),
    want: (row) => row['out'],
    input: ['arg', 'charset'],
  },
  construct: {
    run: (row) => construct(row['args'] as NameArgument[], options(row)),
    want: (row) => row['name'],
    input: ['args', 'delimiter', 'encodeseq'],
  },
  deconstruct: {
    run: (row) => deconstruct(row['name'] as string, { encodeseq: row['encodeseq'] as string }),
    want: (row) => ({ delimiter: row['delimiter'], args: row['args'] }),
    input: ['name', 'encodeseq'],
  },
  item: {
    run: (row) => {
      const { delimiter, timestamp, entropy, pid, hostname, tries, args } = parseItemName(
        toRaw(row['name'] as string, 'utf8'),
        settings,
      )
      const enqueuedAt = parseTimestamp(timestamp, settings)
      return { delimiter, entropy, pid, hostname, tries, args, enqueuedAt }
    },
    want: ({ delimiter, entropy, pid, hostname, tries, arguments: args, enqueued_at: at }) => {
      return { delimiter, entropy, pid, hostname, tries, args, enqueuedAt: Date.parse(`${String(at)}Z`) }
    },
    input: ['name'],
  },
}

const NUL = 'no file name can have a NUL, so we write its escape'
const SURROGATE = 'a lone surrogate cannot be written as bytes of UTF-8, and nothing else may stand for it'
const BLANK = 'a blank is not a hex digit'
const FOREIGN_DIGIT = 'a digit of another script is not a hex digit'
const LAX_TIME = 'the format never writes this: formatting the fields gives another text'
const LAX_TRIES = 'tries are decimal digits, without sign, blanks and digits of other scripts'

/** Where we differ from the first implementation on purpose: the row, what we do, and why. */
const differences: Readonly<
  Record<FileName, readonly (readonly [input: readonly unknown[], ours: unknown, why: string])[]>
> = {
  encode: [
    [['a\0b', '_', '%'], 'a%00b', NUL],
    [['\0', ' ', '%'], '%00', NUL],
    [['\0', '\n', '%'], '%00', NUL],
    [['\0', 'x', '%'], '%00', NUL],
    [['x\udfffy', '_', '%'], REJECTED, SURROGATE],
  ],
  decode: [
    ...[' ', '\t', '\n', '\r', '\x1f', '\x85', '\xa0', '\u2003', '\u2028', '\u3000'].map(
      (blank) => [[`%1${blank}`, '_', '%'], REJECTED, BLANK] as const,
    ),
    [['%4\u0661', '_', '%'], REJECTED, FOREIGN_DIGIT],
    [['%\u0661 ', '_', '%'], REJECTED, FOREIGN_DIGIT],
  ],
  decode_charset: [
    [['\xfc', 'utf-16'], REJECTED, 'names are in utf8, ascii or latin-1; others are a setting error'],
  ],
  construct: [
    [[['\0'], '_', '%'], '_%00', NUL],
    [[['\0'], '~', '!'], '~!00', NUL],
    [[[1.5, 2, 1e22], '_', '%'], '_1.5_2_1e+22', 'a JS number does not tell 2.0 from 2'],
  ],
  deconstruct: [
    [['_%1 ', '%'], REJECTED, BLANK],
    [['_%1 _a', '%'], REJECTED, BLANK],
    [['_%1\t_x', '%'], REJECTED, BLANK],
    [['_%\u0661\u0661', '%'], REJECTED, FOREIGN_DIGIT],
    [['_%\uff14\uff11_b', '%'], REJECTED, FOREIGN_DIGIT],
    [['_%4\u0661', '%'], REJECTED, FOREIGN_DIGIT],
  ],
  item: [
    [['_20120710213904_0_13044_mss_-1_x'], REJECTED, LAX_TRIES],
    [['_20120710213904_0_13044_mss_+2_x'], REJECTED, LAX_TRIES],
    [['_20120710213904_0_13044_mss_ 3 _x'], REJECTED, LAX_TRIES],
    [['_20120710213904_0_13044_mss_\u0663_x'], REJECTED, LAX_TRIES],
    [['_2012071021390_0_1_h_0'], REJECTED, LAX_TIME],
    [['_201271213904_0_1_h_0'], REJECTED, LAX_TIME],
    [['_201211111_0_1_h_0'], REJECTED, LAX_TIME],
    [['_201211111111_0_1_h_0'], REJECTED, LAX_TIME],
    [['_20121111111_0_1_h_0'], REJECTED, LAX_TIME],
  ],
}

function keyOf(parts: readonly unknown[]): string {
  return JSON.stringify(parts, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
}

function outcome(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    // Anything else is a bug of ours, and shows as one.
    if (error instanceof FsqError) return REJECTED
    throw error
  }
}

describe.each(Object.entries(files) as [FileName, VectorFile][])('%s', (file, { run, want, input }) => {
  const rows = read(file)
  const inputOf = (row: Row): string => keyOf(input.map((part) => row[part]))
  const differing = new Map(differences[file].map(([parts, ours]) => [keyOf(parts), ours]))

  test.each(rows.map((row) => [inputOf(row), row] as const))('%s', (key, row) => {
    const theirs = 'error' in row ? REJECTED : want(row)
    const ours = outcome(() => run(row))
    if (differing.has(key)) {
      expect(ours).toEqual(differing.get(key))
      expect(ours).not.toEqual(theirs)
    } else {
      expect(ours).toEqual(theirs)
    }
  })

  test('each row listed as different exists, once', () => {
    const keys = rows.map(inputOf)
    for (const key of differing.keys()) expect(keys.filter((candidate) => candidate === key)).toEqual([key])
    expect(differing.size).toBe(differences[file].length)
  })
})
