/**
 * Numbers and times as `fsq top` shows them. Pure.
 *
 * @module
 */
import { ageText } from '../../inspect/age-text.js'

const BARS = '▁▂▃▄▅▆▇█'
const DAY = 86_400_000

/** Numbers as bars, as high as they are in comparison with the highest. */
export function sparkline(numbers: readonly number[]): string {
  const most = Math.max(...numbers)
  return numbers
    .map((number) => BARS[most === 0 ? 0 : Math.ceil((number / most) * (BARS.length - 1))] ?? '')
    .join('')
}

/** A number with commas: `1,204`. */
export function count(number: number): string {
  return number.toLocaleString('en')
}

/** `1 item`, `2 items`. */
export function plural(number: number, what: string): string {
  return `${count(number)} ${what}${number === 1 ? '' : 's'}`
}

/** The time of day of milliseconds since the epoch. */
export function clock(time: number): string {
  const date = new Date(time)
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
}

/** When something was: the time of day, or the day. */
export function moment(time: number, now: number): string {
  if (Math.abs(now - time) < DAY) return clock(time)
  const date = new Date(time)
  return [date.getFullYear(), twoDigits(date.getMonth() + 1), twoDigits(date.getDate())].join('-')
}

/** Milliseconds as an age; `-` for none. */
export function age(milliseconds: number | undefined): string {
  return milliseconds === undefined ? '-' : ageText(milliseconds / 1000)
}

function twoDigits(number: number): string {
  return String(number).padStart(2, '0')
}
