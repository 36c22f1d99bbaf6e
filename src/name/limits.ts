/**
 * The limits of names, and of the numbers in names and settings.
 *
 * @module
 */

/** The longest file name, in bytes: for queues, items, and the entries of a queue. */
export const LONGEST_NAME = 255

/** The most decimal digits of an item's tries and of numeric settings: a JavaScript number holds them exactly. */
export const MOST_DIGITS = 15

/** The largest number with `MOST_DIGITS` digits. */
export const LARGEST_NUMBER = 10 ** MOST_DIGITS - 1

/** A whole number of at most `MOST_DIGITS` digits. */
export const WHOLE_NUMBER = new RegExp(`^[0-9]{1,${MOST_DIGITS}}$`)

/** Whether bytes, one a character, can be the name of a file: a path made of it leads to no other directory. */
export function isFileName(raw: string): boolean {
  return raw !== '' && raw !== '.' && raw !== '..' && raw.length <= LONGEST_NAME && !/[/\0]/.test(raw)
}
