// What the demo prints: lines, a progress line that repaints itself on a terminal, a table.
import process from 'node:process'
import { styleText } from 'node:util'

import { now } from './records.mjs'

const { stdout } = process
// A terminal that cannot return to the beginning of a line gets plain lines, like a file or a pipe.
const isLive = stdout.isTTY === true && process.env.TERM !== 'dumb'
const hasColors = isLive && !process.env.NO_COLOR
const BAR_WIDTH = 24
const PLAIN_MS = 1000

let statusShown = false

export function print(text = '') {
  clearStatus()
  stdout.write(`${text}\n`)
}

export function printError(text) {
  clearStatus()
  process.stderr.write(`${text}\n`)
}

export function color(format, text) {
  return hasColors && text !== '' ? styleText(format, text) : text
}

export function number(value, digits = 0) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

export function count(value, singular, plural = `${singular}s`) {
  return `${number(value)} ${value === 1 ? singular : plural}`
}

export function seconds(milliseconds) {
  return `${number(milliseconds / 1000, milliseconds < 10_000 ? 2 : 0)} s`
}

/** Shows the current activity until the next line is printed, on output that can overwrite a line. */
export function status(text) {
  if (!isLive) return
  // A line that wraps could not be overwritten.
  stdout.write(`\r${text.slice(0, (stdout.columns ?? 80) - 1)}\x1b[K`)
  statusShown = true
}

function clearStatus() {
  if (statusShown) stdout.write('\r\x1b[K')
  statusShown = false
}

/** The progress of the queue: a bar on a terminal, elsewhere a line each second. */
export class Progress {
  #total
  #begun = now()
  #printed = now()

  constructor(total) {
    this.#total = total
  }

  show({ waiting, done, failed }) {
    const time = seconds(now() - this.#begun)
    const state = `done ${number(done)}  failed ${number(failed)}  waiting ${number(waiting)}`
    const filled = Math.round(Math.min((done + failed) / this.#total, 1) * BAR_WIDTH)
    status(`  ${'█'.repeat(filled).padEnd(BAR_WIDTH, '░')}  ${state}  ${time}`)
    if (isLive || now() - this.#printed < PLAIN_MS) return
    this.#printed = now()
    print(`  ${time}: ${state}`)
  }
}

/** @param rows - Each has a label, a value and an optional remark; `isOff` colors the value. */
export function printTable(rows) {
  const labels = Math.max(...rows.map(({ label }) => label.length))
  const values = Math.max(...rows.map(({ value }) => value.length))
  for (const { label, value, remark = '', isOff = false } of rows) {
    const shown = value.padStart(values)
    print(
      `  ${label.padEnd(labels)}  ${isOff ? color('red', shown) : shown}  ${color('dim', remark)}`.trimEnd(),
    )
  }
}
