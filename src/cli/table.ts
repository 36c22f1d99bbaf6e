/**
 * Listings: aligned columns for people, one JSON object per line for programs.
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
const NARROW = /^[\0-\u02ff]*$/
const COMBINING = /^\p{M}$/u
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u
// The number of rows that decide how wide the columns are: a listing can be longer than fits into memory.
const MEASURED = 1000

/** One line: its JSON, and its columns for people. */
export interface Row {
  readonly json: Readonly<Record<string, unknown>>
  readonly columns: readonly (string | number)[]
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
    const isColoured = isatty(STDOUT) && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
    const head = format(this.#titles)
    this.#lines.add(isColoured ? `${BOLD}${head}${RESET}` : head)
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
      .map((cell, column) => {
        const text = String(cell)
        const padding = ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(text)))
        return isRight[column] === true ? padding + text : text + padding
      })
      .join('  ')
      .trimEnd()
}

/** The width in columns of a terminal. */
function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length
  let width = 0
  for (const character of text) {
    if (!COMBINING.test(character)) width += WIDE.test(character) ? 2 : 1
  }
  return width
}

/** Milliseconds as whole seconds, rounded down. */
export function wholeSeconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.floor(milliseconds / 1000)
}
