/**
 * Listings: aligned columns for people, one JSON object per line for programs.
 *
 * @module
 */
import process from 'node:process'
import { isatty } from 'node:tty'

import { printableText } from '../name/charset.js'
import { Lines } from './output.js'
import { padded, widthOf } from './width.js'

const STDOUT = 1
const BOLD = '\u001b[1m'
const RESET = '\u001b[0m'
// The number of rows that decide how wide the columns are: a listing can be longer than fits into memory.
const MEASURED = 1000

/** One line: its JSON, and its columns for people. */
export interface Row {
  readonly json: Readonly<Record<string, unknown>>
  readonly columns: readonly (string | number)[]
}

/** Whether standard output is a terminal that shows colours, and the user has not declined them (NO_COLOR). */
export function isColoured(): boolean {
  return isatty(STDOUT) && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

type Cells = readonly (string | number)[]

/** Prints a listing. Numbers are aligned to the right. */
export async function printTable(
  titles: readonly string[],
  rows: Iterable<Row> | AsyncIterable<Row>,
  isJson: boolean,
): Promise<void> {
  const lines = new Lines()
  const table = new Table(titles, lines)
  for await (const { json, columns } of rows) {
    if (isJson) lines.add(JSON.stringify(json))
    else table.add(columns.map((column) => (typeof column === 'number' ? column : printableText(column))))
  }
  table.end()
  lines.flush()
}

class Table {
  readonly #titles: readonly string[]
  readonly #lines: Lines
  #measured: Cells[] = []
  #format: ((row: Cells) => string) | undefined

  constructor(titles: readonly string[], lines: Lines) {
    this.#titles = titles
    this.#lines = lines
  }

  add(row: Cells): void {
    if (this.#format !== undefined) this.#lines.add(this.#format(row))
    else if (this.#measured.push(row) === MEASURED) this.end()
  }

  /** Prints the rows held back so far. */
  end(): void {
    if (this.#measured.length === 0) return
    const format = formatOf(this.#titles, this.#measured)
    const head = format(this.#titles)
    this.#lines.add(isColoured() ? `${BOLD}${head}${RESET}` : head)
    for (const row of this.#measured) this.#lines.add(format(row))
    this.#measured = []
    this.#format = format
  }
}

/** A function that aligns rows like these. */
function formatOf(titles: readonly string[], rows: readonly Cells[]): (row: Cells) => string {
  const widths = titles.map((title, column) =>
    rows.reduce((width, row) => Math.max(width, widthOf(String(row[column]))), title.length),
  )
  const isRight = titles.map((_, column) =>
    rows.every((row) => typeof row[column] === 'number' || row[column] === '-'),
  )
  return (row) =>
    row
      .map((cell, column) => padded(String(cell), widths[column] ?? 0, isRight[column] === true))
      .join('  ')
      .trimEnd()
}

/** Milliseconds as whole seconds, rounded down. */
export function wholeSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.floor(milliseconds / 1000)
}
