/**
 * Fits a table into a width: narrower gaps first, then shorter texts, then fewer columns. Pure.
 *
 * @module
 */
import { cut, padded, widthOf } from '../width.js'

/** A column of a table. */
export interface Column {
  readonly title: string
  readonly isRight?: boolean
  /** Its texts may be cut to this width. Not set: to none. */
  readonly least?: number
  /** Columns with a higher number are left out first. Not set: never. */
  readonly rank?: number
}

const WIDE_GAP = 2
const NARROW_GAP = 1
// Columns of texts grow in steps, so that they do not move with each refresh.
const STEP = 4

/** Aligns rows. @returns The titles and the rows, each at most as wide as `width`. */
export function fit(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): { readonly titles: string; readonly lines: readonly string[] } {
  let shown = columns.map((column, index) => ({
    column,
    index,
    width: naturalWidth(column, index, rows, STEP),
  }))
  let gap = WIDE_GAP
  const excess = (): number =>
    shown.reduce((sum, one) => sum + one.width, 0) + gap * (shown.length - 1) - width
  if (excess() > 0) {
    gap = NARROW_GAP
    shown = shown.map((one) => ({ ...one, width: naturalWidth(one.column, one.index, rows, 1) }))
  }
  while (excess() > 0) {
    shrink(shown, excess())
    if (excess() <= 0) break
    const rank = Math.max(...shown.map(({ column }) => column.rank ?? 0))
    if (rank === 0) break
    const left = shown.filter(({ column }) => column.rank !== rank)
    // With one column less, texts may have more room.
    shown = left.map((one) => ({ ...one, width: naturalWidth(one.column, one.index, rows, 1) }))
  }
  const line = (cells: readonly string[]): string => {
    const texts = shown.map(({ column, index, width: room }) =>
      padded(cut(cells[index] ?? '', room), room, column.isRight === true),
    )
    return cut(texts.join(' '.repeat(gap)).trimEnd(), width)
  }
  return { titles: line(columns.map(({ title }) => title)), lines: rows.map(line) }
}

function naturalWidth(
  column: Column,
  index: number,
  rows: readonly (readonly string[])[],
  step: number,
): number {
  const widest = rows.reduce((most, row) => Math.max(most, widthOf(row[index] ?? '')), widthOf(column.title))
  return column.least === undefined ? widest : Math.ceil(widest / step) * step
}

/** Takes from the widest texts first. */
function shrink(shown: readonly { readonly column: Column; width: number }[], excess: number): void {
  for (let left = excess; left > 0; left--) {
    const candidates = shown.filter(({ column, width }) => width > (column.least ?? Number.POSITIVE_INFINITY))
    const widest = candidates.reduce<(typeof candidates)[number] | undefined>(
      (most, one) => (most === undefined || one.width > most.width ? one : most),
      undefined,
    )
    if (widest === undefined) return
    widest.width--
  }
}
