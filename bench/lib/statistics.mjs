/** The noise above which a ratio says little. */
const NOISY = 0.25

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

/**
 * The ratios of values that were measured in the same round, one by one: what slows a whole round down slows both. `noise`:
 * see {@link noise}.
 */
export function ratioOf(values, references) {
  const ratios = values.map((value, round) => value / references[round])
  return { ...spread(ratios), noise: noise(ratios) }
}

/** True of a ratio whose rounds are so far apart that it says little. */
export function isNoisy(ratio) {
  return ratio.noise > NOISY
}

/** The same for each of these keys of the samples. */
export function spreadOf(samples, keys) {
  return Object.fromEntries(keys.map((key) => [key, spread(samples.map((sample) => sample[key]))]))
}

/**
 * How far the values are apart: the greatest minus the least, divided by the median. Of five and more, one value at either end does
 * not count, as one disturbed round does not move the median.
 */
function noise(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const kept = sorted.length < 5 ? sorted : sorted.slice(1, -1)
  return (kept.at(-1) - kept[0]) / median(values)
}
