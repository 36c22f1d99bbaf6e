/**
 * Ages for people.
 *
 * @module
 */
const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
] as const

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
