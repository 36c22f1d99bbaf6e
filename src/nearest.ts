/**
 * Which name a user may have meant by a mistyped one.
 *
 * @module
 */

/**
 * The name that is most like a mistyped one: at most two letters are wrong, missing, added or swapped, in a short name one. Case,
 * dashes and underscores do not count. `undefined`: none is.
 */
export function nearest(typed: string, names: Iterable<string>): string | undefined {
  const plain = plainOf(typed)
  let most = plain.length < 5 ? 1 : 2
  let found: string | undefined
  for (const name of names) {
    const steps = stepsBetween(plain, plainOf(name))
    if (steps > most || (found !== undefined && steps === most)) continue
    most = steps
    found = name
  }
  return found
}

/** The part of a message that names it, with a space before: `(do you mean force?)`. Empty: none is. */
export function guess(typed: string, names: Iterable<string>, dashes = ''): string {
  const name = nearest(typed, names)
  return name === undefined ? '' : ` (do you mean ${dashes}${name}?)`
}

function plainOf(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '')
}

/** How many letters must be changed, added, removed or swapped with the next one. */
function stepsBetween(from: string, to: string): number {
  let before: readonly number[] = []
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const now = [row]
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1]
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      now[column] = Math.min(
        at(last, column) + 1,
        at(now, column - 1) + 1,
        at(last, column - 1) + (isSame ? 0 : 1),
        isSwapped ? at(before, column - 2) + 1 : Number.POSITIVE_INFINITY,
      )
    }
    before = last
    last = now
  }
  return at(last, to.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
