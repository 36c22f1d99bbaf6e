/**
 * The limits of names, and of the numbers in names and settings.
 *
 * @module
 */

/** How many bytes the name of a file may have: those of queues and items, and those of the entries of a queue. */
export const LONGEST_NAME = 255

/** How many decimal digits the tries of an item may have, and the numbers of settings: a JS number holds them exactly. */
export const MOST_DIGITS = 15

/** The largest number of that many digits. */
export const LARGEST_NUMBER = 10 ** MOST_DIGITS - 1

/** A whole number of at most that many digits. */
export const WHOLE_NUMBER = new RegExp(`^[0-9]{1,${MOST_DIGITS}}$`)
