/** The middle of the values. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Median, least and greatest of the values. */
export function spread(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** The value that this share of the values does not exceed. */
export function quantile(values, part) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]
}

/** The ratios of values that were measured in the same round. */
export function ratios(values, references) {
  return values.map((value, round) => value / references[round])
}

/** The same for each of these keys of the samples. */
export function spreadOf(samples, keys) {
  return Object.fromEntries(keys.map((key) => [key, spread(samples.map((sample) => sample[key]))]))
}
