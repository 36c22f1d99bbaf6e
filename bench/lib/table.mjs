const COLUMNS = [
  { title: 'workload', width: 24 },
  { title: 'bytes', width: 7, right: true },
  { title: 'durability', width: 10 },
  { title: 'fsq', width: 25, right: true },
  { title: 'against', width: 24 },
  { title: '', width: 25, right: true },
  { title: 'fsq : it', width: 18, right: true },
]

/** The head of the table, two lines. */
export function head() {
  return `${line(COLUMNS.map(({ title }) => title))}\n${line(COLUMNS.map(({ width }) => '-'.repeat(width)))}`
}

/** One line of the table. */
export function line(cells) {
  return COLUMNS.map(({ width, right }, column) => {
    const cell = cells[column] ?? ''
    return right ? cell.padStart(width) : cell.padEnd(width)
  })
    .join('  ')
    .trimEnd()
}

/** `12,345 (11,000-13,000)`. */
export function range({ median, min, max }, digits = 0) {
  return `${number(median, digits)} (${number(min, digits)}-${number(max, digits)})`
}

export function number(value, digits = 0) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
