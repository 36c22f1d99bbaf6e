/**
 * Listings: aligned columns for people, one JSON object a line for programs.
 *
 * @module
 */
import process from 'node:process'
import { isatty } from 'node:tty'

import { printableText } from '../name/charset.js'
import { Lines } from './output.js'

const STDOUT = 1
const BOLD = '\u001b[1m'
const RESET = '\u001b[0m'
const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const

/** One line: its JSON, and its columns for people. */
export interface Row {
  readonly json: Readonly<Record<string, unknown>>
  readonly columns: readonly (string | number)[]
}

/** Prints a listing. Numbers are aligned to the right. */
export function printTable(titles: readonly string[], rows: Iterable<Row>, isJson: boolean): void {
  const lines = new Lines()
  if (isJson) {
    for (const { json } of rows) lines.add(JSON.stringify(json))
  } else {
    const cells = [...rows].map(({ columns }) =>
      columns.map((column) => (typeof column === 'number' ? column : printableText(column))),
    )
    if (cells.length > 0) printAligned(lines, titles, cells)
  }
  lines.flush()
}

function printAligned(
  lines: Lines,
  titles: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const widths = titles.map((title, column) =>
    rows.reduce((width, row) => Math.max(width, String(row[column]).length), title.length),
  )
  const isRight = titles.map((_, column) =>
    rows.every((row) => typeof row[column] === 'number' || row[column] === '-'),
  )
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, column) => {
        const text = String(cell)
        return isRight[column] === true
          ? text.padStart(widths[column] ?? 0)
          : text.padEnd(widths[column] ?? 0)
      })
      .join('  ')
      .trimEnd()
  const isColoured = isatty(STDOUT) && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  lines.add(isColoured ? `${BOLD}${line(titles)}${RESET}` : line(titles))
  for (const row of rows) lines.add(line(row))
}

/** Seconds for people: `5s`, `3m 20s`, `2d 4h`. */
export function ageText(seconds: number): string {
  const [index, [unit, size]] = [...UNITS.entries()].find(([, [, length]]) => seconds >= length) ?? [
    -1,
    ['s', 1],
  ]
  if (index === -1) return `${Math.max(0, Math.floor(seconds))}s`
  const [smaller, length] = UNITS[index + 1] ?? ['s', 1]
  const rest = Math.floor((seconds % size) / length)
  return `${Math.floor(seconds / size)}${unit}${rest > 0 ? ` ${rest}${smaller}` : ''}`
}
