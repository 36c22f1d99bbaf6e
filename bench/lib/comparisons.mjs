import { isNoisy } from './statistics.mjs'
import { number } from './table.mjs'

/**
 * All comparisons in the result of a run, or in a part of it.
 *
 * @param result - As --json writes it.
 * @returns For each `{ workload, size, durability, against, speed }`, `size` and `durability` only for a row of the table.
 * `speed`: how many times as fast as the other this package is; median, least, greatest, and noise.
 */
export function comparisonsOf({
  rows,
  backlog,
  million = [],
  'claim among': among = [],
  'pick-up': pickUp,
  'event loop delay': delay,
  stream,
  push,
  'start-up': startup = {},
}) {
  return [
    ...rows.flatMap(({ name, size, durability, references }) =>
      references.map(({ name: against, ratio }) => ({
        workload: name,
        size,
        durability,
        against,
        speed: ratio,
      })),
    ),
    ...(backlog === undefined
      ? []
      : [
          {
            workload: `first of ${number(backlog.waiting)} waiting`,
            against: 'node:fs',
            speed: inverse(backlog.ratio),
          },
        ]),
    ...million.map(({ waiting, ratio }) => ({
      workload: `drain ${number(waiting)} waiting`,
      against: 'floor',
      speed: ratio,
    })),
    ...among.map(({ kind, items, ratio }) => ({
      workload: `behind ${number(items)} ${kind}`,
      against: 'floor',
      speed: ratio,
    })),
    ...(pickUp === undefined ? [] : pickUpComparisons(pickUp)),
    ...(delay?.forms ?? []).map(({ name, ratio }) => ({
      workload: `loop delay, ${name}`,
      against: 'fs/promises',
      speed: inverse(ratio),
    })),
    ...Object.entries(stream?.ratios ?? {}).map(([key, speed]) => ({
      workload: `stream of ${number(stream.megabytes)} MiB, ${key === 'inMBs' ? 'in' : 'out'}`,
      against: 'node:fs',
      speed,
    })),
    ...(push === undefined
      ? []
      : [
          {
            workload: `stream of ${number(push.megabytes)} MiB, push`,
            against: 'node:http',
            speed: push.ratio,
          },
        ]),
    ...Object.entries(startup)
      .filter(([, { ratio }]) => ratio !== undefined)
      .map(([against, { ratio }]) => ({ workload: 'import', against, speed: inverse(ratio) })),
  ]
}

/** A line for each workload with ratios that are too noisy to say much. */
export function noiseLines(comparisons) {
  const noisy = comparisons.filter(({ speed }) => isNoisy(speed))
  return [...new Set(noisy.map(({ workload }) => workload))].map((name) => {
    const spreads = noisy
      .filter(({ workload }) => workload === name)
      .map(({ against, speed }) => `${against} ${number(speed.noise * 100)} %`)
    return `WARNING: noisy: ${name}: the spread against ${spreads.join('; ')}`
  })
}

/** How many of these comparisons are too noisy. */
export function noiseSummary(comparisons) {
  if (comparisons.length === 0) return []
  const noisy = comparisons.filter(({ speed }) => isNoisy(speed)).length
  return [`${noisy} of ${comparisons.length} ratios are noisy: they spread by more than 25 % of their median`]
}

function pickUpComparisons({ p50, p99, work }) {
  return [
    ...Object.entries({ p50, p99 }).flatMap(([key, { references }]) =>
      Object.entries(references).map(([against, { ratio }]) => ({
        workload: `pick-up, ${key}`,
        against,
        speed: inverse(ratio),
      })),
    ),
    { workload: 'pick-up by work(), p50', against: 'loop', speed: inverse(work.ratio) },
  ]
}

/** For times, where less is faster. */
function inverse({ median, min, max, noise }) {
  return { median: 1 / median, min: 1 / max, max: 1 / min, noise }
}
